//! The content of a request or a response.

pub(crate) mod channel;
mod content;
mod conversions;
mod internal;
mod schedule;
mod trailers;

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};

pub use self::channel::{BodySender, SendError, TrySendError};
#[cfg(test)]
pub(crate) use self::content::UnknownClient;
pub(crate) use self::content::{
    BodySource, Client, ClientGone, Content, FilePart, Polled, PolledReader, PolledSource,
    Presence, ReadWatching, Reader, Trailers, Withheld,
};
pub(crate) use self::internal::Provenance;
#[cfg(feature = "inspect")]
use super::broken::Broken;
use super::raw_request::SharedChunking;
use super::{ClientInfo, Later, RawRequest, Upgrade};
use crate::fs::shared_file::SharedFile;

/// The content of a message (RFC 9110 section 6.4).
///
/// By default the handler runs when the whole request body has arrived, so a slow sender never
/// occupies a worker. [`Builder::max_body`](crate::Builder::max_body) limits its size. A handler
/// may ask to [stream](crate::BodyMode::Streaming) the body instead and read it while it arrives.
///
/// The body of a response is bytes in memory, or is read [from a reader](Self::from_reader) or
/// [from a file](Self::from_file) while it is sent. A client that reads slowly occupies no worker:
/// its connection is parked between two writes. Content that [other threads send](Self::channel)
/// occupies none while the response waits for it.
///
/// ```
/// use httpool::Body;
///
/// let body = Body::from("hello");
/// assert_eq!(body.as_bytes(), b"hello");
/// assert_eq!(body.length(), Some(5));
/// assert_eq!(Body::empty().length(), Some(0));
/// ```
///
/// Every body can be read through [`Read`]. Bytes that were read are no longer part of it.
///
/// ```
/// use std::io::{self, Read};
/// use httpool::Body;
///
/// let mut body = Body::from_sized_reader(&b"hello"[..], 5);
/// let mut start = [0; 4];
/// body.read_exact(&mut start)?;
/// assert_eq!((&start, body.length()), (b"hell", Some(1)));
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Default)]
pub struct Body {
    content: Content,
    raw_request: Option<RawRequest>,
    client_info: Option<ClientInfo>,
}

impl Body {
    /// An empty body.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            content: Content::Memory(Bytes::new()),
            raw_request: None,
            client_info: None,
        }
    }

    /// A response body that is read while it is sent. Its length is known only at its end, so
    /// HTTP/1.1 clients receive it in the chunked coding. For HTTP/1.0 clients the connection closes
    /// after it. HTTP/2 needs neither.
    ///
    /// The bytes of one read, up to 64 KiB, are sent at once. The next read follows when the client
    /// has taken them. A read runs on a worker and may block; it occupies that worker for as long
    /// as it does. If the client leaves during a read, the server notices when the read returns.
    /// [Events](crate::sse) from a channel notice it at once.
    ///
    /// If the reader fails or panics, the connection is reset, so that the client does not take a
    /// part for the whole. In HTTP/2 only the stream is reset, with INTERNAL_ERROR.
    ///
    /// ```
    /// use std::io::{self, Read};
    /// use httpool::{Body, Request};
    ///
    /// let numbers = |_: Request| Body::from_reader(std::io::repeat(b'7').take(1_000_000));
    /// ```
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self::from_source(reader, None)
    }

    /// A response body of exactly `length` bytes that is read while it is sent. The client learns
    /// the length in advance. Further bytes are not read. If the reader ends early, the connection
    /// is reset, and in HTTP/2 only the stream.
    ///
    /// ```no_run
    /// use std::fs::File;
    /// use httpool::{Body, Problem, Request, Response, http::StatusCode};
    ///
    /// fn download(_: Request) -> Result<Body, StatusCode> {
    ///     let file = File::open("report.pdf").map_err(|_| StatusCode::NOT_FOUND)?;
    ///     let length = file.metadata().map_err(|_| StatusCode::NOT_FOUND)?.len();
    ///     Ok(Body::from_sized_reader(file, length))
    /// }
    /// ```
    pub fn from_sized_reader(reader: impl Read + Send + 'static, length: u64) -> Self {
        Self::from_source(reader, Some(length))
    }

    /// A response body made of these bytes of a regular file.
    ///
    /// The kernel sends the bytes with `sendfile`, up to 1 MiB per turn of a connection, so a large
    /// file or a slow client costs no memory. Ranges up to 4 KiB are read into memory instead.
    /// Under TLS and in HTTP/2, up to 64 KiB at a time are read into memory and kept until the client
    /// has taken them. The worker waits for the disk if the file is not in the page cache.
    ///
    /// If the file is shorter than announced or can't be read, the connection is reset, and in
    /// HTTP/2 only the stream. Bytes that
    /// another process writes meanwhile may or may not be sent. To replace a served file, write a
    /// new one and rename it over the old one.
    ///
    /// ```no_run
    /// use std::fs::File;
    /// use httpool::{Body, Request, http::StatusCode};
    ///
    /// fn first_kilobyte(_: Request) -> Result<Body, StatusCode> {
    ///     let file = File::open("report.pdf").map_err(|_| StatusCode::NOT_FOUND)?;
    ///     Ok(Body::from_file(file, 0..1000))
    /// }
    /// ```
    ///
    /// A whole [`File`] is a [response](crate::IntoResponse) by itself.
    #[must_use]
    pub fn from_file(file: File, bytes: Range<u64>) -> Self {
        Self::from_shared_file(Arc::new(SharedFile::new(file)), bytes)
    }

    /// A body from a part of a file that others read, too.
    pub(crate) fn from_shared_file(file: Arc<SharedFile>, bytes: Range<u64>) -> Self {
        Content::File(FilePart {
            file,
            offset: bytes.start,
            left: bytes.end.saturating_sub(bytes.start),
        })
        .into()
    }

    /// The content that is in memory: all of a buffered request body. It is empty for a body that
    /// is read [from a reader](Self::from_reader) or [from a file](Self::from_file), and for a
    /// [streamed](crate::BodyMode::Streaming) request body.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.content {
            Content::Memory(bytes) => bytes,
            Content::Reader(_) | Content::File(_) | Content::Upgrade(_) | Content::Later(_) => &[],
            #[cfg(feature = "inspect")]
            Content::Broken(_) => &[],
            Content::Withheld(withheld) => {
                withheld.want();
                &[]
            }
        }
    }

    /// The content that is in memory, as [`Bytes`], without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.content {
            Content::Memory(bytes) => bytes,
            Content::Reader(_) | Content::File(_) | Content::Upgrade(_) | Content::Later(_) => {
                Bytes::new()
            }
            #[cfg(feature = "inspect")]
            Content::Broken(_) => Bytes::new(),
            Content::Withheld(withheld) => {
                withheld.want();
                Bytes::new()
            }
        }
    }

    /// The content that is in memory, shared with the body.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.content {
            Content::Memory(bytes) => bytes.clone(),
            Content::Reader(_) | Content::File(_) | Content::Upgrade(_) | Content::Later(_) => {
                Bytes::new()
            }
            #[cfg(feature = "inspect")]
            Content::Broken(_) => Bytes::new(),
            Content::Withheld(withheld) => {
                withheld.want();
                Bytes::new()
            }
        }
    }

    /// The number of bytes. `None` if only [the reader](Self::from_reader) or the sending client
    /// knows it.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes.len() as u64),
            Content::Reader(source) => source.length,
            Content::File(part) => Some(part.left),
            Content::Upgrade(_) => Some(0),
            Content::Withheld(withheld) => withheld.length(),
            Content::Later(_) => None,
            #[cfg(feature = "inspect")]
            Content::Broken(broken) => broken.length,
        }
    }

    /// The request as it arrived on its connection. `None` if it did not arrive on a connection.
    #[must_use]
    pub fn raw_request(&self) -> Option<&RawRequest> {
        self.raw_request.as_ref()
    }

    /// The client of the request that arrived with this body. `None` if it did not arrive on a
    /// connection.
    #[must_use]
    pub fn client_info(&self) -> Option<&ClientInfo> {
        self.client_info.as_ref()
    }

    fn from_source(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        Content::Reader(BodySource {
            reader: Reader::Any(Box::new(reader)),
            length,
            held: 0,
            trailers: None,
        })
        .into()
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.content {
            Content::Memory(bytes) => {
                let count = bytes.len().min(buffer.len());
                bytes.copy_to_slice(&mut buffer[..count]);
                Ok(count)
            }
            Content::Reader(source) => source.read(buffer),
            Content::File(part) => part.read(buffer),
            Content::Upgrade(_) => Ok(0),
            #[cfg(feature = "inspect")]
            Content::Broken(_) => Ok(0),
            Content::Withheld(withheld) => withheld.read(buffer),
            Content::Later(_) => Err(io::Error::new(
                ErrorKind::WouldBlock,
                "the response comes later: `Later::map` gets it when it has come",
            )),
        }
    }
}

