//! Sends each event to many listeners.
//!
//! The events are stored once, in a [`History`] that all listeners share. A listener is a position in
//! it. So an event for 10,000 listeners costs its bytes once, and a listener that reads slowly costs no
//! memory: it is dropped when the event at its position leaves the history.

mod history;
mod listeners;

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::StatusCode;

use self::history::{Following, History};
use self::listeners::Listeners;
use super::{Event, Events};
use crate::message::body::{Polled, PolledSource};
use crate::message::waker::{Wake, wake_all};
use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// Sends each [`Event`] to all listeners. Clones are the same broadcast.
///
/// A listener that waits for events occupies no worker, so thousands can listen to a server with a few
/// workers. Keep the broadcast in the state of the router, and call [`send`](Self::send) from any
/// thread:
///
/// ```
/// use httpool::Router;
/// use httpool::extract::State;
/// use httpool::http::HeaderMap;
/// use httpool::sse::{Broadcast, Event, Events, last_event_id};
///
/// fn listen(State(news): State<Broadcast>, request: HeaderMap) -> Events {
///     news.subscribe(last_event_id(&request))
/// }
///
/// fn publish(State(news): State<Broadcast>, text: String) {
///     news.send(Event::data(text));
/// }
///
/// let router: Router = Router::new()
///     .get("/news", listen)
///     .post("/news", publish)
///     .with_state(Broadcast::new());
/// ```
///
/// # The history
///
/// The last events are kept: by default 1,024 of them, and at most 1 MiB
/// ([`with_history`](Self::with_history)). A listener that reconnects receives those that it has missed.
///
/// **A listener that is further behind than the history is dropped.** It reads more slowly than events
/// are sent. Its stream ends behind the last event that was passed to its connection, and
/// [`dropped`](Self::dropped) counts it. A browser then reconnects, and receives the history.
///
/// # Ids
///
/// An event without an id gets a number as its id. The numbers begin with the time at which the
/// broadcast was created, in microseconds since 1970, and each is one more than the last. So a browser
/// that reconnects after a restart of the server has an id that is older than the history.
///
/// If several servers send the same events, give each event the same [id](Event::try_id) on all of
/// them, so that a browser may reconnect to another server.
///
/// # How streams end
///
/// All streams end when the broadcast is [closed](Self::close), or when its last clone is dropped. A
/// drain waits for open streams until its deadline, so close the broadcast when a shutdown begins:
///
/// ```
/// use httpool::Server;
/// use httpool::sse::Broadcast;
///
/// let news = Broadcast::new();
/// let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// let streams = news.clone();
/// server.handle().on_shutdown(move || streams.close());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Broadcast(Arc<Senders>);

/// The state that all clones share. Dropping it closes the broadcast.
struct Senders(Arc<Shared>);

struct Shared(Mutex<State>);

struct State {
    history: History,
    listeners: Listeners,
    dropped: u64,
    is_closed: bool,
}

/// The source of one stream.
pub(super) struct Listener {
    shared: Arc<Shared>,
    slot: usize,
    /// The number of the next event.
    position: u64,
    /// Whether it was too slow and was counted.
    is_dropped: bool,
    waker: Option<Arc<dyn Wake>>,
}

impl Broadcast {
    /// The number of events that [`new`](Self::new) keeps.
    pub const MAX_EVENTS: usize = 1024;

    /// The bytes of all events that [`new`](Self::new) keeps.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// The id to [subscribe](Self::subscribe) with for the whole history. Pages that connect for the first
    /// time have no id of their own:
    ///
    /// ```
    /// use httpool::http::HeaderMap;
    /// use httpool::sse::{Broadcast, Events, last_event_id};
    ///
    /// fn listen(news: &Broadcast, request: &HeaderMap) -> Events {
    ///     news.subscribe(last_event_id(request).or(Broadcast::FROM_START))
    /// }
    /// # listen(&Broadcast::new(), &HeaderMap::new());
    /// ```
    pub const FROM_START: Option<&'static str> = Some("");

