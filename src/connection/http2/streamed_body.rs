//! A request body that the handler of a stream reads while it arrives.
//!
//! The connection puts content into a [`BodyChannel`] while any thread drives it, and the handler
//! waits for it. The channel holds at most a stream's receive window. What the handler has read is
//! given back to the window when the connection is next driven, so the reader wakes it.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::connection::config::Config;
use crate::connection::deadlines::part_deadline;
use crate::connection::phase::PhaseCell;
use crate::connection::waker::ConnectionWaker;
use crate::connection::{Phase, Service};
use crate::message::body::{self, BodySource, Client, ReadWatching};
use crate::message::head::expectation::Expectation;
use crate::message::raw_request::{Chunking, SharedChunking};
use crate::message::request_error::RequestError;
use crate::sync::{Condvar, Mutex, MutexGuard, ignore_poison};

/// How often a reader that waits checks whether the server is forced to stop.
const INTERVAL: Duration = Duration::from_millis(100);

/// The content between the connection and the reader of the handler's body.
pub(super) struct BodyChannel {
    state: Mutex<ChannelState>,
    changed: Condvar,
    /// Set before the reader exists.
    waker: OnceLock<Arc<dyn ConnectionWaker>>,
    phase: Arc<PhaseCell>,
    config: Config,
    /// Most bytes that the handler accepts.
    most: u64,
    length: Option<u64>,
}

#[derive(Debug)]
struct ChannelState {
    content: Vec<u8>,
    /// How much of the content was read.
    start: usize,
    received: u64,
    /// Bytes that were read and are not given back to the window yet.
    unreleased: usize,
    /// The connection is woken when this many bytes can be given back: half of the stream's window.
    /// With more, the client could use up its window and wait.
    release_step: usize,
    expectation: Expectation,
    /// The reader waits, and the client waits for `100 Continue`.
    needs_continue: bool,
    waited: Duration,
    /// Another thread was asked to drive the connection since content was last read.
    is_handed_over: bool,
    end: Option<End>,
}

/// Why no more content arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The body is complete.
    Complete,
    /// The client's request is invalid or too slow.
    Rejected(RequestError),
    /// The handler has returned, or the server is forced to stop.
    Stopped,
}

/// The connection's side of a channel. Dropping it ends the body early, unless it is complete.
pub(super) struct Inflow {
    channel: Arc<BodyChannel>,
    trailers: SharedChunking,
}

/// The reader in the body of the handler's request.
struct Reader(Arc<BodyChannel>);

/// What a connection has to do for a channel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChannelNeeds {
    /// Bytes to give back to the stream's window.
    pub(super) release: usize,
    pub(super) needs_continue: bool,
}

/// What a handler did with the body, after it has returned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BodyUse {
    /// Bytes of content that arrived.
    pub(super) received: u64,
    pub(super) error: Option<RequestError>,
    pub(super) is_aborted: bool,
}

