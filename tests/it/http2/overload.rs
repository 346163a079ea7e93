use httpool::Request;

use crate::support::http2::Http2Client;
use crate::support::{
    Gate, GateWaiter, NEVER, SOON, TestServer, Transport, describe, eventually,
    over_every_transport,
};

over_every_transport! {
    requests_of_other_connections_are_shed,
    requests_behind_blocked_handlers_are_shed,
}

fn gated(waiter: GateWaiter) -> impl Fn(Request) -> String {
    move |request: Request| {
        if request.uri().path() == "/gate" {
            waiter.wait();
        }
        describe(request)
    }
}

#[track_caller]
fn expect_shed(client: &mut Http2Client, stream: u32) {
    let response = client.expect_status(stream, 503);
    assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
}

fn requests_of_other_connections_are_shed(transport: Transport) {
    let gate = Gate::new();
    let server = transport.spawn(|builder| builder.queue_timeout(SOON), gated(gate.waiter()));
    let mut holders = [(); 2].map(|()| Http2Client::connect(&server));
    let mut client = Http2Client::connect(&server);
    // Their TLS handshakes need a worker too.
    for client in holders.iter_mut().chain([&mut client]) {
        client.settle();
    }
    let held = holders.each_mut().map(|client| client.get("/gate"));
    gate.expect_arrived(2);
    let streams: Vec<_> = (0..5).map(|_| client.post("/", "body")).collect();
    for stream in streams {
        expect_shed(&mut client, stream);
    }
    // The connection goes on: PING, and the next request with a queue time of its own.
    client.settle();
    let stream = client.get("/");
    expect_shed(&mut client, stream);
    eventually("every shed request is counted", || {
        server.handle().snapshot().shed_late == 6
    });
    gate.open();
    for (client, stream) in holders.iter_mut().zip(held) {
        client.expect_body(stream, "GET /gate ");
    }
    let stream = client.get("/");
    client.expect_body(stream, "GET / ");
    assert_eq!(client.goaways(), []);
}

/// One connection has all workers that it may have, and more requests.
fn requests_behind_blocked_handlers_are_shed(transport: Transport) {
    let gate = Gate::new();
    let server = transport.spawn(
        |builder| builder.workers(1).queue_timeout(SOON),
        gated(gate.waiter()),
    );
    let mut client = Http2Client::connect(&server);
    let held = client.get("/gate");
    gate.expect_arrived(1);
    let waiting: Vec<_> = (0..20).map(|_| client.get("/")).collect();
    for stream in waiting {
        expect_shed(&mut client, stream);
    }
    gate.open();
    client.expect_body(held, "GET /gate ");
    let stream = client.get("/");
    client.expect_body(stream, "GET / ");
}

/// What arrives is more than a connection receives before it is others' turn.
#[test]
fn bodies_are_received_while_the_only_worker_is_blocked() {
    let gate = Gate::new();
    let server = TestServer::spawn(
        |builder| builder.workers(1).queue_timeout(NEVER),
        gated(gate.waiter()),
    );
    let mut client = Http2Client::connect(&server);
    let held = client.get("/gate");
    gate.expect_arrived(1);
    let body = "x".repeat(10_000);
    let streams = [(); 30].map(|()| client.post("/", &body));
    client.settle();
    gate.open();
    client.expect_body(held, "GET /gate ");
    for stream in streams {
        client.expect_body(stream, format!("POST / {body}"));
    }
}

/// A request that waits for a worker does not keep the connection from frames that need none.
#[test]
fn frames_are_received_while_a_request_waits_for_a_worker() {
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder.queue_timeout(NEVER), gated(gate.waiter()));
    let mut holders = [(); 2].map(|()| Http2Client::connect(&server));
    let mut client = Http2Client::connect(&server);
    // A new connection needs a worker that finds out which protocol it speaks.
    client.settle();
    let held = holders.each_mut().map(|client| client.get("/gate"));
    gate.expect_arrived(2);
    let waiting = client.get("/");
    for _ in 0..3 {
        client.settle();
    }
    gate.open();
    client.expect_body(waiting, "GET / ");
    for (client, stream) in holders.iter_mut().zip(held) {
        client.expect_body(stream, "GET /gate ");
    }
}
