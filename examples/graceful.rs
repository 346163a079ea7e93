//! A server inside a bigger program: the program stops it, and ends in the right order.
//!
//! Who asks for `/greet/NAME` is greeted at once, and put into a guest book by a thread of the
//! program's own, later. The server is stopped first, so that every guest is in the queue, and then
//! the queue is finished, so that every guest is in the book.
//!
//! The library installs no signal handler: when to stop is the program's choice. This one stops
//! when Enter is pressed (or its standard input ends), or when someone asks for `/shutdown`.
//!
//! Run it with `cargo run --example graceful [ADDR]`, then: `curl localhost:4000/greet/ada` and
//! `curl localhost:4000/shutdown`.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use std::{env, error::Error, io, thread};

use httpool::Router;
use httpool::extract::{Path, State};
use httpool::http::StatusCode;
use httpool::{Handle, Server};

/// Guests who wait to be written down. If there are more, a handler waits for room.
const QUEUE: usize = 100;

/// What functions need of the program.
#[derive(Clone)]
struct Program {
    guests: SyncSender<String>,
    server: Handle,
}

fn greet(
    State(program): State<Program>,
    Path(name): Path<String>,
) -> Result<String, (StatusCode, &'static str)> {
    let greeting = format!("hello, {name}\n");
    match program.guests.send(name) {
        Ok(()) => Ok(greeting),
        Err(_) => Err((StatusCode::SERVICE_UNAVAILABLE, "nobody writes any more\n")),
    }
}

fn shut_down(State(program): State<Program>) -> &'static str {
    // The drain begins, and this request is part of what it finishes.
    program.server.shutdown();
    "goodbye\n"
}

/// Writes until nobody sends guests any more, and returns the book.
fn write_down(guests: &Receiver<String>) -> Vec<String> {
    guests.iter().collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder()
        .listen(address)
        .drain_timeout(Duration::from_secs(10))
        .bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);

    let (guests, queue) = sync_channel(QUEUE);
    let writer = thread::spawn(move || write_down(&queue));

    // Handles are cheap to clone, and any thread may use one.
    let handle = server.handle();
    let router: Router = Router::new()
        .get("/", || "still here\n")
        .get("/greet/{name}", greet)
        .get("/shutdown", shut_down)
        .with_state(Program {
            guests,
            server: handle.clone(),
        });
    let server = thread::spawn(move || server.run(router));

    // What else the program does it does here, and this is how it learns that it is to end: a
    // line, an end and an error all mean that nobody wants it any more.
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shutdown();
    });

    // The router goes with the server, and with it the last sender.
    let report = server.join().expect("a server does not panic")?;
    let book = writer.join().expect("to write is no danger");
    println!("{report}");
    println!("in the book: {book:?}");
    Ok(())
}
