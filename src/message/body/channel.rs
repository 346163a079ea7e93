//! Content that other threads send while the response is on its way.
//!
//! Senders put parts into a bounded queue, from which the connection takes them. The connection waits
//! without a worker. It is woken when a part arrives after it has found the queue empty.

mod error;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

pub use self::error::{SendError, TrySendError};
use super::{Body, Polled, PolledSource};
use crate::message::waker::Wake;
use crate::sync::{Condvar, Mutex, MutexGuard, ignore_poison};

/// Parts up to this size are copied behind each other while others wait before them. Otherwise the
/// memory of many small parts would be a multiple of their bytes.
const GATHERED_PART: usize = 512;

/// Sends the content of a response from any thread. [`Body::channel`] creates it with its body.
///
/// Clones send into the same body. The body ends when the last of them is dropped. A sender may
/// outlive its response, and every method may then be called; the methods that send return an error.
///
/// ```
/// use std::thread;
/// use httpool::{Body, BodySender, Request, SendError};
///
/// fn count(sender: &BodySender) -> Result<(), SendError> {
///     (1..=3).try_for_each(|number| sender.send(format!("{number}\n")))
/// }
///
/// let handler = |_: Request| {
///     let (sender, body) = Body::channel(64 * 1024);
///     thread::spawn(move || count(&sender));
///     body
/// };
/// let response = httpool::testing::Client::new(handler).get("/").send();
/// assert_eq!(response.text(), "1\n2\n3\n");
/// ```
#[derive(Clone)]
pub struct BodySender(Arc<Senders>);

/// The state that all clones of a sender share. Dropping it ends the body.
struct Senders(Arc<Channel>);

/// The connection's end.
pub(crate) struct ChannelSource(Arc<Channel>);

struct Channel {
    /// The bytes that the queue may have.
    limit: usize,
    state: Mutex<ChannelState>,
    /// Wakes threads that wait for room.
    room: Condvar,
}

#[derive(Default)]
struct ChannelState {
    queue: Queue,
    stage: Stage,
    /// Numbers the threads that wait for room, so that they continue in order.
    next_turn: u64,
    turn: u64,
    waker: Option<Arc<dyn Wake>>,
    /// Whether the connection has found the queue empty and was not woken since.
    is_awaited: bool,
    trailers: HeaderMap,
    on_close: Vec<OnClose>,
}

type OnClose = Box<dyn FnOnce() + Send>;

/// Parts that have not been taken.
#[derive(Default)]
struct Queue {
    parts: VecDeque<Bytes>,
    /// Small parts behind them.
    small: BytesMut,
    /// Bytes in both.
    size: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Open,
    /// All senders were dropped.
    Ended,
    /// A sender has failed the body.
    Failed,
    /// The body was dropped.
    Closed,
}

impl Body {
    /// A response body whose content other threads send, and its first sender. While the response waits
    /// for content, it occupies no worker and its memory is small.
    ///
    /// At most `limit` bytes wait in the queue between the senders and the connection. Larger limits
    /// cost memory when a client reads slowly; 64 KiB is a good value. The bytes that a connection has
    /// taken from the queue count in
    /// [`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory).
    ///
    /// The content has no length in advance, as that of [`from_reader`](Self::from_reader). Each part is
    /// sent at once. A response that waits for content has no timeout. One whose client does not read
    /// has the [write timeout](crate::Builder::write_timeout), so a sender does not wait for ever. A
    /// shutdown waits for the response until its deadline.
    ///
    /// Do not fill the queue by [`send`](BodySender::send) in the handler before it has returned the
    /// body: nothing takes content from the queue until then.
    ///
    /// ```
    /// use std::thread;
    /// use std::time::Duration;
    /// use httpool::{Body, Request};
    ///
    /// let progress = |_: Request| {
    ///     let (sender, body) = Body::channel(64 * 1024);
    ///     thread::spawn(move || {
    ///         for percent in (0..=100).step_by(10) {
    ///             thread::sleep(Duration::from_millis(1));
    ///             if sender.send(format!("{percent} %\n")).is_err() {
    ///                 return; // The client has left.
    ///             }
    ///         }
    ///     });
    ///     body
    /// };
    /// let response = httpool::testing::Client::new(progress).get("/").send();
    /// assert!(response.text().ends_with("100 %\n"));
    /// ```
    #[must_use]
    pub fn channel(limit: usize) -> (BodySender, Self) {
        let (sender, source) = channel(limit);
        let ended = Arc::clone(&source.0);
        let body =
            Self::from_polled(source).with_trailers(move || mem::take(&mut ended.lock().trailers));
        (sender, body)
    }
}

/// A sender, and what takes its content without trailers.
pub(crate) fn channel(limit: usize) -> (BodySender, ChannelSource) {
    let channel = Arc::new(Channel {
        limit,
        state: Mutex::default(),
        room: Condvar::new(),
    });
    let sender = BodySender(Arc::new(Senders(Arc::clone(&channel))));
    (sender, ChannelSource(channel))
}

