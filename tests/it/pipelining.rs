use std::io::Write as _;
use std::thread;

use httpool::{BodyMode, Builder, Handler, Request, Response};

use crate::support::{Client, End, NEVER, Random, TestServer, describe, mirror, request};

#[test]
fn two_hundred_pipelined_requests_are_answered_in_order() {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut random = Random::new(1);
    let mut requests = Vec::new();
    let mut responses = Vec::new();
    for number in 0..200 {
        let target = format!("/{number}");
        // Some bodies are larger than one combined write.
        let body = "x".repeat(random.below(20_000));
        let (request, response) = match number % 3 {
            0 => (request::get(&target), format!("GET {target} ")),
            1 => (
                request::post(&target, &body),
                format!("POST {target} {body}"),
            ),
            _ => (
                request::post_chunked(&target, &body, 1 + random.below(5_000)),
                format!("POST {target} {body}"),
            ),
        };
        requests.extend(request);
        responses.push(response);
    }
    let mut client = server.connect();
    let sending = client.send_in_background(requests);
    for response in responses {
        client.expect_body(response);
    }
    let sent = sending.join().expect("sending does not panic");
    sent.expect("the server reads everything");
    client.finish_sending().expect_closed();
}

#[test]
fn packet_boundaries_do_not_matter() {
    let requests = [
        request::get("/first"),
        request::post("/second", "a body"),
        request::post_chunked("/third", "a body in chunks", 5),
        b"\r\n".to_vec(),
        request::get("/fourth"),
        request::post("/fifth", ""),
        request::get_and_close("/last"),
    ]
    .concat();
    let server = TestServer::spawn(|builder| builder, describe);
    for size in [1, 2, 3, 5, 7, 11, 50, 101] {
        let mut client = server.connect();
        for piece in requests.chunks(size) {
            client.send(piece);
        }
        for response in [
            "GET /first ",
            "POST /second a body",
            "POST /third a body in chunks",
            "GET /fourth ",
            "POST /fifth ",
            "GET /last ",
        ] {
            client.expect_body(response);
        }
        client.expect_closed();
    }
}

#[test]
fn client_may_pipeline_thousands_before_reading() {
    const REQUESTS: usize = 4_000;
    // More than socket buffers hold, so that the server has to pause writing.
    const PADDING: usize = 10_000;
    let server = TestServer::spawn(
        |builder| builder,
        |request: Request| format!("{:>PADDING$}", request.uri().path()),
    );
    let mut client = server.connect();
    let requests: Vec<u8> = (0..REQUESTS)
        .flat_map(|number| request::get(&format!("/{number}")))
        .collect();
    client.send(requests);
    server.expect_serving();
    for number in 0..REQUESTS {
        client.expect_body(format!("{:>PADDING$}", format!("/{number}")));
    }
    client.finish_sending().expect_closed();
}

#[test]
fn requests_after_connection_close_are_ignored() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = server.connect();
    client.send(
        [
            request::post("/", "first"),
            request::get_and_close("/last"),
            request::post("/", "never"),
        ]
        .concat(),
    );
    client.expect_body("first");
    assert!(client.expect_body("").announces_close());
    client.finish_sending().expect_closed();
}

/// Drains a server while one client repeats `request` endlessly; returns what the client received.
#[track_caller]
fn drain_during_endless_requests(
    request: Vec<u8>,
    configure: impl FnOnce(Builder) -> Builder,
    handler: impl Handler,
) -> Vec<u8> {
    let server = TestServer::spawn(|builder| configure(builder.drain_timeout(NEVER)), handler);
    let mut client = server.connect();
    thread::scope(|scope| {
        let mut socket = client.socket().try_clone().expect("a socket can be cloned");
        scope.spawn(move || {
            let requests = request.repeat(1_000);
            while socket.write_all(&requests).is_ok() {}
        });
        client.expect_bytes(1);
        let reading = scope.spawn(move || {
            let received = client.read_rest();
            // Ends the sending thread with an error.
            drop(client);
            received
        });
        let report = server.shut_down();
        assert_eq!((report.aborted, report.abandoned_workers), (0, 0));
        let (received, end) = reading.join().expect("reading does not panic");
        assert_eq!(end, End::Closed);
        assert_eq!(
            1 + received.windows(9).filter(|at| *at == b"HTTP/1.1 ").count() as u64,
            report.answered
        );
        received
    })
}

/// Whether the last response, and only that one, announces the close.
fn only_the_last_says_close(received: &[u8]) -> bool {
    let received = String::from_utf8_lossy(received).to_ascii_lowercase();
    let announces_close = |head: &str| head.contains("connection: close");
    let mut heads: Vec<&str> = received.split("http/1.1 ").collect();
    let last = heads.pop();
    last.is_some_and(announces_close) && !heads.into_iter().any(announces_close)
}

#[test]
fn endless_pipelining_does_not_delay_drain() {
    for request in [
        request::get("/"),
        request::post("/", "some content"),
        request::post_chunked("/", "some content", 5),
    ] {
        let received = drain_during_endless_requests(request, |builder| builder, describe);
        assert!(only_the_last_says_close(&received));
    }
}

#[test]
fn endless_streamed_bodies_do_not_delay_drain() {
    struct Reader;
    impl Handler for Reader {
        fn handle(&self, request: &mut Request) -> Response {
            let read = std::io::copy(request.body_mut(), &mut std::io::sink());
            Response::new(read.expect("the body is complete").to_string().into())
        }

        fn body_mode(&self, _: &Request) -> BodyMode {
            BodyMode::STREAMING
        }
    }
    let request = request::post("/", "x".repeat(10_000));
    let received = drain_during_endless_requests(request, |builder| builder, Reader);
    assert!(only_the_last_says_close(&received));
}

#[test]
fn endless_empty_lines_do_not_delay_drain() {
    let server = TestServer::spawn(|builder| builder.drain_timeout(NEVER), describe);
    let client: Client = server.connect();
    thread::scope(|scope| {
        let mut client = client;
        scope.spawn(move || while client.try_send(b"\r\n".repeat(1_000)).is_ok() {});
        server.expect_open(1);
        assert_eq!(server.shut_down().aborted, 0);
    });
}
