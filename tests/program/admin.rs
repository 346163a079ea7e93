use httpool::http2::ErrorCode;
use httpool::services::Admin;
use httpool::{ListenAddr, Request};
use rustix::process::Signal;

use crate::support::http2::{Frame, Http2Client};
use crate::support::{
    Client, Gate, Program, TestServer, address_in, eventually, request, run_program,
};

/// Starts the program with one worker and an admin listener.
fn spawn_with_admin(arguments: &[&str]) -> (Program, ListenAddr) {
    let watching = ["--workers", "1", "--admin", "127.0.0.1:0"];
    let listen = ["--listen", "127.0.0.1:0"];
    let mut program = Program::start(&[&listen[..], &watching, arguments].concat(), &[]);
    let address = address_in(&program.expect_line("health and metrics on"));
    program.expect_listening();
    (program, address)
}

#[track_caller]
fn call(address: &ListenAddr, target: &str) -> (u16, String) {
    let mut client = Client::connect(address);
    let response = client.get(target).expect_response();
    (response.status, response.text())
}

/// The value of one metric.
#[track_caller]
fn metric(admin: &ListenAddr, name: &str) -> u64 {
    let (_, metrics) = call(admin, "/metrics");
    let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
    let value = lines
        .next()
        .and_then(|rest| rest.trim().parse::<u64>().ok());
    value.unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

#[test]
fn admin_answers_until_the_server_ends() {
    let (program, admin) = spawn_with_admin(&["--drain-delay", "1h"]);
    let mut client = program.connect();
    client.post("/", "one").expect_body("one");
    assert_eq!(call(&admin, "/healthz").0, 200);
    assert_eq!(call(&admin, "/readyz").0, 200);
    let (status, metrics) = call(&admin, "/metrics");
    assert_eq!(status, 200);
    for line in [
        "httpool_connections{state=\"driven\"} 0",
        "httpool_connections{state=\"parked\"} 1",
        "httpool_connections_accepted_total 1",
        "httpool_requests_answered_total 1",
        "httpool_requests_total{method=\"POST\",status=\"2xx\"} 1",
        "httpool_requests_by_version_total{version=\"1.1\"} 1",
        "httpool_requests_by_version_total{version=\"2.0\"} 0",
        "httpool_http2_streams 0",
        "httpool_http2_goaways_total{reason=\"NO_ERROR\"} 0",
        "httpool_request_size_bytes_sum 3.0",
        "httpool_request_duration_seconds_count 1",
        "httpool_workers 1",
        "httpool_connections{state=\"queued\"} 0",
        "httpool_draining 0",
    ] {
        assert!(
            metrics.lines().any(|one| one == line),
            "no {line:?} in {metrics}"
        );
    }
    assert!(metrics.contains("httpool_queue_wait_seconds_bucket{le=\"0.0001\"} "));
    // The partial request keeps the drain from finishing.
    client.send(request::post_head("/", 4)).send("ha");
    program.signal(Signal::TERM);
    eventually("it must not be ready", || call(&admin, "/readyz").0 == 503);
    assert_eq!(call(&admin, "/healthz").0, 200);
    assert!(call(&admin, "/metrics").1.contains("httpool_draining 1\n"));
    client.send("lf").expect_body("half");
    program.signal_until_exit(Signal::TERM);
    program.expect_exit(0);
    assert!(
        Client::try_connect(&admin).is_err(),
        "the admin port is released, too"
    );
}

#[test]
fn admin_answers_while_every_worker_is_busy() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder,
        move |_: Request| {
            waiter.wait();
            "late"
        },
    );
    let admin = Admin::new(server.handle().clone());
    let admin = TestServer::spawn(|builder| builder.workers(1), admin);
    let mut clients = [(); 3].map(|()| server.connect());
    for client in &mut clients {
        client.get("/");
    }
    gate.expect_arrived(2);
    eventually("the third client has to wait", || {
        let (status, metrics) = call(admin.address(), "/metrics");
        assert_eq!(status, 200);
        metrics.contains("httpool_connections{state=\"queued\"} 1\n")
            && metrics.contains("httpool_workers_busy 2\n")
    });
    assert_eq!(call(admin.address(), "/readyz").0, 200);
    assert_eq!(call(admin.address(), "/healthz").0, 200);
    gate.open();
    for client in &mut clients {
        client.expect_body("late");
    }
}

#[test]
fn metrics_format_follows_the_accept_header() {
    let (_program, admin) = spawn_with_admin(&[]);
    let check = |accept: &str, content_type: &str, last: &str| {
        let mut client = Client::connect(&admin);
        let head = format!("GET /metrics HTTP/1.1\r\nHost: it\r\nAccept: {accept}\r\n\r\n");
        let response = client.send(head).expect_status(200);
        assert_eq!(response.header("content-type"), Some(content_type));
        assert_eq!(response.header("vary"), Some("accept"));
        let text = response.text();
        let end = text.lines().next_back().unwrap_or_default();
        assert!(end.starts_with(last), "{end:?} is the last line");
    };
    check(
        "*/*",
        "text/plain; version=0.0.4; charset=utf-8",
        "process_",
    );
    check(
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "# EOF",
    );
}

