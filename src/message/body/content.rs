//! The sources of a body's bytes. Each yields exactly as many bytes as were announced.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;

use crate::fs::shared_file::SharedFile;
#[cfg(feature = "inspect")]
use crate::message::broken::Broken;
use crate::message::waker::{ThreadWaker, Wake};
use crate::message::{Later, Upgrade};

/// The content of a body.
pub(crate) enum Content {
    Memory(Bytes),
    Reader(BodySource),
    File(FilePart),
    /// No content: another protocol follows.
    Upgrade(Box<Upgrade>),
    /// The body of a request that has not arrived, because the handler needs only the head.
    Withheld(Withheld),
    /// No content: the response comes later.
    Later(Box<Later>),
    /// Content that is not sent as the head says.
    #[cfg(feature = "inspect")]
    Broken(Box<Broken>),
}

/// A body that has not arrived. It records whether the handler or a layer used it.
#[derive(Debug)]
pub(crate) struct Withheld {
    /// The length that the head announces.
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

    /// Records that the handler or a layer needs the body.
    pub(crate) fn want(&self) {
        self.is_wanted.store(true, Ordering::Relaxed);
    }

    /// A shared flag for [`want`](Self::want), which stays valid wherever the body moves.
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

/// The source of a body's bytes while it is sent.
pub(crate) struct BodySource {
    pub(crate) reader: Reader,
    /// The announced bytes that are left.
    pub(crate) length: Option<u64>,
    /// The approximate memory that the reader keeps, if it is worth counting, without the content that
    /// waits in it.
    pub(crate) held: usize,
    /// Sent behind the content. Only a source of unknown length has trailers.
    pub(crate) trailers: Option<Trailers>,
}

/// A function that returns the trailers of a body. It is called when the content has been read.
pub(crate) type Trailers = Box<dyn FnOnce() -> HeaderMap + Send>;

/// The reader.
pub(crate) enum Reader {
    /// There is nothing to read, but trailers may follow.
    Empty,
    /// Any reader. It may block.
    Any(Box<dyn Read + Send>),
    /// A reader that stops waiting when the client has left.
    Watching(Box<dyn ReadWatching>),
    /// A source that is woken when it has content. It never blocks. If its length is announced, it ends
    /// there, or fails.
    Polled(Box<PolledReader>),
}

/// Content that comes from other threads. A connection that waits for it needs no worker. Its source is
/// dropped when the content is complete or the client has left.
pub(crate) trait PolledSource: Send {
    /// Sets the waker, which is to be called when there may be more content. It replaces an earlier
    /// one. Call this before the first [`poll`](Self::poll).
    fn attach(&mut self, waker: Arc<dyn Wake>);

    /// Takes the next part. It must not block.
    fn poll(&mut self, now: Instant) -> Polled;

    /// Notes that the client of a connection has finished sending. Whether it still reads shows when
    /// something is sent, so a source that has a part without meaning returns it at the next
    /// [`poll`](Self::poll), which follows at once.
    fn client_finished(&mut self) {}

    /// The bytes that wait to be taken, as far as they are not shared.
    fn held(&self) -> usize {
        0
    }
}

/// The result of a poll.
#[derive(Debug)]
pub(crate) enum Polled {
    /// The next part, which is not empty.
    Part(Bytes),
    /// There is none before the waker is called. At the given moment the source must be polled again
    /// in any case.
    Pending(Option<Instant>),
    /// The content is complete.
    End,
    /// There will be no more, and the content is incomplete.
    Failed(io::Error),
}

/// A polled source, with the rest of a part that was [read](Read) in pieces.
pub(crate) struct PolledReader {
    pub(crate) source: Box<dyn PolledSource>,
    rest: Bytes,
}

impl PolledReader {
    pub(crate) fn new(source: impl PolledSource + 'static) -> Self {
        Self {
            source: Box::new(source),
            rest: Bytes::new(),
        }
    }

    /// Sets the waker, as [`PolledSource::attach`] does.
    pub(crate) fn attach(&mut self, waker: Arc<dyn Wake>) {
        self.source.attach(waker);
    }

    /// Notes that the client has finished sending; see [`PolledSource::client_finished`].
    pub(crate) fn client_finished(&mut self) {
        self.source.client_finished();
    }

    /// Takes the next part, as [`PolledSource::poll`] does.
    pub(crate) fn poll(&mut self, now: Instant) -> Polled {
        self.poll_at_most(usize::MAX, now)
    }

