//! Takes an order as JSON, understands it, and gives it back as JSON.
//!
//! Run it with `cargo run --example json_echo [ADDR]`, then:
//! `curl localhost:4000 --json '{"item": "tea", "cups": 2}'`. Without `cups` it is one cup;
//! `"cups": "two"` is answered 400 with the line and column of the mistake.

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

fn answer(request: &Request) -> Response {
    if request.method() != Method::POST {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED);
        return ([(ALLOW, "POST")], problem).into_response();
    }
    take_order(request.body().as_bytes()).into_response()
}

/// A problem is told in the form that the request's `Accept` asks for.
fn take_order(content: &[u8]) -> Result<Json<Order>, Problem> {
    serde_json::from_slice(content)
        .map(Json)
        .map_err(|mistake| {
            Problem::new(StatusCode::BAD_REQUEST).detail(format!("this is no order: {mistake}"))
        })
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder().listen(address).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);
    server.run(|request: Request| answer(&request))?;
    Ok(())
}
