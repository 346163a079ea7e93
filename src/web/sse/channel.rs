//! Sends events to one client from any thread.

use std::fmt;

use super::{Event, Events};
use crate::message::body::channel;
use crate::message::{BodySender, SendError, TrySendError};

/// The bytes that a [`channel`](super::channel) queues by default.
const LIMIT: usize = 64 * 1024;

/// Sends [`Event`]s to one client from any thread. [`channel`](super::channel) creates it.
///
/// Clones send into the same stream, which ends when the last of them is dropped. A sender may outlive
/// its stream; sending then fails.
///
/// ```
/// use httpool::sse::{self, Event, EventSender, Events};
/// use httpool::{Request, SendError};
///
/// fn report(progress: &EventSender) -> Result<(), SendError> {
///     for percent in [25, 50, 75, 100] {
///         progress.send(Event::data(format!("{percent} %")))?;
///     }
///     Ok(())
/// }
///
/// fn job(_: Request) -> Events {
///     let (progress, events) = sse::channel();
///     std::thread::spawn(move || report(&progress));
///     events
/// }
///
/// let response = httpool::testing::Client::new(job).get("/").send();
/// assert!(response.text().ends_with("data: 100 %\n\n"));
/// ```
#[derive(Clone)]
pub struct EventSender(BodySender);

/// Creates a stream whose events other threads send, and its first sender. While the stream waits for
/// an event, it occupies no worker.
///
/// At most 64 KiB of events wait until the client takes them;
/// [`channel_with_limit`] sets another limit. For the same events to many clients, use a
/// [`Broadcast`](super::Broadcast).
///
/// ```
/// use httpool::Request;
/// use httpool::sse::{self, Event};
///
/// let handler = |_: Request| {
///     let (sender, events) = sse::channel();
///     // ... keep the sender where events happen ...
///     let _ = sender.try_send(Event::data("welcome"));
///     events
/// };
/// let response = httpool::testing::Client::new(handler).get("/").send();
/// assert_eq!(response.text(), "data: welcome\n\n");
/// ```
#[must_use]
pub fn channel() -> (EventSender, Events) {
    channel_with_limit(LIMIT)
}

/// Creates a stream and its sender like [`channel`], in which at most this many bytes of events wait
/// until the client takes them. A larger event is queued when the queue is empty.
///
/// ```
/// use httpool::TrySendError;
/// use httpool::sse::{self, Event};
///
/// let (sender, _events) = sse::channel_with_limit(20);
/// assert!(sender.try_send(Event::data("one")).is_ok());
/// let second = sender.try_send(Event::data("two, which is longer"));
/// assert!(matches!(second, Err(TrySendError::Full(_))));
/// ```
#[must_use]
pub fn channel_with_limit(bytes: usize) -> (EventSender, Events) {
    let (sender, source) = channel::channel(bytes);
    (EventSender(sender), Events::polled(source))
}

impl EventSender {
    /// Sends an event, and waits until the queue has room for it. A client that reads nothing is
    /// disconnected after the [write timeout](crate::Builder::write_timeout), which ends the wait.
    ///
    /// ```
    /// use httpool::sse::{self, Event};
    ///
    /// let (sender, events) = sse::channel();
    /// assert!(sender.send(Event::data("hello")).is_ok());
    /// drop(events);
    /// assert!(sender.send(Event::data("hello")).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// If the stream has ended or its client has left. The error has the event as it would be sent.
    pub fn send(&self, event: Event) -> Result<(), SendError> {
        self.0.send(event.encode())
    }

    /// Sends an event if the queue has room for it, and does not wait.
    ///
    /// ```
    /// use httpool::sse::{self, Event};
    ///
    /// let (sender, _events) = sse::channel();
    /// assert!(sender.try_send(Event::data("hello")).is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// If the queue has no room, or as [`send`](Self::send).
    pub fn try_send(&self, event: Event) -> Result<(), TrySendError> {
        self.0.try_send(event.encode())
    }

    /// Whether the stream has ended or its client has left.
    ///
    /// ```
    /// let (sender, events) = httpool::sse::channel();
    /// assert!(!sender.is_closed());
    /// drop(events);
    /// assert!(sender.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Calls `callback` once when the stream has ended or its client has left; at once if it has
    /// already. It must not take long, and must not own a sender of this stream;
    /// [`BodySender::on_close`] has the details.
    ///
    /// ```
    /// let (sender, events) = httpool::sse::channel();
    /// sender.on_close(|| println!("a listener has left"));
    /// drop(events);
    /// ```
    pub fn on_close(&self, callback: impl FnOnce() + Send + 'static) {
        self.0.on_close(callback);
    }

    /// Whether the server has begun to shut down. It waits for the stream until the deadline of the
    /// shutdown, so drop the senders soon. `false` until the server has begun to send the stream.
    ///
    /// ```
    /// use httpool::SendError;
    /// use httpool::sse::{Event, EventSender};
    ///
    /// fn tick(sender: &EventSender) -> Result<(), SendError> {
    ///     while !sender.is_draining() {
    ///         sender.send(Event::data("tick"))?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }
}

impl fmt::Debug for EventSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSender")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
