//! What observers and clients learn about requests whose responses come later.

use std::sync::{Arc, Mutex};

use httpool::http::StatusCode;
use httpool::http2::ErrorCode;
use httpool::services::{AccessFormat, AccessLog};
use httpool::{Observer, Outcome, RequestRecord};

use super::Desk;
use crate::support::{BoundServer, Http2Client, LogOutput, eventually, log_lines, request};

/// The status and the outcome of each request.
#[derive(Default)]
struct Recorder(Mutex<Vec<(String, u16, Outcome)>>);

impl Observer for Recorder {
    fn on_response(&self, record: &RequestRecord<'_>) {
        let line = String::from_utf8_lossy(record.raw_request().request_line()).into_owned();
        let mut records = self.0.lock().expect("no thread panicked");
        records.push((line, record.status().as_u16(), record.outcome()));
    }
}

impl Recorder {
    fn take(&self) -> Vec<(String, u16, Outcome)> {
        std::mem::take(&mut *self.0.lock().expect("no thread panicked"))
    }

    fn len(&self) -> usize {
        self.0.lock().expect("no thread panicked").len()
    }
}

#[test]
fn observers_see_how_the_wait_ended() {
    log_lines::capture_errors();
    let recorder = Arc::new(Recorder::default());
    let (desk, handler) = Desk::new();
    let observer = Arc::clone(&recorder);
    let server = BoundServer::new(|builder| builder.observer(observer)).run(handler);
    let mut client = server.connect();
    client.get("/created");
    desk.next()
        .respond(StatusCode::CREATED)
        .expect("the client waits");
    client.expect_status(201);
    client.get("/late").expect_status(504);
    drop(desk.next());
    client.get("/own").expect_status(204);
    drop(desk.next());
    client.get("/dropped-responder");
    drop(desk.next());
    client.expect_status(500);
    client.get("/gone");
    let responder = desk.next();
    client.reset();
    eventually("the cancelled request is observed", || recorder.len() == 5);
    assert!(responder.is_cancelled());
    let line = |target: &str| format!("GET {target} HTTP/1.1");
    assert_eq!(
        recorder.take(),
        [
            (line("/created"), 201, Outcome::Handled),
            (line("/late"), 504, Outcome::TimedOut),
            (line("/own"), 204, Outcome::Handled),
            (line("/dropped-responder"), 500, Outcome::Abandoned),
            (line("/gone"), 499, Outcome::Cancelled),
        ]
    );
    let logged = log_lines::lines_with("/dropped-responder");
    assert_eq!(logged.len(), 1, "{logged:?}");
}

#[test]
fn observers_see_cancelled_streams() {
    let recorder = Arc::new(Recorder::default());
    let (desk, handler) = Desk::new();
    let observer = Arc::clone(&recorder);
    let server = BoundServer::new(|builder| builder.observer(observer)).run(handler);
    let mut client = Http2Client::connect(&server);
    let streams = ["/late", "/reset", "/lost"].map(|target| client.get(target));
    let _responders = [(); 3].map(|()| desk.next());
    client.expect_status(streams[0], 504);
    client.reset(streams[1], ErrorCode::Cancel);
    eventually("the reset is observed", || recorder.len() == 2);
    client.disconnect();
    eventually("the lost stream is observed", || recorder.len() == 3);
    let line = |target: &str| format!("GET {target} HTTP/2.0");
    assert_eq!(
        recorder.take(),
        [
            (line("/late"), 504, Outcome::TimedOut),
            (line("/reset"), 499, Outcome::Cancelled),
            (line("/lost"), 499, Outcome::Cancelled),
        ]
    );
}

#[test]
fn cancelled_request_has_a_line_in_the_access_log() {
    for format in [AccessFormat::Combined, AccessFormat::Json] {
        let output = LogOutput::default();
        let log = AccessLog::start(format, output.clone()).expect("it starts");
        let (desk, handler) = Desk::new();
        let server = BoundServer::new(|builder| builder.observer(log.lines())).run(handler);
        let mut client = server.connect();
        client.get("/gone");
        let first = desk.next();
        client.reset();
        let mut client = Http2Client::connect(&server);
        let stream = client.get("/reset");
        let second = desk.next();
        client.reset(stream, ErrorCode::Cancel);
        for responder in [first, second] {
            eventually("the request is cancelled", || responder.is_cancelled());
        }
        server.shut_down();
        log.finish();
        let text = output.text();
        assert_eq!(text.lines().count(), 2, "{text}");
        for (target, version) in [("/gone", "HTTP/1.1"), ("/reset", "HTTP/2.0")] {
            let line = text.lines().find(|line| line.contains(target));
            let line = line.expect("each request has a line");
            let parts = match format {
                AccessFormat::Json => vec!["\"status\":499", "\"outcome\":\"cancelled\"", version],
                _ => vec![" 499 0 ", version],
            };
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        }
    }
}

#[test]
fn response_has_the_id_and_the_time_of_its_request() {
    let (desk, handler) = Desk::new();
    let server =
        BoundServer::new(|builder| builder.request_ids(true).server_timing(true)).run(handler);
    let mut client = server.connect();
    client.send("GET /after HTTP/1.1\r\nHost: a\r\nX-Request-Id: tea\r\n\r\n");
    let response = client.expect_status(200);
    assert_eq!(response.header("x-request-id"), Some("tea"));
    let timing = response.header("server-timing").expect("it has the header");
    let time = timing
        .strip_prefix("handler;dur=")
        .expect("it has a duration");
    // The handler of this target lets its client wait for 30 ms.
    let time: f64 = time.parse().expect("the duration is a number");
    assert!(time >= 29.0, "{time}");
    client.send(request::get("/"));
    desk.next().respond("hello").expect("the client waits");
    assert!(client.expect_body("hello").header("x-request-id").is_some());
}
