use std::fmt::Write;
use std::time::Instant;

use crate::support::{Client, TIMEOUT, TestServer, mirror, request};

const MAX_HEADER_SIZE: usize = 1024;
const MAX_BODY: usize = 100;

fn limited() -> TestServer {
    TestServer::spawn(
        |builder| builder.max_header_size(MAX_HEADER_SIZE).max_body(MAX_BODY),
        mirror,
    )
}

/// The response has this status and contains this text, and the connection closes.
#[track_caller]
fn check(request: impl AsRef<[u8]>, status: u16, text: &str) {
    let server = limited();
    let mut client = server.connect();
    client.send(request);
    let response = client.expect_status(status);
    assert!(response.text().contains(text), "{response:?}");
    assert!(response.announces_close(), "{response:?}");
    client.finish_sending().expect_closed();
    server.expect_serving();
}

fn get_with(headers: &str) -> String {
    format!("GET / HTTP/1.1\r\n{headers}\r\n")
}

fn post_with(headers: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: it\r\n{headers}\r\n{body}")
}

#[test]
fn malformed_heads_get_400() {
    check("nonsense\r\n\r\n", 400, "request line");
    check("GET  / HTTP/1.1\r\nHost: it\r\n\r\n", 400, "request line");
    check("GET / HTTP/1.1 \r\nHost: it\r\n\r\n", 400, "CRLF");
    check(
        "GET /#part HTTP/1.1\r\nHost: it\r\n\r\n",
        400,
        "request target",
    );
    check(get_with("Host: it\r\nno colon\r\n"), 400, "header line");
    check(get_with("Host: it\r\nA : b\r\n"), 400, "header line");
    check(get_with("Host: it\r\nA: b\r\n c\r\n"), 400, "header line");
    check(get_with("Host: it\r\nA: \0\r\n"), 400, "header line");
    check(get_with(""), 400, "Host");
    check(get_with("Host: it\r\nHost: it\r\n"), 400, "Host");
}

#[test]
fn ambiguous_framing_gets_400() {
    check(
        post_with("Content-Length: +1\r\n", "x"),
        400,
        "Content-Length",
    );
    check(
        post_with("Content-Length: 1, 1\r\n", "x"),
        400,
        "Content-Length",
    );
    check(
        post_with("Content-Length: 1\r\nContent-Length: 1\r\n", "x"),
        400,
        "Content-Length",
    );
    check(
        post_with(
            "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\nx",
        ),
        400,
        "ambiguous",
    );
    for chunks in [
        "x\r\n",
        "-1\r\n",
        "1\nx\r\n0\r\n\r\n",
        "1\r\nxy\r\n0\r\n\r\n",
    ] {
        check(
            post_with("Transfer-Encoding: chunked\r\n", chunks),
            400,
            "chunked",
        );
    }
}

#[test]
fn bodies_over_the_limit_get_413() {
    let largest = "x".repeat(MAX_BODY);
    let server = limited();
    let mut client = server.connect();
    client.post("/", &largest).expect_body(&largest);
    client.send(request::post_chunked("/", &largest, 7));
    client.expect_body(&largest);

    let larger = "x".repeat(MAX_BODY + 1);
    check(request::post("/", &larger), 413, "too large");
    check(request::post_chunked("/", &larger, 1000), 413, "too large");
    check(request::post_chunked("/", &larger, 1), 413, "too large");
}

#[test]
fn a_body_over_the_limit_gets_413_before_it_arrives() {
    check(request::post_head("/", MAX_BODY + 1), 413, "too large");
    check(request::post_head("/", usize::MAX), 413, "too large");
    check(
        post_with("Transfer-Encoding: chunked\r\n", "65\r\n"),
        413,
        "too large",
    );
    check(
        post_with("Content-Length: 101\r\nExpect: 100-continue\r\n", ""),
        413,
        "too large",
    );
}

#[test]
fn an_error_response_survives_further_client_bytes() {
    let server = limited();
    let mut client = server.connect();
    client.send(request::post_head("/", 1024 * 1024));
    client.send(vec![b'x'; 1024 * 1024]);
    let response = client.expect_status(413);
    assert!(response.announces_close());
    client.finish_sending().expect_closed();
}