impl BodyChannel {
    pub(super) fn new(
        length: Option<u64>,
        most: u64,
        expectation: Expectation,
        release_step: usize,
        service: &Service,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(ChannelState {
                content: Vec::new(),
                start: 0,
                received: 0,
                unreleased: 0,
                release_step,
                expectation,
                needs_continue: false,
                waited: Duration::ZERO,
                is_handed_over: false,
                end: None,
            }),
            changed: Condvar::new(),
            waker: OnceLock::new(),
            phase: Arc::clone(&service.phase),
            config: service.config.clone(),
            most,
            length,
        })
    }

    /// The source of the handler's body. `waker` wakes the connection.
    pub(super) fn source(self: &Arc<Self>, waker: Option<Arc<dyn ConnectionWaker>>) -> BodySource {
        if let Some(waker) = waker {
            let _ = self.waker.set(waker);
        }
        BodySource {
            reader: body::Reader::Watching(Box::new(Reader(Arc::clone(self)))),
            length: self.length,
            held: 0,
            trailers: None,
        }
    }

    /// Ends the reading, because the handler has returned.
    pub(super) fn close(&self) -> BodyUse {
        let mut state = self.lock();
        let end = state.end.replace(End::Stopped);
        BodyUse {
            received: state.received,
            error: match end {
                Some(End::Rejected(error)) => Some(error),
                _ => None,
            },
            is_aborted: end == Some(End::Stopped),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ChannelState> {
        ignore_poison(self.state.lock())
    }

    fn wake_connection(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// Has the connection driven by another thread: the content arrives on it, and this worker may
    /// have lent it.
    fn hand_over_connection(&self) {
        if let Some(waker) = self.waker.get() {
            waker.hand_over();
        }
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize, End> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut state = self.lock();
        let mut deadline = None;
        loop {
            if let Some(End::Stopped) = state.end {
                return Err(End::Stopped);
            }
            let count = state.take(buffer);
            if count > 0 {
                let must_wake = state.unreleased >= state.release_step;
                drop(state);
                if must_wake {
                    self.wake_connection();
                }
                return Ok(count);
            }
            match state.end {
                Some(End::Complete) => return Ok(0),
                Some(end) => return Err(end),
                None => {}
            }
            if mem::replace(&mut state.is_handed_over, true) {
                state = self.wait(state, &mut deadline);
            } else {
                let expectation = mem::replace(&mut state.expectation, Expectation::None);
                let needs_continue = expectation == Expectation::Continue;
                state.needs_continue = needs_continue;
                drop(state);
                if needs_continue {
                    // The connection may be parked until the client sends something.
                    self.wake_connection();
                }
                self.hand_over_connection();
                state = self.lock();
            }
        }
    }

    /// Waits for content for one interval at most. The first wait of a read sets the deadline of all.
    fn wait<'s>(
        &self,
        mut state: MutexGuard<'s, ChannelState>,
        deadline: &mut Option<Instant>,
    ) -> MutexGuard<'s, ChannelState> {
        if self.phase.get() >= Phase::Forced {
            state.end = Some(End::Stopped);
            return state;
        }
        let began = Instant::now();
        let deadline = *deadline.get_or_insert_with(|| {
            part_deadline(began, state.waited, state.received, &self.config)
        });
        let left = deadline.saturating_duration_since(began);
        if left.is_zero() {
            state.end = Some(End::Rejected(RequestError::BodyTimeout));
            return state;
        }
        let (mut state, _) = ignore_poison(self.changed.wait_timeout(state, left.min(INTERVAL)));
        state.waited += began.elapsed();
        state
    }

    fn push(&self, content: &[u8], is_ended: bool) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        state.received += content.len() as u64;
        if state.received > self.most {
            state.end = Some(End::Rejected(RequestError::BodyTooLarge));
        } else {
            state.make_room();
            state.content.extend_from_slice(content);
            if is_ended {
                state.end = Some(End::Complete);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
        self.changed.notify_one();
    }
}

impl ChannelState {
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let unread = &self.content[self.start..];
        let count = unread.len().min(buffer.len());
        buffer[..count].copy_from_slice(&unread[..count]);
        self.start += count;
        self.unreleased += count;
        self.is_handed_over &= count == 0;
        if self.start == self.content.len() {
            self.content.clear();
            self.start = 0;
        }
        count
    }

    /// Moves the unread content to the start, once that frees half of the memory.
    fn make_room(&mut self) {
        if self.start > self.content.len() / 2 {
            self.content.drain(..self.start);
            self.start = 0;
        }
    }
}

impl Inflow {
    pub(super) fn new(channel: Arc<BodyChannel>, trailers: SharedChunking) -> Self {
        Self { channel, trailers }
    }

    /// Adds content that has arrived.
    pub(super) fn push(&self, content: &[u8], is_ended: bool) {
        self.channel.push(content, is_ended);
    }

    /// Ends the body. The handler finds these trailer lines in the raw request when it has read the
    /// content.
    pub(super) fn end_with_trailers(&self, trailers: Vec<u8>) {
        // They arrive once.
        let _ = self.trailers.set(Chunking {
            trailers,
            ..Chunking::default()
        });
        self.push(&[], true);
    }

    /// Takes what the connection has to do.
    pub(super) fn take_needs(&self) -> ChannelNeeds {
        let mut state = self.channel.lock();
        ChannelNeeds {
            release: mem::take(&mut state.unreleased),
            needs_continue: mem::take(&mut state.needs_continue),
        }
    }

    pub(super) fn held(&self) -> usize {
        self.channel.lock().content.capacity()
    }
}

