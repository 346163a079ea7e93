//! A request as it arrived.

use std::iter;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Request;

/// A request as the client sent it: its head, its chunks, and its trailers. In HTTP/1.1 these are the
/// bytes of the client (RFC 9112).
///
/// In HTTP/2 the head is compressed, so this value has the text that HTTP/1.1 would have: the request
/// line with the version `HTTP/2.0`, `:authority` as `host`, and the headers in their order, with
/// several `cookie` lines if the client split them. There are no chunks.
///
/// A [`HeaderMap`] keeps the meaning of headers and drops their order, the case of their names and
/// their spaces. A path is normalized. Use this type to debug a client, verify a signature over a
/// head, or see what a proxy changed. It is kept for every request without a copy.
///
/// ```
/// use httpool::{Request, RawRequest};
///
/// fn respond(request: Request) -> String {
///     let Some(raw_request) = RawRequest::of(&request) else {
///         return "this request did not arrive on a connection".into();
///     };
///     let names = raw_request.header_lines().map(|(name, _)| String::from_utf8_lossy(name));
///     names.collect::<Vec<_>>().join(" then ")
/// }
///
/// assert_eq!(respond(Request::default()), "this request did not arrive on a connection");
/// ```
///
/// The request's [`Body`](crate::Body) carries this value: if you take the body out of the request,
/// it goes with it ([`Body::raw_request`](crate::Body::raw_request)). For a
/// [streamed](crate::BodyMode::Streaming) body, chunks and trailers are known after the last
/// read.
#[derive(Debug, Clone)]
pub struct RawRequest {
    head: Bytes,
    chunking: Option<SharedChunking>,
}

/// One chunk of a body in the chunked coding (RFC 9112 section 7.1).
///
/// ```
/// use httpool::{Request, RawRequest};
///
/// /// How many bytes the largest chunk of a body had.
/// fn largest_chunk(request: &Request) -> Option<u64> {
///     RawRequest::of(request)?.chunks().map(|chunk| chunk.size).max()
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The number of content bytes; 0 in the last chunk.
    pub size: u64,
    /// The chunk's size line without its line end: the size as written, and extensions.
    pub line: &'a [u8],
}

/// Receives the chunk lines of a body when it is complete.
pub(crate) type SharedChunking = Arc<OnceLock<Chunking>>;

/// Everything of a chunked body except its content.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunking {
    /// The lines of the first chunks, each with its line end.
    pub(crate) lines: Vec<u8>,
    /// The number of chunks whose lines are not kept.
    pub(crate) unkept: u64,
    /// The trailer section, each line with its line end.
    pub(crate) trailers: Vec<u8>,
}

impl RawRequest {
    pub(crate) fn new(head: Bytes, chunking: Option<SharedChunking>) -> Self {
        Self { head, chunking }
    }

    /// The raw form of this request. `None` if it did not arrive on a connection, or if its handler
    /// has taken or replaced its body. A [layer](crate::Layer) may replace the body.
    #[must_use]
    pub fn of(request: &Request) -> Option<&Self> {
        request.body().raw_request()
    }

    /// The head, from the first byte of the request line to the empty line at its end.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The request line without its line end.
    #[must_use]
    pub fn request_line(&self) -> &[u8] {
        self.head
            .split(|byte| *byte == b'\r')
            .next()
            .unwrap_or_default()
    }

