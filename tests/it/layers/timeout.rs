use std::time::Duration;

use httpool::layers::{Deadline, Timeout, TooLate};
use httpool::{Layered, Request};

use super::{call, get, text};
use crate::support::{NEVER, TestServer};

/// Fails if no time is left, and reports whether there is a deadline.
fn remaining(request: Request) -> Result<&'static str, TooLate> {
    let left = Deadline::of(&request).remaining()?;
    Ok(if left > NEVER {
        "no deadline"
    } else {
        "time left"
    })
}

#[test]
fn an_expired_deadline_gives_503() {
    assert_eq!(text(&call(&remaining, get("/"))), "no deadline");
    let long = Layered::new(remaining).layer(Timeout::new(NEVER));
    assert_eq!(text(&call(&long, get("/"))), "time left");
    let expired = Layered::new(remaining).layer(Timeout::new(Duration::ZERO));
    let response = call(&expired, get("/"));
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[test]
fn the_stricter_of_two_timeouts_counts() {
    for timeouts in [[Duration::ZERO, NEVER], [NEVER, Duration::ZERO]] {
        let [first, second] = timeouts.map(Timeout::new);
        let handler = Layered::new(remaining).layer(first).layer(second);
        assert_eq!(call(&handler, get("/")).status(), 503, "{timeouts:?}");
    }
}

#[test]
fn the_longest_timeout_is_accepted() {
    let handler = Layered::new(remaining).layer(Timeout::new(Duration::MAX));
    assert_eq!(text(&call(&handler, get("/"))), "no deadline");
}

#[test]
fn a_handler_can_take_the_deadline() {
    use std::time::Instant;

    use httpool::Router;

    let router: Router = Router::new()
        .layer(Timeout::new(Duration::ZERO))
        .get("/", |deadline: Deadline| {
            format!("{}", deadline.at() <= Instant::now())
        });
    assert_eq!(text(&call(&router, get("/"))), "true");
}

#[test]
fn a_timeout_response_has_the_clients_format() {
    let handler = Layered::new(remaining).layer(Timeout::new(Duration::ZERO));
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: it\r\nAccept: application/json\r\n\r\n");
    let response = client.expect_status(503);
    assert_eq!(response.header("retry-after"), Some("1"));
    assert!(
        response
            .text()
            .contains(r#""detail":"the request took too long""#)
    );
}
