//! Adds layers around routes: several from the library, and one custom layer.
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

/// A layer is a function. The code before `next.run` sees the request, and the code after it sees
/// the response.
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
    format!("only {name} sees this\n")
}

/// The server can't interrupt a handler, so a slow handler checks its deadline itself.
fn slow(deadline: Deadline) -> Result<&'static str, TooLate> {
    for _ in 0..1000 {
        let left = deadline.remaining()?;
        thread::sleep(left.min(Duration::from_millis(20)));
    }
    Ok("done after all\n")
}

fn broken() -> &'static str {
    panic!("a defect in this handler")
}

fn main() -> Result<(), Box<dyn Error>> {
    let admin = Router::new()
        .layer(BasicAuth::of("Admin", [("ada", "lovelace")]))
        .get("/", admin);
    // Layers run in the order in which they are added; the first one sees the response last.
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
