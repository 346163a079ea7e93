use std::time::{Duration, SystemTime};

use httpool::http::header::CONNECTION;
use httpool::http::{HeaderValue, StatusCode};
use httpool::{Builder, IntoResponse, Request};

use crate::support::{Gate, NEVER, SOON, TestServer, describe, mirror, request};

#[test]
fn requests_share_a_connection() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = server.connect();
    for round in 0..10 {
        let body = format!("round {round}");
        let response = client.post("/", &body).expect_body(&body);
        assert_eq!(response.header("connection"), None);
    }
    drop(client);
    let report = server.shut_down();
    assert_eq!(
        (report.accepted, report.answered, report.aborted),
        (1, 10, 0)
    );
}

#[test]
fn a_client_may_request_close() {
    let server = TestServer::spawn(|builder| builder, describe);
    for connection in ["close", "Close", "keep-alive, close", "close, te"] {
        let mut client = server.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: it\r\nConnection: {connection}\r\n\r\n"
        ));
        assert!(client.expect_status(200).announces_close(), "{connection}");
        client.expect_closed();
    }
}

#[test]
fn a_handler_may_request_close() {
    let server = TestServer::spawn(
        |builder| builder,
        |request: Request| {
            let mut response = "bye".into_response();
            if request.uri() == "/last" {
                let headers = response.headers_mut();
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        },
    );
    let mut client = server.connect();
    assert!(!client.get("/").expect_body("bye").announces_close());
    assert!(client.get("/last").expect_body("bye").announces_close());
    client.expect_closed();
}

#[test]
fn http_1_0_closes_without_keep_alive() {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        let response = client.expect_body("GET / ");
        assert_eq!(response.header("connection"), Some("keep-alive"));
    }
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert!(client.expect_body("GET / ").announces_close());
    client.expect_closed();
}

#[test]
fn idle_timeout_closes_connections() {
    let configure = |builder: Builder| builder.idle_timeout(SOON).head_timeout(NEVER);
    let server = TestServer::spawn(configure, describe);
    let mut client = server.connect();
    client.get("/").expect_body("GET / ");
    client.expect_closed();
}

#[test]
fn a_half_closed_client_gets_its_response() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = server.connect();
    client.post("/", "last words").finish_sending();
    client.expect_body("last words");
    client.expect_closed();
}

#[test]
fn a_half_close_during_the_handler_keeps_the_response() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder,
        move |request: Request| {
            waiter.wait();
            mirror(request)
        },
    );
    let mut client = server.connect();
    client.post("/", "first").post("/", "second");
    gate.expect_arrived(1);
    client.finish_sending();
    gate.open();
    client.expect_body("first");
    client.expect_body("second");
    client.expect_closed();
}

#[test]
fn head_gets_no_body() {
    let server = TestServer::spawn(|builder| builder, |_: Request| "twelve bytes");
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: it\r\n\r\n");
    let response = client.expect_response_to_head();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-length"), Some("12"));
    client.get("/").expect_body("twelve bytes");
}

#[test]
fn responses_204_and_304_have_no_body() {
    #[track_caller]
    fn check(status: StatusCode) {
        let server = TestServer::spawn(|builder| builder, move |_: Request| (status, "too much"));
        let mut client = server.connect();
        client.get("/").get("/");
        for _ in 0..2 {
            let response = client.expect_status(status.as_u16());
            assert_eq!(response.header("content-length"), None);
        }
        client.finish_sending().expect_closed();
    }
    check(StatusCode::NO_CONTENT);
    check(StatusCode::NOT_MODIFIED);
}

#[test]
fn responses_have_a_date() {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = server.connect();
    // The Date header has a resolution of seconds.
    let before = SystemTime::now() - Duration::from_secs(1);
    let response = client.get("/").expect_status(200);
    let date = response.header("date").expect("the response has a date");
    let date = httpdate::parse_http_date(date).expect("the date is valid");
    assert!(
        before <= date && date <= SystemTime::now(),
        "{date:?} is not the current time"
    );
}

#[test]
fn expect_continue_gets_100() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = server.connect();
    for _ in 0..2 {
        client.send(
            "POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
        );
        client.expect_status(100);
        client.send("body").expect_body("body");
    }
    client.send(
        "POST / HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\
         Expect: 100-Continue\r\n\r\n",
    );
    client.expect_status(100);
    client.send("4\r\nbody\r\n0\r\n\r\n").expect_body("body");
}

#[test]
fn continue_is_not_sent_without_need() {
    #[track_caller]
    fn check(request: &str) {
        let server = TestServer::spawn(|builder| builder, mirror);
        server.connect().send(request).expect_body("body");
    }
    // The body arrived with the head.
    check("POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody");
    // HTTP/1.0 has no 100 responses.
    check("POST / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody");
}

#[test]
fn a_body_may_arrive_long_after_its_head() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = server.connect();
    client.send(request::post_head("/", 8)).send("half");
    // A response to another client shows that time has passed.
    server.expect_serving();
    client.send("half").expect_body("halfhalf");
    client.get("/").expect_body("");
}
