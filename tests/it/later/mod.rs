//! Responses that come later. Those of this file come over HTTP/1.1.

mod ends;
mod http2;
mod layers;
mod records;

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use httpool::http::StatusCode;
use httpool::{Body, BodyMode, Handler, IntoResponse, Later, Request, Responder, Response};

use crate::support::{
    End, NEVER, SOON, TIMEOUT, TestServer, Transport, over_every_transport, request,
};

/// The test's side of requests whose responses come later.
pub(crate) struct Desk(Receiver<Responder>);

/// The handler of a [`Desk`]: `/now` has its response at once, `/after` one by the clock. All others come
/// from the test.
#[derive(Clone)]
pub(crate) struct LaterHandler(Sender<Responder>);

impl Desk {
    pub(crate) fn new() -> (Self, LaterHandler) {
        let (sender, receiver) = unbounded();
        (Self(receiver), LaterHandler(sender))
    }

    /// The responder of the next request.
    #[track_caller]
    pub(crate) fn next(&self) -> Responder {
        let responder = self.0.recv_timeout(TIMEOUT);
        responder.expect("a request reaches its handler")
    }
}

impl LaterHandler {
    /// A response that the test gives, without a deadline.
    pub(crate) fn later(&self) -> Later {
        let (responder, later) = Later::new();
        self.0.send(responder).expect("the test waits for requests");
        later.deadline(NEVER)
    }
}

impl Handler for LaterHandler {
    fn handle(&self, request: &mut Request) -> Response {
        let later = match request.uri().path() {
            "/now" | "/beside" => return "now".into_response(),
            "/after" => Later::after(Duration::from_millis(30), "after"),
            "/due" => Later::after(Duration::ZERO, "due"),
            "/late" => self.later().deadline(SOON),
            "/own" => self.later().deadline_with(SOON, StatusCode::NO_CONTENT),
            "/read" => {
                let _ = std::io::copy(request.body_mut(), &mut std::io::sink());
                self.later()
            }
            _ => self.later(),
        };
        later.into_response()
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match request.uri().path() {
            "/read" | "/unread" => BodyMode::STREAMING,
            "/head" => BodyMode::HeadOnly,
            _ => BodyMode::Buffered,
        }
    }
}

pub(crate) fn serve(transport: Transport) -> (TestServer, Desk) {
    let (desk, handler) = Desk::new();
    (transport.spawn(|builder| builder, handler), desk)
}

over_every_transport! {
    another_thread_responds,
    clock_responds,
    deadline_is_504,
    own_response_after_the_deadline,
    dropped_responder_is_500,
    client_that_leaves_cancels,
    responses_keep_their_order,
    bodies_of_requests_are_no_obstacle,
    a_thousand_wait_on_two_workers,
    drain_waits,
    drain_waits_only_for_clients_that_read,
    drain_aborts_at_its_deadline,
}

fn another_thread_responds(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = server.connect();
    for number in 0..3 {
        client.get("/");
        let responder = desk.next();
        std::thread::spawn(move || responder.respond(format!("response {number}")));
        client.expect_body(format!("response {number}"));
    }
    client.get("/now").expect_body("now");
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    desk.next().respond("hello").expect("the client waits");
    let response = client.expect_response_to_head();
    assert_eq!(response.header("content-length"), Some("5"));
    client.get_and_close("/");
    desk.next().respond("last").expect("the client waits");
    client.expect_body("last");
    client.expect_closed();
}

fn clock_responds(transport: Transport) {
    let (server, _desk) = serve(transport);
    let mut client = server.connect();
    client.get("/after").expect_body("after");
    client.get("/due").expect_body("due");
    client.send(request::get("/after").repeat(2));
    client.expect_body("after");
    client.expect_body("after");
}

fn deadline_is_504(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = server.connect();
    client.get("/late");
    let responder = desk.next();
    let response = client.expect_status(504);
    assert!(response.text().contains("did not come in time"));
    assert!(responder.is_cancelled());
    responder.respond("too late").expect_err("nobody waits");
    client.get("/now").expect_body("now");
}

fn own_response_after_the_deadline(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = server.connect();
    client.get("/own").expect_status(204);
    assert!(desk.next().is_cancelled());
    client.get("/now").expect_body("now");
}

fn dropped_responder_is_500(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = server.connect();
    client.get("/");
    drop(desk.next());
    client.expect_status(500);
    client.get("/now").expect_body("now");
}

fn client_that_leaves_cancels(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = server.connect();
    client.get("/");
    let responder = desk.next();
    let (sender, cancelled) = unbounded();
    responder.on_cancel(move || sender.send(()).expect("the test waits"));
    assert!(!responder.is_cancelled());
    match transport {
        Transport::Unix => drop(client),
        Transport::Tcp | Transport::Tls => client.reset(),
    }
    cancelled.recv_timeout(TIMEOUT).expect("it is called");
    assert!(responder.is_cancelled());
    server.expect_open(0);
    responder.respond("hello").expect_err("the client has left");
}

fn responses_keep_their_order(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = server.connect();
    client.send([request::get("/"), request::get("/now"), request::get("/")].concat());
    desk.next().respond("first").expect("the client waits");
    desk.next().respond("third").expect("the client waits");
    for body in ["first", "now", "third"] {
        client.expect_body(body);
    }
}

