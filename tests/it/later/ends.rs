//! How the wait for a later response ends on HTTP/1.1 in unusual cases.

use std::time::Duration;

use httpool::{Later, Upgrade};

use super::{Desk, serve};
use crate::support::{SOON, Transport, request};

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

#[test]
fn response_that_came_before_the_wait_is_sent() {
    let (_desk, handler) = Desk::new();
    let respond = move |_: httpool::Request| {
        let (responder, later) = Later::new();
        responder
            .respond("at once")
            .expect("the response is wanted");
        drop(handler.clone());
        later
    };
    let server = crate::support::TestServer::spawn(|builder| builder, respond);
    let mut client = server.connect();
    client.send(request::get("/").repeat(100));
    for _ in 0..100 {
        client.expect_body("at once");
    }
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
    let mut second = server.connect();
    second.send(&big);
    second.expect_status(503);
    assert!(desk.next().is_cancelled());
    responder.respond("hello").expect("the client waits");
    first.expect_body("hello");
    server.expect_serving();
}
