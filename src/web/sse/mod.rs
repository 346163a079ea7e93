//! Server-sent events: responses that send events as they happen (HTML section 9.2,
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! ```
//! use std::sync::mpsc;
//! use std::time::Duration;
//!
//! use httpool::Request;
//! use httpool::sse::{Event, Events};
//!
//! // From an iterator. Its `next` may block.
//! let countdown = |_: Request| {
//!     let seconds = (0..10).rev().inspect(|_| std::thread::sleep(Duration::from_secs(1)));
//!     Events::new(seconds.map(|second: u8| Event::data(second.to_string())))
//! };
//!
//! // From a channel. The owner of the sender sends events.
//! let news = |_: Request| {
//!     let (sender, receiver) = mpsc::sync_channel(16);
//!     // ... keep the sender where events happen ...
//! #   drop(sender);
//!     Events::received(receiver)
//! };
//! ```
//!
//! # Cost
//!
//! Each event is sent at once. A client that reads slowly is parked and occupies no worker. But **a
//! stream that waits for its next event occupies a worker**, because an iterator and a channel
//! block. With 16 workers, 15 such streams leave one worker for all other requests; 16 leave none.
//! Use this for a few clients, for example the pages of an administrator. For thousands, use a
//! server with an async runtime.
//!
//! At most `Builder::handlers_per_connection` streams of one HTTP/2 connection wait for events at
//! once, by default half as many as there are workers. Further ones wait until an event comes.
//!
//! # How a stream ends
//!
//! A stream ends when its iterator ends, when every sender of its channel is dropped, or when its
//! client is gone. While a channel is empty, the server checks the connection ten times a second,
//! so a client that has closed or lost its connection, or has reset the HTTP/2 stream, occupies no
//! worker. A client of HTTP/1.1 that has only finished sending receives a comment, and then its
//! events.
//!
//! An iterator can't be interrupted. The server checks the client before each `next`; if the client
//! disconnects while `next` blocks, **the worker stays occupied until `next` returns**. This also
//! applies to every reader of [`Body::from_reader`], and to a [layer](crate::Layer) that reads
//! events to pass them on. If the client's machine fails, the connection shows it only when
//! something is sent, so channels send a [comment](Events::keep_alive) while no event happens.
//!
//! A drain waits for streams like for all responses, and aborts them at its deadline. End a stream
//! early with [`Events::end_when`]:
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

mod event;
mod stream;

use std::fmt;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};

pub use self::event::{Event, EventError};
use self::stream::{CHECK_INTERVAL, EventReader};
use crate::message::{Body, IntoResponse, Response};

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
    keep_alive: Duration,
    end_when: Option<EndWhen>,
    /// Whether a client that has finished sending was sent a comment, which shows whether it is
    /// still there.
    has_probed: bool,
}

/// The source of events.
enum EventSource {
    Iterator(Box<dyn Iterator<Item = Event> + Send>),
    Channel(Receiver<Event>),
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
        Self::from_source(EventSource::Iterator(Box::new(events.into_iter())))
    }

    /// Sends the events of a channel, until every sender is dropped. Use a
    /// [`sync_channel`](std::sync::mpsc::sync_channel) with room for a few events, and send with
    /// `try_send`: if the client reads nothing for a while, the sender must neither block nor
    /// collect events without limit.
    #[must_use]
    pub fn received(events: Receiver<Event>) -> Self {
        Self::from_source(EventSource::Channel(events))
    }

    /// Sets how long a channel may be silent before the client is sent a comment. Comments keep
    /// proxies from closing the connection, and detect clients whose machine has failed. Default:
    /// 30 seconds. This does not apply to iterators, because a blocked `next` can't be interrupted;
    /// an iterator can return [comments](Event::comment) itself.
    ///
    /// The minimum is 100 milliseconds; shorter times, including zero, count as that.
    #[must_use]
    pub fn keep_alive(mut self, every: Duration) -> Self {
        self.keep_alive = every.max(CHECK_INTERVAL);
        self
    }

    /// Ends the stream once this function returns true. It is called before each event, and ten
    /// times a second while a channel is empty.
    #[must_use]
    pub fn end_when(mut self, end: impl FnMut() -> bool + Send + 'static) -> Self {
        self.end_when = Some(Box::new(end));
        self
    }

    fn from_source(source: EventSource) -> Self {
        Self {
            source,
            keep_alive: KEEP_ALIVE,
            end_when: None,
            has_probed: false,
        }
    }
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from_watching(EventReader::new(self)));
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
            .field("keep_alive", &self.keep_alive)
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