    /// Takes the next part, or this much of it.
    pub(crate) fn poll_at_most(&mut self, most: usize, now: Instant) -> Polled {
        let mut part = match mem::take(&mut self.rest) {
            rest if rest.is_empty() => match self.source.poll(now) {
                Polled::Part(part) => part,
                other => return other,
            },
            rest => rest,
        };
        self.rest = part.split_off(part.len().min(most));
        Polled::Part(part)
    }

    /// The bytes that wait to be taken.
    pub(crate) fn held(&self) -> usize {
        self.rest.len() + self.source.held()
    }
}

/// Blocks until there is content. This is for content that is read without a connection.
impl Read for PolledReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.attach(ThreadWaker::current());
        loop {
            let now = Instant::now();
            match self.poll_at_most(buffer.len(), now) {
                Polled::Part(part) => {
                    buffer[..part.len()].copy_from_slice(&part);
                    return Ok(part.len());
                }
                Polled::Pending(None) => thread::park(),
                Polled::Pending(Some(until)) => thread::park_timeout(until - now),
                Polled::End => return Ok(0),
                Polled::Failed(error) => return Err(error),
            }
        }
    }
}

/// A reader that may wait for long and meanwhile checks whether the client is connected.
pub(crate) trait ReadWatching: Send {
    /// Reads like [`Read::read`]. Fails with [`ClientGone`] if the client has left.
    fn read_watching(&mut self, buffer: &mut [u8], client: &dyn Client) -> io::Result<usize>;

    /// Waits for what follows the last of the announced bytes. By default nothing does.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The client's end of a connection.
pub(crate) trait Client {
    fn presence(&self) -> Presence;
}

/// The state of a client that has sent nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Here,
    /// The client sends nothing more. Whether it still reads shows when something is sent.
    Finished,
    /// Nothing that is sent can reach the client.
    Gone,
}

/// A client of unknown state.
pub(crate) struct UnknownClient;

/// The error of a wait that ended because the client left.
#[derive(Debug)]
pub(crate) struct ClientGone;

/// The part of a file that is to be sent.
#[derive(Debug)]
pub(crate) struct FilePart {
    pub(crate) file: Arc<SharedFile>,
    /// The position of the next byte.
    pub(crate) offset: u64,
    /// The announced bytes that are left.
    pub(crate) left: u64,
}

impl Default for Content {
    fn default() -> Self {
        Self::Memory(Bytes::new())
    }
}

impl BodySource {
    /// Whether it never blocks.
    pub(super) fn is_polled(&self) -> bool {
        matches!(self.reader, Reader::Polled(_))
    }

    /// The approximate memory that it keeps.
    pub(crate) fn held(&self) -> usize {
        match &self.reader {
            Reader::Polled(reader) => self.held + reader.held(),
            Reader::Empty | Reader::Any(_) | Reader::Watching(_) => self.held,
        }
    }

    /// Reads like [`Read::read`], and stops early when `client` has left, if the reader checks
    /// that.
    pub(crate) fn read_for(&mut self, buffer: &mut [u8], client: &dyn Client) -> io::Result<usize> {
        let reader = &mut self.reader;
        let mut read = |buffer: &mut [u8]| {
            let count = match reader {
                Reader::Empty => 0,
                Reader::Any(reader) => reader.read(buffer)?,
                Reader::Watching(reader) => reader.read_watching(buffer, client)?,
                Reader::Polled(reader) => reader.read(buffer)?,
            };
            // The reader is the program's, and its count decides where the bytes end.
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
        if *left == 0
            && !buffer.is_empty()
            && count == 0
            && let Reader::Watching(reader) = reader
        {
            reader.finish()?;
        }
        Ok(count)
    }
}

impl Read for BodySource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_for(buffer, &UnknownClient)
    }
}

impl Client for UnknownClient {
    fn presence(&self) -> Presence {
        Presence::Here
    }
}

impl ClientGone {
    /// Whether this error is the source of a reader's error.
    pub(crate) fn is_source_of(error: &io::Error) -> bool {
        match error.get_ref() {
            Some(source) => source.is::<Self>(),
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
    /// The rest of the part, if the content of the file is in memory.
    pub(crate) fn content(&self, now: Instant) -> Option<Bytes> {
        let content = self.file.content(now)?;
        let start = usize::try_from(self.offset).ok()?;
        let end = start.checked_add(usize::try_from(self.left).ok()?)?;
        (end <= content.len()).then(|| content.slice(start..end))
    }

    /// Removes this many bytes.
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

/// Reads at most the bytes that were announced. An early end is an error, because a part must not
/// pass for the whole.
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
            let reason = format!("the body ended {left} bytes before its length");
            Err(io::Error::new(ErrorKind::UnexpectedEof, reason))
        }
        count => Ok(count),
    }
}