    /// Creates a broadcast that keeps [`MAX_EVENTS`](Self::MAX_EVENTS) in
    /// [`MAX_BYTES`](Self::MAX_BYTES).
    #[must_use]
    pub fn new() -> Self {
        Self::with_history(Self::MAX_EVENTS, Self::MAX_BYTES)
    }

    /// Creates a broadcast that keeps at most this many events, with at most this many bytes in all as
    /// they are sent. The last event is always kept.
    ///
    /// The history must have room for the events that happen while a browser reconnects, which takes
    /// some seconds, and while the send buffer of a listener is full.
    ///
    /// ```
    /// use httpool::sse::Broadcast;
    ///
    /// // The states of a few jobs: a late listener needs the last ones only.
    /// let progress = Broadcast::with_history(16, 64 * 1024);
    /// ```
    #[must_use]
    pub fn with_history(max_events: usize, max_bytes: usize) -> Self {
        let shared = Arc::new(Shared(Mutex::new(State {
            history: History::new(first_number(), max_events, max_bytes),
            listeners: Listeners::default(),
            dropped: 0,
            is_closed: false,
        })));
        Self(Arc::new(Senders(shared)))
    }

    /// Sends an event to all listeners, and keeps it for those that come later. It never waits for a
    /// listener. If the broadcast is closed, nothing happens.
    ///
    /// ```
    /// use httpool::sse::{Broadcast, Event};
    ///
    /// let news = Broadcast::new();
    /// let _stream = news.subscribe(None);
    /// news.send(Event::data("hello").name("greeting"));
    /// ```
    pub fn send(&self, event: Event) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        state.history.push(event);
        wake_waiting(state);
    }

    /// Adds a listener, whose stream is the response. `last_event_id` is the id of the last event that
    /// it has received ([`last_event_id`](super::last_event_id)):
    ///
    /// * Without an id, the stream begins with the next event.
    /// * With the id of an event in the history, it begins behind that event.
    /// * With any other id, it begins with the whole history. Such an id is from an event that is not
    ///   kept any more, or from another broadcast, for example before a restart. Events between it and
    ///   the history are lost.
    ///
    /// To send the whole history to a new listener, pass [`FROM_START`](Self::FROM_START). The stream of
    /// a closed broadcast ends behind the history. A browser that has received a stream's end reconnects
    /// some seconds later, unless the response is that of
    /// [`subscribe_or_end`](Self::subscribe_or_end).
    ///
    /// ```
    /// use httpool::Request;
    /// use httpool::sse::{Broadcast, Event};
    /// use httpool::testing::Client;
    ///
    /// let news = Broadcast::new();
    /// for id in 1..=3 {
    ///     news.send(Event::data("news").id(id));
    /// }
    /// news.close();
    /// let client = Client::new(move |_: Request| news.subscribe(Some("2")));
    /// assert_eq!(client.get("/").send().text(), "id: 3\ndata: news\n\n");
    /// ```
    pub fn subscribe(&self, last_event_id: Option<&str>) -> Events {
        let state = self.lock();
        let position = state.history.position(last_event_id);
        self.listen(state, position)
    }

    /// Adds a listener as [`subscribe`](Self::subscribe) does, unless it has received everything: the
    /// broadcast is closed, and no event follows. Then the response is `204 No Content`, after which a
    /// browser does not reconnect (HTML Standard, section 9.2.3).
    ///
    /// So a feed that is complete, as the progress of a job, ends for good. Use `subscribe` where a
    /// broadcast is closed only because its server shuts down.
    ///
    /// # Errors
    ///
    /// 204, which the handler returns as it is.
    ///
    /// ```
    /// use httpool::Request;
    /// use httpool::sse::{Broadcast, Event, last_event_id};
    /// use httpool::testing::Client;
    ///
    /// let progress = Broadcast::new();
    /// progress.send(Event::data("done").id(1));
    /// progress.close();
    /// let client = Client::new(move |request: Request| {
    ///     let id = last_event_id(request.headers()).or(Broadcast::FROM_START);
    ///     progress.subscribe_or_end(id)
    /// });
    /// assert_eq!(client.get("/").send().text(), "id: 1\ndata: done\n\n");
    /// assert_eq!(client.get("/").header("last-event-id", "1").send().status(), 204);
    /// ```
    pub fn subscribe_or_end(&self, last_event_id: Option<&str>) -> Result<Events, StatusCode> {
        let state = self.lock();
        let position = state.history.position(last_event_id);
        match state.is_closed && position == state.history.end() {
            true => Err(StatusCode::NO_CONTENT),
            false => Ok(self.listen(state, position)),
        }
    }

    fn listen(&self, mut state: MutexGuard<'_, State>, position: u64) -> Events {
        let slot = state.listeners.add();
        drop(state);
        Events::polled(Listener {
            shared: Arc::clone(&self.0.0),
            slot,
            position,
            is_dropped: false,
            waker: None,
        })
    }

    /// The number of streams that are open now. One whose client has left without a trace, for example
    /// because its network failed, counts until something is sent to it, at the latest a
    /// [comment](Events::keep_alive).
    ///
    /// ```
    /// use httpool::sse::Broadcast;
    ///
    /// let news = Broadcast::new();
    /// let stream = news.subscribe(None);
    /// assert_eq!(news.listeners(), 1);
    /// drop(stream);
    /// assert_eq!(news.listeners(), 0);
    /// ```
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.lock().listeners.len()
    }

    /// The number of listeners so far that were dropped because they were further behind than the
    /// history. Each is counted when its connection has taken what it was sent before, or when it is
    /// closed, for example because the client reads nothing
    /// ([`write_timeout`](crate::Builder::write_timeout)).
    ///
    /// ```
    /// use httpool::Request;
    /// use httpool::sse::{Broadcast, Event};
    /// use httpool::testing::Client;
    ///
    /// let news = Broadcast::with_history(1, 1024);
    /// let listener = news.clone();
    /// let slow = Client::new(move |_: Request| {
    ///     let stream = listener.subscribe(None);
    ///     (0..2).for_each(|_| listener.send(Event::data("news")));
    ///     stream
    /// });
    /// assert_eq!(slow.get("/").send().text(), "");
    /// assert_eq!(news.dropped(), 1);
    /// ```
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Ends all streams behind the last event, and those that begin later. Call this when a shutdown
    /// begins.
    ///
    /// ```
    /// use httpool::sse::Broadcast;
    ///
    /// let news = Broadcast::new();
    /// news.close();
    /// assert!(news.is_closed());
    /// ```
    pub fn close(&self) {
        self.0.0.close();
    }

    /// Whether it was [closed](Self::close).
    ///
    /// ```
    /// assert!(!httpool::sse::Broadcast::new().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock()
    }
}

