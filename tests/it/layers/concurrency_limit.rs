use std::io;

use crossbeam_channel::unbounded;
use httpool::extract::BodyStream;
use httpool::layers::ConcurrencyLimit;
use httpool::{Later, Layered, Request, Responder, Router};

use crate::support::{Gate, Http2Client, NEVER, TestServer, eventually};

/// A server with a limit of 2 for `/slow`, whose handlers wait at the gate.
fn server(gate: &Gate) -> (TestServer, ConcurrencyLimit) {
    let (limit, waiter) = (ConcurrencyLimit::new(2), gate.waiter());
    let slow = Router::new()
        .layer(limit.clone())
        .post("/", move |_: String| {
            waiter.wait();
            "slow"
        });
    let router: Router = Router::new().get("/", || "quick").nest("/slow", slow);
    let server = TestServer::spawn(|builder| builder.workers(8), router);
    (server, limit)
}

#[test]
fn requests_beyond_the_limit_get_503_at_once() {
    let gate = Gate::new();
    let (server, limit) = server(&gate);
    let mut running = [server.connect(), server.connect()];
    for client in &mut running {
        client.post("/slow", "body");
    }
    gate.expect_arrived(2);
    assert_eq!(limit.running(), 2);
    let mut third = server.connect();
    let response = third.post("/slow", "body").expect_status(503);
    assert_eq!(response.header("retry-after"), Some("1"));
    // The client need not send the body.
    let head =
        "POST /slow HTTP/1.1\r\nHost: it\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    server.connect().send(head).expect_status(503);
    third.get("/").expect_body("quick");
    gate.open();
    for client in &mut running {
        client.expect_body("slow");
    }
    eventually("the handlers are done", || limit.running() == 0);
    third.post("/slow", "body").expect_body("slow");
}

#[test]
fn limit_holds_for_streams_of_one_connection() {
    let gate = Gate::new();
    let (server, limit) = server(&gate);
    let mut client = Http2Client::connect(&server);
    let running = [(); 2].map(|()| client.post("/slow", "body"));
    gate.expect_arrived(2);
    let third = client.post("/slow", "body");
    let response = client.expect_status(third, 503);
    assert_eq!(response.header("retry-after"), Some("1"));
    gate.open();
    for stream in running {
        client.expect_body(stream, "slow");
    }
    eventually("the handlers are done", || limit.running() == 0);
}

#[test]
fn bodies_that_are_streamed_leave_workers_for_others() {
    let limit = ConcurrencyLimit::new(1);
    let save = |mut body: BodyStream<1000>| -> io::Result<String> {
        let bytes = io::copy(&mut body, &mut io::sink())?;
        Ok(format!("{bytes} bytes"))
    };
    let router: Router = Router::new()
        .get("/", || "quick")
        .post("/upload", Layered::new(save).layer(limit.clone()));
    let server = TestServer::spawn(|builder| builder.workers(2), router);
    let head = "POST /upload HTTP/1.1\r\nHost: it\r\nContent-Length: 4\r\n\r\n";
    let (mut slow, mut other) = (server.connect(), server.connect());
    slow.send(head);
    eventually("the body is being read", || limit.running() == 1);
    other.send(head);
    other.expect_status(503);
    server.connect().get("/").expect_body("quick");
    slow.send("body");
    slow.expect_body("4 bytes");
}

#[test]
fn response_that_comes_later_counts_until_then() {
    let (sender, responders) = unbounded::<Responder>();
    let limit = ConcurrencyLimit::new(1);
    let router: Router = Router::new().layer(limit.clone()).get("/", move || {
        let (responder, later) = Later::new();
        sender.send(responder).expect("the test waits");
        later.deadline(NEVER)
    });
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    client.get("/");
    let responder = responders.recv().expect("the handler sends it");
    server.connect().get("/").expect_status(503);
    responder.respond("later").expect("the client waits");
    client.expect_body("later");
    eventually("the response is there", || limit.running() == 0);
    // A client that leaves counts no more.
    client.get("/");
    let responder = responders.recv().expect("the handler sends it");
    client.reset();
    eventually("the client has left", || limit.running() == 0);
    assert!(responder.is_cancelled());
}

#[test]
fn panic_of_the_handler_ends_the_count() {
    let limit = ConcurrencyLimit::new(1);
    let panics = |request: Request| -> String { panic!("{}", request.uri()) };
    let router: Router = Router::new().layer(limit.clone()).get("/", panics);
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    for _ in 0..2 {
        client.get("/").expect_status(500);
    }
    assert_eq!(limit.running(), 0);
}

#[test]
#[should_panic(expected = "must be greater than zero")]
fn limit_of_zero_panics() {
    let _ = ConcurrencyLimit::new(0);
}
