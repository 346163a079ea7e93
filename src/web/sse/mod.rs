//! Server-sent events: an answer that goes on while there is news (HTML section 9.2,
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! ```
//! use std::sync::mpsc;
//! use std::time::Duration;
//!
//! use httpool::Request;
//! use httpool::sse::{Event, Events};
//!
//! // From an iterator: its `next` may take as long as it likes.
//! let countdown = |_: Request| {
//!     let seconds = (0..10).rev().inspect(|_| std::thread::sleep(Duration::from_secs(1)));
//!     Events::new(seconds.map(|second: u8| Event::data(second.to_string())))
//! };
//!
//! // From a channel: whoever has the sender says what happens.
//! let news = |_: Request| {
//!     let (sender, receiver) = mpsc::sync_channel(16);
//!     // ... keep the sender where news come from ...
//! #   drop(sender);
//!     Events::received(receiver)
//! };
//! ```
//!
//! # What it costs
//!
//! Each event leaves at once. A client that does not take them is parked, and waits for room
//! without a worker. But **who waits for an event holds a worker**, for an iterator blocks where it
//! is asked, and so does a channel. A server with 16 workers has 15 such clients at most, or 16 and
//! nobody else is answered. This is for a few listeners, such as the pages of an administrator;
//! thousands want a server that is made of futures.
//!
//! # How it ends
//!
//! A stream ends with its iterator, or when every sender of its channel is gone, or when its client
//! is. While a channel is silent, the server looks at the connection ten times a second: a client
//! that has closed it, or has lost it, holds no worker any longer. A client that has only finished
//! sending gets a comment, and then its events.
//!
//! An iterator can't be interrupted. Before each `next` the server looks whether the client is there;
//! a client that goes while `next` blocks **holds the worker until `next` returns**. The same holds
//! for every reader of [`Body::from_reader`], and for a [layer](crate::Layer) that reads events
//! itself to pass them on. A client whose machine is lost says nothing: that is found out by what is
//! sent to it, so channels send a [comment](Events::keep_alive) while nothing happens.
//!
//! A drain waits for streams as for all answers, and cuts at its deadline what has not ended. So a
//! stream should know of the drain, and [`Events::end_when`] asks:
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
//! Browsers connect again when a stream has ended, and say in `Last-Event-ID` which event they have
//! seen last ([`last_event_id`]).

mod event;
mod stream;

use std::fmt;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};

pub use self::event::{Event, EventError};
use self::stream::{EventReader, SLICE};
use crate::message::{Body, IntoResponse, Response};

/// What a client that connects again has seen last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// By this nginx is told to pass on what it gets at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Proxies close what has been silent for a minute; half of that arrives in time.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// An answer of [`Event`]s, each sent when it comes. [The module](self) says what it costs and how
/// it ends.
///
/// The answer is `text/event-stream` that nobody is to store (`Cache-Control: no-store`), and says
/// `X-Accel-Buffering: no`, for nginx keeps back what it gets unless it is told not to.
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
///     sender.send(Event::data("hello")).expect("there is room");
///     Events::received(receiver).keep_alive(Duration::from_secs(10))
/// });
/// assert_eq!(client.get("/").send().text(), "data: hello\n\n");
/// ```
pub struct Events {
    source: EventSource,
    keep_alive: Duration,
    is_over: Option<IsOver>,
    /// A client that has finished sending was sent something, to learn whether it is there.
    has_asked: bool,
}

/// Where events come from.
enum EventSource {
    Iterator(Box<dyn Iterator<Item = Event> + Send>),
    Channel(Receiver<Event>),
}

type IsOver = Box<dyn FnMut() -> bool + Send>;

impl Events {
    /// The events of an iterator. Each `next` may block, and holds the worker for that long. If it
    /// panics, the connection is reset.
    #[must_use]
    pub fn new<I>(events: I) -> Self
    where
        I: IntoIterator<Item = Event>,
        I::IntoIter: Send + 'static,
    {
        Self::from_source(EventSource::Iterator(Box::new(events.into_iter())))
    }

    /// The events that come through a channel, until every sender is gone. It should be a
    /// [`sync_channel`](std::sync::mpsc::sync_channel) with room for a few events, into which one
    /// puts with `try_send`: the client may take nothing for a while, and a sender must neither wait
    /// for it nor gather events for it without end.
    #[must_use]
    pub fn received(events: Receiver<Event>) -> Self {
        Self::from_source(EventSource::Channel(events))
    }

    /// How long a channel may be silent before the client is sent a comment, which keeps proxies
    /// from closing the connection and finds out whether the client's machine is there. 30 seconds if
    /// it is not set. An iterator can't be interrupted while it is asked for its next event, and nothing
    /// is sent meanwhile; it may give [comments](Event::comment) itself.
    ///
    /// A tenth of a second is the least: anything shorter counts as that, also zero.
    #[must_use]
    pub fn keep_alive(mut self, every: Duration) -> Self {
        self.keep_alive = every.max(SLICE);
        self
    }

    /// Ends the stream once this is true. It is asked before each event, and ten times a second
    /// while a channel is silent.
    #[must_use]
    pub fn end_when(mut self, is_over: impl FnMut() -> bool + Send + 'static) -> Self {
        self.is_over = Some(Box::new(is_over));
        self
    }

    fn from_source(source: EventSource) -> Self {
        Self {
            source,
            keep_alive: KEEP_ALIVE,
            is_over: None,
            has_asked: false,
        }
    }
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from_watching(EventReader::new(self)));
        let fields = response.headers_mut();
        let event_stream = HeaderValue::from_static("text/event-stream");
        fields.insert(CONTENT_TYPE, event_stream);
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
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

/// The id of the event that the client has seen last, if this request comes after the end of a
/// stream. It is the client's to choose, like anything in a request.
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
    // Browsers send it as UTF-8.
    let id = request.get(LAST_EVENT_ID)?.as_bytes();
    std::str::from_utf8(id).ok().filter(|id| !id.is_empty())
}
