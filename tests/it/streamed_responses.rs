use std::io::{self, Cursor, Read};

use httpool::http::{HeaderMap, HeaderName, HeaderValue, Method};
use httpool::{Body, Builder, Request};

use crate::support::{End, Gate, GateWaiter, HUGE, NEVER, SOON, TestServer, request};

const LENGTH: u64 = 200_000;

/// A reader of [`LENGTH`] bytes.
fn digits() -> impl Read + Send {
    io::repeat(b'7').take(LENGTH)
}

fn all_digits() -> Vec<u8> {
    vec![b'7'; 200_000]
}

/// Some bytes, then an error.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("a test asked for this")),
            count => Ok(count),
        }
    }
}

/// Panics when it is read, and again when it is dropped.
struct Panicking;

impl Read for Panicking {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("a test asked for this");
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        panic!("a test asked for this too");
    }
}

/// Blocks until its gate opens, then yields one part.
struct Gated {
    waiter: GateWaiter,
    left: &'static [u8],
}

impl Read for Gated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.waiter.wait();
        self.left.read(buffer)
    }
}

/// Two trailers that are sent, and two that are not allowed.
fn trailers() -> HeaderMap {
    let lines = [
        ("x-count", "5"),
        ("content-length", "7"),
        ("x-count", "five"),
        ("if-match", "*"),
    ];
    let parsed = lines.map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    let mut trailers = HeaderMap::new();
    for (name, value) in parsed {
        trailers.append(name, value);
    }
    trailers
}

fn respond(request: Request) -> Body {
    match request.uri().path() {
        "/open" => Body::from_reader(digits()),
        "/sized" => Body::from_sized_reader(digits(), LENGTH),
        "/more" => Body::from_sized_reader(io::repeat(b'7'), LENGTH),
        "/none" => Body::from_reader(io::empty()),
        "/short" => Body::from_sized_reader(digits(), LENGTH + 1),
        "/failing" => Body::from_reader(Failing(Cursor::new(all_digits()))),
        "/failing-sized" => Body::from_sized_reader(Failing(Cursor::new(all_digits())), LENGTH + 1),
        "/panicking" => Body::from_reader(Panicking),
        "/endless" => Body::from_reader(io::repeat(b'x')),
        "/trailers" => Body::from_reader(&b"hello"[..]).with_trailers(trailers),
        "/trailers-in-memory" => Body::from("hello").with_trailers(trailers),
        "/trailers-short" => Body::from_sized_reader(digits(), LENGTH + 1).with_trailers(trailers),
        "/trailers-panicking" => {
            Body::from_reader(digits()).with_trailers(|| panic!("a test asked for this"))
        }
        _ => Body::from("not streamed"),
    }
}

fn server() -> TestServer {
    TestServer::spawn(|builder| builder, respond)
}

#[test]
fn body_of_unknown_length_is_chunked() {
    let server = server();
    let mut client = server.connect();
    for _ in 0..2 {
        let response = client.get("/open").expect_body(all_digits());
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
        assert_eq!(response.header("content-length"), None);
        client.get("/none").expect_body("");
    }
    client.get("/").expect_body("not streamed");
}

#[test]
fn body_of_known_length_has_content_length() {
    let server = server();
    let mut client = server.connect();
    for target in ["/sized", "/more"] {
        let response = client.get(target).expect_body(all_digits());
        assert_eq!(response.header("content-length"), Some("200000"));
        assert_eq!(response.header("transfer-encoding"), None);
    }
}

#[test]
fn trailers_follow_the_last_chunk() {
    let server = server();
    for target in ["/trailers", "/trailers-in-memory"] {
        let mut client = server.connect();
        let (received, end) = client.get_and_close(target).read_rest();
        assert_eq!(end, End::Closed, "{target}");
        let expected = "\r\n\r\n5\r\nhello\r\n0\r\nx-count: 5\r\nx-count: five\r\n\r\n";
        assert!(received.ends_with(expected.as_bytes()), "{target}");
    }
}

#[test]
fn http10_client_and_head_request_get_no_trailers() {
    let server = server();
    for head in ["GET /trailers HTTP/1.0", "HEAD /trailers HTTP/1.1"] {
        let mut client = server.connect();
        client.send(format!("{head}\r\nHost: it\r\nConnection: close\r\n\r\n"));
        let (received, end) = client.read_rest();
        assert_eq!(end, End::Closed, "{head}");
        let received = String::from_utf8(received).expect("the response is ASCII");
        assert!(!received.contains("x-count"), "{received}");
    }
}

#[test]
fn failing_body_with_trailers_resets_the_connection() {
    for target in ["/trailers-short", "/trailers-panicking"] {
        expect_reset(target, "1.1");
    }
}