#[test]
fn a_client_that_never_stops_sending_is_closed() {
    let server = limited();
    let mut client = server.connect();
    client.send(request::post_head("/", usize::MAX));
    client.expect_status(413);
    let deadline = Instant::now() + TIMEOUT;
    while client.try_send([b'x'; 64 * 1024]).is_ok() {
        assert!(Instant::now() < deadline, "the server keeps reading");
    }
    server.expect_open(0);
}

#[test]
fn long_request_lines_get_414() {
    check(
        format!("GET /{}", "x".repeat(MAX_HEADER_SIZE)),
        414,
        "too long",
    );
    check(request::get(&"/x".repeat(MAX_HEADER_SIZE)), 414, "too long");
}

#[test]
fn long_heads_get_431() {
    let header = "A: b\r\n";
    let long = header.repeat(MAX_HEADER_SIZE / header.len());
    check(get_with(&format!("Host: it\r\n{long}")), 431, "too large");
    let endless = format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(MAX_HEADER_SIZE));
    check(endless, 431, "too large");
}

#[test]
fn heads_with_too_many_headers_get_431() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut headers = "Host: it\r\n".to_owned();
    for number in 1..100 {
        write!(headers, "A{number}: b\r\n").expect("writing to a string succeeds");
    }
    let mut client = server.connect();
    client.send(get_with(&headers)).expect_status(200);
    client.send(get_with(&format!("{headers}B: c\r\n")));
    client.expect_status(431);
    client.expect_closed();
}

#[test]
fn unknown_expectations_get_417() {
    check(
        post_with("Expect: miracles\r\nContent-Length: 1\r\n", ""),
        417,
        "100-continue",
    );
}

#[test]
fn unknown_transfer_codings_get_501() {
    check(
        post_with("Transfer-Encoding: gzip, chunked\r\n", ""),
        501,
        "chunked",
    );
}

#[test]
fn unknown_versions_get_505() {
    check("GET / HTTP/2.0\r\nHost: it\r\n\r\n", 505, "HTTP/1.1");
    check("PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.1");
}

#[test]
fn requests_before_a_bad_request_are_answered_first() {
    let server = limited();
    let mut client = server.connect();
    client.send([request::post("/", "good"), b"bad\r\n\r\n".to_vec()].concat());
    client.expect_body("good");
    client.expect_status(400);
    client.expect_closed();
}

#[test]
fn errors_have_the_format_that_the_client_accepts() {
    #[track_caller]
    fn check(accept: &str, content_type: &str) -> String {
        let server = limited();
        let mut client = server.connect();
        client.send(post_with(&format!("{accept}Content-Length: 101\r\n"), ""));
        let response = client.expect_status(413);
        assert_eq!(response.header("content-type"), Some(content_type));
        response.text()
    }
    let page = check(
        "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n",
        "text/html; charset=utf-8",
    );
    assert!(page.contains("<h1>413 Payload Too Large</h1>"), "{page}");
    let problem = check("Accept: application/json\r\n", "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&problem).expect("the body is JSON");
    assert_eq!(problem["status"], 413);
    assert_eq!(problem["title"], "Payload Too Large");
    assert_eq!(problem["detail"], "the request body is too large");
    let text = check("", "text/plain; charset=utf-8");
    assert_eq!(
        text,
        "413 Payload Too Large: the request body is too large\n"
    );
}

#[test]
fn connections_over_the_limit_wait_for_one_to_close() {
    let server = TestServer::spawn(|builder| builder.max_connections(2), mirror);
    let connect = |body: &str| -> Client {
        let mut client = server.connect();
        client.post("/", body);
        client
    };
    let (mut first, mut second) = (connect("first"), connect("second"));
    first.expect_body("first");
    second.expect_body("second");
    let (mut third, mut fourth) = (connect("third"), connect("fourth"));
    for _ in 0..20 {
        second.post("/", "again").expect_body("again");
    }
    let snapshot = server.handle().snapshot();
    assert_eq!(snapshot.accepted, 2);
    assert_eq!((snapshot.max_connections, snapshot.limit_reached), (2, 1));
    drop(first);
    third.expect_body("third");
    assert_eq!(server.handle().snapshot().accepted, 3);
    drop(third);
    fourth.expect_body("fourth");
    second.post("/", "still here").expect_body("still here");
    assert_eq!(server.shut_down().aborted, 0);
}
