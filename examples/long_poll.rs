//! Lets clients wait for the next message, without a worker for each of them.
//!
//! Run it with `cargo run --example long_poll [ADDR]`, then `curl -i localhost:4000/messages/1` in one
//! or several terminals, and in another one `curl localhost:4000/say -d hello`.
//!
//! A client asks for the message with the number that it wants next. If no client has sent a message within
//! 25 seconds, it gets a 204 and asks again. Press Enter to shut the server down: clients that wait get
//! their 204 at once.

#![allow(
    clippy::needless_pass_by_value,
    reason = "handlers own the values that they take from a request"
)]

use std::env;
use std::error::Error;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use httpool::extract::{Path, State};
use httpool::http::StatusCode;
use httpool::{IntoResponse, Later, Responder, Response, Router, Server};

/// Proxies and browsers wait for a minute or longer.
const PATIENCE: Duration = Duration::from_secs(25);

/// Further messages are rejected, because this example keeps all of them.
const MAX_MESSAGES: usize = 1000;

/// The messages, and the clients that wait for the next one.
#[derive(Clone, Default)]
struct Board(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    messages: Vec<String>,
    waiting: Vec<Responder>,
    is_closing: bool,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives all clients that wait this response.
    fn respond_to_all(responders: Vec<Responder>, response: impl IntoResponse + Clone) {
        for responder in responders {
            // An error means that this client has left, or that its time is over.
            let _ = responder.respond(response.clone());
        }
    }

    fn close(&self) {
        let mut content = self.lock();
        content.is_closing = true;
        let waiting = mem::take(&mut content.waiting);
        drop(content);
        Self::respond_to_all(waiting, StatusCode::NO_CONTENT);
    }
}

/// The message with this number, counted from 1. If it is the next one, the client waits for it.
fn message(State(board): State<Board>, Path(number): Path<usize>) -> Response {
    let mut content = board.lock();
    let said = content.messages.len();
    if let Some(text) = number
        .checked_sub(1)
        .and_then(|index| content.messages.get(index))
    {
        return text.clone().into_response();
    }
    if number != said + 1 {
        return StatusCode::NOT_FOUND.into_response();
    }
    if content.is_closing {
        return StatusCode::NO_CONTENT.into_response();
    }
    // Clients that have left must not stay in the list until the next message.
    content
        .waiting
        .retain(|responder| !responder.is_cancelled());
    let (responder, later) = Later::new();
    content.waiting.push(responder);
    later
        .deadline_with(PATIENCE, StatusCode::NO_CONTENT)
        .into_response()
}

fn say(State(board): State<Board>, words: String) -> StatusCode {
    let mut content = board.lock();
    if content.messages.len() >= MAX_MESSAGES {
        return StatusCode::INSUFFICIENT_STORAGE;
    }
    content.messages.push(words.clone());
    let waiting = mem::take(&mut content.waiting);
    drop(content);
    Board::respond_to_all(waiting, words);
    StatusCode::NO_CONTENT
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    // Two workers are enough for thousands of clients that wait.
    let server = Server::builder().listen(address).workers(2).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);

    let handle = server.handle();
    let board = Board::default();
    let closed = board.clone();
    handle.on_shutdown(move || closed.close());
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shutdown();
    });

    let router: Router = Router::new()
        .get("/messages/{number}", message)
        .post("/say", say)
        .with_state(board);
    let report = server.run(router)?;
    println!("{report}");
    Ok(())
}