impl Drop for Inflow {
    fn drop(&mut self) {
        self.channel.end(End::Rejected(RequestError::Incomplete));
    }
}

impl fmt::Debug for Inflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inflow").finish_non_exhaustive()
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|end| match end {
            End::Rejected(error) => error.into(),
            End::Complete | End::Stopped => io::Error::new(
                ErrorKind::NotConnected,
                "the response is complete, or the server was forced to stop",
            ),
        })
    }
}

/// A wait ends with the stream, so no other client needs to be watched.
impl ReadWatching for Reader {
    fn read_watching(&mut self, buffer: &mut [u8], _: &dyn Client) -> io::Result<usize> {
        self.read(buffer)
    }

    /// Waits for the end of the stream: trailers may precede it, or the client may reset the stream.
    fn finish(&mut self) -> io::Result<()> {
        // The protocol machine lets no content arrive behind the announced length.
        self.read(&mut [0]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::tests::serve;
    use crate::message::Request;

    /// A channel for a body of at most five bytes, and the reader of its handler.
    fn channel(body_timeout: Duration) -> (Inflow, Reader) {
        let mut service = serve(|_: Request| "");
        service.config.body_timeout = body_timeout;
        let channel = BodyChannel::new(None, 5, Expectation::None, 2, &service);
        (
            Inflow::new(Arc::clone(&channel), SharedChunking::default()),
            Reader(channel),
        )
    }

    fn read(reader: &mut Reader) -> Result<String, ErrorKind> {
        let mut content = String::new();
        let read = reader.read_to_string(&mut content);
        read.map(|_| content).map_err(|error| error.kind())
    }

    #[test]
    fn content_is_read_and_given_back_to_the_window() {
        let (inflow, mut reader) = channel(Duration::MAX);
        inflow.push(b"hel", false);
        inflow.push(b"lo", true);
        assert_eq!(read(&mut reader), Ok("hello".into()));
        let needs = ChannelNeeds {
            release: 5,
            needs_continue: false,
        };
        assert_eq!(inflow.take_needs(), needs);
    }

    #[test]
    fn a_reader_is_told_why_its_body_ends_early() {
        let (inflow, mut reader) = channel(Duration::MAX);
        inflow.push(b"123456", false);
        assert_eq!(read(&mut reader), Err(ErrorKind::FileTooLarge));

        let (inflow, mut reader) = channel(Duration::MAX);
        drop(inflow);
        assert_eq!(read(&mut reader), Err(ErrorKind::UnexpectedEof));

        let (inflow, mut reader) = channel(Duration::ZERO);
        assert_eq!(read(&mut reader), Err(ErrorKind::TimedOut));
        let used = reader.0.close();
        assert_eq!(used.error, Some(RequestError::BodyTimeout));
        assert_eq!(read(&mut reader), Err(ErrorKind::NotConnected));
        inflow.push(b"1", true);
        assert_eq!(read(&mut reader), Err(ErrorKind::NotConnected));
    }

    /// The announced length is not the end: trailers may follow, or the client resets the stream.
    #[test]
    fn a_body_with_a_length_ends_where_the_stream_ends() {
        for (length, content) in [(0, ""), (2, "ab")] {
            let service = serve(|_: Request| "");
            let begin = || {
                let most = u64::MAX;
                let channel = BodyChannel::new(Some(length), most, Expectation::None, 2, &service);
                let inflow = Inflow::new(Arc::clone(&channel), SharedChunking::default());
                inflow.push(content.as_bytes(), false);
                (inflow, channel.source(None))
            };
            let (inflow, mut source) = begin();
            drop(inflow);
            let error = source.read_to_end(&mut Vec::new());
            let error = error.expect_err("the body is incomplete");
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);

            let (inflow, mut source) = begin();
            inflow.end_with_trailers(Vec::new());
            let mut text = String::new();
            let end = source.read_to_string(&mut text);
            end.expect("the body is complete");
            assert_eq!(text, content);
        }
    }

    #[test]
    fn a_pause_of_several_intervals_ends_the_read() {
        let (inflow, mut reader) = channel(2 * INTERVAL);
        inflow.push(b"1", false);
        let began = Instant::now();
        assert_eq!(read(&mut reader), Err(ErrorKind::TimedOut));
        assert!(began.elapsed() >= 2 * INTERVAL);
        drop(inflow);
    }
}
