//! A handler that blocks delays neither the other requests of its connection nor the client's frames.

use std::io::Read;
use std::mem;

use httpool::{BodyMode, Handler, IntoResponse, Request, Response};

use crate::support::http2::{END_STREAM, Http2Client};
use crate::support::{Gate, GateWaiter, TestServer, eventually};

/// Starts a server of which one connection may use all workers.
fn serve(workers: usize, handler: impl Handler) -> TestServer {
    TestServer::spawn(
        |builder| builder.workers(workers).handlers_per_connection(workers),
        handler,
    )
}

/// Waits at the gate for `/gate`.
fn gated(waiter: GateWaiter) -> impl Fn(Request) -> &'static str {
    move |request: Request| {
        if request.uri().path() == "/gate" {
            waiter.wait();
        }
        "done"
    }
}

/// Echoes bodies that it reads while they arrive.
struct StreamingEcho;

impl Handler for StreamingEcho {
    fn handle(&self, request: &mut Request) -> Response {
        let mut content = Vec::new();
        let read = mem::take(request.body_mut()).read_to_end(&mut content);
        read.map(|_| content).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::STREAMING
    }
}

#[test]
fn quick_request_behind_a_blocked_one_is_answered() {
    let gate = Gate::new();
    let server = serve(2, gated(gate.waiter()));
    let mut client = Http2Client::connect(&server);
    let blocked = client.get("/gate");
    gate.expect_arrived(1);
    for _ in 0..10 {
        let quick = client.get("/");
        client.expect_body(quick, "done");
    }
    gate.open();
    client.expect_body(blocked, "done");
}

#[test]
fn requests_that_arrive_together_do_not_wait_for_the_first() {
    let gate = Gate::new();
    let server = serve(2, gated(gate.waiter()));
    let mut client = Http2Client::connect(&server);
    let streams = ["/gate", "/", "/", "/"].map(|target| client.get(target));
    for stream in &streams[1..] {
        client.expect_body(*stream, "done");
    }
    gate.open();
    client.expect_body(streams[0], "done");
}

/// By default the handlers of one connection occupy half of the workers.
#[test]
fn one_connection_leaves_workers_for_others() {
    let gate = Gate::new();
    let handler = gated(gate.waiter());
    let server = TestServer::spawn(|builder| builder.workers(4), handler);
    let mut client = Http2Client::connect(&server);
    let streams: Vec<_> = (0..10).map(|_| client.get("/gate")).collect();
    gate.expect_arrived(2);
    client.settle();
    let mut other = Http2Client::connect(&server);
    for _ in 0..10 {
        let stream = other.get("/");
        other.expect_body(stream, "done");
    }
    server.expect_serving();
    eventually("two workers are busy", || {
        server.handle().snapshot().busy == 2
    });
    gate.open();
    for stream in streams {
        client.expect_body(stream, "done");
    }
}

#[test]
fn ping_is_acknowledged_while_the_only_worker_blocks() {
    let gate = Gate::new();
    let server = serve(1, gated(gate.waiter()));
    let mut client = Http2Client::connect(&server);
    let blocked = client.get("/gate");
    gate.expect_arrived(1);
    for _ in 0..3 {
        client.settle();
    }
    gate.open();
    client.expect_body(blocked, "done");
}

#[test]
fn workers_that_all_wait_for_one_connection_make_progress() {
    for workers in [1, 3] {
        let server = serve(workers, StreamingEcho);
        let mut client = Http2Client::connect(&server);
        let streams: Vec<u32> = (0..workers).map(|_| client.open_post("/")).collect();
        for part in 0..20 {
            for stream in &streams {
                client.data(*stream, format!("part {part} "), 0);
            }
            client.settle();
        }
        let expected: String = (0..20).map(|part| format!("part {part} ")).collect();
        for stream in streams {
            client.data(stream, "", END_STREAM);
            client.expect_body(stream, &expected);
        }
    }
}

#[test]
fn forced_end_aborts_each_open_request() {
    let gate = Gate::new();
    let server = serve(4, gated(gate.waiter()));
    let mut client = Http2Client::connect(&server);
    for _ in 0..2 {
        client.get("/gate");
    }
    gate.expect_arrived(2);
    client.settle();
    server.handle().shutdown_now();
    let report = server.expect_end();
    assert_eq!((report.aborted, report.abandoned_workers), (2, 2));
    client.expect_end();
}
