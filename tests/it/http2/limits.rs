use httpool::Request;
use httpool::http2::ErrorCode;

use crate::support::http2::{
    END_HEADERS, END_STREAM, Frame, Http2Client, kind, request_fields, setting,
};
use crate::support::request::Field;
use crate::support::{
    Gate, NEVER, TestServer, Transport, eventually, mirror, over_every_transport,
};

over_every_transport! {
    header_list_over_the_limit_gets_431_and_the_connection_goes_on,
    body_over_the_limit_gets_413,
    malformed_requests_get_400_and_a_reset,
}

const MAX_HEADER_SIZE: usize = 1024;
const MAX_BODY: usize = 100;

fn limited(transport: Transport) -> TestServer {
    transport.spawn(
        |builder| builder.max_header_size(MAX_HEADER_SIZE).max_body(MAX_BODY),
        mirror,
    )
}

/// Another request on the connection is answered.
#[track_caller]
fn expect_serving(client: &mut Http2Client) {
    let stream = client.post("/", "serving");
    client.expect_body(stream, "serving");
    assert_eq!(client.goaways(), []);
}

fn header_list_over_the_limit_gets_431_and_the_connection_goes_on(transport: Transport) {
    let server = limited(transport);
    let mut client = Http2Client::connect(&server);
    let long = "x".repeat(MAX_HEADER_SIZE);
    let mut fields = request_fields("POST", "/");
    fields.push(("long", &long));
    // With and without a body.
    let stream = client.request(&fields);
    let response = client.expect_status(stream, 431);
    assert!(!response.body.is_empty(), "{response:?}");
    expect_serving(&mut client);
    let stream = client.open(&fields);
    assert_eq!(client.expect_reset(stream), ErrorCode::NoError);
    let response = client.reply(stream).response.as_ref();
    assert_eq!(response.map(|response| response.status), Some(431));
    client.data(stream, "x", END_STREAM);
    expect_serving(&mut client);
    // Many small fields, and crumbs of a cookie.
    for name in ["a", "cookie"] {
        let mut fields = request_fields("GET", "/");
        fields.extend([(name, ""); 101]);
        let stream = client.request(&fields);
        client.expect_status(stream, 431);
        expect_serving(&mut client);
    }
}

/// A rejected head is still part of the compression state.
#[test]
fn hpack_table_survives_a_rejected_request() {
    let server = limited(Transport::Tcp);
    let mut client = Http2Client::connect(&server);
    let long = "x".repeat(MAX_HEADER_SIZE);
    let mut fields = request_fields("GET", "/");
    fields.push(("long", &long));
    let mut block = crate::support::http2::header_block(&fields);
    // `:path: /kept` is added to the table, behind everything else.
    block.extend(b"\x44\x05/kept");
    let stream = client.next_stream();
    let flags = END_STREAM | END_HEADERS;
    client.send_frame(&Frame::new(kind::HEADERS, flags, stream, &block));
    client.expect_reply(stream);
    // GET, http, the path of the table, and an authority.
    let block = b"\x82\x86\xbe\x01\x02it";
    let stream = client.next_stream();
    client.send_frame(&Frame::new(kind::HEADERS, flags, stream, block));
    client.expect_body(stream, "");
}

fn body_over_the_limit_gets_413(transport: Transport) {
    let server = limited(transport);
    let mut client = Http2Client::connect(&server);
    let largest = "x".repeat(MAX_BODY);
    let stream = client.post("/", &largest);
    client.expect_body(stream, &largest);
    let stream = client.post("/", "x".repeat(MAX_BODY + 1));
    let response = client.expect_status(stream, 413);
    assert!(response.text().contains("too large"), "{response:?}");
    expect_serving(&mut client);
    // Announced, or not announced and then too long, without an end.
    let mut fields = request_fields("POST", "/");
    fields.push(("content-length", "101"));
    let announced = client.open(&fields);
    let long = client.open_post("/");
    client.data(long, "x".repeat(MAX_BODY + 1), 0);
    for stream in [announced, long] {
        client.read_until("413", |client| client.reply(stream).response.is_some());
        let response = client.reply(stream).response.as_ref();
        assert_eq!(response.map(|response| response.status), Some(413));
    }
    expect_serving(&mut client);
}

