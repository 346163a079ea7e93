/// Faults over HTTP/2.
mod http2;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use httpool::services::inspect::{Inspect, Settings};
use httpool::{Builder, CloseReason, Handler, Request, Response};

use crate::support::{Client, End, NEVER, TestServer, Transport, eventually, over_every_transport};

over_every_transport! {
    reset_before_the_head_sends_nothing,
    reset_after_the_head_sends_no_content,
    reset_in_the_middle_sends_half,
    truncated_content_ends_in_order,
    empty_reply_ends_in_order,
    announced_length_is_longer_than_the_content,
    announced_length_is_shorter_than_the_content,
    chunk_has_no_valid_size,
    chunk_has_a_byte_too_many,
    last_chunk_is_missing,
    content_drips_and_the_connection_stays,
    requests_before_a_fault_are_answered,
}

const HEAD_ONLY: &str = "HEAD /?fault=reset=middle HTTP/1.1\r\nhost: test\r\n\r\n";

/// An inspector that allows faults, with its shutdown.
fn spawn_with(
    transport: Transport,
    settings: Settings,
    configure: impl FnOnce(Builder) -> Builder,
) -> TestServer {
    let inspect = Inspect::new(settings);
    let end = inspect.on_shutdown();
    let server = transport.spawn(configure, inspect);
    server.handle().on_shutdown(end);
    server
}

fn spawn(transport: Transport) -> TestServer {
    let settings = Settings::default().allow_faults(true);
    spawn_with(transport, settings, |builder| builder.workers(1))
}

/// How a connection ends that the server resets. A Unix socket knows no reset.
fn end_of_reset(transport: Transport) -> End {
    match transport {
        Transport::Tcp | Transport::Tls => End::Reset,
        Transport::Unix => End::Closed,
    }
}

/// What a client receives that asks for these faults, and how its connection ends. The server keeps
/// nothing of it, and serves the next client.
#[track_caller]
fn outcome(transport: Transport, faults: &str) -> (String, End) {
    let server = spawn(transport);
    let mut client = server.connect();
    client.get(&format!("/?fault={faults}"));
    let (received, end) = client.read_rest();
    drop(client);
    server.expect_open(0);
    server.expect_serving();
    assert_eq!(server.shut_down().aborted, 0);
    (String::from_utf8_lossy(&received).into_owned(), end)
}

/// Like [`outcome`], with head and content apart. The head announces the end of the connection only if
/// the client can't know otherwise that nothing follows the content.
#[track_caller]
fn parts(transport: Transport, faults: &str) -> (String, String, End) {
    let (received, end) = outcome(transport, faults);
    let (head, content) = received.split_once("\r\n\r\n").expect("there is a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\ndate: "), "{head}");
    let is_announced = faults.contains("length=") || faults.contains("chunk=");
    assert_eq!(
        head.contains("\r\nconnection: close"),
        is_announced,
        "{head}"
    );
    (head.to_owned(), content.to_owned(), end)
}

fn reset_before_the_head_sends_nothing(transport: Transport) {
    for faults in ["reset", "stream-reset"] {
        let expected = (String::new(), end_of_reset(transport));
        assert_eq!(outcome(transport, faults), expected);
    }
}

fn reset_after_the_head_sends_no_content(transport: Transport) {
    let (head, content, end) = parts(transport, "size=1000,reset=head");
    assert!(head.contains("\r\ncontent-length: 1000"), "{head}");
    assert!(
        head.contains("\r\nfault: size=1000,reset=head\r\n"),
        "{head}"
    );
    assert_eq!((&*content, end), ("", end_of_reset(transport)));
}

fn reset_in_the_middle_sends_half(transport: Transport) {
    for (faults, count) in [
        ("size=1000,reset=middle", 500),
        ("size=1000,reset=7", 7),
        ("size=100000,stream-reset=cancel:middle", 50_000),
    ] {
        let (_, content, end) = parts(transport, faults);
        assert_eq!((content.len(), end), (count, end_of_reset(transport)));
    }
}

fn truncated_content_ends_in_order(transport: Transport) {
    for (place, count) in [("head", 0), ("middle", 500), ("999", 999)] {
        let (head, content, end) = parts(transport, &format!("size=1000,truncate={place}"));
        assert!(head.contains("\r\ncontent-length: 1000"), "{head}");
        assert_eq!((content.len(), end), (count, End::Closed));
    }
}

fn empty_reply_ends_in_order(transport: Transport) {
    for faults in ["truncate=before", "goaway"] {
        assert_eq!(outcome(transport, faults), (String::new(), End::Closed));
    }
}

fn announced_length_is_longer_than_the_content(transport: Transport) {
    let (head, content, end) = parts(transport, "size=100,length=110");
    assert!(head.contains("\r\ncontent-length: 110"), "{head}");
    assert_eq!((content.len(), end), (100, End::Closed));
}

fn announced_length_is_shorter_than_the_content(transport: Transport) {
    let (head, content, end) = parts(transport, "size=100,length=90");
    assert!(head.contains("\r\ncontent-length: 90"), "{head}");
    assert_eq!((content.len(), end), (100, End::Closed));
}

