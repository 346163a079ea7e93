//! Server-sent events: responses that send events as they happen (HTML section 9.2,
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! ```
//! use std::thread;
//!
//! use httpool::http::HeaderMap;
//! use httpool::sse::{self, Broadcast, Event, EventSender, Events, last_event_id};
//! use httpool::{Request, SendError};
//!
//! // The same events for everybody.
//! let news = Broadcast::new();
//! let listeners = news.clone();
//! let listen = move |request: Request| listeners.subscribe(last_event_id(request.headers()));
//! news.send(Event::data("the server has started"));
//!
//! // Events for one client, from any thread.
//! fn build(progress: &EventSender) -> Result<(), SendError> {
//!     (1..=3).try_for_each(|step| progress.send(Event::data(format!("step {step} of 3"))))
//! }
//! let progress = |_: Request| {
//!     let (sender, events) = sse::channel();
//!     thread::spawn(move || build(&sender));
//!     events
//! };
//!
//! // From an iterator, which must not wait long for an event.
//! let list = |_: Request| Events::new((0..10).map(|number| Event::data(number.to_string())));
//! ```
//!
//! # Cost
//!
//! Each event is sent at once. A client that reads slowly occupies no worker.
//!
//! **A stream of a [`Broadcast`] or a [`channel`] that waits for its next event occupies no worker**,
//! so thousands of clients can listen to a server with a few workers.
//!
//! An iterator and a [channel of the standard library](Events::received) block: **a stream that waits
//! for one of these occupies a worker**. With 16 workers, 15 such streams leave one worker for all other
//! requests; 16 leave none. At most `Builder::handlers_per_connection` of them wait at once on one
//! HTTP/2 connection, by default half as many as there are workers. Further ones wait until an event
//! comes.
//!
//! # How a stream ends
//!
//! A stream ends when its senders are dropped, its broadcast is closed or its iterator ends, or when
//! its client is gone. The server notices at once when a client closes its connection or resets its
//! HTTP/2 stream. If the client's machine or network fails, the connection shows it only when something
//! is sent, so streams send a [comment](Events::keep_alive) while no event happens. A client of HTTP/1.1
//! that has only finished sending receives a comment, and then its events.
//!
//! An iterator can't be interrupted. The server checks the client before each `next`; if the client
//! disconnects while `next` blocks, **the worker stays occupied until `next` returns**. This also
//! applies to every reader of [`Body::from_reader`], and to a [layer](crate::Layer) that reads
//! events to pass them on. While a channel of the standard library is empty, the server checks the
//! connection ten times a second.
//!
//! A drain waits for streams like for all responses, and aborts them at its deadline. So when a
//! shutdown begins, [close](Broadcast::close) the broadcast and drop the senders
//! ([`Handle::on_shutdown`](crate::Handle::on_shutdown), [`EventSender::is_draining`]).
//! [`Events::end_when`] ends the other streams early:
//!
//! ```
//! use std::sync::mpsc::Receiver;
//!
//! use httpool::sse::{Event, Events};
//! use httpool::{Handle, Phase};
//!
//! fn news(receiver: Receiver<Event>, server: Handle) -> Events {
//!     Events::received(receiver).end_when(move || server.phase() > Phase::Running)
//! }
//! ```
//!
//! Browsers reconnect after a stream has ended, and send the id of the last event that they
//! received in `Last-Event-ID` ([`last_event_id`]).

mod broadcast;
mod channel;
mod event;
mod polled;
mod stream;

use std::fmt;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};

pub use self::broadcast::Broadcast;
pub use self::channel::{EventSender, channel, channel_with_limit};
pub use self::event::{Event, EventError};
use self::polled::PolledEvents;
use self::stream::{CHECK_INTERVAL, EventReader};
use crate::message::body::PolledSource;
use crate::message::{Body, IntoResponse, Response};
use crate::sync::CENTURY;

/// The id of the last event that a reconnecting client has received.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Tells nginx not to buffer the response.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Proxies close connections that are silent for a minute. Half of that is early enough.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A response that sends [`Event`]s as they happen. See the [module](self) for its costs and how it
/// ends.
///
/// The response has the type `text/event-stream` and `Cache-Control: no-store`. It has
/// `X-Accel-Buffering: no`, because nginx buffers responses by default.
///
/// ```
/// use std::sync::mpsc::sync_channel;
/// use std::time::Duration;
///
/// use httpool::Request;
/// use httpool::sse::{Event, Events};
/// use httpool::testing::Client;
///
/// let client = Client::new(|_: Request| {
///     let (sender, receiver) = sync_channel(1);
///     sender.send(Event::data("hello")).expect("the channel has room");
///     Events::received(receiver).keep_alive(Duration::from_secs(10))
/// });
/// assert_eq!(client.get("/").send().text(), "data: hello\n\n");
/// ```
pub struct Events {
    source: EventSource,
    options: Options,
}