#[test]
fn http10_body_ends_with_the_connection() {
    let server = server();
    let mut client = server.connect();
    client.send("GET /open HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.expect_body(all_digits());
    assert!(response.announces_close());
    assert_eq!(response.header("content-length"), None);

    let mut client = server.connect();
    client.send("GET /sized HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(!client.expect_body(all_digits()).announces_close());
    client.get_and_close("/").expect_body("not streamed");
}

#[test]
fn head_request_does_not_read_the_body() {
    let server = TestServer::spawn(
        |builder| builder,
        |request: Request| match *request.method() {
            Method::HEAD => Body::from_reader(Failing(Cursor::default())),
            _ => Body::from("still here"),
        },
    );
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: it\r\n\r\n");
    let response = client.expect_response_to_head();
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    client.get("/").expect_body("still here");
}

/// The client must notice that bytes are missing, whatever the framing.
#[track_caller]
fn expect_reset(target: &str, version: &str) {
    let server = server();
    let mut client = server.connect();
    client.send(format!("GET {target} HTTP/{version}\r\nHost: it\r\n\r\n"));
    let (received, end) = client.read_rest();
    assert_eq!(end, End::Reset, "{target}");
    assert!(!received.ends_with(b"0\r\n\r\n"), "{target}");
    server.expect_serving();
    server.expect_open(0);
    // Only the request before it counts as answered, and no bytes stay buffered.
    let progress = server.handle().snapshot();
    assert_eq!((progress.answered, progress.buffered), (1, 0), "{target}");
}

#[test]
fn failing_reader_resets_the_connection() {
    for target in ["/failing", "/failing-sized", "/short"] {
        expect_reset(target, "1.1");
        expect_reset(target, "1.0");
    }
}

/// Where the end of the connection ends the body, a partial body must not end with a clean close.
#[test]
fn aborted_http10_response_resets_the_connection() {
    type Configure = fn(Builder) -> Builder;
    let slow: Configure = |builder| builder.write_timeout(SOON);
    let small: Configure = |builder| builder.max_buffered_memory(1000);
    let forced: Configure = |builder| builder.write_timeout(NEVER);
    for (reason, configure) in [
        ("slow_reader", slow),
        ("buffer_limit", small),
        ("forced", forced),
    ] {
        let server = TestServer::spawn(configure, respond);
        let mut client = server.connect();
        client.send("GET /endless HTTP/1.0\r\n\r\n").expect_bytes(1);
        if reason == "forced" {
            server.handle().shutdown_now();
        }
        server.expect_open(0);
        assert_eq!(client.read_rest().1, End::Reset, "{reason}");
        let mut close_counts = server.handle().close_counts();
        assert_eq!(
            close_counts
                .find(|(known, _)| known.as_str() == reason)
                .map(|(_, count)| count),
            Some(1)
        );
    }
}

#[test]
fn panicking_reader_affects_no_other_client() {
    // Four times, so that both workers see the panic.
    let server = server();
    for _ in 0..4 {
        let mut client = server.connect();
        client.get("/panicking");
        assert_eq!(client.read_rest().1, End::Reset);
    }
    server.expect_serving();
    expect_reset("/panicking", "1.1");
}

#[test]
fn slow_reader_holds_no_worker_and_little_memory() {
    let server = TestServer::spawn(
        |builder| {
            builder
                .workers(1)
                .write_timeout(NEVER)
                .min_rate_grace(NEVER)
        },
        respond,
    );
    let mut slow: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.get("/endless");
        client.expect_bytes(100);
    }
    for _ in 0..10 {
        server.expect_serving();
    }
    // Every client requested more than socket buffers hold.
    let buffered = server.handle().snapshot().buffered;
    assert!(buffered < slow.len() * 200_000, "{buffered} bytes are kept");
    for client in slow {
        client.reset();
    }
    server.expect_open(0);
    assert_eq!(server.handle().snapshot().buffered, 0);
}

#[test]
fn partial_reads_are_sent_at_once() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder.workers(1),
        move |_: Request| {
            let first = Cursor::new("at once");
            let second = Gated {
                waiter: waiter.clone(),
                left: b", and later",
            };
            Body::from_reader(first.chain(second))
        },
    );
    let mut client = server.connect();
    client.send(request::get_and_close("/"));
    let mut start = Vec::new();
    while !start.ends_with(b"\r\n\r\n7\r\nat once\r\n") {
        start.extend(client.expect_bytes(1));
    }
    gate.open();
    let (rest, end) = client.read_rest();
    assert_eq!(rest, b"b\r\n, and later\r\n0\r\n\r\n");
    assert_eq!(end, End::Closed);
}

#[test]
fn requests_behind_a_stream_are_answered_after_it() {
    let server = server();
    let mut client = server.connect();
    client.send(
        [
            request::get("/open"),
            request::get("/sized"),
            request::get("/"),
        ]
        .concat(),
    );
    client.expect_body(all_digits());
    client.expect_body(all_digits());
    client.expect_body("not streamed");
}

#[test]
fn drain_finishes_a_stream() {
    let server = TestServer::spawn(
        |builder| builder.write_timeout(NEVER),
        |_: Request| Body::from_reader(io::repeat(b'x').take(HUGE as u64)),
    );
    let mut client = server.connect();
    client.get("/");
    client.expect_bytes(1);
    server.begin_drain();
    let (rest, end) = client.read_rest();
    assert!(rest.ends_with(b"\r\n0\r\n\r\n"));
    assert!(rest.len() > HUGE);
    assert_eq!(end, End::Closed);
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (1, 0));
}

#[test]
fn endless_stream_is_aborted_at_the_drain_deadline() {
    let server = TestServer::spawn(
        |builder| builder.write_timeout(NEVER).drain_timeout(SOON),
        respond,
    );
    // One client reads everything, and the other one reads nothing.
    let (mut greedy, mut lazy) = (server.connect(), server.connect());
    greedy.get("/endless");
    lazy.get("/endless");
    lazy.expect_bytes(1);
    server.handle().shutdown();
    let (received, _) = greedy.read_rest();
    assert!(!received.ends_with(b"0\r\n\r\n"));
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (0, 2));
}
