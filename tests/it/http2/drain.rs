use httpool::Request;
use httpool::http2::ErrorCode;

use crate::support::http2::{END_STREAM, Goaway, Http2Client, setting};
use crate::support::{
    BoundServer, End, Gate, GateWaiter, HUGE, NEVER, SOON, TestServer, Transport, describe, mirror,
    over_every_transport,
};

over_every_transport! {
    drain_answers_requests_until_its_ping_is_acknowledged,
    drain_finishes_bodies_in_both_directions,
    drain_of_an_idle_connection_takes_one_ping,
    drain_aborts_streams_at_the_deadline,
}

fn gated(waiter: GateWaiter) -> impl Fn(Request) -> String {
    move |request: Request| {
        if request.uri().path() == "/gate" {
            waiter.wait();
        }
        describe(request)
    }
}

/// The server says first that it shuts down, and only then which stream is the last.
fn drain_answers_requests_until_its_ping_is_acknowledged(transport: Transport) {
    let gate = Gate::new();
    let server = transport.spawn(
        |builder| builder.workers(4).drain_idle(NEVER).drain_timeout(NEVER),
        gated(gate.waiter()),
    );
    let mut client = Http2Client::connect(&server).without_ping_acks();
    let held = client.get("/gate");
    gate.expect_arrived(1);
    server.begin_drain();
    let announced = client.expect_goaway(1);
    assert_eq!(announced.code, ErrorCode::NoError);
    assert_eq!(announced.last_stream, Goaway::NO_STREAM_REFUSED);
    let ping = client.expect_ping();
    // Requests that cross the announcement are answered, whatever their method.
    let crossing = client.post("/crossing", "body");
    client.expect_body(crossing, "POST /crossing body");
    let last = client.open_post("/last");
    client.acknowledge(ping);
    let shut_down = client.expect_goaway(2);
    assert_eq!(
        (shut_down.code, shut_down.last_stream),
        (ErrorCode::NoError, last)
    );
    // This one is not processed, and the client knows.
    let late = client.get("/late");
    client.data(last, "body", END_STREAM);
    client.expect_body(last, "POST /last body");
    gate.open();
    client.expect_body(held, "GET /gate ");
    client.client().finish_sending();
    client.expect_closed();
    assert!(client.reply(late).response.is_none());
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (3, 0));
}

fn drain_finishes_bodies_in_both_directions(transport: Transport) {
    const LARGE: usize = 5_000_000;
    let server = transport.spawn(
        |builder| builder,
        |request: Request| match request.uri().path() {
            "/large" => vec![b'y'; LARGE],
            _ => mirror(request),
        },
    );
    let mut client = Http2Client::connect(&server).without_credit();
    let download = client.get("/large");
    client.read_until("a window of content", |client| {
        client.reply(download).body_length() == 65_535
    });
    let upload = client.open_post("/");
    client.data(upload, "x", 0).settle();
    server.begin_drain();
    client.expect_goaway(2);
    // One after the other, because the client does not read while it sends.
    client.send_body(upload, vec![b'x'; LARGE - 1], END_STREAM);
    for stream in [0, download, upload] {
        client.give_credit(stream, 100_000_000);
    }
    client.expect_body(upload, vec![b'x'; LARGE]);
    client.expect_body(download, vec![b'y'; LARGE]);
    client.client().finish_sending();
    client.expect_closed();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (2, 0));
}

fn drain_of_an_idle_connection_takes_one_ping(transport: Transport) {
    let server = transport.spawn(|builder| builder, describe);
    let mut used = Http2Client::connect(&server);
    let stream = used.get("/");
    used.expect_body(stream, "GET / ");
    let mut fresh = Http2Client::connect(&server);
    fresh.settle();
    server.handle().shutdown();
    let goaway = used.expect_goaway(2);
    assert_eq!(
        (goaway.code, goaway.last_stream),
        (ErrorCode::NoError, stream)
    );
    used.expect_closed();
    assert_eq!(fresh.expect_goaway(2).last_stream, 0);
    fresh.expect_closed();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (1, 0));
}

