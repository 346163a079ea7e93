//! Responses that come later, over HTTP/2.

use std::thread;

use crossbeam_channel::unbounded;
use httpool::http::StatusCode;
use httpool::http2::ErrorCode;
use httpool::{Later, Layered, Next, Request, Upgrade};

use super::{Desk, serve};
use crate::support::http2::{END_STREAM, request_fields};
use crate::support::{Http2Client, SOON, TIMEOUT, Transport, over_every_transport};

over_every_transport! {
    streams_get_their_responses_in_any_order,
    deadlines_and_dropped_responders,
    reset_and_lost_streams_cancel,
    bodies_of_requests_are_no_obstacle,
    many_streams_wait_beside_a_quick_one,
    drain_waits,
    drain_aborts_at_its_deadline,
}

fn streams_get_their_responses_in_any_order(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = Http2Client::connect(&server);
    let streams = ["/", "/", "/after", "/now", "/due"].map(|target| client.get(target));
    let [first, second] = [(); 2].map(|()| desk.next());
    client.expect_body(streams[2], "after");
    client.expect_body(streams[3], "now");
    client.expect_body(streams[4], "due");
    thread::spawn(move || second.respond("second"));
    client.expect_body(streams[1], "second");
    first
        .respond(StatusCode::CREATED)
        .expect("the client waits");
    client.expect_status(streams[0], 201);
    let late = client.get("/after");
    client.expect_body(late, "after");
}

fn deadlines_and_dropped_responders(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = Http2Client::connect(&server);
    let late = client.get("/late");
    let responder = desk.next();
    client.expect_status(late, 504);
    assert!(responder.is_cancelled());
    let own = client.get("/own");
    let responder = desk.next();
    client.expect_status(own, 204);
    responder.respond("too late").expect_err("nobody waits");
    let dropped = client.get("/");
    drop(desk.next());
    client.expect_status(dropped, 500);
    let twice = client.get("/");
    let (inner, later) = Later::new();
    desk.next().respond(later).expect("the client waits");
    inner.respond("twice").expect("the client waits");
    client.expect_body(twice, "twice");
}

fn reset_and_lost_streams_cancel(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = Http2Client::connect(&server);
    let (sender, cancelled) = unbounded();
    let [reset, lost] = [(); 2].map(|()| {
        let stream = client.get("/");
        let responder = desk.next();
        let sender = sender.clone();
        responder.on_cancel(move || sender.send(stream).expect("the test waits"));
        (stream, responder)
    });
    client.reset(reset.0, ErrorCode::Cancel);
    assert_eq!(cancelled.recv_timeout(TIMEOUT), Ok(reset.0));
    assert!(!lost.1.is_cancelled());
    client.disconnect();
    assert_eq!(cancelled.recv_timeout(TIMEOUT), Ok(lost.0));
    reset.1.respond("hello").expect_err("the stream was reset");
    lost.1.respond("hello").expect_err("the client has left");
    server.expect_open(0);
}

fn bodies_of_requests_are_no_obstacle(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = Http2Client::connect(&server);
    for target in ["/", "/read", "/unread", "/head"] {
        let stream = client.post(target, "a body");
        desk.next().respond(target).expect("the client waits");
        client.expect_body(stream, target);
    }
    // A body that nobody reads does not use up the windows.
    for target in ["/unread", "/head"] {
        let stream = client.open_post(target);
        let responder = desk.next();
        client.send_body(stream, vec![b'x'; 500_000], END_STREAM);
        client.settle();
        responder.respond(target).expect("the client waits");
        client.expect_body(stream, target);
    }
}

fn many_streams_wait_beside_a_quick_one(transport: Transport) {
    const STREAMS: usize = 90;
    let (server, desk) = serve(transport);
    let mut clients: Vec<_> = (0..10).map(|_| Http2Client::connect(&server)).collect();
    let mut streams = Vec::new();
    let mut responders = Vec::new();
    for (index, client) in clients.iter_mut().enumerate() {
        for _ in 0..STREAMS {
            streams.push((index, client.get("/")));
        }
        responders.extend((0..STREAMS).map(|_| desk.next()));
        let quick = client.get("/now");
        client.expect_body(quick, "now");
    }
    thread::spawn(move || {
        for responder in responders {
            responder.respond("hello").expect("the client waits");
        }
    });
    for (client, stream) in streams {
        clients[client].expect_body(stream, "hello");
    }
}

fn drain_waits(transport: Transport) {
    let (server, desk) = serve(transport);
    let mut client = Http2Client::connect(&server);
    let (stream, timed) = (client.get("/"), client.get("/after"));
    let responder = desk.next();
    server.begin_drain();
    assert!(responder.is_draining());
    client.expect_body(timed, "after");
    responder.respond("hello").expect("the client waits");
    client.expect_body(stream, "hello");
    client.expect_closed();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (2, 0));
}

fn drain_aborts_at_its_deadline(transport: Transport) {
    let (desk, handler) = Desk::new();
    let server = transport.spawn(|builder| builder.drain_timeout(SOON), handler);
    let mut client = Http2Client::connect(&server);
    for _ in 0..2 {
        client.get("/");
    }
    let responders = [(); 2].map(|()| desk.next());
    server.handle().shutdown();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (0, 2));
    assert!(responders.iter().all(httpool::Responder::is_cancelled));
}

#[test]
fn head_and_upgrade_come_later() {
    let (server, desk) = serve(Transport::Tcp);
    let mut client = Http2Client::connect(&server);
    let head = client.request(&request_fields("HEAD", "/"));
    desk.next().respond("hello").expect("the client waits");
    let response = client.expect_body(head, "");
    assert_eq!(response.header("content-length"), Some("5"));
    let upgrade = client.get("/");
    let response = Upgrade::new("test", |_| {});
    desk.next().respond(response).expect("the client waits");
    assert_eq!(client.expect_reset(upgrade), ErrorCode::Http11Required);
}

#[test]
fn panic_in_a_layer_is_500() {
    let layer = |request: Request, next: Next<'_>| {
        Later::map(next.run(request), |_| panic!("a test asked for this"))
    };
    let (desk, handler) = Desk::new();
    let server = Transport::Tcp.spawn(|builder| builder, Layered::new(handler).layer(layer));
    let mut client = Http2Client::connect(&server);
    for _ in 0..3 {
        let stream = client.get("/");
        desk.next().respond("hello").expect("the client waits");
        client.expect_status(stream, 500);
    }
}
