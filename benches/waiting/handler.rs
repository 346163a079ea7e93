//! The server of this bench.

use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use httpool::services::inspect::{Inspect, Settings};
use httpool::sse::{Broadcast, Event};
use httpool::websocket::{WebSocket, WebSocketSender};
use httpool::{Handle, Handler, IntoResponse as _, Later, Request, Responder, Response};

use crate::serving::{Bench, HELLO};

/// Topics of events.
pub(crate) const TOPICS: usize = 1000;

/// Requests the number of listeners to the first topic.
pub(crate) const LISTENERS: &str = "/listeners";

/// Requests the number of requests for a response that never comes.
pub(crate) const WAITING: &str = "/waiting";

/// Requests the number of open connections.
pub(crate) const OPEN: &str = "/open";

/// Requests a shutdown.
pub(crate) const SHUT_DOWN: &str = "/shut-down";

/// Sends the events of its topics, delayed responses, also those of the inspector, and messages to its
/// WebSockets.
pub(crate) struct Waiting {
    topics: Vec<Broadcast>,
    sockets: Sockets,
    /// Has the paths below `/delay`.
    inspect: Inspect,
    server: Handle,
    /// The responders of responses that never come.
    never: Mutex<Vec<Responder>>,
}

#[derive(Clone, Default)]
struct Sockets(Arc<Mutex<Vec<WebSocketSender>>>);

impl Waiting {
    pub(crate) fn new(server: Handle) -> Self {
        let topics: Vec<_> = (0..TOPICS).map(|_| Broadcast::new()).collect();
        let streams = topics.clone();
        server.on_shutdown(move || streams.iter().for_each(Broadcast::close));
        Self {
            topics,
            sockets: Sockets::default(),
            inspect: Inspect::new(Settings::default()),
            server,
            never: Mutex::default(),
        }
    }

    /// A response that never comes.
    fn never(&self) -> Response {
        let (responder, later) = Later::new();
        lock(&self.never).push(responder);
        later.deadline(Duration::from_secs(3600)).into_response()
    }

    /// How many clients wait for such a response.
    fn count_waiting(&self) -> usize {
        let mut never = lock(&self.never);
        never.retain(|responder| !responder.is_cancelled());
        never.len()
    }

    /// The topic of this number.
    fn topic(&self, number: Option<u64>) -> Option<&Broadcast> {
        self.topics.get(usize::try_from(number?).ok()?)
    }
}

impl Handler for Waiting {
    fn handle(&self, request: &mut Request) -> Response {
        let number = request.uri().query().and_then(|query| query.parse().ok());
        match (request.uri().path(), number, self.topic(number)) {
            (LISTENERS, ..) => figure(self.topics[0].listeners()),
            (WAITING, ..) => figure(self.count_waiting()),
            (OPEN, ..) => figure(self.server.snapshot().open),
            (SHUT_DOWN, ..) => {
                self.server.shutdown();
                figure(0)
            }
            ("/never", ..) => self.never(),
            ("/events", _, Some(topic)) => topic.subscribe(None).into_response(),
            ("/send", _, Some(topic)) => {
                topic.send(Event::data(text(request)));
                Response::new(HELLO.into())
            }
            ("/later", Some(delay), _) => {
                Later::after(Duration::from_millis(delay), HELLO).into_response()
            }
            ("/socket", ..) => self.sockets.open(request),
            ("/message", ..) => {
                self.sockets.send(&text(request));
                Response::new(HELLO.into())
            }
            (path, ..) if path.starts_with("/delay/") => self.inspect.handle(request),
            _ => Bench.handle(request),
        }
    }
}

impl Sockets {
    fn open(&self, request: &Request) -> Response {
        let sockets = self.clone();
        let socket = WebSocket::accept(request).map(|socket| {
            socket.serve(move |sender| {
                sockets.lock().push(sender);
                drop
            })
        });
        socket.into_response()
    }

    /// Sends a message to all.
    fn send(&self, text: &str) {
        self.lock().retain(|sender| sender.try_send(text).is_ok());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<WebSocketSender>> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn figure(number: usize) -> Response {
    number.to_string().into_response()
}

fn text(request: &mut Request) -> String {
    let mut text = String::new();
    let read = request.body_mut().read_to_string(&mut text);
    read.expect("the body is text");
    text
}
