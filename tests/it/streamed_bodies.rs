/// Bodies that end early, arrive too slowly, or are invalid or too large.
mod failures;

use std::io::{self, ErrorKind, Read};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Sender, bounded};
use httpool::{Body, BodyMode, Builder, Handler, IntoResponse, RawRequest, Request, Response};

use crate::support::{
    Client, End, Gate, HUGE, NEVER, SOON, TIMEOUT, TestServer, Transport, in_own_process,
    over_every_transport, request, resident_memory,
};

over_every_transport! {
    a_handler_runs_before_the_body_has_arrived,
    a_body_that_arrived_with_the_head_is_read,
    packet_boundaries_do_not_change_the_result,
    requests_around_a_streamed_body_are_answered_in_order,
    a_response_does_not_wait_for_the_next_body,
    continue_is_sent_with_the_first_read,
    a_small_unread_rest_is_discarded,
    an_early_response_arrives_during_the_upload,
    a_panic_while_reading_gets_500,
    a_body_ends_with_the_response,
    a_read_on_another_thread_fails_after_the_response,
    drain_reads_a_streamed_body_to_its_end,
    drain_aborts_a_body_at_the_deadline,
    a_connection_is_idle_again_after_a_streamed_body,
    the_idle_timeout_starts_after_a_streamed_body,
    a_half_close_before_the_read_is_noticed,
}

/// A handler that streams bodies of at most this many bytes.
struct Streaming<F>(u64, F);

impl<F, R> Handler for Streaming<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn handle(&self, request: &mut Request) -> Response {
        let Self(_, function) = self;
        function(mem::take(request)).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::Streaming { most: self.0 }
    }
}

fn streaming<F, R>(function: F) -> Streaming<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    Streaming(u64::MAX, function)
}

/// Returns the body.
fn read_all(mut request: Request) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    request.body_mut().read_to_end(&mut content)?;
    Ok(content)
}

fn server(transport: Transport) -> TestServer {
    transport.spawn(|builder| builder, streaming(read_all))
}

/// Reads this many bytes.
fn read(body: &mut Body, count: usize) -> Vec<u8> {
    let mut content = vec![0; count];
    body.read_exact(&mut content).expect("the bytes arrive");
    content
}

fn a_handler_runs_before_the_body_has_arrived(transport: Transport) {
    for (start, end) in [
        ([&request::post_head("/", 9)[..], b"half"].concat(), "whole"),
        (
            [&request::chunked_head("/")[..], b"4\r\nhalf\r\n"].concat(),
            "5\r\nwhole\r\n0\r\n\r\n",
        ),
    ] {
        let gate = Gate::new();
        let waiter = gate.waiter();
        let server = transport.spawn(
            |builder| builder,
            streaming(move |mut request: Request| {
                let first = read(request.body_mut(), 4);
                waiter.wait();
                read_all(request).map(|rest| [first, rest].concat())
            }),
        );
        let mut client = server.connect();
        client.send(start);
        gate.expect_arrived(1);
        gate.open();
        client.send(end).expect_body("halfwhole");
        client.post("/", "again").expect_body("again");
    }
}

fn a_body_that_arrived_with_the_head_is_read(transport: Transport) {
    let server = server(transport);
    let mut client = server.connect();
    client.get("/").expect_body("");
    client.post("/", "").expect_body("");
    client.post("/", "short").expect_body("short");
    let chunked = request::post_chunked("/", "in chunks", 2);
    client.send(chunked).expect_body("in chunks");
}

/// The boundaries of packets are arbitrary, and a handler must not depend on them.
fn packet_boundaries_do_not_change_the_result(transport: Transport) {
    let server = transport.spawn(
        |builder| builder,
        Streaming(5, |request: Request| {
            let here = request.body().as_bytes().len();
            read_all(request).map(|content| format!("{here} {}", content.len()))
        }),
    );
    for (body, status, expected) in [("whole", 200, "0 5"), ("larger", 413, "")] {
        for (head, content) in [
            (request::post_head("/", body.len()), body.to_owned()),
            (
                request::chunked_head("/"),
                format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
            ),
        ] {
            let (mut one, mut two) = (server.connect(), server.connect());
            one.send([&head[..], content.as_bytes()].concat());
            two.send(head);
            // The server may have closed a connection that it rejected.
            drop(two.try_send(content));
            for response in [one.expect_status(status), two.expect_status(status)] {
                assert!(status != 200 || response.text() == expected, "{response:?}");
            }
        }
    }
}

