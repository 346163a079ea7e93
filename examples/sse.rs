//! Sends each posted message to all listeners, as server-sent events.
//!
//! Run it with `cargo run --example sse [ADDR]`, then `curl -N localhost:4000/events` in one
//! terminal (or the page at `localhost:4000` in a browser), and in another one
//! `curl localhost:4000/say -d hello`.
//!
//! A listener that waits for a message occupies no worker, so two workers are enough for thousands.
//! Press Enter to shut the server down: every stream ends cleanly.

#![allow(
    clippy::needless_pass_by_value,
    reason = "handlers own the values that they take from a request"
)]

use std::env;
use std::error::Error;
use std::io;
use std::thread;

use httpool::Router;
use httpool::extract::State;
use httpool::http::{HeaderMap, StatusCode};
use httpool::sse::{Broadcast, Event, Events, last_event_id};
use httpool::{Html, Server};

/// The messages that a listener which reconnects can have missed, and their bytes.
const HISTORY: (usize, usize) = (100, 100 * 1024);

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

fn post_message(State(room): State<Broadcast>, words: String) -> StatusCode {
    room.send(Event::data(words));
    StatusCode::NO_CONTENT
}

fn events(State(room): State<Broadcast>, request: HeaderMap) -> Events {
    room.subscribe(last_event_id(&request))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder().listen(address).workers(2).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);

    let (max_events, max_bytes) = HISTORY;
    let room = Broadcast::with_history(max_events, max_bytes);
    let (handle, streams) = (server.handle(), room.clone());
    // The shutdown waits until the streams have ended.
    handle.on_shutdown(move || streams.close());
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shutdown();
    });

    let router: Router = Router::new()
        .get("/", || Html(PAGE))
        .get("/events", events)
        .post("/say", post_message)
        .with_state(room);
    let report = server.run(router)?;
    println!("{report}");
    Ok(())
}
