//! Content that is sent at set times: it waits without a worker.

use std::time::{Duration, Instant};

use httpool::bytes::Bytes;
use httpool::{Body, Request};

use crate::support::{NEVER, TestServer, Transport, over_every_transport, request};

over_every_transport! {
    parts_arrive_in_their_time,
    thousand_schedules_hold_no_worker,
    short_schedule_is_never_taken_for_the_whole,
    schedule_of_a_client_that_leaves_is_dropped,
}

const PAUSE: Duration = Duration::from_millis(20);

fn spawn(transport: Transport, workers: usize) -> TestServer {
    let part = |wait, part| (wait, Bytes::from_static(part));
    transport.spawn(
        |builder| builder.workers(workers),
        move |request: Request| {
            let parts = [
                part(PAUSE, b"one "),
                part(PAUSE, b"two "),
                part(PAUSE, b"three"),
            ];
            match request.uri().path() {
                "/parts" => Body::from_schedule(parts),
                "/sized" => Body::from_sized_schedule(parts, 13),
                "/short" => Body::from_sized_schedule(parts, 14),
                "/never" => Body::from_schedule([part(NEVER, b"never")]),
                _ => Body::from("beside"),
            }
        },
    )
}

fn parts_arrive_in_their_time(transport: Transport) {
    let server = spawn(transport, 1);
    let mut client = server.connect();
    let start = Instant::now();
    let response = client.get("/parts").expect_body("one two three");
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    let response = client.get("/sized").expect_body("one two three");
    assert_eq!(response.header("content-length"), Some("13"));
    assert!(start.elapsed() >= 6 * PAUSE);
    // The connection is kept, and requests behind a schedule keep their order.
    client.send([request::get("/sized"), request::get("/beside")].concat());
    client.expect_body("one two three");
    client.expect_body("beside");
}

fn thousand_schedules_hold_no_worker(transport: Transport) {
    let server = spawn(transport, 2);
    let mut clients: Vec<_> = (0..1000).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.get("/sized");
    }
    server.expect_serving();
    for client in &mut clients {
        client.expect_body("one two three");
    }
}

fn short_schedule_is_never_taken_for_the_whole(transport: Transport) {
    let server = spawn(transport, 1);
    let mut client = server.connect();
    client.get("/short");
    let (received, _) = client.read_rest();
    let received = String::from_utf8_lossy(&received);
    let content = received.split_once("\r\n\r\n").map(|(_, content)| content);
    assert!(
        content.is_some_and(|content| content.len() < 14),
        "{received}"
    );
    server.expect_serving();
}

fn schedule_of_a_client_that_leaves_is_dropped(transport: Transport) {
    let server = spawn(transport, 1);
    let mut client = server.connect();
    client.get("/never");
    server.expect_open(1);
    client.reset();
    server.expect_open(0);
}
