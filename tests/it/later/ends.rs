//! How the wait for a later response ends in unusual cases.

use std::thread;
use std::time::Duration;

use httpool::http::StatusCode;
use httpool::http2::ErrorCode;
use httpool::{Builder, IntoResponse, Later, Layered, Next, Request, Upgrade};

use super::{Desk, serve};
use crate::support::{
    Client, Gate, Http2Client, NEVER, SOON, TestServer, Transport, eventually, request,
};

#[test]
fn later_response_may_come_later_again() {
    let (server, desk) = serve(Transport::Tcp);
    let mut client = server.connect();
    client.get("/");
    let (inner, later) = Later::new();
    desk.next().respond(later).expect("the client waits");
    inner
        .respond(Later::after(Duration::from_millis(5), "hello"))
        .expect("the client waits");
    client.expect_body("hello");
    client.get("/");
    let (inner, later) = Later::new();
    desk.next()
        .respond(later.deadline(SOON))
        .expect("the client waits");
    client.expect_status(504);
    assert!(inner.is_cancelled());
}

#[test]
fn upgrade_may_come_later() {
    let (server, desk) = serve(Transport::Tcp);
    let upgrade = || {
        Upgrade::new("test", |mut stream| {
            use std::io::Write;
            let _ = stream.write_all(b"welcome");
        })
    };
    let mut client = server.connect();
    client.get("/");
    desk.next().respond(upgrade()).expect("the client waits");
    client.expect_status(426);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n");
    desk.next().respond(upgrade()).expect("the client waits");
    client.expect_status(101);
    assert_eq!(client.expect_bytes(7), b"welcome");
    // The rest of a streamed body would be taken for the other protocol.
    let mut client = server.connect();
    client.send(
        "POST /unread HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: test\r\n\
         Content-Length: 5\r\n\r\n",
    );
    desk.next().respond(upgrade()).expect("the client waits");
    client.expect_status(500);
}

/// A program takes the failure for its own, so the client gets the real reason.
#[test]
fn failed_body_is_not_an_error_of_the_server() {
    let (desk, handler) = Desk::new();
    let server = Transport::Tcp.spawn(|builder| builder.body_timeout(SOON), handler);
    let respond = |status: StatusCode| desk.next().respond(status).expect("the client waits");
    for (given, expected) in [
        (StatusCode::INTERNAL_SERVER_ERROR, 408),
        (StatusCode::SERVICE_UNAVAILABLE, 408),
        (StatusCode::ACCEPTED, 202),
        (StatusCode::CONFLICT, 409),
    ] {
        let mut client = server.connect();
        client.send(request::post_head("/read", 6)).send("a b");
        respond(given);
        assert!(client.expect_status(expected).announces_close());
        let mut client = Http2Client::connect(&server);
        let stream = client.open_post("/read");
        client.data(stream, "a b", 0);
        respond(given);
        client.expect_status(stream, expected);
    }
    // This one is the server's own error.
    let mut client = server.connect();
    client.send(request::post_head("/read", 6)).send("a b");
    drop(desk.next());
    client.expect_status(500);
}

#[test]
fn response_that_came_before_the_wait_is_sent() {
    let (_desk, handler) = Desk::new();
    let respond = move |_: Request| {
        let (responder, later) = Later::new();
        responder
            .respond("at once")
            .expect("the response is wanted");
        drop(handler.clone());
        later
    };
    let server = TestServer::spawn(|builder| builder, respond);
    let mut client = server.connect();
    client.send(request::get("/").repeat(100));
    for _ in 0..100 {
        client.expect_body("at once");
    }
}

#[test]
fn waiting_request_is_never_shed() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let (desk, handler) = Desk::new();
    let layer = move |request: Request, next: Next<'_>| {
        if request.uri().path() == "/gate" {
            waiter.wait();
            return "gate".into_response();
        }
        next.run(request)
    };
    let server = Transport::Tcp.spawn(
        |builder| builder.workers(1).queue_timeout(SOON),
        Layered::new(handler).layer(layer),
    );
    let mut waiting = server.connect();
    waiting.get("/");
    let responder = desk.next();
    let mut blocked = server.connect();
    blocked.get("/gate");
    gate.expect_arrived(1);
    responder.respond("hello").expect("the client waits");
    // A request that has come after the response is shed.
    server.connect().get("/now").expect_status(503);
    gate.open();
    waiting.expect_body("hello");
    blocked.expect_body("gate");
}

#[test]
fn responses_and_lost_clients_race() {
    const CLIENTS: usize = 16;
    let (server, desk) = serve(Transport::Tcp);
    for _ in 0..20 {
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.get("/");
        }
        let mut over_http2 = Http2Client::connect(&server);
        let streams: Vec<_> = (0..CLIENTS).map(|_| over_http2.get("/")).collect();
        let responders: Vec<_> = (0..2 * CLIENTS).map(|_| desk.next()).collect();
        let responding = thread::spawn(move || {
            for responder in responders {
                // Some clients have left.
                let _ = responder.respond("hello");
            }
        });
        for (index, mut client) in clients.into_iter().enumerate() {
            match index % 2 {
                0 => client.reset(),
                _ => {
                    client.expect_body("hello");
                }
            }
        }
        for (index, stream) in streams.into_iter().enumerate() {
            if index % 2 == 0 {
                over_http2.reset(stream, ErrorCode::Cancel);
            } else {
                over_http2.expect_body(stream, "hello");
            }
        }
        responding.join().expect("the thread responds to all");
    }
    server.expect_open(0);
}

#[test]
fn memory_of_waiting_requests_is_bounded() {
    let (desk, handler) = Desk::new();
    let server = Transport::Tcp.spawn(|builder| builder.max_buffered_memory(4096), handler);
    let big = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(3000)
    );
    let mut first = server.connect();
    first.send(&big);
    let responder = desk.next();
    // The handler returns before its request is counted.
    eventually("the first request waits", || {
        server.handle().snapshot().buffered > 3000
    });
    let mut second = server.connect();
    second.send(&big);
    second.expect_status(503);
    assert!(desk.next().is_cancelled());
    responder.respond("hello").expect("the client waits");
    first.expect_body("hello");
    server.expect_serving();
}

#[test]
fn delayed_responses_count_in_the_memory_budget() {
    const SIZE: usize = 100_000;
    let handler = |_: Request| Later::after(NEVER, vec![b'x'; SIZE]);
    let configure = |builder: Builder| builder.max_buffered_memory(2 * SIZE + SIZE / 2);
    let server = TestServer::spawn(configure, handler);
    let mut waiting: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.get("/");
    }
    let buffered = || server.handle().snapshot().buffered;
    eventually("both wait", || buffered() >= 2 * SIZE);
    server.connect().get("/").expect_status(503);
    // A client that only closes its side may still read.
    waiting.into_iter().for_each(Client::reset);
    server.expect_open(0);
    assert_eq!(buffered(), 0);
}
