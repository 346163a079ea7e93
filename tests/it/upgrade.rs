use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use httpool::http::StatusCode;
use httpool::http::header::UPGRADE;
use httpool::{Handler, IntoResponse, Problem, Request, Response, Stream, Upgrade};

use crate::support::{
    Client, End, Gate, HUGE, NEVER, SOON, TIMEOUT, TestServer, Transport, eventually,
    over_every_transport, request,
};

over_every_transport! {
    upgrade_switches_the_protocol,
    bytes_behind_the_request_are_read_first,
    upgrade_starts_after_earlier_responses_are_read,
    upgrade_request_body_is_read_first,
    panic_in_an_upgraded_stream_is_contained,
    stream_reads_and_writes_time_out,
    stream_starts_with_the_server_timeouts,
    drain_waits_for_a_stream_that_checks_is_draining,
    stream_open_at_the_drain_deadline_is_aborted,
    stream_on_another_thread_holds_no_worker,
    upgrade_requires_a_fully_read_body,
    upgraded_connections_release_their_poller_slot,
}

const ASK: &str = "GET /lines HTTP/1.1\r\nHost: it\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x, Line-Echo\r\n\r\n";

/// Echoes each line in upper case.
pub(crate) fn echo(stream: Stream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line)? > 0 {
        stream.get_mut().write_all(line.to_uppercase().as_bytes())?;
        line.clear();
    }
    stream.get_mut().finish()
}

/// Answers `/lines` with an upgrade to `serve`.
fn upgrade_handler(serve: impl Fn(Stream) + Clone + Send + Sync + 'static) -> impl Handler {
    move |request: Request| match request.uri().path() {
        "/lines" => Upgrade::new("line-echo", serve.clone()).into_response(),
        _ => "in HTTP".into_response(),
    }
}

fn echo_server(transport: Transport) -> TestServer {
    let serve = |stream: Stream| echo(stream).expect("the client stays connected");
    transport.spawn(|builder| builder, upgrade_handler(serve))
}

/// A client whose connection has switched the protocol.
#[track_caller]
fn upgraded_client(server: &TestServer) -> Client {
    let mut client = server.connect();
    client.send(ASK);
    expect_upgraded(&mut client);
    client
}

#[track_caller]
fn expect_upgraded(client: &mut Client) {
    let response = client.expect_status(101);
    assert_eq!(response.header("upgrade"), Some("line-echo"));
    assert_eq!(response.header("connection"), Some("upgrade"));
    for name in ["content-length", "transfer-encoding"] {
        assert_eq!(response.header(name), None, "{name}");
    }
}

/// How many connections have closed for this reason.
fn close_counts(server: &TestServer, reason: &str) -> u64 {
    let mut close_counts = server.handle().close_counts();
    let ending = close_counts.find(|(known, _)| known.as_str() == reason);
    ending.expect("the reason exists").1
}

fn upgrade_switches_the_protocol(transport: Transport) {
    let server = echo_server(transport);
    let mut client = server.connect();
    client.get("/").expect_body("in HTTP");
    client.send(ASK);
    expect_upgraded(&mut client);
    client.send("one\ntwo");
    assert_eq!(client.expect_bytes(4), b"ONE\n");
    client.send("\n");
    assert_eq!(client.expect_bytes(4), b"TWO\n");
    server.expect_serving();
    client.finish_sending().expect_closed();
    server.expect_open(0);
    assert_eq!(close_counts(&server, "upgraded"), 1);
    let report = server.shut_down();
    assert_eq!((report.answered, report.aborted), (3, 0));
}

fn bytes_behind_the_request_are_read_first(transport: Transport) {
    let server = echo_server(transport);
    let mut client = server.connect();
    let lines = "line\n".repeat(20_000);
    let sent = [&request::get("/")[..], ASK.as_bytes(), lines.as_bytes()].concat();
    let sending = client.send_in_background(sent);
    client.expect_body("in HTTP");
    expect_upgraded(&mut client);
    assert!(client.expect_bytes(lines.len()) == lines.to_uppercase().as_bytes());
    sending
        .join()
        .expect("the sending thread does not panic")
        .expect("the server reads everything");
}

fn upgrade_starts_after_earlier_responses_are_read(transport: Transport) {
    let serve = |stream: Stream| echo(stream).expect("the client stays connected");
    let lines = upgrade_handler(serve);
    let server = transport.spawn(
        |builder| {
            builder
                .write_timeout(NEVER)
                .min_rate_grace(NEVER)
                .workers(1)
        },
        move |mut request: Request| match request.uri().path() {
            "/huge" => vec![b'x'; HUGE].into_response(),
            _ => lines.handle(&mut request),
        },
    );
    let mut slow = server.connect();
    slow.send([&request::get("/huge")[..], ASK.as_bytes(), b"line\n"].concat());
    eventually("the earlier response is buffered", || {
        server.handle().snapshot().buffered > 0
    });
    // No worker is occupied yet.
    server.expect_serving();
    slow.expect_body(vec![b'x'; HUGE]);
    expect_upgraded(&mut slow);
    assert_eq!(slow.expect_bytes(5), b"LINE\n");
}