impl BodySender {
    /// Sends a part of the content, and waits until the queue has room for it. Threads that wait get
    /// room in the order of their calls. A part that is larger than the limit is taken when the queue is
    /// empty. Empty parts are ignored.
    ///
    /// # Errors
    ///
    /// If nothing more can be sent. A thread that waits is woken when that happens.
    ///
    /// ```
    /// use httpool::Body;
    ///
    /// let (sender, body) = Body::channel(1024);
    /// sender.send("a part")?;
    /// # Ok::<(), httpool::SendError>(())
    /// ```
    pub fn send(&self, content: impl Into<Bytes>) -> Result<(), SendError> {
        let (channel, content) = (self.channel(), content.into());
        let mut state = channel.lock();
        if state.stage == Stage::Open && !state.has_room(content.len(), channel.limit) {
            let turn = state.next_turn;
            state.next_turn += 1;
            while state.stage == Stage::Open
                && !(state.turn == turn && state.queue.has_room(content.len(), channel.limit))
            {
                state = ignore_poison(channel.room.wait(state));
            }
            state.turn += 1;
            // The queue may have room for the next one, too.
            channel.room.notify_all();
        }
        match state.stage {
            Stage::Open => {
                channel.push(state, content);
                Ok(())
            }
            _ => Err(SendError(content)),
        }
    }

    /// Sends a part of the content if the queue has room for it, and does not wait.
    ///
    /// # Errors
    ///
    /// If the queue has no room, or other threads wait for room, or nothing more can be sent.
    ///
    /// ```
    /// use httpool::{Body, BodySender, TrySendError};
    ///
    /// /// Leaves out what a slow client can't take.
    /// fn tell(listener: &BodySender, news: &'static str) -> bool {
    ///     !matches!(listener.try_send(news), Err(TrySendError::Closed(_)))
    /// }
    ///
    /// let (sender, body) = Body::channel(1024);
    /// assert!(tell(&sender, "news"));
    /// ```
    pub fn try_send(&self, content: impl Into<Bytes>) -> Result<(), TrySendError> {
        let (channel, content) = (self.channel(), content.into());
        let state = channel.lock();
        match state.stage {
            Stage::Open if state.has_room(content.len(), channel.limit) => {
                channel.push(state, content);
                Ok(())
            }
            Stage::Open => Err(TrySendError::Full(content)),
            _ => Err(TrySendError::Closed(content)),
        }
    }

