//! JSON lines and attachments, over both protocols.

use std::fs::File;
use std::thread;

use httpool::http2::ErrorCode;
use httpool::{Attachment, JsonLines, Router};

use crate::support::{End, Gate, Http2Client, TestServer};

const ROWS: usize = 50_000;

fn router(gate: &Gate) -> Router {
    let waiter = gate.waiter();
    let sent = move || {
        let (sender, lines) = JsonLines::channel(64 * 1024);
        let waiter = waiter.clone();
        thread::spawn(move || {
            let first = sender.send(&"first");
            waiter.wait();
            first.and_then(|()| sender.send(&"second"))
        });
        lines
    };
    let file = || {
        let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT"));
        Attachment::new("Lizenz – MIT.txt", file)
    };
    Router::new()
        .get("/rows", || JsonLines::new(0..ROWS))
        .get("/broken", || {
            JsonLines::from_results(["1", "x"].map(str::parse::<u8>))
        })
        .get("/sent", sent)
        .get("/file", file)
}

fn rows() -> String {
    (0..ROWS).map(|row| format!("{row}\n")).collect()
}

const DISPOSITION: &str = "attachment; filename=\"Lizenz _ MIT.txt\"; \
                           filename*=UTF-8''Lizenz%20%E2%80%93%20MIT.txt";

#[test]
fn lines_and_attachments_over_http1() {
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder, router(&gate));
    let mut client = server.connect();
    let response = client.get("/rows").expect_body(rows());
    assert_eq!(response.header("content-type"), Some("application/jsonl"));
    let response = client.get("/file").expect_status(200);
    assert_eq!(response.header("content-disposition"), Some(DISPOSITION));
    assert!(response.text().contains("Permission is hereby granted"));
    // The first line comes before the second one is made.
    client.get("/sent");
    let first = b"8\r\n\"first\"\n\r\n";
    let mut received = Vec::new();
    while !received.ends_with(first) {
        received.extend(client.expect_bytes(1));
    }
    gate.open();
    client.expect_bytes(b"9\r\n\"second\"\n\r\n0\r\n\r\n".len());
    client.get("/broken");
    let (_, end) = client.read_rest();
    assert_eq!(end, End::Reset);
}

#[test]
fn lines_and_attachments_over_http2() {
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder, router(&gate));
    let mut client = Http2Client::connect(&server);
    let stream = client.get("/rows");
    client.expect_body(stream, rows());
    let stream = client.get("/file");
    let response = client.expect_status(stream, 200);
    assert_eq!(response.header("content-disposition"), Some(DISPOSITION));
    let stream = client.get("/sent");
    client.read_until("the first line", |client| {
        client.reply(stream).body_length() == "\"first\"\n".len()
    });
    gate.open();
    client.expect_body(stream, "\"first\"\n\"second\"\n");
    let stream = client.get("/broken");
    assert_eq!(client.expect_reset(stream), ErrorCode::InternalError);
}