/// Expects 426 for such a request, on a connection that is kept.
#[track_caller]
fn expect_upgrade_required(head: &str) {
    let server = echo_server(Transport::Tcp);
    let mut client = server.connect();
    let response = client.send(head).expect_status(426);
    assert_eq!(response.header("upgrade"), Some("line-echo"), "{head}");
    client.get("/").expect_body("in HTTP");
    server.expect_open(1);
}

#[test]
fn upgrade_must_be_requested() {
    for headers in [
        "",
        "Upgrade: line-echo\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade: other\r\n",
        "Connection: upgrade\r\nUpgrade: line-echo/2\r\n",
        "Connection: upgrades\r\nUpgrade: line-echo\r\n",
        "Connection: upgrade\r\nUpgrade: line-echo x\r\n",
    ] {
        expect_upgrade_required(&format!("GET /lines HTTP/1.1\r\nHost: it\r\n{headers}\r\n"));
    }
    let server = echo_server(Transport::Tcp);
    let mut head = server.connect();
    let response = head
        .send(ASK.replace("GET", "HEAD"))
        .expect_response_to_head();
    assert_eq!(
        (response.status, response.header("upgrade")),
        (426, Some("line-echo"))
    );
    head.get("/").expect_body("in HTTP");
    let mut old = server.connect();
    old.send("GET /lines HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: line-echo\r\n\r\n");
    assert_eq!(old.expect_bytes(13), b"HTTP/1.1 426 ");
}

#[test]
fn upgrade_with_another_status_is_a_plain_response() {
    let server = TestServer::spawn(
        |builder| builder,
        |_: Request| {
            let upgrade = Upgrade::new("line-echo", |_| panic!("the upgrade must not run"));
            (StatusCode::IM_A_TEAPOT, upgrade)
        },
    );
    let mut client = server.connect();
    for _ in 0..2 {
        assert_eq!(client.send(ASK).expect_status(418).text(), "");
    }
}

fn upgrade_request_body_is_read_first(transport: Transport) {
    let server = echo_server(transport);
    let mut client = server.connect();
    let head = ASK
        .replace("GET", "POST")
        .replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n");
    client.send(head).send("hello").send("line\n");
    expect_upgraded(&mut client);
    assert_eq!(client.expect_bytes(5), b"LINE\n");
}

fn panic_in_an_upgraded_stream_is_contained(transport: Transport) {
    let server = transport.spawn(
        |builder| builder,
        upgrade_handler(|_: Stream| panic!("a test asked for this")),
    );
    for _ in 0..4 {
        let mut client = upgraded_client(&server);
        client.read_rest();
    }
    server.expect_serving();
    server.expect_open(0);
}

/// A handler that sends the result of reading one byte.
fn read_result() -> (
    impl Fn(Stream) + Clone + Send + Sync + 'static,
    Receiver<Result<usize, ErrorKind>>,
) {
    let (sender, receiver) = bounded(1);
    let serve = move |mut stream: Stream| {
        let read = stream.read(&mut [0]).map_err(|error| error.kind());
        sender.send(read).expect("the test listens");
    };
    (serve, receiver)
}

fn stream_reads_and_writes_time_out(transport: Transport) {
    let (sender, receiver) = bounded(2);
    let serve = move |mut stream: Stream| {
        stream.set_read_timeout(Some(SOON));
        let read = stream.read(&mut [0]).map(|_| ());
        sender
            .send(read.map_err(|error| error.kind()))
            .expect("the test listens");
        stream.set_write_timeout(Some(SOON));
        let written = stream.write_all(&vec![b'x'; HUGE]);
        sender
            .send(written.map_err(|error| error.kind()))
            .expect("the test listens");
        // The stream still works afterwards.
        stream.set_read_timeout(None);
        stream
            .read_exact(&mut [0])
            .expect("the client sends a byte");
    };
    let server = transport.spawn(|builder| builder, upgrade_handler(serve));
    let mut client = upgraded_client(&server);
    for _ in 0..2 {
        let kind = receiver
            .recv_timeout(TIMEOUT)
            .expect("the stream reports in time");
        assert_eq!(kind, Err(ErrorKind::WouldBlock));
    }
    client.send("x");
    client.read_rest();
    server.expect_open(0);
}

fn stream_starts_with_the_server_timeouts(transport: Transport) {
    let (serve, receiver) = read_result();
    let server = transport.spawn(|builder| builder.idle_timeout(SOON), upgrade_handler(serve));
    let mut client = upgraded_client(&server);
    client.expect_closed();
    assert_eq!(
        receiver.recv_timeout(TIMEOUT),
        Ok(Err(ErrorKind::WouldBlock))
    );
}

fn drain_waits_for_a_stream_that_checks_is_draining(transport: Transport) {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let serve = move |mut stream: Stream| {
        assert!(!stream.is_draining());
        waiter.wait();
        stream.set_read_timeout(Some(Duration::from_millis(1)));
        while !stream.is_draining() {
            let kind = stream.read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::WouldBlock));
        }
        stream
            .write_all(b"goodbye")
            .expect("the client is connected");
    };
    let server = transport.spawn(
        |builder| builder.drain_timeout(NEVER),
        upgrade_handler(serve),
    );
    let mut client = upgraded_client(&server);
    gate.expect_arrived(1);
    gate.open();
    server.handle().shutdown();
    assert_eq!(client.read_rest(), (b"goodbye".to_vec(), End::Closed));
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (1, 0));
}

