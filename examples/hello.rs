//! Answers every request with a greeting.
//!
//! Run it with `cargo run --example hello [ADDR]`, then: `curl localhost:4000/some/path`.

use std::{env, error::Error};

use httpool::{Request, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder().listen(address).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);
    server.run(|request: Request| format!("Hello! You asked for {}\n", request.uri()))?;
    Ok(())
}