/// The response is a 400, or nothing, and the stream is reset.
#[track_caller]
fn expect_rejected(client: &mut Http2Client, stream: u32, what: &str) {
    println!("{what}");
    assert_eq!(
        client.expect_reset(stream),
        ErrorCode::ProtocolError,
        "{what}"
    );
    let reply = client.reply(stream);
    if let Some(response) = &reply.response {
        assert!(
            (400..=501).contains(&response.status),
            "{what}: {response:?}"
        );
    }
    assert!(reply.interim.is_empty(), "{what}");
}

fn malformed_requests_get_400_and_a_reset(transport: Transport) {
    let with = |more: &[Field<'static>]| [&request_fields("GET", "/")[..], more].concat();
    let without = |name: &str| {
        let mut fields = request_fields("GET", "/");
        fields.retain(|(known, _)| *known != name);
        fields
    };
    let cases: Vec<(&str, Vec<Field<'static>>)> = vec![
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("no path", without(":path")),
        ("no authority", without(":authority")),
        ("an empty path", request_fields("GET", "")),
        ("a relative path", request_fields("GET", "a")),
        ("a path with a space", request_fields("GET", "/a b")),
        ("a fragment", request_fields("GET", "/#a")),
        ("* for GET", request_fields("GET", "*")),
        ("a method with a space", request_fields("GET /", "/")),
        ("a repeated pseudo-field", with(&[(":path", "/")])),
        ("an unknown pseudo-field", with(&[(":unknown", "x")])),
        ("a pseudo-field behind a field", {
            let mut fields = vec![("a", "b")];
            fields.extend(request_fields("GET", "/"));
            fields
        }),
        (":status", with(&[(":status", "200")])),
        ("an upper-case name", with(&[("Name", "x")])),
        ("an empty name", with(&[("", "x")])),
        ("a name with a space", with(&[("a b", "x")])),
        ("a name with a colon", with(&[("a:b", "x")])),
        ("a value with LF", with(&[("a", "b\nc")])),
        ("a value with CR", with(&[("a", "b\rc")])),
        ("a value with NUL", with(&[("a", "b\0c")])),
        ("a value with a leading space", with(&[("a", " b")])),
        ("a value with a trailing tab", with(&[("a", "b\t")])),
        ("connection", with(&[("connection", "close")])),
        ("keep-alive", with(&[("keep-alive", "1")])),
        ("proxy-connection", with(&[("proxy-connection", "close")])),
        (
            "transfer-encoding",
            with(&[("transfer-encoding", "chunked")]),
        ),
        ("upgrade", with(&[("upgrade", "h2c")])),
        ("te", with(&[("te", "gzip")])),
        ("a host that differs", with(&[("host", "other")])),
        ("an authority with a user", {
            let mut fields = without(":authority");
            fields.insert(0, (":authority", "user@it"));
            fields
        }),
        (
            "two lengths",
            with(&[("content-length", "0"), ("content-length", "0")]),
        ),
        ("an invalid length", with(&[("content-length", "+1")])),
        ("a length without a body", with(&[("content-length", "1")])),
    ];
    let server = transport.spawn(|builder| builder, mirror);
    let mut client = Http2Client::connect(&server);
    for (what, fields) in cases {
        let stream = client.request(&fields);
        expect_rejected(&mut client, stream, what);
        expect_serving(&mut client);
    }
}

#[test]
fn content_must_match_the_announced_length() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = Http2Client::connect(&server);
    let mut fields = request_fields("POST", "/");
    fields.push(("content-length", "4"));
    let short = client.open(&fields);
    client.data(short, "abc", END_STREAM);
    let long = client.open(&fields);
    client.data(long, "abcde", 0);
    let trailing = client.open(&fields);
    client.data(trailing, "abc", 0);
    client.send_frame(&Frame::headers(trailing, &[("a", "b")], END_STREAM));
    for (stream, what) in [(short, "short"), (long, "long"), (trailing, "trailers")] {
        expect_rejected(&mut client, stream, what);
    }
    expect_serving(&mut client);
}