    /// The name and value of each header line, in the order, number and case in which they were
    /// sent. Spaces around a value are left out.
    pub fn header_lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        // The first line is the request line.
        lines(&self.head).skip(1).filter_map(header)
    }

    /// The chunks of the body in their order, including the last one of size 0. Empty if the body
    /// was not chunked. The first 16 KiB of their lines are kept; see
    /// [`unkept_chunks`](Self::unkept_chunks).
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'_>> {
        let kept = self.chunking().map(|chunking| &chunking.lines[..]);
        lines(kept.unwrap_or_default()).map(|line| Chunk {
            size: size(line),
            line,
        })
    }

    /// The number of chunks that [`chunks`](Self::chunks) leaves out. Without this limit a body in
    /// chunks of one byte would cost many times its size.
    #[must_use]
    pub fn unkept_chunks(&self) -> u64 {
        self.chunking().map_or(0, |chunking| chunking.unkept)
    }

    /// The name and value of each line of the trailer section (RFC 9110 section 6.5), in the form
    /// of [`header_lines`](Self::header_lines).
    pub fn trailer_lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let kept = self.chunking().map(|chunking| &chunking.trailers[..]);
        lines(kept.unwrap_or_default()).filter_map(header)
    }

    /// The trailers as a map. They are never among the request's headers, because they were unknown
    /// when the request was routed and authorized (RFC 9110 section 6.5.1).
    ///
    /// ```
    /// use httpool::http::HeaderValue;
    /// use httpool::{Request, RawRequest};
    ///
    /// /// The digest that the client computed while it sent the body.
    /// fn digest(request: &Request) -> Option<HeaderValue> {
    ///     RawRequest::of(request)?.trailers().remove("content-digest")
    /// }
    /// ```
    #[must_use]
    pub fn trailers(&self) -> HeaderMap {
        map(self.trailer_lines())
    }

    /// A request that was stored: its head, its [chunk lines](Self::chunk_section), the number of
    /// those that were not kept, and its [trailers](Self::trailer_section).
    #[cfg(feature = "inspect")]
    pub(crate) fn stored(
        head: Bytes,
        chunk_lines: Vec<u8>,
        unkept: u64,
        trailers: Vec<u8>,
    ) -> Self {
        let has_chunking = !(chunk_lines.is_empty() && trailers.is_empty());
        let chunking = has_chunking.then(|| {
            Arc::new(OnceLock::from(Chunking {
                lines: chunk_lines,
                unkept,
                trailers,
            }))
        });
        Self::new(head, chunking)
    }

    /// This request with a head that shares no memory with others.
    #[cfg(feature = "inspect")]
    pub(crate) fn detached(&self) -> Self {
        Self::new(Bytes::copy_from_slice(&self.head), self.chunking.clone())
    }

    /// The kept chunk lines with their line ends.
    #[cfg(feature = "inspect")]
    pub(crate) fn chunk_section(&self) -> &[u8] {
        self.chunking().map_or(&[], |chunking| &chunking.lines)
    }

    /// The trailer lines with their line ends.
    #[cfg(feature = "inspect")]
    pub(crate) fn trailer_section(&self) -> &[u8] {
        self.chunking().map_or(&[], |chunking| &chunking.trailers)
    }

    /// Replaces the head by a copy of it.
    #[cfg(any(feature = "http2", feature = "unstable"))]
    pub(crate) fn set_head(&mut self, head: Bytes) {
        self.head = head;
    }

    /// The headers of the head as a map.
    pub(crate) fn headers(&self) -> HeaderMap {
        map(self.header_lines())
    }

    fn chunking(&self) -> Option<&Chunking> {
        self.chunking.as_ref()?.get()
    }
}

/// The decoder has accepted only valid lines.
fn map<'a>(lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    map
}

/// The lines without their ends, up to an empty one.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    let next = move || {
        let bytes = rest?;
        let (line, after) = match memchr::memchr(b'\n', bytes) {
            Some(end) => (&bytes[..end], Some(&bytes[end + 1..])),
            None => (bytes, None),
        };
        rest = after;
        Some(line)
    };
    iter::from_fn(next)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((&line[..colon], line[colon + 1..].trim_ascii()))
}

/// The size at the start of a chunk line.
fn size(line: &[u8]) -> u64 {
    line.iter()
        .map_while(|digit| char::from(*digit).to_digit(16))
        .fold(0, |sum, digit| sum << 4 | u64::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw_request() -> RawRequest {
        RawRequest::new(
            Bytes::from_static(
                b"PUT /a?b HTTP/1.1\r\nHOST: x\r\nx-A:  1 \r\nhost2:\r\nX-a: 2:3\r\n\r\n",
            ),
            Some(Arc::new(OnceLock::from(Chunking {
                lines: b"005;a=b\r\nA \r\n0\r\n".to_vec(),
                unkept: 7,
                trailers: b"Sum: 1\r\nSUM:2\r\n".to_vec(),
            }))),
        )
    }

    #[test]
    fn header_lines_keep_their_form() {
        let raw_request = raw_request();
        assert_eq!(raw_request.request_line(), b"PUT /a?b HTTP/1.1");
        let expected: [(&[u8], &[u8]); 4] = [
            (b"HOST", b"x"),
            (b"x-A", b"1"),
            (b"host2", b""),
            (b"X-a", b"2:3"),
        ];
        assert!(raw_request.header_lines().eq(expected));
    }

    #[test]
    fn chunk_and_trailer_lines_keep_their_form() {
        let raw_request = raw_request();
        let chunks: Vec<_> = raw_request
            .chunks()
            .map(|chunk| (chunk.size, chunk.line))
            .collect();
        let expected: [(u64, &[u8]); 3] = [(5, b"005;a=b"), (10, b"A "), (0, b"0")];
        assert_eq!(chunks, expected);
        assert_eq!(raw_request.unkept_chunks(), 7);
        assert!(
            raw_request
                .trailer_lines()
                .eq([(&b"Sum"[..], &b"1"[..]), (b"SUM", b"2")])
        );
        let trailers = raw_request.trailers();
        assert!(trailers.get_all("sum").iter().eq(["1", "2"]));
    }

    #[test]
    fn unchunked_body_has_no_chunks() {
        let raw_request = RawRequest::new(Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"), None);
        assert_eq!(raw_request.header_lines().count(), 0);
        assert_eq!(raw_request.chunks().count(), 0);
        assert_eq!(raw_request.trailer_lines().count(), 0);
        assert!(raw_request.trailers().is_empty());
    }
}
