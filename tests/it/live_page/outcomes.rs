use httpool::services::inspect::{Access, Inspect, Settings};
use serde_json::{Value, json};

use crate::support::http2::Http2Client;
use crate::support::{TestServer, eventually};

fn server(settings: Settings) -> TestServer {
    let inspect = Inspect::new(settings.access(Access::Local));
    let observer = inspect.rejected_requests();
    let configure = |builder: httpool::Builder| {
        builder
            .workers(1)
            .observer(observer)
            .max_body(1000)
            .max_header_size(1000)
    };
    TestServer::spawn(configure, inspect)
}

fn ask(server: &TestServer, path: &str) -> Value {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut client = server.connect();
    client.send(request);
    let response = client.expect_status(200);
    serde_json::from_slice(&response.body).expect("it is JSON")
}

/// The last request that is listed, when all of them have an outcome.
#[track_caller]
fn last(server: &TestServer) -> Value {
    let mut list = Value::Null;
    eventually("all requests have an outcome", || {
        list = ask(server, "/inspect/api/requests");
        let all = list.as_array().expect("it is a list");
        all.iter().all(|request| request["outcome"] != "open")
    });
    list.as_array()
        .and_then(|all| all.last())
        .cloned()
        .unwrap_or_default()
}

fn send_and_leave(server: &TestServer, request: &[u8]) {
    let mut client = server.connect();
    client.send(request);
    let _ = client.read_rest();
}

#[test]
fn response_is_listed_with_its_faults() {
    let server = server(Settings::default().allow_faults(true));
    let get = |faults: &str| {
        let head = format!("GET /?fault={faults} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        send_and_leave(&server, head.as_bytes());
        last(&server)
    };
    for (faults, outcome, status, listed) in [
        ("none", "response", json!(200), Value::Null),
        (
            "status=503,delay=1ms",
            "response",
            json!(503),
            json!("status=503,delay=1ms"),
        ),
        (
            "truncate=head",
            "response",
            json!(200),
            json!("truncate=head"),
        ),
        ("reset", "unsent", Value::Null, json!("reset=before")),
        ("goaway", "unsent", Value::Null, json!("goaway=no_error")),
    ] {
        let request = get(faults);
        assert_eq!(request["outcome"], outcome, "{faults}");
        assert_eq!(
            (&request["status"], &request["faults"]),
            (&status, &listed),
            "{faults}"
        );
    }
    let long = get(&format!("status=503{}", ",header=a:b".repeat(60)));
    assert!(
        long["faults"]
            .as_str()
            .is_some_and(|faults| faults.ends_with('…'))
    );
    let details = ask(&server, "/inspect/api/requests/4");
    assert_eq!(details["response"]["faults"], "reset=before");
    let archive = ask(&server, "/inspect/api/export.har");
    let response = &archive["log"]["entries"][3]["response"];
    assert_eq!(
        (&response["status"], &response["comment"]),
        (&json!(0), &json!("nothing was sent"))
    );
}

#[test]
fn rejected_requests_are_listed() {
    let server = server(Settings::default());
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n",
        "a".repeat(2000)
    );
    let cases: [(&[u8], u16, &str, &str); 4] = [
        (
            b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n",
            413,
            "/large",
            "the request body is too large",
        ),
        (long.as_bytes(), 431, "", "the request head is too large"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
            400,
            "",
            "a header line is malformed",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n",
            417,
            "/",
            "the only supported expectation is 100-continue",
        ),
    ];
    for (number, (request, status, target, reason)) in (1..).zip(cases) {
        send_and_leave(&server, request);
        let listed = last(&server);
        assert_eq!(
            (&listed["status"], &listed["outcome"]),
            (&json!(status), &json!("rejected"))
        );
        assert_eq!(listed["target"], target);
        let details = ask(&server, &format!("/inspect/api/requests/{number}"));
        assert_eq!(details["response"]["rejected"], reason, "{details}");
        assert!(details["connection"]["peer"].is_string(), "{details}");
    }
}

#[test]
fn rejected_requests_of_an_inbox_are_in_it() {
    let server = server(Settings::default());
    let request = b"POST /inbox/abc/hook HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n";
    send_and_leave(&server, request);
    let list = ask(&server, "/inspect/api/inbox/abc/requests");
    assert_eq!(
        (&list[0]["status"], &list[0]["target"]),
        (&json!(413), &json!("/inbox/abc/hook"))
    );
    // Those of the page are in no list.
    let page = b"POST /inspect/api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n";
    send_and_leave(&server, page);
    assert_eq!(ask(&server, "/inspect/api/requests"), json!([]));
}

#[test]
fn outcomes_of_http2_are_listed() {
    let server = server(Settings::default().allow_faults(true));
    let mut client = Http2Client::connect(&server);
    let stream = client.try_post("/large", [b'x'; 2000]);
    let _ = client.expect_status(stream, 413);
    let large = last(&server);
    assert_eq!(
        (&large["target"], &large["status"], &large["outcome"]),
        (&json!("/large"), &json!(413), &json!("rejected"))
    );
    let stream = client.get("/?fault=stream-reset");
    client.expect_reset(stream);
    let reset = last(&server);
    assert_eq!(reset["outcome"], "unsent");
    assert_eq!(reset["faults"], "stream-reset=internal_error:before");
}