#[test]
fn connect_is_not_implemented() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = Http2Client::connect(&server);
    let stream = client.open(&[(":method", "CONNECT"), (":authority", "it:443")]);
    client.read_until("an end", |client| client.reply(stream).is_over());
    let reply = client.reply(stream);
    let status = reply
        .response
        .as_ref()
        .map_or(501, |response| response.status);
    assert_eq!(status, 501, "{reply:?}");
    expect_serving(&mut client);
}

#[test]
fn streams_over_the_limit_are_refused() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = Http2Client::connect(&server);
    let settings = client.expect_settings();
    let most = settings.get(&setting::MAX_CONCURRENT_STREAMS).copied();
    let most = most.expect("the server limits streams");
    let open: Vec<_> = (0..most).map(|_| client.open_post("/")).collect();
    let refused = client.open_post("/");
    assert_eq!(client.expect_reset(refused), ErrorCode::RefusedStream);
    client.data(open[0], "x", END_STREAM);
    client.expect_body(open[0], "x");
    expect_serving(&mut client);
    for stream in &open[1..] {
        client.data(*stream, "", END_STREAM);
        client.expect_body(*stream, "");
    }
}

#[test]
fn heads_of_many_frames_are_one_head() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = Http2Client::connect(&server);
    let long = "x".repeat(5_000);
    let mut fields = request_fields("GET", "/");
    fields.push(("long", &long));
    let block = crate::support::http2::header_block(&fields);
    let stream = client.next_stream();
    let (first, rest) = block.split_at(10);
    let mut frames = vec![Frame::new(kind::HEADERS, END_STREAM, stream, first)];
    let parts: Vec<_> = rest.chunks(1_500).collect();
    for (number, part) in parts.iter().enumerate() {
        let flags = if number + 1 == parts.len() {
            END_HEADERS
        } else {
            0
        };
        frames.push(Frame::new(kind::CONTINUATION, flags, stream, part));
    }
    client.send_frames(&frames);
    client.expect_body(stream, "");
}

/// Requests that wait for a worker hold memory: their heads, bodies and trailers.
#[test]
fn waiting_requests_count_against_the_budget() {
    const REQUESTS: usize = 20;
    const SIZE: usize = 10_000;
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder.workers(1).queue_timeout(NEVER),
        move |request: Request| {
            waiter.wait();
            mirror(request)
        },
    );
    let long = "x".repeat(SIZE);
    type Send = fn(&mut Http2Client, &str) -> u32;
    let send: [(&str, Send); 3] = [
        ("heads", |client, long| {
            let fields = [&request_fields("GET", "/")[..], &[("long", long)]].concat();
            client.request(&fields)
        }),
        ("bodies", |client, long| client.post("/", long)),
        ("trailers", |client, long| {
            let stream = client.open_post("/");
            client.data(stream, "x", 0);
            client.send_frame(&Frame::headers(stream, &[("long", long)], END_STREAM));
            stream
        }),
    ];
    let mut held = Http2Client::connect(&server);
    let mut streams = vec![held.get("/")];
    gate.expect_arrived(1);
    let mut waiting = 0;
    for (what, send) in send {
        streams.extend((0..REQUESTS).map(|_| send(&mut held, &long)));
        held.settle();
        waiting += REQUESTS * SIZE;
        eventually(what, || server.handle().snapshot().buffered >= waiting);
    }
    gate.open();
    for stream in streams {
        held.expect_status(stream, 200);
    }
    eventually("the memory is returned", || {
        server.handle().snapshot().buffered < SIZE
    });
}
