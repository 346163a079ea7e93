use std::io::{self, ErrorKind, Read as _};

use crossbeam_channel::bounded;
use httpool::http::StatusCode;
use httpool::{Builder, Request};

use super::{Streaming, read_all, streaming};
use crate::support::{NEVER, SOON, TIMEOUT, TestServer, Transport, over_every_transport, request};

over_every_transport! {
    a_client_that_stops_sending_gets_408,
    a_body_that_ends_early_gets_400,
}

/// The handler's read fails with this kind, and the client gets this status.
#[track_caller]
fn check_failure(
    transport: Transport,
    configure: impl FnOnce(Builder) -> Builder,
    most: u64,
    sent: impl AsRef<[u8]>,
    kind: ErrorKind,
    status: u16,
) {
    let (sender, receiver) = bounded(1);
    let server = transport.spawn(
        configure,
        Streaming(most, move |mut request: Request| {
            let failure =
                io::copy(request.body_mut(), &mut io::sink()).expect_err("the read fails");
            let failure_after = request.body_mut().read(&mut [0]);
            let failure_after = failure_after.expect_err("the next read fails");
            let kinds = [failure.kind(), failure_after.kind()];
            sender.send(kinds).expect("the test receives");
            StatusCode::INTERNAL_SERVER_ERROR
        }),
    );
    let mut client = server.connect();
    client.send(sent);
    if kind == ErrorKind::UnexpectedEof {
        client.finish_sending();
    }
    assert_eq!(receiver.recv_timeout(TIMEOUT), Ok([kind; 2]));
    let response = client.expect_status(status);
    assert!(response.announces_close(), "{response:?}");
    // The server may have closed the connection.
    drop(client.try_finish_sending());
    client.expect_closed();
    server.expect_open(0);
}

fn a_client_that_stops_sending_gets_408(transport: Transport) {
    for start in [
        request::post_head("/", 10),
        [&request::post_head("/", 10)[..], b"half"].concat(),
        [&request::chunked_head("/")[..], b"4\r\nhalf\r\n"].concat(),
    ] {
        let soon = |builder: Builder| builder.body_timeout(SOON).workers(1);
        check_failure(transport, soon, 100, start, ErrorKind::TimedOut, 408);
    }
}

#[test]
fn a_client_below_the_min_rate_gets_408() {
    let server = TestServer::spawn(
        |builder| {
            let fast = 1_000_000_000;
            builder
                .body_timeout(NEVER)
                .min_rate(fast)
                .min_rate_grace(SOON)
        },
        streaming(read_all),
    );
    let mut client = server.connect();
    client.send(request::post_head("/", 1_000_000));
    let trickle = client.trickle(b'x');
    client.expect_status(408);
    drop(trickle);
    client.finish_sending().expect_closed();
}

fn a_body_that_ends_early_gets_400(transport: Transport) {
    for start in [
        [&request::post_head("/", 10)[..], b"half"].concat(),
        [&request::chunked_head("/")[..], b"4\r\nhalf\r\n0\r\n"].concat(),
    ] {
        check_failure(
            transport,
            |builder| builder,
            100,
            start,
            ErrorKind::UnexpectedEof,
            400,
        );
    }
}

#[test]
fn invalid_chunks_get_400() {
    for chunks in ["x", "4\r\nhalf!", "4\r\nhalf\r\n-1", "0\r\nA b\r\n\r\n"] {
        let sent = [&request::chunked_head("/")[..], chunks.as_bytes()].concat();
        check_failure(
            Transport::Tcp,
            |builder| builder,
            100,
            sent,
            ErrorKind::InvalidData,
            400,
        );
    }
}

#[test]
fn chunks_over_the_limit_get_413() {
    let sent = [&request::chunked_head("/")[..], b"4\r\nhalf\r\n7\r\n"].concat();
    check_failure(
        Transport::Tcp,
        |builder| builder,
        10,
        sent,
        ErrorKind::FileTooLarge,
        413,
    );
}

#[test]
fn a_streamed_body_has_its_own_limit() {
    let server = TestServer::spawn(|builder| builder.max_body(4), Streaming(10, read_all));
    let mut client = server.connect();
    client.post("/", "eightish").expect_body("eightish");
    client.send(request::post_head("/", 11));
    let response = client.expect_status(413);
    assert!(response.announces_close(), "{response:?}");
}

#[test]
fn a_handler_may_respond_to_a_read_error() {
    let server = TestServer::spawn(
        |builder| builder,
        streaming(|request: Request| read_all(request).map_err(|_| StatusCode::IM_A_TEAPOT)),
    );
    let mut client = server.connect();
    client.send(request::chunked_head("/")).send("x");
    assert!(client.expect_status(418).announces_close());
    client.finish_sending().expect_closed();
}
