//! The server of this bench.

use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use httpool::sse::{Broadcast, Event};
use httpool::websocket::{WebSocket, WebSocketSender};
use httpool::{Handler, IntoResponse as _, Later, Request, Response};

use crate::serving::{Bench, HELLO};

/// Topics of events.
pub(crate) const TOPICS: usize = 1000;

/// Sends the events of its topics, delayed responses, and messages to its WebSockets.
pub(crate) struct Waiting {
    topics: Vec<Broadcast>,
    sockets: Sockets,
}

#[derive(Clone, Default)]
struct Sockets(Arc<Mutex<Vec<WebSocketSender>>>);

impl Waiting {
    pub(crate) fn new() -> Self {
        Self {
            topics: (0..TOPICS).map(|_| Broadcast::new()).collect(),
            sockets: Sockets::default(),
        }
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(request: &mut Request) -> String {
    let mut text = String::new();
    let read = request.body_mut().read_to_string(&mut text);
    read.expect("the body is text");
    text
}
