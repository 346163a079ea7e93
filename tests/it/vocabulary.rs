//! The paths of the inspector, as far as they need a connection: they wait without a worker, and use
//! trailers, WebSockets and HTTP/2.

use std::time::{Duration, Instant};

use httpool::services::inspect::{Inspect, Settings};

use crate::support::http2::Http2Client;
use crate::support::{TestServer, Transport, over_every_transport};
use crate::websocket::{BINARY, FINAL, TEXT, frame};

over_every_transport! {
    thousand_delays_hold_no_worker,
    thousand_slow_responses_hold_no_worker,
    slow_bytes_come_one_after_another,
    trailers_follow_the_content,
    websocket_gives_back_messages,
}

fn spawn(transport: Transport) -> TestServer {
    let inspect = Inspect::new(Settings::default());
    transport.spawn(|builder| builder.workers(2), inspect)
}

fn thousand_delays_hold_no_worker(transport: Transport) {
    let server = spawn(transport);
    let mut clients: Vec<_> = (0..1000).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.get("/delay/0.2");
    }
    server.expect_serving();
    for client in &mut clients {
        client.expect_status(200);
    }
}

fn thousand_slow_responses_hold_no_worker(transport: Transport) {
    let server = spawn(transport);
    let mut clients: Vec<_> = (0..1000).map(|_| server.connect()).collect();
    let targets = [
        "/drip?numbytes=3&duration=0.2",
        "/stream/3?duration=0.2",
        "/sse?count=3&duration=0.2",
        "/stream-bytes/3000?chunk_size=1000&duration=0.2",
        "/range/3000?chunk_size=1000&duration=0.2",
    ];
    for (client, target) in clients.iter_mut().zip(targets.iter().cycle()) {
        client.get(target);
    }
    server.expect_serving();
    for (client, target) in clients.iter_mut().zip(targets.iter().cycle()) {
        let response = client.expect_status(200);
        assert!(response.body.len() >= 3, "{target}");
    }
}

fn slow_bytes_come_one_after_another(transport: Transport) {
    let server = spawn(transport);
    let mut client = server.connect();
    let start = Instant::now();
    client.get("/drip?numbytes=3&duration=0.1&delay=0.05");
    let response = client.expect_body("***");
    assert_eq!(response.header("content-length"), Some("3"));
    assert!(start.elapsed() >= Duration::from_millis(150));
    // The connection is kept.
    client.get("/status/204").expect_status(204);
}

fn trailers_follow_the_content(transport: Transport) {
    let server = spawn(transport);
    let mut client = server.connect();
    client.get_and_close("/trailers?x-sum=1");
    let (received, _) = client.read_rest();
    let received = String::from_utf8_lossy(&received).to_lowercase();
    assert!(received.contains("\r\ntrailer: x-sum\r\n"), "{received}");
    assert!(
        received.ends_with("\r\n0\r\nx-sum: 1\r\n\r\n"),
        "{received}"
    );
}

fn websocket_gives_back_messages(transport: Transport) {
    let server = spawn(transport);
    let open = |query: &str| {
        let mut client = server.connect();
        client.send(format!(
            "GET /websocket/echo{query} HTTP/1.1\r\nHost: it\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ));
        client.expect_status(101);
        client
    };
    let mut client = open("?max_message_size=1000");
    for (kind, content) in [(TEXT, &b"hello"[..]), (BINARY, b"\xff\x00"), (TEXT, b"")] {
        client.send(frame(FINAL | kind, content));
        let expected = [&[FINAL | kind, content.len() as u8], content].concat();
        assert_eq!(client.expect_bytes(expected.len()), expected);
    }
    client.send(frame(FINAL | BINARY, [0; 1001]));
    // Too large: close code 1009.
    assert_eq!(client.expect_bytes(4)[2..], 1009_u16.to_be_bytes());
    // By default, a message has at most 1 MiB. Its length is enough.
    let mut client = open("");
    let length = (1_u64 << 20) + 1;
    client.send([&[FINAL | BINARY, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat());
    assert_eq!(client.expect_bytes(4)[2..], 1009_u16.to_be_bytes());
}

#[test]
fn http2_has_the_same_paths() {
    let server = spawn(Transport::Tcp);
    let mut client = Http2Client::connect(&server);
    let slow = client.get("/drip?numbytes=2&duration=0.1");
    let delayed = client.get("/delay/0.05?a=b");
    let trailers = client.get("/trailers?x-sum=1");
    let shown = client.get("/get?a=b");
    let response = client.expect_response(shown);
    let text = response.text();
    assert!(
        text.contains("\"url\": \"http://") && text.contains("\"a\": \"b\""),
        "{text}"
    );
    assert!(text.contains("\"Host\": \""), "{text}");
    let reply = client.expect_reply(trailers);
    assert_eq!(
        reply.trailers,
        Some(vec![("x-sum".to_owned(), "1".to_owned())])
    );
    client.expect_status(delayed, 200);
    let response = client.expect_body(slow, "**");
    assert_eq!(response.header("content-length"), Some("2"));
}