    /// Whether nothing more can be sent: the client has left, the response has failed or is complete, or
    /// the server was forced to stop.
    ///
    /// The server notices at once when a client resets its connection, and in HTTP/2 also when it resets
    /// the stream or closes the connection. A client of HTTP/1.1 over TCP that closes its connection
    /// looks like one that has only finished sending, and one whose network fails sends nothing. So send
    /// something now and then to find out.
    ///
    /// ```
    /// use httpool::Body;
    ///
    /// let (sender, body) = Body::channel(1024);
    /// assert!(!sender.is_closed());
    /// drop(body);
    /// assert!(sender.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.channel().lock().stage != Stage::Open
    }

    /// Calls `callback` once when the body is gone: all its content is sent, its client has left, or the
    /// server has stopped. If it is gone already, the call happens at once.
    ///
    /// The callback runs on the thread that notices, usually a worker, so it must not take long. Panics
    /// in it are caught. It must not own a sender of this body, which would then never end.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use httpool::Body;
    ///
    /// let (sender, body) = Body::channel(1024);
    /// let (left, has_left) = mpsc::channel();
    /// sender.on_close(move || drop(left.send("a listener has left")));
    /// drop(body);
    /// assert_eq!(has_left.recv(), Ok("a listener has left"));
    /// ```
    pub fn on_close(&self, callback: impl FnOnce() + Send + 'static) {
        let mut state = self.channel().lock();
        if state.stage == Stage::Closed {
            drop(state);
            run(callback);
        } else {
            state.on_close.push(Box::new(callback));
        }
    }

    /// Whether the server that sends the body has begun to shut down. It waits for the response until
    /// the deadline of the shutdown, so a response without a natural end should end now. `false` until
    /// the server has begun to send the body, and after the body is gone.
    ///
    /// ```
    /// use httpool::{BodySender, SendError};
    ///
    /// fn send_ticks(sender: &BodySender) -> Result<(), SendError> {
    ///     while !sender.is_draining() {
    ///         sender.send("tick\n")?;
    ///     }
    ///     sender.send("goodbye\n")
    /// }
    /// ```
    #[must_use]
    pub fn is_draining(&self) -> bool {
        let waker = self.channel().lock().waker.clone();
        waker.is_some_and(|waker| waker.is_draining())
    }

    /// Sets the trailers, as [`Body::with_trailers`] does, which goes before them. They replace earlier
    /// ones, and are sent behind the content when the last sender is dropped.
    ///
    /// ```
    /// use httpool::http::{HeaderMap, HeaderValue};
    /// use httpool::{Body, Request};
    ///
    /// let handler = |_: Request| {
    ///     let (sender, body) = Body::channel(1024);
    ///     let _ = sender.send("hello");
    ///     sender.set_trailers(HeaderMap::from_iter([(
    ///         "x-count".parse().expect("a valid name"),
    ///         HeaderValue::from(5),
    ///     )]));
    ///     body
    /// };
    /// let response = httpool::testing::Client::new(handler).get("/").send();
    /// assert_eq!(response.trailers()["x-count"], "5");
    /// ```
    pub fn set_trailers(&self, trailers: HeaderMap) {
        self.channel().lock().trailers = trailers;
    }

    /// Fails the body: its content can't be completed. Content that is not sent is discarded, and the
    /// connection is reset, so that the client does not take a part for the whole. In HTTP/2 only the
    /// stream is reset, with INTERNAL_ERROR. Nothing happens if the body is gone.
    ///
    /// ```
    /// use std::fs;
    /// use httpool::{BodySender, SendError};
    ///
    /// fn send_report(sender: &BodySender) -> Result<(), SendError> {
    ///     match fs::read("report.pdf") {
    ///         Ok(content) => sender.send(content),
    ///         Err(_) => Ok(sender.fail()),
    ///     }
    /// }
    /// ```
    pub fn fail(&self) {
        self.channel().leave_open(Stage::Failed);
    }

    fn channel(&self) -> &Channel {
        &self.0.0
    }
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, ChannelState> {
        ignore_poison(self.state.lock())
    }

    fn push(&self, mut state: MutexGuard<'_, ChannelState>, content: Bytes) {
        if content.is_empty() {
            return;
        }
        state.queue.push(content);
        wake(state);
    }

    /// Ends or fails an open body.
    fn leave_open(&self, stage: Stage) {
        let mut state = self.lock();
        if state.stage != Stage::Open {
            return;
        }
        state.stage = stage;
        self.room.notify_all();
        wake(state);
    }
}

/// Wakes the connection if it waits for what has just happened.
fn wake(mut state: MutexGuard<'_, ChannelState>) {
    let waker = match mem::take(&mut state.is_awaited) {
        true => state.waker.clone(),
        false => None,
    };
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Runs a callback, which is the program's and may panic.
fn run(callback: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(callback));
}

impl ChannelState {
    /// Whether a new part has room, and no thread waits for room.
    fn has_room(&self, size: usize, limit: usize) -> bool {
        self.turn == self.next_turn && self.queue.has_room(size, limit)
    }
}

impl Queue {
    fn has_room(&self, size: usize, limit: usize) -> bool {
        self.size == 0 || self.size.saturating_add(size) <= limit
    }

    fn push(&mut self, part: Bytes) {
        let is_first = self.size == 0;
        self.size += part.len();
        if part.len() <= GATHERED_PART && !is_first {
            self.small.extend_from_slice(&part);
            return;
        }
        if !self.small.is_empty() {
            self.parts.push_back(mem::take(&mut self.small).freeze());
        }
        self.parts.push_back(part);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let part = match self.parts.pop_front() {
            Some(part) => part,
            None if self.small.is_empty() => return None,
            None => mem::take(&mut self.small).freeze(),
        };
        self.size -= part.len();
        if self.size == 0 {
            // A response that waits must not keep it.
            self.parts = VecDeque::new();
        }
        Some(part)
    }
}

impl PolledSource for ChannelSource {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        let former = self.0.lock().waker.replace(waker);
        drop(former);
    }

    fn poll(&mut self, _: Instant) -> Polled {
        let mut state = self.0.lock();
        if state.stage == Stage::Failed {
            return Polled::Failed(io::Error::other("its sender has failed it"));
        }
        if let Some(part) = state.queue.pop() {
            drop(state);
            self.0.room.notify_all();
            return Polled::Part(part);
        }
        if state.stage == Stage::Open {
            state.is_awaited = true;
            return Polled::Pending(None);
        }
        Polled::End
    }

    fn held(&self) -> usize {
        self.0.lock().queue.size
    }
}

impl Drop for ChannelSource {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.stage = Stage::Closed;
        let callbacks = mem::take(&mut state.on_close);
        let rest = (mem::take(&mut state.queue), state.waker.take());
        drop(state);
        self.0.room.notify_all();
        callbacks.into_iter().for_each(run);
        drop(rest);
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.0.leave_open(Stage::Ended);
    }
}

impl fmt::Debug for BodySender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodySender")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod interleavings;
#[cfg(test)]
mod tests;
