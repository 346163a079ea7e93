use std::thread;
use std::time::Duration;

use httpool::http::StatusCode;
use httpool::{Request, Response};

use crate::support::{Client, Gate, GateWaiter, NEVER, TestServer, describe, mirror, request};

/// Waits at the gate for `/gate`.
fn gated(waiter: GateWaiter) -> impl Fn(Request) -> String {
    move |request: Request| {
        if request.uri() == "/gate" {
            waiter.wait();
        }
        describe(request)
    }
}

/// A wakeup for queued work reached a worker that had just received an event. The work then waited
/// for that worker's handler, although another worker was idle.
#[test]
fn wakeup_received_by_a_busy_worker_is_passed_on() {
    for _ in 0..40 {
        let gate = Gate::new();
        let server = TestServer::spawn(|builder| builder.workers(2), gated(gate.waiter()));
        let mut slow = server.connect();
        slow.get("/").expect_status(200);
        slow.get("/gate");
        server.connect().get("/").expect_status(200);
        gate.open();
        slow.expect_status(200);
    }
}

/// Deadlines were checked when a worker became free, so that clients of a busy pool timed out.
#[test]
fn deadlines_do_not_count_time_waiting_for_a_worker() {
    let gate = Gate::new();
    let configure = |builder: httpool::Builder| {
        builder
            .workers(1)
            .head_timeout(Duration::from_millis(300))
            .body_timeout(Duration::from_millis(300))
    };
    let server = TestServer::spawn(configure, gated(gate.waiter()));
    let (mut head, mut body) = (server.connect(), server.connect());
    head.send("GET /head HTTP/1.1\r\nHo");
    body.send(request::post_head("/body", 2)).send("o");
    // The only worker has read both partial requests before it answers this one.
    let mut holder = server.connect();
    holder.get("/").expect_status(200);
    holder.get("/gate");
    gate.expect_arrived(1);
    head.send("st: it\r\n\r\n");
    body.send("k");
    // Sleeps until both deadlines have passed while no worker is free. Time is the subject: nothing
    // shows that a deadline has passed unless the server wrongly acts on it.
    thread::sleep(Duration::from_millis(500));
    gate.open();
    head.expect_status(200);
    body.expect_status(200);
}

/// Pipelined requests ran one after another while other clients waited, and the first responses
/// were sent with the last one.
#[test]
fn slow_pipelined_requests_yield_to_other_clients() {
    let gates = [Gate::new(), Gate::new()];
    let waiters = gates.each_ref().map(Gate::waiter);
    let handler = move |request: Request| {
        match request.uri().path() {
            "/0" => waiters[0].wait(),
            "/1" => waiters[1].wait(),
            _ => {}
        }
        describe(request)
    };
    let server = TestServer::spawn(|builder| builder.workers(1), handler);
    let mut greedy = server.connect();
    greedy.send([request::get("/0"), request::get("/1")].concat());
    gates[0].expect_arrived(1);
    let mut other = server.connect();
    other.get("/other");
    server.expect_open(2);
    // Time is the subject: the first handler runs longer than a worker's turn.
    thread::sleep(Duration::from_millis(20));
    gates[0].open();
    greedy.expect_body("GET /0 ");
    other.expect_body("GET /other ");
    gates[1].open();
    greedy.expect_body("GET /1 ");
}

/// `Instant::now() + Duration::MAX` panicked.
#[test]
fn duration_max_is_a_valid_timeout() {
    let forever = Duration::MAX;
    let configure = |builder: httpool::Builder| {
        builder
            .head_timeout(forever)
            .body_timeout(forever)
            .idle_timeout(forever)
            .write_timeout(forever)
            .drain_timeout(forever)
            .max_body(usize::MAX)
    };
    let server = TestServer::spawn(configure, mirror);
    let mut client = server.connect();
    client.post("/", "x").expect_body("x");
    client.send(request::post_head("/", 2)).send("o");
    client.send("k").expect_body("ok");
    drop(client);
    assert_eq!(server.shut_down().aborted, 0);
}

/// A client would take a 1xx response for an interim one, and the next response for the final one.
#[test]
fn handler_cannot_return_an_interim_response() {
    let handler = |_: Request| -> Response {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::CONTINUE;
        response
    };
    let server = TestServer::spawn(|builder| builder, handler);
    server.connect().get("/").expect_status(500);
}

/// The handler took the request, including its Accept header.
#[test]
fn panic_response_respects_the_accept_header() {
    let handler = |request: Request| -> &'static str { panic!("a test asked for {request:?}") };
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: it\r\nAccept: application/json\r\n\r\n");
    let response = client.expect_status(500);
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json")
    );
}

/// Empty lines are not a request, but they kept the connection from being parked, so that its
/// deadline was never checked.
#[test]
fn endless_empty_lines_time_out() {
    let configure = |builder: httpool::Builder| {
        builder
            .workers(1)
            .head_timeout(Duration::from_millis(200))
            .idle_timeout(NEVER)
    };
    let server = TestServer::spawn(configure, describe);
    let mut flood: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    while flood
        .iter_mut()
        .all(|client| client.try_send("\r\n".repeat(4096)).is_ok())
    {
        server.expect_serving();
    }
}