fn requests_around_a_streamed_body_are_answered_in_order(transport: Transport) {
    let server = server(transport);
    let mut client = server.connect();
    let body = vec![b'x'; 300_000];
    let requests = [
        request::post("/", "first"),
        request::post("/", &body),
        request::post_chunked("/", &body, 10_000),
        request::post_chunked("/", "small", 1),
        request::get("/"),
    ];
    let sending = client.send_in_background(requests.concat());
    client.expect_body("first");
    client.expect_body(&body);
    client.expect_body(&body);
    client.expect_body("small");
    client.expect_body("");
    sending
        .join()
        .expect("the sender does not panic")
        .expect("everything is sent");
}

fn a_response_does_not_wait_for_the_next_body(transport: Transport) {
    let server = server(transport);
    let mut client = server.connect();
    client.send([request::post("/", "first"), request::post_head("/", 6)].concat());
    client.expect_body("first");
    client.send("second").expect_body("second");
}

#[test]
fn trailers_are_known_at_the_end_of_the_body() {
    let server = TestServer::spawn(
        |builder| builder,
        streaming(|mut request: Request| {
            let raw_request = RawRequest::of(&request)
                .cloned()
                .expect("the request has its raw form");
            let before = raw_request.trailers().len() + raw_request.chunks().count();
            let content =
                io::copy(request.body_mut(), &mut io::sink()).expect("the body can be read");
            let sum = raw_request.trailers()["sum"].to_str().map(str::to_owned);
            format!(
                "{before} {content} {} {}",
                sum.expect("the text is UTF-8"),
                raw_request.chunks().count()
            )
        }),
    );
    let mut client = server.connect();
    client.send(request::chunked_head("/"));
    client.send("3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nSum: 7\r\n\r\n");
    client.expect_body("0 5 7 3");
}

fn continue_is_sent_with_the_first_read(transport: Transport) {
    let server = transport.spawn(
        |builder| builder,
        streaming(|request: Request| match request.uri().path() {
            "/unread" => Ok(Vec::new()),
            _ => read_all(request),
        }),
    );
    let head = |target: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: it\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
    };
    let mut client = server.connect();
    client.send(head("/")).expect_status(100);
    client.send("hello").expect_body("hello");
    // The server cannot know whether the body will arrive.
    let response = client.send(head("/unread")).expect_body("");
    assert!(response.announces_close(), "{response:?}");
    client.finish_sending().expect_closed();
}

fn a_small_unread_rest_is_discarded(transport: Transport) {
    let server = transport.spawn(
        |builder| builder.max_body(4),
        streaming(|_: Request| "enough"),
    );
    let mut client = server.connect();
    for _ in 0..3 {
        assert!(
            !client
                .post("/", "unread")
                .expect_body("enough")
                .announces_close()
        );
        client.send(request::post_chunked("/", "unread", 2));
        assert!(!client.expect_body("enough").announces_close());
    }
    // A malformed rest has no known end.
    client.send([&request::chunked_head("/")[..], b"4\r\nhalf!"].concat());
    assert!(client.expect_body("enough").announces_close());
    client.finish_sending().expect_closed();
}

fn an_early_response_arrives_during_the_upload(transport: Transport) {
    let server = transport.spawn(|builder| builder, streaming(|_: Request| "enough"));
    let mut client = server.connect();
    let sending = client.send_in_background(request::post("/", vec![b'x'; HUGE]));
    assert!(client.expect_body("enough").announces_close());
    // The rest may or may not be received.
    drop(client.try_finish_sending());
    let _ = client.read_rest();
    let _ = sending.join().expect("the sender does not panic");
    server.expect_open(0);
}