fn bodies_of_requests_are_no_obstacle(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = server.connect();
    for target in ["/", "/read", "/unread", "/head"] {
        client.post(target, "a body");
        desk.next().respond(target).expect("the client waits");
        client.expect_body(target);
    }
    // The rest of the body arrives while the request waits.
    client.send(request::post_head("/head", 6)).send("a b");
    let responder = desk.next();
    client.send("ody").send(request::get("/now"));
    responder.respond("head").expect("the client waits");
    client.expect_body("head");
    client.expect_body("now");
    // No later request can be told from a body that has not arrived.
    client.send(request::post_head("/unread", 6)).send("a b");
    desk.next().respond("unread").expect("the client waits");
    assert!(client.expect_body("unread").announces_close());
}

fn a_thousand_wait_on_two_workers(transport: Transport) {
    const CLIENTS: usize = 1000;
    let (server, desk) = serve(transport);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.get("/");
    }
    let responders: Vec<_> = (0..CLIENTS).map(|_| desk.next()).collect();
    server.expect_serving();
    for responder in responders {
        responder.respond("hello").expect("the client waits");
    }
    for client in &mut clients {
        client.expect_body("hello");
    }
}

fn drain_waits(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = server.connect();
    client.get("/");
    let responder = desk.next();
    let mut other = server.connect();
    other.get("/after");
    assert!(!responder.is_draining());
    server.begin_drain();
    assert!(responder.is_draining());
    assert!(other.expect_body("after").announces_close());
    responder.respond("hello").expect("the client waits");
    assert!(client.expect_body("hello").announces_close());
    client.expect_closed();
    other.expect_closed();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (2, 0));
}

fn drain_waits_only_for_clients_that_read(transport: Transport) {
    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    let (server, desk) = serve(transport);
    let wait = |request: &str| {
        let mut client = server.connect();
        client.send(request);
        (client, desk.next())
    };
    let new = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut reads, response) = wait(new);
    let (mut old, old_response) = wait("GET / HTTP/1.0\r\n\r\n");
    let (gone, _kept) = wait(new);
    let (leaves, _kept_too) = wait(new);
    reads.finish_sending();
    old.finish_sending();
    drop(gone);
    server.begin_drain();
    drop(leaves);
    // Clients that are gone reset their connections.
    server.expect_open(2);
    let interim = reads.expect_bytes(CONTINUE.len());
    assert_eq!(String::from_utf8_lossy(&interim), CONTINUE);
    response.respond("hello").expect("the client reads");
    reads.expect_body("hello");
    old_response.respond("old").expect("the client may read");
    old.expect_body("old");
    drop((reads, old));
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (2, 0));
}

fn drain_aborts_at_its_deadline(transport: Transport) {
    let (desk, handler) = Desk::new();
    let server = transport.spawn(|builder| builder.drain_timeout(SOON), handler);
    let mut client = server.connect();
    client.get("/");
    let responder = desk.next();
    server.handle().shutdown();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (0, 1));
    assert!(responder.is_cancelled());
    assert_eq!(client.read_rest(), (Vec::new(), transport.end_on_abort()));
}

#[test]
fn drain_completes_a_thousand_requests_that_wait() {
    const EACH: usize = 500;
    let (desk, handler) = Desk::new();
    let server = TestServer::spawn(|builder| builder.workers(2), handler);
    let ask = |target| {
        let mut client = server.connect();
        client.get(target);
        client
    };
    let mut asking: Vec<_> = (0..EACH).map(|_| ask("/")).collect();
    let mut delayed: Vec<_> = (0..EACH).map(|_| ask("/after")).collect();
    let responders: Vec<_> = (0..EACH).map(|_| desk.next()).collect();
    server.begin_drain();
    for responder in responders {
        responder.respond("hello").expect("the client waits");
    }
    for (clients, body) in [(&mut asking, "hello"), (&mut delayed, "after")] {
        for client in clients {
            client.expect_body(body);
            client.expect_closed();
        }
    }
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (2 * EACH as u64, 0));
}

#[test]
fn finished_client_is_cancelled_and_gets_its_response() {
    let (server, desk) = serve(Transport::Tcp);
    let mut client = server.connect();
    client.get("/").finish_sending();
    let responder = desk.next();
    let (sender, cancelled) = unbounded();
    responder.on_cancel(move || sender.send(()).expect("the test waits"));
    cancelled.recv_timeout(TIMEOUT).expect("it is called");
    responder.respond("hello").expect("the client may read");
    client.expect_body("hello");
    let (rest, end) = client.read_rest();
    assert_eq!((rest.len(), end), (0, End::Closed));
}

#[test]
fn body_of_any_kind_may_come_later() {
    let (server, desk) = serve(Transport::Tcp);
    let mut client = server.connect();
    client.get("/");
    let body = Body::from_reader(&b"read while it is sent"[..]);
    desk.next().respond(body).expect("the client waits");
    client.expect_body("read while it is sent");
    client.get("/");
    let large = vec![b'x'; 1 << 20];
    desk.next()
        .respond(large.clone())
        .expect("the client waits");
    client.expect_body(large);
}
