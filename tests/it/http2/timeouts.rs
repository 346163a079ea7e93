//! Clients send their first bytes before the server runs, so that no deadline can pass in between.

use std::thread;
use std::time::Duration;

use httpool::http2::ErrorCode;
use httpool::{Builder, Request};

use crate::support::http2::{
    END_STREAM, Frame, Goaway, Http2Client, kind, request_fields, setting,
};
use crate::support::{BoundServer, HUGE, NEVER, SOON, eventually, mirror};

/// Between two frames, because PINGs without a pause are an attack.
const PAUSE: Duration = Duration::from_millis(10);

/// A server that is not running, and a client that has sent the preface.
#[track_caller]
fn bound(configure: impl FnOnce(Builder) -> Builder) -> (BoundServer, Http2Client) {
    let server = BoundServer::new(configure);
    let client = Http2Client::over(server.connect(), &[]);
    (server, client)
}

fn only_body_soon(builder: Builder) -> Builder {
    let builder = builder.head_timeout(NEVER).body_timeout(SOON);
    builder.write_timeout(NEVER).idle_timeout(NEVER)
}

#[test]
fn incomplete_body_gets_408_and_other_streams_go_on() {
    let (server, mut client) = bound(only_body_soon);
    let (empty, half) = (client.open_post("/"), client.open_post("/"));
    client.data(half, "half", 0);
    let server = server.run(mirror);
    for stream in [empty, half] {
        client.read_until("408", |client| client.reply(stream).response.is_some());
        assert_eq!(client.expect_reset(stream), ErrorCode::NoError);
        let response = client
            .reply(stream)
            .response
            .as_ref()
            .expect("it has arrived");
        assert_eq!(response.status, 408, "{response:?}");
        assert!(
            response.text().contains("body took too long"),
            "{response:?}"
        );
    }
    let stream = client.post("/", "whole");
    client.expect_body(stream, "whole");
    assert_eq!(client.goaways(), []);
    server.expect_open(1);
}

#[test]
fn trickling_body_gets_408() {
    let (server, mut client) = bound(only_body_soon);
    let stream = client.open_post("/");
    let _server = server.run(mirror);
    while client.reply(stream).response.is_none() {
        client.data(stream, "x", 0).settle();
        // The body trickles.
        thread::sleep(PAUSE);
    }
    let response = client.reply(stream).response.as_ref();
    assert_eq!(response.map(|response| response.status), Some(408));
}

/// The rate counts for each stream: one that is fast does not hide one that is slow.
#[test]
fn stream_below_the_minimum_rate_gets_408() {
    let (server, mut client) = bound(|builder| {
        let builder = builder.head_timeout(NEVER).body_timeout(NEVER);
        builder.min_rate(1_000_000_000).min_rate_grace(SOON)
    });
    let (slow, other) = (client.open_post("/"), client.open_post("/"));
    let _server = server.run(mirror);
    while client.reply(slow).response.is_none() {
        client.data(slow, "x", 0).settle();
        // The body trickles.
        thread::sleep(PAUSE);
    }
    let status = client
        .reply(slow)
        .response
        .as_ref()
        .map(|response| response.status);
    assert_eq!(status, Some(408));
    assert!(!client.reply(other).is_ended || client.reply(other).response.is_some());
}

/// Nothing else may arrive before the rest of a head, so the connection ends.
#[test]
fn incomplete_head_ends_the_connection() {
    let (server, mut client) = bound(|builder| builder.head_timeout(SOON).idle_timeout(NEVER));
    let stream = client.next_stream();
    client.send_frame(&Frame::new(kind::HEADERS, END_STREAM, stream, b"\x82"));
    let server = server.run(mirror);
    client.expect_goaway(1);
    client.client().finish_sending();
    let _ = client.expect_end();
    server.expect_open(0);
}