impl Default for Broadcast {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Broadcast")
            .field("listeners", &state.listeners.len())
            .field("dropped", &state.dropped)
            .field("is_closed", &state.is_closed)
            .finish_non_exhaustive()
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        ignore_poison(self.0.lock())
    }

    fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        wake_waiting(state);
    }
}

/// Wakes the listeners that wait, after the lock is released.
fn wake_waiting(mut state: MutexGuard<'_, State>) {
    let wakers = state.listeners.take_waiting();
    drop(state);
    wake_all(wakers);
}

impl PolledSource for Listener {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        self.waker = Some(waker);
    }

    fn poll(&mut self, _: Instant) -> Polled {
        let mut state = self.shared.lock();
        match state.history.following(self.position) {
            Following::Events(part, end) => {
                self.position = end;
                Polled::Part(part)
            }
            Following::Lost => {
                state.count_dropped(&mut self.is_dropped);
                Polled::End
            }
            Following::Nothing if state.is_closed => Polled::End,
            Following::Nothing => {
                if let Some(waker) = &self.waker {
                    state.listeners.wait(self.slot, Arc::clone(waker));
                }
                Polled::Pending(None)
            }
        }
    }
}

impl State {
    fn count_dropped(&mut self, is_counted: &mut bool) {
        self.dropped += u64::from(!mem::replace(is_counted, true));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.listeners.remove(self.slot);
        if state.history.has_lost(self.position) {
            state.count_dropped(&mut self.is_dropped);
        }
    }
}

/// The number of the first event of a new broadcast.
fn first_number() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
