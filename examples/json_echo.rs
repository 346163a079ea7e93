//! Parses an order from JSON and returns it as JSON.
//!
//! Run it with `cargo run --example json_echo [ADDR]`, then:
//! `curl localhost:4000 --json '{"item": "tea", "cups": 2}'`. `cups` defaults to 1.
//! `"cups": "two"` gets a 400 response with the line and column of the error.

use std::{env, error::Error};

use httpool::http::header::ALLOW;
use httpool::http::{Method, StatusCode};
use httpool::{IntoResponse, Json, Problem, Request, Response, Server};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    item: String,
    #[serde(default = "one")]
    cups: u8,
}

fn one() -> u8 {
    1
}

fn respond(request: &Request) -> Response {
    if request.method() != Method::POST {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED);
        return ([(ALLOW, "POST")], problem).into_response();
    }
    take_order(request.body().as_bytes()).into_response()
}

/// The server sends a `Problem` in the format that the request's `Accept` header prefers.
fn take_order(content: &[u8]) -> Result<Json<Order>, Problem> {
    serde_json::from_slice(content).map(Json).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST).detail(format!("invalid order: {error}"))
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder().listen(address).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);
    server.run(|request: Request| respond(&request))?;
    Ok(())
}