fn chunk_has_no_valid_size(transport: Transport) {
    let (head, content, end) = parts(transport, "size=10,chunk=size");
    assert!(head.contains("\r\ntransfer-encoding: chunked"), "{head}");
    assert_eq!(
        (&*content, end),
        ("a\r\nxxxxxxxxxx\r\nsize\r\n", End::Closed)
    );
}

fn chunk_has_a_byte_too_many(transport: Transport) {
    let (_, content, end) = parts(transport, "size=10,chunk=short");
    let expected = "9\r\nxxxxxxxxxx\r\n0\r\n\r\n";
    assert_eq!((&*content, end), (expected, End::Closed));
}

fn last_chunk_is_missing(transport: Transport) {
    let (_, content, end) = parts(transport, "size=10,chunk=end");
    assert_eq!((&*content, end), ("a\r\nxxxxxxxxxx\r\n", End::Closed));
}

fn content_drips_and_the_connection_stays(transport: Transport) {
    let server = spawn(transport);
    let mut client = server.connect();
    let started = Instant::now();
    client.get("/?fault=size=5,drip=200ms");
    let response = client.expect_body("xxxxx");
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(response.header("fault"), Some("size=5,drip=200ms"));
    client.get_and_close("/").expect_status(200);
    client.expect_closed();
}

fn requests_before_a_fault_are_answered(transport: Transport) {
    let server = spawn(transport);
    let mut client = server.connect();
    let first = "GET /?fault=status=418 HTTP/1.1\r\nhost: test\r\n\r\n";
    let second = "GET / HTTP/1.1\r\nhost: test\r\nfault: truncate=before\r\n\r\n";
    client.send([first, second, first].concat());
    client.expect_status(418);
    client.expect_closed();
    server.expect_open(0);
}

#[test]
fn response_to_head_is_reset_behind_its_head() {
    let server = spawn(Transport::Tcp);
    let mut client = server.connect();
    client.send(HEAD_ONLY);
    let (received, end) = client.read_rest();
    assert!(received.ends_with(b"\r\n\r\n"));
    assert_eq!(end, End::Reset);
}

#[test]
fn fault_of_a_request_with_a_body_is_exact() {
    let server = spawn(Transport::Tcp);
    let mut client = server.connect();
    client.post("/?fault=truncate=before", vec![b'x'; 100_000]);
    client.expect_closed();
    server.expect_open(0);
}

/// Counts the responses that the inspector has returned.
struct Counting(Inspect, Arc<AtomicUsize>);

impl Handler for Counting {
    fn handle(&self, request: &mut Request) -> Response {
        let response = self.0.handle(request);
        self.1.fetch_add(1, Ordering::Relaxed);
        response
    }
}

#[test]
fn delays_hold_no_worker() {
    const WAITING: usize = 500;
    let returned = Arc::<AtomicUsize>::default();
    let settings = Settings::default().allow_faults(true).max_delay(NEVER);
    let counting = Counting(Inspect::new(settings), Arc::clone(&returned));
    let server = Transport::Tcp.spawn(|builder| builder.workers(2), counting);
    let mut waiting: Vec<Client> = (0..WAITING).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.get("/?fault=delay=60m");
    }
    eventually("all wait", || returned.load(Ordering::Relaxed) == WAITING);
    assert_eq!(server.handle().snapshot().answered, 0);
    // Two workers still serve others, with and without a delay.
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    let started = Instant::now();
    for client in &mut clients {
        client.get("/?fault=delay=300ms,status=503");
    }
    server.expect_serving();
    for client in &mut clients {
        let response = client.expect_status(503);
        assert_eq!(response.header("fault"), Some("status=503,delay=300ms"));
    }
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[test]
fn request_without_response_ends_with_the_longest_delay() {
    let settings = Settings::default()
        .allow_faults(true)
        .max_delay(Duration::from_millis(200));
    let server = spawn_with(Transport::Tcp, settings, |builder| builder.workers(1));
    let mut client = server.connect();
    client.get("/?fault=never");
    server.expect_serving();
    client.expect_closed();
    server.expect_open(0);
}

#[test]
fn request_without_response_ends_with_its_client() {
    let server = spawn(Transport::Tcp);
    let mut gone = server.connect();
    gone.get("/?fault=never");
    let mut finished = server.connect();
    finished.get("/?fault=never").finish_sending();
    server.expect_serving();
    finished.expect_closed();
    gone.reset();
    server.expect_open(0);
}

#[test]
fn drain_ends_requests_without_response() {
    let server = spawn(Transport::Tcp);
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.get("/?fault=never");
    }
    eventually("all wait", || {
        let snapshot = server.handle().snapshot();
        snapshot.open == 3 && snapshot.busy == 0
    });
    let report = server.shut_down();
    assert_eq!(report.aborted, 0);
    for client in &mut clients {
        client.expect_closed();
    }
}

#[test]
fn resets_are_counted_as_broken_responses() {
    let server = spawn(Transport::Tcp);
    for _ in 0..3 {
        let mut client = server.connect();
        client.get("/?fault=reset");
        assert_eq!(client.read_rest(), (Vec::new(), End::Reset));
    }
    server.expect_open(0);
    let counts = server.handle().close_counts();
    let broken = { counts }.find(|(reason, _)| *reason == CloseReason::Broken);
    assert_eq!(broken, Some((CloseReason::Broken, 3)));
}
