//! `103 Early Hints`, sent before the response is made.

use crossbeam_channel::{Sender, unbounded};
use httpool::http::HeaderMap;
use httpool::http::header::LINK;
use httpool::layers::{SecurityHeaders, Timeout};
use httpool::{Handler, Later, Layered, Request, Router};

use crate::support::http2::{Http2Client, request_fields};
use crate::support::{Gate, GateWaiter, NEVER, TestServer, Transport, over_every_transport};

over_every_transport! {
    hints_come_before_the_response_is_made,
    hints_come_before_the_response_is_made_over_http2,
    hints_follow_earlier_responses,
}

const STYLE: &str = "</style.css>; rel=preload; as=style";

/// Sends hints, and makes the response when the gate opens.
fn page(waiter: GateWaiter) -> impl Handler {
    let handler = move |request: Request| {
        let (waiter, target) = (waiter.clone(), request.uri().path().to_owned());
        Later::early_hints([(LINK, STYLE)], move || {
            waiter.wait();
            ([(LINK, STYLE)], target)
        })
    };
    Layered::new(handler).layer(SecurityHeaders::new())
}

/// A request of a browser that opens a page.
fn navigation(target: &str, version: &str) -> String {
    format!("GET {target} HTTP/{version}\r\nHost: it\r\nSec-Fetch-Mode: navigate\r\n\r\n")
}

/// With one worker, no other thread could send the hints while the response is made.
fn server(transport: Transport, gate: &Gate) -> TestServer {
    transport.spawn(|builder| builder.workers(1), page(gate.waiter()))
}

fn hints_come_before_the_response_is_made(transport: Transport) {
    let gate = Gate::new();
    let server = server(transport, &gate);
    let mut client = server.connect();
    client.send(navigation("/a", "1.1"));
    let hints = client.expect_status(103);
    assert_eq!(hints.headers, [("link".to_owned(), STYLE.to_owned())]);
    gate.expect_arrived(1);
    gate.open();
    let response = client.expect_body("/a");
    assert_eq!(response.header("link"), Some(STYLE));
    // Layers have changed the response.
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    // The connection continues.
    client.send(navigation("/b", "1.1")).expect_status(103);
    client.expect_body("/b");
    // Other clients of HTTP/1.1 may not know them.
    client.get("/c").expect_body("/c");
}

fn hints_come_before_the_response_is_made_over_http2(transport: Transport) {
    let gate = Gate::new();
    let server = server(transport, &gate);
    let mut client = Http2Client::connect(&server);
    let stream = client.get("/a");
    client.read_until("103", |client| client.reply(stream).interim == [103]);
    gate.expect_arrived(1);
    gate.open();
    let response = client.expect_body(stream, "/a");
    assert_eq!(response.header("link"), Some(STYLE));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
}

fn hints_follow_earlier_responses(transport: Transport) {
    let gate = Gate::new();
    gate.open();
    let server = server(transport, &gate);
    let mut client = server.connect();
    client.send(navigation("/a", "1.1") + &navigation("/b", "1.1"));
    for target in ["/a", "/b"] {
        client.expect_status(103);
        client.expect_body(target);
    }
}

#[test]
fn clients_of_http_1_0_get_no_hints() {
    let gate = Gate::new();
    gate.open();
    let server = server(Transport::Tcp, &gate);
    let mut client = server.connect();
    client.send(navigation("/", "1.0"));
    client.expect_body("/");
    client.expect_closed();
}

#[test]
fn panic_behind_hints_becomes_a_500() {
    let handler = |_: Request| {
        Later::early_hints([(LINK, STYLE)], || -> &'static str { panic!("on purpose") })
    };
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.send(navigation("/", "1.1")).expect_status(103);
    client.expect_status(500);
    let mut client = Http2Client::connect(&server);
    let stream = client.get("/");
    client.expect_status(stream, 500);
}

#[test]
fn hints_work_for_requests_with_a_body_and_behind_a_timeout() {
    let handler = |body: String| Later::early_hints([(LINK, STYLE)], move || body);
    let router: Router = Router::new().layer(Timeout::new(NEVER)).post("/", handler);
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    let head = navigation("/", "1.1").replace("GET", "POST");
    let head = head.replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\n");
    client.send(head + "body").expect_status(103);
    client.expect_body("body");
    let mut client = Http2Client::connect(&server);
    let stream = client.post("/", "body");
    let reply = client.expect_reply(stream);
    assert_eq!(reply.interim, [103]);
    assert_eq!(
        reply.response.map(|response| response.body).as_deref(),
        Some(&b"body"[..])
    );
}

#[test]
fn response_behind_hints_may_come_later() {
    let handler = |_: Request| {
        Later::early_hints(HeaderMap::new(), || {
            let (responder, later) = Later::new();
            std::thread::spawn(move || responder.respond("later"));
            later
        })
    };
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.send(navigation("/", "1.1")).expect_status(103);
    client.expect_body("later");
    let mut client = Http2Client::connect(&server);
    let stream = client.get("/");
    client.expect_body(stream, "later");
}

/// Tells the test that the response is made.
fn telling(made: Sender<()>) -> impl Handler {
    move |_: Request| {
        let made = made.clone();
        Later::early_hints([(LINK, STYLE)], move || made.send(()).is_ok().to_string())
    }
}

#[test]
fn drain_completes_responses_behind_hints() {
    let (made, is_made) = unbounded();
    let server = TestServer::spawn(|builder| builder, telling(made));
    let mut client = server.connect();
    client.send(navigation("/", "1.1")).expect_status(103);
    server.handle().shutdown();
    client.expect_body("true");
    assert_eq!(is_made.try_recv(), Ok(()));
}

#[test]
fn head_and_streams_of_one_connection_get_hints() {
    let (made, is_made) = unbounded();
    let server = TestServer::spawn(|builder| builder.workers(4), telling(made));
    let mut client = Http2Client::connect(&server);
    let streams = [(); 10].map(|()| client.get("/"));
    for stream in streams {
        let reply = client.expect_reply(stream);
        assert_eq!(reply.interim, [103]);
        assert_eq!(reply.response.map(|response| response.status), Some(200));
    }
    assert_eq!(is_made.len(), 10);
    let stream = client.request(&request_fields("HEAD", "/"));
    let reply = client.expect_reply(stream);
    assert_eq!(reply.interim, [103]);
    let mut client = server.connect();
    let head = navigation("/", "1.1").replace("GET", "HEAD");
    client.send(head).expect_status(103);
    client.expect_response_to_head();
}