fn a_panic_while_reading_gets_500(transport: Transport) {
    let server = transport.spawn(
        |builder| builder,
        streaming(|mut request: Request| {
            if request.uri().path() == "/panic" {
                read(request.body_mut(), 4);
                panic!("a test asked for this");
            }
        }),
    );
    for _ in 0..4 {
        let mut client = server.connect();
        client.send(request::post_head("/panic", 10)).send("half");
        assert!(client.expect_status(500).announces_close());
        client.finish_sending().expect_closed();
    }
    server.expect_serving();
}

/// Panics in `body_mode` only.
struct PanickingBodyMode;

impl Handler for PanickingBodyMode {
    fn handle(&self, request: &mut Request) -> Response {
        read_all(mem::take(request)).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        panic!("a test asked for this");
    }
}

#[test]
fn a_panic_in_body_mode_means_buffered() {
    let server = TestServer::spawn(|builder| builder, PanickingBodyMode);
    let mut client = server.connect();
    client.send(request::post_head("/", 9)).send("half");
    client.send("whole").expect_body("halfwhole");
}

fn a_body_ends_with_the_response(transport: Transport) {
    let kept: Arc<Mutex<Option<Body>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let server = transport.spawn(
        |builder| builder,
        streaming(move |mut request: Request| {
            read(request.body_mut(), 4);
            let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = Some(request.into_body());
            "kept"
        }),
    );
    let mut client = server.connect();
    client.send(request::post_head("/", 9)).send("half");
    assert!(client.expect_body("kept").announces_close());
    client.send("whole").finish_sending().expect_closed();
    let body = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    let failure = body.expect("the body was kept").read(&mut [0]);
    assert_eq!(
        failure.map_err(|error| error.kind()),
        Err(ErrorKind::NotConnected)
    );
}

#[test]
fn a_streamed_body_as_response_is_reset() {
    let server = TestServer::spawn(|builder| builder, streaming(Request::into_body));
    let mut client = server.connect();
    client.send(request::post_head("/", 9));
    assert_eq!(client.read_rest().1, End::Reset);
    server.expect_open(0);
}

fn a_read_on_another_thread_fails_after_the_response(transport: Transport) {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let (sender, receiver) = bounded(1);
    let server = transport.spawn(
        |builder| builder.body_timeout(NEVER).min_rate_grace(NEVER),
        streaming(move |mut request: Request| {
            let sender: Sender<_> = sender.clone();
            let waiter = waiter.clone();
            let begun = waiter.clone();
            thread::spawn(move || {
                read(request.body_mut(), 4);
                begun.wait();
                let failure = request.body_mut().read(&mut [0]);
                sender
                    .send(failure.map_err(|error| error.kind()))
                    .expect("the test receives");
            });
            waiter.wait();
            "early"
        }),
    );
    let mut client = server.connect();
    client.send(request::post_head("/", 9)).send("half");
    gate.expect_arrived(2);
    gate.open();
    assert!(client.expect_body("early").announces_close());
    assert_eq!(
        receiver.recv_timeout(TIMEOUT),
        Ok(Err(ErrorKind::NotConnected))
    );
}

/// A server whose handler has read half of a body.
fn half_read(
    transport: Transport,
    configure: impl FnOnce(Builder) -> Builder,
) -> (TestServer, Client) {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = transport.spawn(
        configure,
        streaming(move |mut request: Request| {
            read(request.body_mut(), 4);
            waiter.wait();
            read_all(request)
        }),
    );
    let mut client = server.connect();
    client.send(request::post_head("/", 9)).send("half");
    gate.expect_arrived(1);
    (server, client)
}

fn drain_reads_a_streamed_body_to_its_end(transport: Transport) {
    let (server, mut client) = half_read(transport, |builder| builder.drain_timeout(NEVER));
    server.begin_drain();
    client.send("whole");
    assert!(client.expect_body("whole").announces_close());
    drop(client);
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (1, 0));
}

fn drain_aborts_a_body_at_the_deadline(transport: Transport) {
    let (server, mut client) = half_read(transport, |builder| builder.drain_timeout(SOON));
    server.handle().shutdown();
    let (received, _) = client.read_rest();
    assert!(received.is_empty(), "{received:?}");
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (0, 1));
    assert_eq!(report.abandoned_workers, 0);
}

