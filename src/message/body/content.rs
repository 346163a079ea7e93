//! Where the bytes of a body come from, and that no more and no fewer come than were announced.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::message::Upgrade;

/// What a body is made of.
pub(crate) enum Content {
    Memory(Bytes),
    Reader(BodySource),
    File(FilePart),
    /// None: another protocol follows the head.
    Upgrade(Box<Upgrade>),
    /// A request's that has not come, for its handler has said that it needs only the head.
    Withheld(Withheld),
}

/// A body that has not come. It keeps whether it has been looked at.
#[derive(Debug)]
pub(crate) struct Withheld {
    /// What the head says.
    length: Option<u64>,
    is_wanted: Arc<AtomicBool>,
}

impl Withheld {
    pub(crate) fn new(length: Option<u64>) -> Self {
        Self {
            length,
            is_wanted: Arc::default(),
        }
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The handler or a layer needs it.
    pub(crate) fn want(&self) {
        self.is_wanted.store(true, Ordering::Relaxed);
    }

    /// Where that is seen, wherever the body goes.
    pub(crate) fn watch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_wanted)
    }
}

impl Read for Withheld {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.want();
        Err(io::Error::new(
            ErrorKind::NotConnected,
            "the body has not come: the request is handled again when it has",
        ))
    }
}

/// Where the bytes of a body come from while it is sent.
pub(crate) struct BodySource {
    pub(crate) reader: Reader,
    /// How many bytes are left of what was announced.
    pub(crate) length: Option<u64>,
    /// About how much memory the reader keeps, if that is worth counting.
    pub(crate) held: usize,
}

/// What gives the bytes.
pub(crate) enum Reader {
    /// Anybody's, which may block.
    Any(Box<dyn Read + Send>),
    /// One that ends its waits if the client goes.
    Watching(Box<dyn ReadWatching>),
}

/// A reader that waits for long, and looks meanwhile whether the client is still there.
pub(crate) trait ReadWatching: Send {
    /// As [`Read::read`]. Fails with [`ClientGone`] if the client is.
    fn read_watching(&mut self, buffer: &mut [u8], client: &dyn Client) -> io::Result<usize>;
}

/// The other end of a connection.
pub(crate) trait Client {
    fn presence(&self) -> Presence;
}

/// What is known of a client that has sent nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Here,
    /// It sends nothing more. Whether it still reads shows when something is sent.
    Finished,
    /// Nothing that is sent can reach it.
    Gone,
}

/// Of which nothing is known.
pub(crate) struct Anyone;

/// Why a wait was ended.
#[derive(Debug)]
pub(crate) struct ClientGone;

/// What of a file is to be sent.
#[derive(Debug)]
pub(crate) struct FilePart {
    pub(crate) file: File,
    /// Where the next byte is.
    pub(crate) offset: u64,
    /// How many bytes are left of what was announced.
    pub(crate) left: u64,
}

impl Default for Content {
    fn default() -> Self {
        Self::Memory(Bytes::new())
    }
}

impl BodySource {
    /// As [`Read::read`], while this client is there, if the reader looks.
    pub(crate) fn read_for(&mut self, buffer: &mut [u8], client: &dyn Client) -> io::Result<usize> {
        let reader = &mut self.reader;
        let mut read = |buffer: &mut [u8]| {
            let count = match reader {
                Reader::Any(reader) => reader.read(buffer)?,
                Reader::Watching(reader) => reader.read_watching(buffer, client)?,
            };
            // It is anybody's, and what it says decides where bytes end.
            match count > buffer.len() {
                true => Err(io::Error::other("it claims more than it was asked for")),
                false => Ok(count),
            }
        };
        let Some(left) = &mut self.length else {
            return read(buffer);
        };
        let count = read_of(*left, buffer, read)?;
        *left -= count as u64;
        Ok(count)
    }
}

impl Read for BodySource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_for(buffer, &Anyone)
    }
}

impl Client for Anyone {
    fn presence(&self) -> Presence {
        Presence::Here
    }
}

impl ClientGone {
    /// Whether that is why a reader failed.
    pub(crate) fn is_why(error: &io::Error) -> bool {
        match error.get_ref() {
            Some(why) => why.is::<Self>(),
            None => false,
        }
    }
}

impl fmt::Display for ClientGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client is gone")
    }
}

impl Error for ClientGone {}

impl From<ClientGone> for io::Error {
    fn from(gone: ClientGone) -> Self {
        Self::new(ErrorKind::ConnectionReset, gone)
    }
}

impl FilePart {
    /// So many bytes have been taken.
    pub(crate) fn advance(&mut self, count: usize) {
        self.offset += count as u64;
        self.left -= count as u64;
    }
}

impl Read for FilePart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |buffer: &mut [u8]| self.file.read_at(buffer, self.offset);
        let count = read_of(self.left, buffer, read)?;
        self.advance(count);
        Ok(count)
    }
}

/// Reads no more than is left of what was announced. Less is an error: a part must not pass for the
/// whole.
fn read_of(
    left: u64,
    buffer: &mut [u8],
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
    if most == 0 {
        return Ok(0);
    }
    match read(&mut buffer[..most])? {
        0 => {
            let what = format!("it ended {left} bytes before its length");
            Err(io::Error::new(ErrorKind::UnexpectedEof, what))
        }
        count => Ok(count),
    }
}