/// Shows the length only: bodies are large and hold data that clients sent.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "Body({length} bytes)"),
            None => f.write_str("Body(as many bytes as its reader gives)"),
        }
    }
}

impl From<Content> for Body {
    fn from(content: Content) -> Self {
        Self {
            content,
            raw_request: None,
            client_info: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mut body: Body, expected: io::Result<&str>) {
        let mut read = String::new();
        let result = body.read_to_string(&mut read).map(|_| &*read);
        assert_eq!(
            result.map_err(|error| error.kind()),
            expected.map_err(|error| error.kind())
        );
    }

    #[test]
    fn every_kind_of_body_can_be_read() {
        let reader = || &b"hello"[..];
        check(Body::empty(), Ok(""));
        check(Body::from("hello"), Ok("hello"));
        check(Body::from_reader(reader()), Ok("hello"));
        check(Body::from_sized_reader(reader(), 5), Ok("hello"));
        check(Body::from_sized_reader(reader(), 4), Ok("hell"));
        check(
            Body::from_sized_reader(reader(), 6),
            Err(ErrorKind::UnexpectedEof.into()),
        );
        let license = || File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT"));
        let part = |bytes| Body::from_file(license().expect("the license exists"), bytes);
        check(part(4..11), Ok("License"));
        check(part(4..100_000), Err(ErrorKind::UnexpectedEof.into()));
    }

    #[test]
    fn reader_never_overfills_the_buffer() {
        struct Overreporting;

        impl Read for Overreporting {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                Ok(buffer.len() + 1)
            }
        }

        for mut body in [
            Body::from_reader(Overreporting),
            Body::from_sized_reader(Overreporting, 5),
        ] {
            let read = body.read(&mut [0; 10]);
            assert_eq!(read.map_err(|error| error.kind()), Err(ErrorKind::Other));
        }
    }

    #[test]
    fn read_bytes_leave_the_body() {
        let mut start = [0; 2];
        for mut body in [
            Body::from("hello"),
            Body::from_sized_reader(&b"hello"[..], 5),
        ] {
            body.read_exact(&mut start)
                .expect("the body has more bytes");
            assert_eq!((&start, body.length()), (b"he", Some(3)));
        }
    }
}