#[test]
fn incomplete_preface_ends_the_connection() {
    let starts = [
        &b"P"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for start in starts {
        let server = BoundServer::new(|builder| builder.head_timeout(SOON).idle_timeout(NEVER));
        let mut client = server.connect();
        client.send(start);
        let server = server.run(mirror);
        client.read_rest();
        server.expect_open(0);
    }
}

#[test]
fn idle_connection_ends_with_goaway() {
    let (server, mut client) = bound(|builder| builder.head_timeout(NEVER).idle_timeout(SOON));
    let stream = client.post("/", "before");
    let server = server.run(mirror);
    client.expect_body(stream, "before");
    // As in a drain, a request may be on its way until the second GOAWAY.
    for (count, last_stream) in [(1, Goaway::NO_STREAM_REFUSED), (2, stream)] {
        let goaway = client.expect_goaway(count);
        assert_eq!(
            (goaway.code, goaway.last_stream),
            (ErrorCode::NoError, last_stream)
        );
    }
    client.expect_closed();
    drop(client);
    server.expect_open(0);
    let idle = server
        .handle()
        .close_counts()
        .find(|(reason, _)| reason.as_str() == "idle");
    assert_eq!(idle.map(|(_, count)| count), Some(1));
}

/// A connection with a stream is not idle, and PINGs do not keep one open.
#[test]
fn idle_timeout_counts_while_no_stream_is_open() {
    let (server, mut client) = bound(|builder| builder.idle_timeout(SOON));
    let stream = client.get("/");
    let _server = server.run(|request: Request| {
        // Sleeps longer than the timeout.
        thread::sleep(3 * SOON);
        mirror(request)
    });
    client.expect_body(stream, "");
    while client.goaways().is_empty() {
        // A client that sends PINGs without a pause is closed for that.
        thread::sleep(PAUSE);
        if client.try_send_frames(&[Frame::ping([0; 8])]).is_err() || client.next_frame().is_none()
        {
            break;
        }
    }
    assert_eq!(client.expect_goaway(1).code, ErrorCode::NoError);
}

/// The client takes nothing of one stream, and all of another.
#[test]
fn stream_without_window_is_reset_after_the_write_timeout() {
    let server = BoundServer::new(|builder| builder.write_timeout(SOON).idle_timeout(NEVER));
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut client = Http2Client::over(server.connect(), &settings).without_credit();
    let stuck = client.get("/");
    let server = server.run(|_: Request| "hello");
    assert_eq!(client.expect_reset(stuck), ErrorCode::Cancel);
    let other = client.get("/");
    client.give_credit(other, 100);
    client.expect_body(other, "hello");
    assert_eq!(client.goaways(), []);
    server.expect_open(1);
}

/// Credit for one byte is no progress.
#[test]
fn stream_with_a_window_of_single_bytes_is_reset() {
    let server = BoundServer::new(|builder| {
        let builder = builder.write_timeout(SOON).idle_timeout(NEVER);
        builder.min_rate(1_000).min_rate_grace(SOON)
    });
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut client = Http2Client::over(server.connect(), &settings).without_credit();
    let stream = client.get("/");
    let server = server.run(|_: Request| vec![b'x'; 10_000]);
    let mut taken = 0;
    while client.reply(stream).reset.is_none() {
        taken += 1;
        assert!(taken < 10_000, "the response was not aborted");
        client.give_credit(stream, 1).settle();
        // Credit trickles.
        thread::sleep(PAUSE);
    }
    assert_eq!(client.expect_reset(stream), ErrorCode::Cancel);
    server.expect_open(1);
}

#[test]
fn connection_without_window_ends_after_the_write_timeout() {
    let server = BoundServer::new(|builder| builder.write_timeout(SOON).idle_timeout(NEVER));
    let settings = [(setting::INITIAL_WINDOW_SIZE, 1_000_000_000)];
    let mut client = Http2Client::over(server.connect(), &settings).without_credit();
    let streams = [(); 3].map(|()| client.get("/"));
    let _server = server.run(|_: Request| vec![b'x'; 1_000_000]);
    // Either ends: the streams or the connection.
    client.read_until("an end", |client| {
        let is_reset = |stream: &u32| client.reply(*stream).reset.is_some();
        !client.goaways().is_empty() || streams.iter().all(is_reset)
    });
}

#[test]
fn client_that_does_not_read_is_aborted() {
    let server = BoundServer::new(|builder| builder.write_timeout(SOON));
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)];
    let mut client = Http2Client::over(server.connect(), &settings).without_credit();
    client.give_credit(0, 0x7fff_ffff - 65_535);
    client.get("/");
    let server = server.run(|_: Request| vec![b'x'; HUGE]);
    eventually("the request was accepted and its connection closed", || {
        let snapshot = server.handle().snapshot();
        snapshot.accepted == 1 && snapshot.open == 0
    });
    assert_eq!(server.handle().snapshot().answered, 0);
}

#[test]
fn handler_time_does_not_count_against_the_client() {
    let (server, mut client) = bound(|builder| {
        let builder = builder.workers(1).head_timeout(SOON).body_timeout(SOON);
        builder.write_timeout(SOON).idle_timeout(SOON)
    });
    let streams = ["slow", "and again"].map(|body| (client.post("/", body), body));
    let _server = server.run(|request: Request| {
        // Sleeps longer than every timeout.
        thread::sleep(3 * SOON);
        mirror(request)
    });
    for (stream, body) in streams {
        client.expect_body(stream, body);
    }
}

/// The timeouts of several streams are independent.
#[test]
fn body_of_one_stream_may_end_after_that_of_another() {
    let (server, mut client) = bound(only_body_soon);
    let late = client.open(&request_fields("POST", "/"));
    let server = server.run(mirror);
    assert_eq!(client.expect_reset(late), ErrorCode::NoError);
    for _ in 0..5 {
        let stream = client.open_post("/");
        client.data(stream, "a ", 0).settle();
        client.data(stream, "body", END_STREAM);
        client.expect_body(stream, "a body");
    }
    server.expect_open(1);
}