#[test]
fn rejected_requests_are_counted_by_reason() {
    let (program, admin) = spawn_with_admin(&["--max-body", "3"]);
    let metric = |name: &str| metric(&admin, name);
    let too_large = r#"httpool_requests_rejected_total{reason="body_too_large"}"#;
    let client_error = r#"httpool_requests_total{method="POST",status="4xx"}"#;
    assert_eq!(metric(too_large), 0);
    program.connect().post("/", "four").expect_status(413);
    program.connect().post("/", "one").expect_body("one");
    eventually("the limit is counted", || {
        metric("httpool_requests_answered_total") == 1
    });
    assert_eq!((metric(too_large), metric(client_error)), (1, 1));
}

#[test]
fn requests_are_counted_by_version() {
    let (program, admin) = spawn_with_admin(&[]);
    let old = "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nold";
    program.connect().send(old).expect_body("old");
    let mut client = program.connect();
    for body in ["one", "two"] {
        client.post("/", body).expect_body(body);
    }
    let mut client = Http2Client::over(program.connect(), &[]);
    for body in ["one", "two", "three"] {
        let stream = client.post("/", body);
        client.expect_body(stream, body);
    }
    // Its version is not read.
    program.connect().send("\0\r\n\r\n").expect_status(400);
    let counts = ["1.0", "1.1", "2.0", "unknown"].map(|version| {
        let name = format!("httpool_requests_by_version_total{{version=\"{version}\"}}");
        metric(&admin, &name)
    });
    assert_eq!(counts, [1, 2, 3, 1]);
}

/// More PINGs than any client may send at once. One call sends them all.
#[test]
fn abuse_of_http2_is_counted_and_logged() {
    let (mut program, admin) = spawn_with_admin(&["--log-level", "debug"]);
    let counts = || {
        [
            r#"httpool_http2_abuse_total{kind="pings"}"#,
            r#"httpool_http2_abuse_total{kind="resets"}"#,
            r#"httpool_http2_goaways_total{reason="ENHANCE_YOUR_CALM"}"#,
        ]
        .map(|name| metric(&admin, name))
    };
    assert_eq!(counts(), [0, 0, 0]);
    let mut client = Http2Client::over(program.connect(), &[]);
    let pings = vec![Frame::ping([0; 8]); 5_000];
    // The server may close the connection before it has received them all.
    let _ = client.try_send_frames(&pings);
    client.expect_connection_error(ErrorCode::EnhanceYourCalm);
    program.expect_line("ENHANCE_YOUR_CALM: too many PINGs");
    assert_eq!(counts(), [1, 0, 1]);
}

#[test]
fn admin_address_in_use_is_a_one_line_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = taken
        .local_addr()
        .expect("the listener is bound")
        .to_string();
    let exit = run_program(&["--listen", "127.0.0.1:0", "--admin", &address], &[]);
    exit.expect_line(1, &format!("cannot listen on {address}: "));
}

#[test]
fn connection_limit_is_logged_and_counted() {
    let (mut program, admin) = spawn_with_admin(&["--max-connections", "1"]);
    let limit = |reached: u64| {
        let metrics = call(&admin, "/metrics").1;
        let lines = [
            "httpool_connections_limit 1".to_owned(),
            format!("httpool_connections_limit_reached_total {reached}"),
        ];
        lines
            .iter()
            .all(|line| metrics.lines().any(|one| one == line))
    };
    assert!(limit(0));
    let mut first = program.connect();
    first.post("/", "first").expect_body("first");
    program.expect_line("limit of 1 connection reached; new clients wait until one closes");
    assert!(limit(1));
    let mut second = program.connect();
    second.post("/", "second");
    drop(first);
    second.expect_body("second");
    eventually("the limit is counted again", || limit(2));
    program.signal(Signal::TERM);
    drop(second);
    let errors = program.expect_exit(0).errors;
    // Clients that connect and leave do not log a line each.
    assert_eq!(
        errors.matches("limit of 1 connection").count(),
        1,
        "{errors}"
    );
}

#[test]
fn descriptor_limit_is_logged_once() {
    for (descriptors, level, connections) in
        [(65, "WARN", "1 connection"), (80, "INFO", "16 connections")]
    {
        let arguments = ["--admin", "127.0.0.1:0", "--workers", "2"];
        let program = Program::spawn_with_descriptor_limit(descriptors, &arguments);
        program.signal(Signal::TERM);
        let errors = program.expect_exit(0).errors;
        let mut lines = errors
            .lines()
            .filter(|line| line.contains("descriptor limit"));
        let line = lines.next().expect("the line is logged");
        let expected =
            format!("descriptor limit (ulimit -n) of {descriptors} allows {connections} at most");
        assert!(line.contains(level) && line.ends_with(&expected), "{line}");
        assert_eq!(lines.next(), None);
    }
}
