//! Clients send their first bytes before the server runs, so that no deadline can pass in between.

use std::io::Read as _;
use std::thread;

use httpool::{Builder, Request};

use crate::support::{BoundServer, HUGE, NEVER, SOON, eventually, mirror, request};

/// Expects a 408 that contains `says`, and then a close.
#[track_caller]
fn check(configure: impl FnOnce(Builder) -> Builder, sent: impl AsRef<[u8]>, expected: &str) {
    let server = BoundServer::new(configure);
    let mut client = server.connect();
    client.send(sent);
    let server = server.run(mirror);
    let response = client.expect_status(408);
    assert!(response.text().contains(expected), "{response:?}");
    assert!(response.announces_close(), "{response:?}");
    client.finish_sending().expect_closed();
    server.expect_open(0);
}

#[test]
fn incomplete_head_is_408() {
    for start in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: it\r\n"] {
        check(
            |builder| builder.head_timeout(SOON),
            start,
            "head took too long",
        );
    }
}

#[test]
fn incomplete_head_of_a_later_request_is_408() {
    let server = BoundServer::new(|builder| builder.head_timeout(SOON));
    let mut client = server.connect();
    client.send([request::post("/", "whole"), b"POST / HT".to_vec()].concat());
    let _server = server.run(mirror);
    client.expect_body("whole");
    client.expect_status(408);
    client.expect_closed();
}

#[test]
fn trickling_head_is_408() {
    let server = BoundServer::new(|builder| builder.head_timeout(SOON));
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nX: ");
    let _server = server.run(mirror);
    let trickle = client.trickle(b'x');
    client.expect_status(408);
    drop(trickle);
    client.finish_sending().expect_closed();
}

#[test]
fn connection_without_a_request_closes_silently() {
    let server = BoundServer::new(|builder| builder.head_timeout(SOON).idle_timeout(NEVER));
    let (mut silent, mut empty_line) = (server.connect(), server.connect());
    // An empty line does not start a request.
    empty_line.send("\r\n");
    let _server = server.run(mirror);
    silent.expect_closed();
    empty_line.expect_closed();
}

#[test]
fn incomplete_body_is_408() {
    for start in [
        request::post_head("/", 10),
        [&request::post_head("/", 10)[..], b"half"].concat(),
        request::chunked_head("/"),
        [&request::chunked_head("/")[..], b"4\r\nhalf\r\n"].concat(),
    ] {
        check(
            |builder| builder.body_timeout(SOON),
            start,
            "body took too long",
        );
    }
}

#[test]
fn trickling_body_is_408() {
    let server = BoundServer::new(|builder| builder.body_timeout(SOON));
    let mut client = server.connect();
    client.send(request::post_head("/", 1_000_000));
    let _server = server.run(mirror);
    let trickle = client.trickle(b'x');
    client.expect_status(408);
    drop(trickle);
    client.finish_sending().expect_closed();
}

/// Far above the rate of any client in these tests.
const FAST: usize = 1_000_000_000;

#[test]
fn client_below_the_minimum_rate_gets_408() {
    let never = |builder: Builder| builder.head_timeout(NEVER).body_timeout(NEVER);
    for (start, expected) in [
        ("GET / HTTP/1.1\r\nX: ".into(), "head took too long"),
        (request::post_head("/", 1_000_000), "body took too long"),
    ] {
        let server = BoundServer::new(|builder| never(builder).min_rate(FAST).min_rate_grace(SOON));
        let mut client = server.connect();
        client.send(start);
        let _server = server.run(mirror);
        let trickle = client.trickle(b'x');
        let response = client.expect_status(408);
        assert!(response.text().contains(expected), "{response:?}");
        drop(trickle);
        client.finish_sending().expect_closed();
    }
}

#[test]
fn client_above_the_minimum_rate_may_take_its_time() {
    let server = BoundServer::new(|builder| {
        let builder = builder.head_timeout(NEVER).body_timeout(NEVER);
        builder.min_rate(1).min_rate_grace(SOON)
    });
    let (mut steady, mut late) = (server.connect(), server.connect());
    // It has sent enough for a rate of 1 byte per second during the whole test.
    steady
        .send(request::post_head("/", 6_000))
        .send([b'x'; 5_000]);
    late.send(request::post_head("/", 6_000));
    let _server = server.run(mirror);
    // The 408 of the other client shows that the grace period is over.
    late.expect_status(408);
    steady.send([b'x'; 1_000]).expect_body([b'x'; 6_000]);
}

#[test]
fn reader_below_the_minimum_rate_is_aborted() {
    let server = BoundServer::new(|builder| {
        let builder = builder.write_timeout(NEVER);
        builder.min_rate(FAST).min_rate_grace(SOON)
    });
    let mut client = server.connect();
    client.get("/");
    let server = server.run(|_: Request| vec![b'x'; HUGE]);
    // It keeps reading slowly: without the pause it would be fast enough.
    let (mut part, mut taken) = ([0; 10_000], 0);
    while let Ok(count @ 1..) = client.socket().read(&mut part) {
        taken += count;
        thread::sleep(SOON / 100);
    }
    assert!(taken < HUGE, "the response was not aborted");
    assert_eq!(server.handle().snapshot().answered, 0);
}

#[test]
fn idle_connections_have_their_own_timeout() {
    let server = BoundServer::new(|builder| {
        let builder = builder.head_timeout(SOON).body_timeout(SOON);
        builder.write_timeout(SOON).idle_timeout(NEVER)
    });
    let (mut idle, mut other) = (server.connect(), server.connect());
    idle.post("/", "before");
    other.send("POST");
    let _server = server.run(mirror);
    idle.expect_body("before");
    // The 408 of the other client shows that the other timeouts have passed.
    other.expect_status(408);
    idle.post("/", "after").expect_body("after");
}

#[test]
fn handler_time_does_not_count_against_the_client() {
    let server = BoundServer::new(|builder| {
        let builder = builder.workers(1).head_timeout(SOON).body_timeout(SOON);
        builder.write_timeout(SOON).idle_timeout(SOON)
    });
    let mut client = server.connect();
    client.post("/", "slow").post("/", "and again");
    let _server = server.run(|request: Request| {
        // Sleeps longer than every timeout.
        thread::sleep(3 * SOON);
        mirror(request)
    });
    client.expect_body("slow");
    client.expect_body("and again");
}

#[test]
fn client_that_does_not_read_is_aborted() {
    let server = BoundServer::new(|builder| builder.write_timeout(SOON));
    let mut client = server.connect();
    client.get("/");
    let server = server.run(|_: Request| vec![b'x'; HUGE]);
    eventually("the request was accepted and its connection closed", || {
        let progress = server.handle().snapshot();
        progress.accepted == 1 && progress.open == 0
    });
    let (received, _) = client.read_rest();
    assert!(received.len() < HUGE, "the response was not aborted");
    assert_eq!(server.handle().snapshot().answered, 0);
}
