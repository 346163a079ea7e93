//! Sends each posted message to all listeners, as server-sent events.
//!
//! Run it with `cargo run --example sse [ADDR]`, then `curl -N localhost:4000/events` in one
//! terminal (or the page at `localhost:4000` in a browser), and in another one
//! `curl localhost:4000/say -d hello`.
//!
//! Each listener occupies a worker, even while no message arrives. The example therefore has more
//! workers than listeners, and rejects further listeners with a 503 response. Press Enter to shut
//! the server down: every stream ends cleanly.

#![allow(
    clippy::needless_pass_by_value,
    reason = "handlers own the values that they take from a request"
)]

use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use httpool::Router;
use httpool::extract::State;
use httpool::http::{HeaderMap, StatusCode};
use httpool::sse::{Event, Events, last_event_id};
use httpool::{Handle, Html, Phase, Problem, Server};

const WORKERS: usize = 8;

/// Two workers stay free for other requests.
const LISTENERS: usize = WORKERS - 2;

/// Events queued for a listener. A listener with a full queue is disconnected; browsers reconnect.
const QUEUE_LIMIT: usize = 16;

/// Past events that are kept for listeners that reconnect.
const KEPT_EVENTS: usize = QUEUE_LIMIT;

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>Messages</title>
<form><input name="words" autofocus> <button>Say</button></form>
<ul></ul>
<script>
const events = new EventSource('/events');
events.onmessage = event => {
    const line = document.createElement('li');
    line.textContent = event.data;
    document.querySelector('ul').append(line);
};
document.querySelector('form').onsubmit = event => {
    event.preventDefault();
    fetch('/say', { method: 'POST', body: event.target.words.value });
    event.target.reset();
};
</script>
"#;

/// The listeners, and the messages that were sent last.
#[derive(Clone)]
struct Room {
    inside: Arc<Mutex<Inside>>,
    server: Handle,
}

#[derive(Default)]
struct Inside {
    said: u64,
    last: VecDeque<(u64, Event)>,
    listeners: Vec<SyncSender<Event>>,
}

impl Room {
    fn new(server: Handle) -> Self {
        Self {
            inside: Arc::default(),
            server,
        }
    }

    fn post_message(&self, words: &str) {
        let mut inside = self.lock();
        inside.said += 1;
        let number = inside.said;
        let event = Event::data(words).id(number);
        inside.broadcast(&event);
        inside.last.push_back((number, event));
        if inside.last.len() > KEPT_EVENTS {
            inside.last.pop_front();
        }
    }

    /// Adds a listener, or returns `None` if there are too many.
    fn listen(&self, last_seen: Option<u64>) -> Option<Receiver<Event>> {
        let mut inside = self.lock();
        // This send removes listeners that have disconnected, so that they are not counted.
        inside.broadcast(&Event::comment("another listener"));
        if inside.listeners.len() >= LISTENERS {
            return None;
        }
        let (sender, receiver) = sync_channel(QUEUE_LIMIT);
        let missed = inside.last.iter().filter(|(number, _)| {
            let seen = last_seen.unwrap_or(inside.said);
            *number > seen
        });
        for (_, event) in missed {
            // The queue has room for every event that is kept.
            let _ = sender.try_send(event.clone());
        }
        inside.listeners.push(sender);
        Some(receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Sends the event to every listener without blocking, and drops listeners with a full queue.
    fn broadcast(&mut self, event: &Event) {
        let takes_it = |listener: &SyncSender<Event>| listener.try_send(event.clone()).is_ok();
        self.listeners.retain(takes_it);
    }
}

fn post_message(State(room): State<Room>, words: String) -> StatusCode {
    room.post_message(&words);
    StatusCode::NO_CONTENT
}

fn events(State(room): State<Room>, request: HeaderMap) -> Result<Events, Problem> {
    let last_seen = last_event_id(&request).and_then(|id| id.parse().ok());
    let Some(receiver) = room.listen(last_seen) else {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE);
        return Err(problem.detail("too many listeners"));
    };
    let is_over = move || room.server.phase() > Phase::Running;
    Ok(Events::received(receiver).end_when(is_over))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder().listen(address).workers(WORKERS).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);

    let handle = server.handle();
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shutdown();
    });

    let router: Router = Router::new()
        .get("/", || Html(PAGE))
        .get("/events", events)
        .post("/say", post_message)
        .with_state(Room::new(server.handle()));
    let report = server.run(router)?;
    println!("{report}");
    Ok(())
}