/// The poller watches the connection again once its handler has returned.
fn a_connection_is_idle_again_after_a_streamed_body(transport: Transport) {
    let server = server(transport);
    let mut clients = [(); 3].map(|()| server.connect());
    for _ in 0..20 {
        for client in &mut clients {
            client.get("/").expect_body("");
            client.send(request::post_head("/", 9)).send("half");
            client.send("whole").expect_body("halfwhole");
        }
    }
    let [mut finishing, leaving, mut staying] = clients;
    finishing.finish_sending().expect_closed();
    drop(leaving);
    server.expect_open(1);
    server.begin_drain();
    staying.expect_closed();
    assert_eq!(server.expect_end().aborted, 0);
}

fn the_idle_timeout_starts_after_a_streamed_body(transport: Transport) {
    let server = transport.spawn(|builder| builder.idle_timeout(SOON), streaming(read_all));
    let mut client = server.connect();
    client.send(request::post_head("/", 9)).send("half");
    client.send("whole").expect_body("halfwhole");
    client.expect_closed();
}

fn a_half_close_before_the_read_is_noticed(transport: Transport) {
    for (rest, read) in [("", Err(ErrorKind::UnexpectedEof)), ("whole", Ok(9))] {
        let gate = Gate::new();
        let waiter = gate.waiter();
        let (sender, receiver) = bounded(1);
        let server = transport.spawn(
            |builder| builder,
            streaming(move |request: Request| {
                waiter.wait();
                let read = read_all(request).map(|content| content.len());
                let read = read.map_err(|error| error.kind());
                sender.send(read).expect("the test receives");
                "read"
            }),
        );
        let mut client = server.connect();
        client.send(request::post_head("/", 9)).send("half");
        gate.expect_arrived(1);
        client.send(rest).finish_sending();
        gate.open();
        assert_eq!(receiver.recv_timeout(TIMEOUT), Ok(read));
        client.expect_body("read");
        client.expect_closed();
        server.expect_open(0);
    }
}

/// Streaming has this cost, so a handler must request it.
#[test]
fn a_slow_upload_holds_its_worker() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = {
        let seen = Arc::clone(&seen);
        move |event: &str| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(event.to_owned());
        }
    };
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder.workers(1),
        streaming(move |mut request: Request| {
            let is_upload = request.body().length() != Some(0);
            if is_upload {
                read(request.body_mut(), 4);
                record("half");
                waiter.wait();
            }
            let response = read_all(request);
            record(if is_upload { "whole" } else { "other" });
            response
        }),
    );
    let (mut slow, mut other) = (server.connect(), server.connect());
    slow.send(request::post_head("/", 9)).send("half");
    gate.expect_arrived(1);
    gate.open();
    other.get("/");
    slow.send("whole").expect_body("whole");
    other.expect_body("");
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*seen, ["half", "whole", "other"]);
}

#[test]
fn a_large_body_is_streamed_in_little_memory() {
    in_own_process(
        "streamed_bodies::a_large_body_is_streamed_in_little_memory",
        || {
            let gate = Gate::new();
            let waiter = gate.waiter();
            let server = TestServer::spawn(
                |builder| builder.max_buffered_memory(64 * 1024),
                streaming(move |mut request: Request| {
                    let body = request.body_mut();
                    let half = io::copy(&mut body.take(HUGE as u64 / 2), &mut io::sink());
                    waiter.wait();
                    let rest = io::copy(body, &mut io::sink());
                    format!(
                        "{} {}",
                        half.expect("the first half is read"),
                        rest.expect("the second half is read")
                    )
                }),
            );
            let mut client = server.connect();
            let request = request::post("/", vec![b'x'; HUGE]);
            let before = resident_memory();
            let sending = client.send_in_background(request);
            gate.expect_arrived(1);
            // Far more than this has arrived by now.
            let grown = resident_memory().saturating_sub(before);
            assert!(grown < HUGE as u64 / 8, "{grown} bytes for a half");
            assert_eq!(server.handle().snapshot().buffered, 0);
            gate.open();
            client.expect_body(format!("{0} {0}", HUGE / 2));
            sending
                .join()
                .expect("the sender does not panic")
                .expect("everything is sent");
            assert_eq!(server.handle().snapshot().buffered, 0);
        },
    );
}
