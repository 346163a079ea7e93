use std::collections::HashSet;
use std::thread;

use httpool::http::{HeaderMap, StatusCode};
use httpool::http2::ErrorCode;
use httpool::services::{Echo, JsonCheck};
use httpool::{IntoResponse as _, Problem, ProblemFormat, Request, Response};

use crate::support::http2::{END_STREAM, Frame, Http2Client, encode_all, request_fields};
use crate::support::{
    Gate, TestServer, Transport, describe, eventually, mirror, over_every_transport,
};

over_every_transport! {
    echo_answers_get_post_and_other_methods,
    a_hundred_parallel_streams_are_answered,
    head_and_statuses_without_content_have_no_body,
    slow_handler_does_not_delay_other_streams,
    requests_in_one_write_are_answered,
}

fn echo_answers_get_post_and_other_methods(transport: Transport) {
    let server = transport.spawn(|builder| builder, Echo::new(JsonCheck::Strict));
    let mut client = Http2Client::connect(&server);
    let page = "<h1>Welcome to my Server</h1>";
    let stream = client.get("/any?query");
    let response = client.expect_body(stream, page);
    assert_eq!(
        response.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(response.header("content-length"), Some("29"));
    assert!(response.header("date").is_some(), "{response:?}");

    let stream = client.post("/", "a body");
    let response = client.expect_body(stream, "a body");
    assert_eq!(response.header("content-type"), Some("text/plain"));

    let mut fields = request_fields("POST", "/");
    fields.extend([
        ("content-type", "application/json"),
        ("content-length", "8"),
    ]);
    let stream = client.open(&fields);
    client.data(stream, r#"{"a": 1}"#, END_STREAM);
    let response = client.expect_body(stream, r#"{"a": 1}"#);
    assert_eq!(response.header("content-type"), Some("application/json"));

    let stream = client.open(&fields);
    client.data(stream, r#"{"a": 1 "#, END_STREAM);
    let response = client.expect_status(stream, 400);
    assert!(response.text().contains("line 1"), "{response:?}");

    let stream = client.request(&request_fields("DELETE", "/"));
    let response = client.expect_status(stream, 405);
    assert_eq!(response.header("allow"), Some("GET, HEAD, POST, OPTIONS"));
    let stream = client.request(&request_fields("OPTIONS", "*"));
    assert!(client.expect_response(stream).status < 300);
    client.settle();
    assert_eq!(client.goaways(), []);
}

fn a_hundred_parallel_streams_are_answered(transport: Transport) {
    const STREAMS: u32 = 100;
    let server = transport.spawn(|builder| builder, describe);
    let mut client = Http2Client::connect(&server);
    let streams: Vec<_> = (0..STREAMS)
        .map(|number| client.open_post(&format!("/{number}")))
        .collect();
    // The last stream ends first.
    for stream in streams.iter().rev() {
        client.data(*stream, stream.to_string(), END_STREAM);
    }
    for (number, stream) in streams.iter().enumerate() {
        client.expect_body(*stream, format!("POST /{number} {stream}"));
    }
    eventually("all are counted", || {
        server.handle().snapshot().answered == u64::from(STREAMS)
    });
}

fn head_and_statuses_without_content_have_no_body(transport: Transport) {
    let server = transport.spawn(
        |builder| builder,
        |request: Request| -> Response {
            match request.uri().path() {
                "/204" => StatusCode::NO_CONTENT.into_response(),
                "/304" => StatusCode::NOT_MODIFIED.into_response(),
                "/empty" => "".into_response(),
                _ => "hello".into_response(),
            }
        },
    );
    let mut client = Http2Client::connect(&server);
    let stream = client.request(&request_fields("HEAD", "/"));
    let response = client.expect_body(stream, "");
    assert_eq!(response.header("content-length"), Some("5"));
    for (target, status) in [("/204", 204), ("/304", 304)] {
        let stream = client.get(target);
        let response = client.expect_status(stream, status);
        assert_eq!(response.body, b"", "{response:?}");
        assert_eq!(response.header("content-length"), None, "{response:?}");
    }
    let stream = client.get("/empty");
    let response = client.expect_body(stream, "");
    assert_eq!(response.header("content-length"), Some("0"));
    let stream = client.get("/");
    client.expect_body(stream, "hello");
}

fn slow_handler_does_not_delay_other_streams(transport: Transport) {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = transport.spawn(
        |builder| builder.workers(4),
        move |request: Request| {
            if request.uri().path() == "/slow" {
                waiter.wait();
            }
            describe(request)
        },
    );
    let mut client = Http2Client::connect(&server);
    let slow = client.get("/slow");
    gate.expect_arrived(1);
    for _ in 0..10 {
        let quick = client.get("/quick");
        client.expect_body(quick, "GET /quick ");
        let posted = client.post("/posted", "x".repeat(20_000));
        client.expect_status(posted, 200);
    }
    // PING and SETTINGS are acknowledged too.
    client.send_frame(&Frame::settings(&[])).settle();
    gate.open();
    client.expect_body(slow, "GET /slow ");
}

fn requests_in_one_write_are_answered(transport: Transport) {
    let server = transport.spawn(|builder| builder, describe);
    let mut client = Http2Client::connect(&server);
    let mut frames = Vec::new();
    let streams: Vec<_> = (0..50).map(|_| client.next_stream()).collect();
    for stream in &streams {
        let target = format!("/{stream}");
        frames.push(Frame::headers(*stream, &request_fields("POST", &target), 0));
        frames.push(Frame::data(*stream, "a ", 0));
        frames.push(Frame::data(*stream, "body", END_STREAM));
    }
    client.send_frames(&frames);
    for stream in streams {
        client.expect_body(stream, format!("POST /{stream} a body"));
    }
}

/// TCP may split frames anywhere.
#[test]
fn requests_split_at_every_byte_are_answered() {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = Http2Client::connect(&server);
    let frames = |stream: u32| {
        encode_all(&[
            Frame::headers(stream, &request_fields("POST", "/"), 0),
            Frame::data(stream, "body", END_STREAM),
        ])
    };
    for at in 1..frames(1).len() {
        let stream = client.next_stream();
        let bytes = frames(stream);
        client.send(&bytes[..at]);
        // The server receives the first part alone, unless the machine is slow.
        thread::yield_now();
        client.send(&bytes[at..]);
        client.expect_body(stream, "POST / body");
    }
}

/// As many handlers of one connection run at once as the server has workers for it.
#[test]
fn handlers_of_one_connection_leave_workers_to_others() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder.workers(4),
        move |request: Request| {
            if request.uri().path() == "/slow" {
                waiter.wait();
            }
            describe(request)
        },
    );
    let mut greedy = Http2Client::connect(&server);
    let slow: Vec<_> = (0..50).map(|_| greedy.get("/slow")).collect();
    gate.expect_arrived(1);
    greedy.settle();
    server.expect_serving();
    let mut other = Http2Client::connect(&server);
    let stream = other.get("/beside");
    other.expect_body(stream, "GET /beside ");
    gate.open();
    for stream in slow {
        greedy.expect_body(stream, "GET /slow ");
    }
}

#[test]
fn panicking_handler_affects_only_its_stream() {
    let server = TestServer::spawn(
        |builder| builder,
        |request: Request| match request.uri().path() {
            "/panic" => panic!("a test asked for this"),
            _ => describe(request),
        },
    );
    let mut client = Http2Client::connect(&server);
    let panicking = client.get("/panic");
    let other = client.get("/other");
    client.expect_status(panicking, 500);
    client.expect_body(other, "GET /other ");
}

#[test]
fn error_pages_replace_bodies_of_errors() {
    let page = |problem: &Problem, headers: &HeaderMap| {
        let format = ProblemFormat::preferred(headers);
        Some(format!("{format:?} {}", problem.status().as_u16()).into_response())
    };
    let server = TestServer::spawn(
        |builder| builder.error_pages(page).max_header_size(1024),
        |_: Request| StatusCode::NOT_FOUND,
    );
    let mut client = Http2Client::connect(&server);
    let mut fields = request_fields("GET", "/");
    fields.push(("accept", "text/html"));
    let stream = client.request(&fields);
    let response = client.expect_status(stream, 404);
    assert_eq!(response.text(), "Html 404");
    // Errors of the server itself too.
    let long = "x".repeat(2000);
    fields.push(("long", &long));
    let stream = client.request(&fields);
    let response = client.expect_status(stream, 431);
    assert!(response.text().ends_with("431"), "{response:?}");
}

#[test]
fn request_ids_are_in_responses() {
    let server = TestServer::spawn(
        |builder| builder.request_ids(true),
        |request: Request| {
            let id = &request.headers()["x-request-id"];
            id.to_str().expect("an id is ASCII").to_owned()
        },
    );
    let mut client = Http2Client::connect(&server);
    let streams: Vec<_> = (0..20).map(|_| client.get("/")).collect();
    let mut seen = HashSet::new();
    for stream in streams {
        let response = client.expect_status(stream, 200);
        assert_eq!(response.header("x-request-id"), Some(&*response.text()));
        assert!(seen.insert(response.text()), "each id is used once");
    }
}

/// The table of names and values is the client's; a server reads it whatever it answers.
#[test]
fn cookie_crumbs_and_authority_reach_the_handler() {
    let server = TestServer::spawn(
        |builder| builder,
        |request: Request| {
            let header = |name: &str| {
                let values = request.headers().get_all(name).iter();
                let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
                values.collect::<Vec<_>>().join(" | ")
            };
            format!(
                "{:?} {} {} {}",
                request.version(),
                request.uri(),
                header("host"),
                header("cookie")
            )
        },
    );
    let mut client = Http2Client::connect(&server);
    let mut fields = request_fields("GET", "/a?b");
    fields.extend([("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]);
    let stream = client.request(&fields);
    client.expect_body(stream, "HTTP/2.0 /a?b it a=1; b=2");
    let stream = client.request(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        ("host", "other"),
    ]);
    client.expect_body(stream, "HTTP/2.0 / other ");
}

/// A client that resets streams while their handlers run gets the other responses.
#[test]
fn reset_streams_get_no_response() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder.workers(4),
        move |request: Request| {
            if request.uri().path() == "/slow" {
                waiter.wait();
            }
            mirror(request)
        },
    );
    let mut client = Http2Client::connect(&server);
    let slow = client.get("/slow");
    gate.expect_arrived(1);
    let (half, other) = (client.open_post("/"), client.post("/", "other"));
    client.reset(slow, ErrorCode::Cancel);
    client.reset(half, ErrorCode::Cancel);
    client.expect_body(other, "other");
    gate.open();
    eventually("the slow handler has returned", || {
        server.handle().snapshot().busy == 0
    });
    let last = client.post("/", "last");
    client.expect_body(last, "last");
    client.settle();
    for stream in [slow, half] {
        let reply = client.reply(stream);
        assert!(
            reply.response.is_none() && reply.reset.is_none(),
            "{reply:?}"
        );
    }
    assert_eq!(client.goaways(), []);
}
