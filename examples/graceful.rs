//! Stops when it is told to, and says what came of it.
//!
//! The library installs no signal handler: when to stop is the program's choice. This one stops
//! when Enter is pressed (or its standard input ends), or when someone asks for `/shutdown`.
//!
//! Run it with `cargo run --example graceful [ADDR]`, then: `curl localhost:4000/shutdown`.

use std::time::Duration;
use std::{env, error::Error, io, thread};

use httpool::{ListenAddr, Request, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder()
        .listen(address.parse::<ListenAddr>()?)
        .drain_timeout(Duration::from_secs(10))
        .bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);

    // Handles are cheap to clone, and any thread may use one.
    let handle = server.handle();
    thread::spawn(move || {
        // A line, an end and an error all mean that nobody wants the server any more.
        let _ = io::stdin().read_line(&mut String::new());
        handle.shutdown();
    });

    let handle = server.handle();
    let report = server.run(move |request: Request| {
        if request.uri().path() == "/shutdown" {
            // The drain begins, and this request is part of what it finishes.
            handle.shutdown();
            return "goodbye\n";
        }
        "still here\n"
    })?;
    println!("{report}");
    Ok(())
}