fn stream_open_at_the_drain_deadline_is_aborted(transport: Transport) {
    let (serve, receiver) = read_result();
    let server = transport.spawn(
        |builder| builder.idle_timeout(NEVER).drain_timeout(SOON),
        upgrade_handler(serve),
    );
    let mut client = upgraded_client(&server);
    server.handle().shutdown();
    assert_eq!(client.read_rest(), (Vec::new(), transport.end_on_abort()));
    let failure = receiver.recv_timeout(TIMEOUT);
    assert_eq!(failure, Ok(Err(ErrorKind::ConnectionAborted)));
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (1, 1));
    assert_eq!(report.abandoned_workers, 0);
}

/// A server that sends its upgraded streams to the test.
fn server_sending_streams(
    transport: Transport,
    workers: usize,
    drain_timeout: Duration,
) -> (TestServer, Receiver<Stream>) {
    let (give, given) = bounded(100);
    let serve = move |stream: Stream| give.send(stream).expect("the test receives it");
    let server = transport.spawn(
        |builder| builder.workers(workers).drain_timeout(drain_timeout),
        upgrade_handler(serve),
    );
    (server, given)
}

fn stream_on_another_thread_holds_no_worker(transport: Transport) {
    let (server, given) = server_sending_streams(transport, 1, NEVER);
    let mut clients: Vec<_> = (0..2).map(|_| upgraded_client(&server)).collect();
    let threads: Vec<_> = given
        .iter()
        .take(clients.len())
        .map(|stream| thread::spawn(|| echo(stream)))
        .collect();
    server.expect_serving();
    server.expect_open(clients.len());
    assert_eq!(close_counts(&server, "upgraded"), 0);
    server.handle().shutdown();
    for client in &mut clients {
        client.send("line\n");
        assert_eq!(client.expect_bytes(5), b"LINE\n");
        client.finish_sending().expect_closed();
    }
    for thread in threads {
        thread
            .join()
            .expect("the echo thread does not panic")
            .expect("the echo succeeds");
    }
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (3, 0));
}

#[test]
fn stored_stream_does_not_delay_shutdown() {
    let (server, given) = server_sending_streams(Transport::Tcp, 2, SOON);
    let _client = upgraded_client(&server);
    let mut stream = given
        .recv_timeout(TIMEOUT)
        .expect("the stream is passed on");
    let report = server.shut_down();
    assert_eq!((report.aborted, report.abandoned_workers), (1, 0));
    let failure = stream.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(failure, Err(ErrorKind::ConnectionAborted));
}

#[test]
fn client_reset_is_an_error_of_its_stream_only() {
    let (serve, receiver) = read_result();
    let server = TestServer::spawn(|builder| builder, upgrade_handler(serve));
    upgraded_client(&server).reset();
    let failure = receiver.recv_timeout(TIMEOUT);
    assert_eq!(failure, Ok(Err(ErrorKind::ConnectionReset)));
    server.expect_open(0);
    server.expect_serving();
}

/// Reads the body for `/lines` and no body otherwise, then upgrades.
struct Streaming;

impl Handler for Streaming {
    fn handle(&self, request: &mut Request) -> Response {
        if request.uri().path() == "/lines" {
            let read = request.body_mut().read_to_end(&mut Vec::new());
            if read.is_err() {
                return Problem::new(StatusCode::BAD_REQUEST).into_response();
            }
        }
        let serve = |stream: Stream| echo(stream).expect("the client stays connected");
        Upgrade::new("line-echo", serve).into_response()
    }

    fn body_mode(&self, _: &Request) -> httpool::BodyMode {
        httpool::BodyMode::STREAMING
    }
}

fn upgrade_requires_a_fully_read_body(transport: Transport) {
    let server = transport.spawn(|builder| builder, Streaming);
    let head = |target: &str| {
        let head = ASK.replace("GET /lines", &format!("POST {target}"));
        head.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n")
    };
    let mut client = server.connect();
    client.send(head("/lines")).send("hello").send("line\n");
    expect_upgraded(&mut client);
    assert_eq!(client.expect_bytes(5), b"LINE\n");
    let mut client = server.connect();
    client.send(head("/unread"));
    let response = client.expect_status(500);
    assert!(response.announces_close(), "{response:?}");
    assert_eq!(response.header(UPGRADE.as_str()), None);
}

fn upgraded_connections_release_their_poller_slot(transport: Transport) {
    // More connections than the poller has slots, one after another; each was parked before.
    let server = echo_server(transport);
    for _ in 0..50 {
        let mut client = server.connect();
        client.get("/").expect_body("in HTTP");
        client.send(ASK);
        expect_upgraded(&mut client);
        client.finish_sending().expect_closed();
    }
    eventually("all connections have closed", || {
        close_counts(&server, "upgraded") == 50
    });
}
