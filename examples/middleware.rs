//! Layers around routes: some that are provided, and one of one's own.
//!
//! Run it with `cargo run --example middleware --all-features [ADDR]`, then:
//!
//! ```sh
//! curl -i localhost:4000
//! curl -i --compressed localhost:4000/poem
//! curl -i -u ada:lovelace localhost:4000/admin
//! curl -i localhost:4000/slow
//! ```

use std::env;
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use httpool::Router;
use httpool::http::header::{HeaderName, HeaderValue};
use httpool::layers::{
    BasicAuth, CatchPanic, Compression, Deadline, RateLimit, SecurityHeaders, Timeout, TooLate,
    User,
};
use httpool::{Next, Problem, Request, Response, Server, http::StatusCode};

const TOOK: HeaderName = HeaderName::from_static("x-took-microseconds");

/// A layer is a function: what it does before `next` it does to the request, and what it does
/// afterwards to the answer.
fn time(request: Request, next: Next<'_>) -> Response {
    let began = Instant::now();
    let mut response = next.run(request);
    let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    response.headers_mut().insert(TOOK, HeaderValue::from(took));
    response
}

fn poem() -> String {
    "Tyger Tyger, burning bright,\nIn the forests of the night;\n".repeat(100)
}

fn admin(User(name): User) -> String {
    format!("all that {name} may see\n")
}

/// Nothing can stop a function from outside, so it asks itself whether there is time for more.
fn slow(deadline: Deadline) -> Result<&'static str, TooLate> {
    for _ in 0..1000 {
        let left = deadline.remaining()?;
        thread::sleep(left.min(Duration::from_millis(20)));
    }
    Ok("done after all\n")
}

fn broken() -> &'static str {
    panic!("this function is broken")
}

fn main() -> Result<(), Box<dyn Error>> {
    let admin = Router::new()
        .layer(BasicAuth::of("Admin", [("ada", "lovelace")]))
        .get("/", admin);
    // What is written first sees a request first, and its answer last.
    let router: Router = Router::new()
        .layer(time)
        .layer(SecurityHeaders::new())
        .layer(RateLimit::new(100, Duration::from_secs(10)))
        .layer(Compression::new())
        .layer(CatchPanic::new(|_| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR).detail("we are looking into it")
        }))
        .layer(Timeout::new(Duration::from_millis(200)))
        .get("/", || "hello\n")
        .get("/poem", poem)
        .get("/slow", slow)
        .get("/broken", broken)
        .nest("/admin", admin);

    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder().listen(address).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);
    server.run(router)?;
    Ok(())
}