/// A client that does not acknowledge the PING keeps the server only for a while.
#[test]
fn drain_does_not_wait_long_for_the_acknowledgement() {
    let server = TestServer::spawn(
        |builder| builder.drain_idle(SOON).drain_timeout(NEVER),
        describe,
    );
    let mut client = Http2Client::connect(&server).without_ping_acks();
    let stream = client.get("/");
    client.expect_body(stream, "GET / ");
    server.handle().shutdown();
    let goaway = client.expect_goaway(2);
    assert_eq!(goaway.last_stream, stream);
    assert_eq!(client.expect_end(), End::Closed);
    assert_eq!(server.expect_end().aborted, 0);
}

fn drain_aborts_streams_at_the_deadline(transport: Transport) {
    let server = transport.spawn(
        |builder| {
            builder
                .drain_timeout(SOON)
                .write_timeout(NEVER)
                .body_timeout(NEVER)
        },
        |request: Request| match request.uri().path() {
            "/huge" => vec![b'x'; HUGE],
            _ => mirror(request),
        },
    );
    let mut client = Http2Client::connect(&server).without_credit();
    let huge = client.get("/huge");
    let half = client.open_post("/");
    client.data(half, "half", 0);
    client.read_until("a window of content", |client| {
        client.reply(huge).body_length() == 65_535
    });
    client.settle();
    let report = server.shut_down();
    assert_eq!((report.aborted, report.answered), (2, 0));
    let _ = client.expect_end();
    assert!(!client.reply(huge).is_ended);
}

#[test]
fn drain_counts_a_stuck_handler_of_a_stream() {
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder.drain_timeout(SOON), gated(gate.waiter()));
    let mut client = Http2Client::connect(&server);
    client.get("/gate");
    gate.expect_arrived(1);
    let report = server.shut_down();
    assert_eq!((report.aborted, report.abandoned_workers), (1, 1));
    let _ = client.expect_end();
}

#[test]
fn drain_answers_http2_clients_in_the_accept_queue() {
    const CLIENTS: usize = 50;
    let server = BoundServer::new(|builder| builder.max_connections(10));
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| Http2Client::over(server.connect(), &[]))
        .collect();
    let streams: Vec<_> = clients
        .iter_mut()
        .map(|client| [client.post("/a", "first"), client.post("/b", "second")])
        .collect();
    // Shutdown begins before the server has accepted any of them.
    server.handle().shutdown();
    let server = server.run(describe);
    for (client, [first, second]) in clients.iter_mut().zip(streams) {
        client.expect_body(first, "POST /a first");
        client.expect_body(second, "POST /b second");
        client.expect_goaway(1);
        client.client().finish_sending();
        client.expect_closed();
    }
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (2 * CLIENTS as u64, 0));
}

#[test]
fn shutdown_now_ends_connections_at_once() {
    let gate = Gate::new();
    let server = TestServer::spawn(
        |builder| builder.drain_timeout(NEVER).drain_idle(NEVER),
        gated(gate.waiter()),
    );
    let mut held = Http2Client::connect(&server);
    held.get("/gate");
    gate.expect_arrived(1);
    let mut half = Http2Client::connect(&server);
    half.open_post("/");
    half.settle();
    let mut idle = Http2Client::connect(&server);
    idle.settle();
    server.handle().shutdown_now();
    let report = server.expect_end();
    assert_eq!((report.aborted, report.abandoned_workers), (2, 1));
    for mut client in [idle, half] {
        let _ = client.expect_end();
    }
}

/// What the client may still send, it may send: the response before is not lost to a reset.
#[test]
fn late_frames_do_not_reset_the_last_response() {
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder, gated(gate.waiter()));
    let settings = [(setting::INITIAL_WINDOW_SIZE, 1_000_000)];
    let mut client = Http2Client::connect_with(&server, &settings);
    let held = client.get("/gate");
    gate.expect_arrived(1);
    server.begin_drain();
    client.expect_goaway(2);
    gate.open();
    client.expect_body(held, "GET /gate ");
    for _ in 0..10 {
        let _ = client.next_stream();
        client.get("/late");
    }
    client.client().finish_sending();
    client.expect_closed();
    assert_eq!(server.expect_end().aborted, 0);
}