/// The source of events.
enum EventSource {
    /// It blocks the worker that waits for the next event.
    Blocking(BlockingSource),
    /// It wakes the connection.
    Polled(Box<dyn PolledSource>),
}

/// A source whose next event is waited for.
enum BlockingSource {
    Iterator(Box<dyn Iterator<Item = Event> + Send>),
    Channel(Receiver<Event>),
}

/// The settings of a stream.
struct Options {
    keep_alive: Duration,
    end_when: Option<EndWhen>,
}

type EndWhen = Box<dyn FnMut() -> bool + Send>;

impl Events {
    /// Sends the events of an iterator. Each `next` may block, and occupies the worker meanwhile.
    /// If it panics, the connection is reset, and in HTTP/2 only the stream.
    #[must_use]
    pub fn new<I>(events: I) -> Self
    where
        I: IntoIterator<Item = Event>,
        I::IntoIter: Send + 'static,
    {
        let events = BlockingSource::Iterator(Box::new(events.into_iter()));
        Self::from_source(EventSource::Blocking(events))
    }

    /// Sends the events of a channel of the standard library, until every sender is dropped. **A stream
    /// that waits for its next event occupies a worker**; one of [`channel`](channel()) does
    /// not. Use a
    /// [`sync_channel`](std::sync::mpsc::sync_channel) with room for a few events, and send with
    /// `try_send`: if the client reads nothing for a while, the sender must neither block nor
    /// collect events without limit.
    #[must_use]
    pub fn received(events: Receiver<Event>) -> Self {
        Self::from_source(EventSource::Blocking(BlockingSource::Channel(events)))
    }

    /// Sets how long a stream may be silent before the client is sent a comment. Comments keep proxies
    /// from closing the connection, and detect clients whose machine has failed. Default: 30 seconds.
    /// They may be a tenth of a second late. This does not apply to iterators, because a blocked `next`
    /// can't be interrupted; an iterator can return [comments](Event::comment) itself.
    ///
    /// The minimum is 100 milliseconds; shorter times, including zero, count as that.
    #[must_use]
    pub fn keep_alive(mut self, every: Duration) -> Self {
        self.options.keep_alive = every.max(CHECK_INTERVAL);
        self
    }

    /// Ends the stream once this function returns true. It is called before each event and each
    /// [comment](Self::keep_alive), and ten times a second while a channel of the standard library is
    /// empty. A stream that waits without a worker is not woken for it; to end one at once, drop its
    /// senders or [close](Broadcast::close) its broadcast.
    #[must_use]
    pub fn end_when(mut self, end: impl FnMut() -> bool + Send + 'static) -> Self {
        self.options.end_when = Some(Box::new(end));
        self
    }

    /// Sends events that come from other threads.
    pub(crate) fn polled(source: impl PolledSource + 'static) -> Self {
        Self::from_source(EventSource::Polled(Box::new(source)))
    }

    fn from_source(source: EventSource) -> Self {
        Self {
            source,
            options: Options {
                keep_alive: KEEP_ALIVE,
                end_when: None,
            },
        }
    }
}

impl Options {
    fn is_over(&mut self) -> bool {
        self.end_when.as_mut().is_some_and(|end| end())
    }

    /// When a stream that is silent from now on sends a comment.
    fn next_comment(&self, now: Instant) -> Instant {
        let century = Duration::from_secs(CENTURY);
        now + self.keep_alive.min(century)
    }
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let mut response = Response::new(match self.source {
            EventSource::Blocking(source) => {
                Body::from_watching(EventReader::new(source, self.options))
            }
            EventSource::Polled(source) => {
                Body::from_polled(PolledEvents::new(source, self.options))
            }
        });
        let headers = response.headers_mut();
        let event_stream = HeaderValue::from_static("text/event-stream");
        headers.insert(CONTENT_TYPE, event_stream);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
        response
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("keep_alive", &self.options.keep_alive)
            .finish_non_exhaustive()
    }
}

/// The id of the last event that the client received, if it reconnects after the end of a stream.
/// Like all request data, it can be any value.
///
/// ```
/// use httpool::http::HeaderMap;
/// use httpool::sse::{Event, Events, last_event_id};
///
/// fn numbers(request: HeaderMap) -> Events {
///     let last = last_event_id(&request).and_then(|id| id.parse().ok());
///     let first = last.map_or(0, |last: u64| last.saturating_add(1));
///     Events::new((first..first.saturating_add(10)).map(|number| {
///         Event::data(number.to_string()).id(number)
///     }))
/// }
/// ```
#[must_use]
pub fn last_event_id(request: &HeaderMap) -> Option<&str> {
    // Browsers send UTF-8.
    let id = request.get(LAST_EVENT_ID)?.as_bytes();
    std::str::from_utf8(id).ok().filter(|id| !id.is_empty())
}
