use httpool::http2::ErrorCode;

use super::{end_of_reset, spawn};
use crate::support::http2::Http2Client;
use crate::support::{End, TestServer, Transport, eventually, over_every_transport};

over_every_transport! {
    stream_is_reset_with_the_code_and_others_continue,
    stream_ends_before_its_announced_length,
    announced_length_disagrees_with_the_content,
    reset_ends_the_connection,
    goaway_disowns_the_stream_and_closes,
    empty_reply_closes_the_connection,
    large_content_is_broken_off_behind_the_windows,
}

fn target(faults: &str) -> String {
    format!("/?fault={faults}")
}

/// Another client is served, and nothing is left of the first one.
#[track_caller]
fn expect_healthy(client: Http2Client, server: TestServer) {
    drop(client);
    server.expect_open(0);
    server.expect_serving();
    assert_eq!(server.shut_down().aborted, 0);
}

fn stream_is_reset_with_the_code_and_others_continue(transport: Transport) {
    let server = spawn(transport);
    let mut client = Http2Client::connect(&server);
    for (faults, code, received) in [
        ("stream-reset", ErrorCode::InternalError, None),
        (
            "stream-reset=refused_stream",
            ErrorCode::RefusedStream,
            None,
        ),
        (
            "size=9,stream-reset=cancel:head",
            ErrorCode::Cancel,
            Some(0),
        ),
        (
            "size=9,stream-reset=middle",
            ErrorCode::InternalError,
            Some(4),
        ),
        ("stream-reset=cancel:0", ErrorCode::Cancel, Some(0)),
        (
            "size=0,stream-reset=cancel:head",
            ErrorCode::Cancel,
            Some(0),
        ),
        ("size=9,chunk=size", ErrorCode::ProtocolError, Some(4)),
    ] {
        let stream = client.get(&target(faults));
        assert_eq!(client.expect_reset(stream), code, "{faults}");
        let response = client.reply(stream).response.as_ref();
        let length = response.map(|response| response.body.len());
        assert_eq!(length, received, "{faults}");
    }
    let stream = client.get("/");
    client.expect_status(stream, 200);
    assert!(client.goaways().is_empty());
    expect_healthy(client, server);
}

fn stream_ends_before_its_announced_length(transport: Transport) {
    let server = spawn(transport);
    let mut client = Http2Client::connect(&server);
    for (place, count) in [("head", 0), ("middle", 50), ("7", 7)] {
        let stream = client.get(&target(&format!("size=100,truncate={place}")));
        let reply = client.expect_reply(stream);
        let response = reply.response.expect("there is a response");
        assert!(reply.is_ended && reply.reset.is_none());
        assert_eq!(response.header("content-length"), Some("100"));
        assert_eq!(response.body.len(), count);
    }
    expect_healthy(client, server);
}

fn announced_length_disagrees_with_the_content(transport: Transport) {
    let server = spawn(transport);
    let mut client = Http2Client::connect(&server);
    for announced in ["90", "110"] {
        let stream = client.get(&target(&format!("size=100,length={announced}")));
        let response = client.expect_reply(stream).response;
        let response = response.expect("there is a response");
        assert_eq!(response.header("content-length"), Some(announced));
        assert_eq!(response.body.len(), 100);
    }
    expect_healthy(client, server);
}

fn reset_ends_the_connection(transport: Transport) {
    for (faults, received) in [
        ("reset", None),
        ("size=1000,reset=head", Some(0)),
        ("size=1000,reset=middle", Some(500)),
    ] {
        let server = spawn(transport);
        // A write after the reset would take the place of its error.
        let mut client = Http2Client::connect(&server).without_credit();
        client.settle();
        let waiting = client.get(&target("never"));
        let stream = client.get(&target(faults));
        let end = client.expect_end();
        // What the client has sent meanwhile resets a Unix socket, too.
        assert!(
            end == End::Reset || end == end_of_reset(transport),
            "{end:?}"
        );
        let response = client.reply(stream).response.as_ref();
        assert_eq!(response.map(|response| response.body.len()), received);
        assert!(client.reply(waiting).response.is_none());
        assert!(client.goaways().is_empty());
        expect_healthy(client, server);
    }
}

fn goaway_disowns_the_stream_and_closes(transport: Transport) {
    let server = spawn(transport);
    let mut client = Http2Client::connect(&server);
    for (faults, code, last) in [
        ("goaway=enhance_your_calm", ErrorCode::EnhanceYourCalm, 1),
        ("goaway", ErrorCode::NoError, 1),
    ] {
        let first = client.get("/");
        client.expect_status(first, 200);
        client.get(&target(faults));
        let goaway = client.expect_goaway(1);
        assert_eq!((goaway.code, goaway.last_stream), (code, last));
        client.expect_closed();
        client = Http2Client::connect(&server);
    }
    // The first stream of a connection.
    client.get(&target("goaway"));
    assert_eq!(client.expect_goaway(1).last_stream, 0);
    client.expect_closed();
    expect_healthy(client, server);
}

fn empty_reply_closes_the_connection(transport: Transport) {
    let server = spawn(transport);
    let mut client = Http2Client::connect(&server);
    client.get(&target("truncate=before"));
    assert_eq!(client.expect_end(), End::Closed);
    assert!(client.goaways().is_empty());
    expect_healthy(client, server);
}

/// The client's window is smaller than the content, so it is sent in several turns.
fn large_content_is_broken_off_behind_the_windows(transport: Transport) {
    let server = spawn(transport);
    let mut client = Http2Client::connect(&server);
    let stream = client.get(&target("size=400000,stream-reset=cancel:300000"));
    assert_eq!(client.expect_reset(stream), ErrorCode::Cancel);
    assert_eq!(client.reply(stream).body_length(), 300_000);
    client.get(&target("size=400000,goaway"));
    client.expect_closed();
    expect_healthy(client, server);
}

#[test]
fn dripping_stream_is_reset_in_the_middle() {
    let server = spawn(Transport::Tcp);
    let mut client = Http2Client::connect(&server).without_credit();
    let stream = client.get(&target("size=4,drip=300ms,stream-reset=cancel:middle"));
    let beside = client.get("/");
    client.expect_status(beside, 200);
    assert_eq!(client.expect_reset(stream), ErrorCode::Cancel);
    assert_eq!(client.reply(stream).body_length(), 2);
    let stream = client.get(&target("size=4,drip=200ms,reset=middle"));
    assert_eq!(client.expect_end(), End::Reset);
    assert_eq!(client.reply(stream).body_length(), 2);
    expect_healthy(client, server);
}

#[test]
fn reset_client_ends_a_request_without_response() {
    let server = spawn(Transport::Tcp);
    let mut client = Http2Client::connect(&server);
    let stream = client.get(&target("never"));
    client.reset(stream, ErrorCode::Cancel).settle();
    expect_healthy(client, server);
}

#[test]
fn drain_ends_streams_without_response() {
    let server = spawn(Transport::Tcp);
    let mut client = Http2Client::connect(&server);
    client.get(&target("never"));
    client.get(&target("never"));
    client.settle();
    eventually("no worker is busy", || server.handle().snapshot().busy == 0);
    let report = server.shut_down();
    assert_eq!(report.aborted, 0);
    assert_eq!(client.expect_end(), End::Closed);
}
