//! Runs a server inside a larger program, and shuts both down in the right order.
//!
//! `/greet/NAME` responds at once. A background thread later writes the name into a guest book.
//! Shutdown stops the server first, so that every name is in the queue. Then it finishes the queue,
//! so that every name is in the book.
//!
//! The program decides when to shut down: on Ctrl-C or SIGTERM (`run_until_signal`), when Enter is
//! pressed, when its standard input ends, or on a request for `/shutdown`.
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

/// Longest queue of names. When the queue is full, a handler blocks until there is room.
const QUEUE: usize = 100;

/// The state that the handlers share.
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
        Err(_) => Err((
            StatusCode::SERVICE_UNAVAILABLE,
            "the guest book is closed\n",
        )),
    }
}

fn shut_down(State(program): State<Program>) -> &'static str {
    // Starts the drain, which completes this request too.
    program.server.shutdown();
    "goodbye\n"
}

/// Collects names until every sender is dropped, and returns the book.
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

    // A handle is cheap to clone and can be used from any thread.
    let handle = server.handle();
    let router: Router = Router::new()
        .get("/", || "still here\n")
        .get("/greet/{name}", greet)
        .get("/shutdown", shut_down)
        .with_state(Program {
            guests,
            server: handle.clone(),
        });
    let server = thread::spawn(move || server.run_until_signal(router));

    // The rest of the program would run here. A line, the end of input and a read error all shut
    // it down.
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shutdown();
    });

    // When the server ends, the router and its sender are dropped, so the writer ends too.
    let report = server.join().expect("the server does not panic")?;
    let book = writer.join().expect("the writer does not panic");
    println!("{report}");
    println!("in the book: {book:?}");
    Ok(())
}
