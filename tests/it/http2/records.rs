use std::sync::{Arc, Mutex};

use httpool::services::{AccessFormat, AccessLog};
use httpool::{Observer, Outcome, Request, RequestRecord};

use crate::support::http2::{END_STREAM, Http2Client, request_fields};
use crate::support::{Gate, LogOutput, TestServer, describe, eventually};

#[test]
fn access_log_has_a_line_for_each_stream() {
    let output = LogOutput::default();
    let log = AccessLog::start(AccessFormat::Combined, output.clone()).expect("it starts");
    let server = TestServer::spawn(
        |builder| builder.max_header_size(1024).observer(log.lines()),
        describe,
    );
    let mut client = Http2Client::connect(&server);
    let mut fields = request_fields("POST", "/a?b");
    fields.extend([("user-agent", "tests"), ("referer", "https://it/")]);
    let stream = client.open(&fields);
    client.data(stream, "body", END_STREAM);
    client.expect_status(stream, 200);
    let long = "x".repeat(2_000);
    let mut fields = request_fields("GET", "/long");
    fields.push(("long", &long));
    let stream = client.request(&fields);
    client.expect_status(stream, 431);
    drop(client);
    server.shut_down();
    log.finish();
    let text = output.text();
    let mut lines: Vec<_> = text.lines().collect();
    // Two workers may have written them.
    lines.sort_by_key(|line| line.contains("/long"));
    assert!(lines[0].contains("\"POST /a?b HTTP/2.0\" 200"), "{text}");
    assert!(lines[0].ends_with("\"https://it/\" \"tests\""), "{text}");
    assert!(lines[1].contains("\"GET /long HTTP/2.0\" 431"), "{text}");
    assert_eq!(lines.len(), 2, "{text}");
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Line>>);

/// The request line, the outcome, the status, and the bytes of both bodies.
type Line = (String, Outcome, u16, u64, Option<u64>);

impl Observer for Recorder {
    fn on_response(&self, record: &RequestRecord<'_>) {
        let request_line = record.raw_request().request_line();
        let request_line = String::from_utf8_lossy(request_line).into_owned();
        self.0.lock().expect("no thread panicked").push((
            request_line,
            record.outcome(),
            record.status().as_u16(),
            record.received(),
            record.sent(),
        ));
    }
}

#[test]
fn observer_sees_every_stream_once() {
    let recorder = Arc::new(Recorder::default());
    let gate = Gate::new();
    let waiter = gate.waiter();
    let observer = Arc::clone(&recorder);
    let server = TestServer::spawn(
        |builder| builder.max_body(100).observer(observer),
        move |request: Request| match request.uri().path() {
            "/panic" => panic!("a test asked for this"),
            "/gate" => {
                waiter.wait();
                String::new()
            }
            _ => describe(request),
        },
    );
    let mut client = Http2Client::connect(&server);
    let stream = client.post("/a", "a body");
    client.expect_body(stream, "POST /a a body");
    let stream = client.get("/panic");
    client.expect_status(stream, 500);
    let stream = client.post("/large", "x".repeat(101));
    client.expect_status(stream, 413);
    let stream = client.request(&request_fields("HEAD", "/b"));
    client.expect_status(stream, 200);
    // A stream that the client resets: the handler has run, so it is seen.
    let stream = client.get("/gate");
    gate.expect_arrived(1);
    client
        .reset(stream, httpool::http2::ErrorCode::Cancel)
        .settle();
    gate.open();
    eventually("the handler has returned", || {
        recorder.0.lock().expect("no thread panicked").len() == 5
    });
    server.shut_down();
    let lines = recorder.0.lock().expect("no thread panicked");
    let lines: Vec<_> = lines
        .iter()
        .map(|(line, outcome, status, received, sent)| {
            let is_handled = *outcome == Outcome::Handled;
            (&**line, is_handled, *status, *received, *sent)
        })
        .collect();
    assert_eq!(lines[0], ("POST /a HTTP/2.0", true, 200, 6, Some(14)));
    assert_eq!(lines[1].0, "GET /panic HTTP/2.0");
    assert_eq!((lines[1].1, lines[1].2), (false, 500));
    assert_eq!((lines[2].0, lines[2].2), ("POST /large HTTP/2.0", 413));
    assert_eq!(lines[3], ("HEAD /b HTTP/2.0", true, 200, 0, Some(0)));
    assert_eq!(lines[4].0, "GET /gate HTTP/2.0");
}
