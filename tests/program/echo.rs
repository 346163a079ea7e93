use crate::support::{Program, Random, Response, TempDir, eventually, request, without_openat2};

fn post(program: &Program, content_type: &str, body: &[u8]) -> Response {
    let mut client = program.connect();
    client.send(format!(
        "POST /any/path HTTP/1.1\r\nHost: it\r\n{content_type}Content-Length: {}\r\n\r\n",
        body.len()
    ));
    let sending = client.send_in_background(body.to_vec());
    let response = client.expect_response();
    let sent = sending.join().expect("sending does not panic");
    sent.expect("the server reads the whole body");
    response
}

#[test]
fn posted_bodies_are_echoed() {
    #[track_caller]
    fn check(program: &Program, content_type: &str, body: &[u8], expected: &str) {
        let response = post(program, content_type, body);
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("content-type"), Some(expected));
        assert!(response.body == body, "{content_type:?}: the body differs");
    }
    let program = Program::spawn(&["--workers", "2"]);
    let mebibyte = Random::new(1).bytes(1024 * 1024);
    check(&program, "", b"text", "text/plain");
    check(&program, "", b"", "text/plain");
    check(
        &program,
        "Content-Type: text/csv\r\n",
        b"{broken",
        "text/csv",
    );
    let binary = "Content-Type: application/octet-stream\r\n";
    check(&program, binary, &mebibyte, "application/octet-stream");
    let json = "Content-Type: application/json\r\n";
    check(&program, json, b" {\"a\" : 1.50}\n", "application/json");
    let typed = "Content-Type: application/hal+json; x=y\r\n";
    check(&program, typed, b"[]", "application/hal+json; x=y");
}

#[test]
fn chunked_bodies_are_echoed() {
    let program = Program::spawn(&[]);
    let body = Random::new(2).bytes(1024 * 1024);
    let mut client = program.connect();
    let sending = client.send_in_background(request::post_chunked("/", &body, 4093));
    client.expect_body(&body);
    let sent = sending.join().expect("sending does not panic");
    sent.expect("the server reads the whole body");
}

#[test]
fn json_errors_name_their_position() {
    let program = Program::spawn(&[]);
    for content_type in ["application/json", "application/problem+json"] {
        let header = format!("Content-Type: {content_type}\r\n");
        let response = post(&program, &header, b"{\"a\": 1,\n \"b\" 2}");
        assert_eq!(response.status, 400);
        assert!(response.text().contains("line 2 column 6"), "{response:?}");
        assert!(!response.announces_close());
    }
}

#[test]
fn raw_json_is_echoed_unparsed() {
    let program = Program::spawn(&["--echo-json", "raw"]);
    let response = post(&program, "Content-Type: application/json\r\n", b"{broken");
    assert_eq!((response.status, response.text()), (200, "{broken".into()));
}

#[test]
fn root_serves_a_welcome_page() {
    let program = Program::spawn(&[]);
    let mut client = program.connect();
    let page = client.get("/any/path").expect_status(200);
    assert!(page.text().contains("<h1>Welcome to my Server</h1>"));
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    client.send("HEAD /any/path HTTP/1.1\r\nHost: it\r\n\r\n");
    let head = client.expect_response_to_head();
    assert_eq!(head.status, 200);
    let length = page.body.len().to_string();
    assert_eq!(head.header("content-length"), Some(length.as_str()));
    assert_eq!(head.header("content-type"), page.header("content-type"));
    client.get("/").expect_status(200);
}

#[test]
fn other_methods_are_405_with_allow() {
    let program = Program::spawn(&[]);
    let mut client = program.connect();
    for (method, status) in [
        ("OPTIONS", 204),
        ("PUT", 405),
        ("DELETE", 405),
        ("BREW", 405),
    ] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: it\r\n\r\n"));
        let response = client.expect_status(status);
        let allowed = Some("GET, HEAD, POST, OPTIONS");
        assert_eq!(response.header("allow"), allowed, "{method}");
        assert!(!response.announces_close(), "{method}");
    }
}

#[test]
fn folder_replaces_the_echo() {
    let folder = TempDir::new();
    folder
        .file("index.html", "<p>page</p>")
        .file("assets/a.js", "script")
        .file(".env", "secret");
    let root = folder.path("");
    let root = root.to_str().expect("the file is readable");
    let flags = ["--fallback", "index.html", "--immutable", "/assets/"];
    let program = Program::spawn(&[&["--root", root], &flags[..]].concat());
    let mut client = program.connect();
    let page = client.get("/").expect_body("<p>page</p>");
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    client.get("/some/route").expect_body("<p>page</p>");
    let script = client.get("/assets/a.js").expect_body("script");
    let kept = script.header("cache-control").unwrap_or_default();
    assert!(kept.contains("immutable"), "{kept}");
    client.get("/.env").expect_status(404);
    let not_allowed = client.post("/", "x").expect_status(405);
    assert_eq!(not_allowed.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn folder_is_served_without_openat2() {
    let folder = TempDir::new();
    folder.file("sub/a.txt", "text");
    let root = folder.path("");
    let root = root.to_str().expect("the file is readable");
    let mut program = without_openat2(|| {
        let mut program = Program::start(&["--listen", "127.0.0.1:0", "--root", root], &[]);
        program.expect_line("openat2 can't be called here");
        program
    });
    program.expect_listening();
    program.connect().get("/sub/a.txt").expect_body("text");
}

#[test]
fn limits_are_flags() {
    let program = Program::spawn(&["--max-body", "1KiB", "--max-header-size", "1KiB"]);
    let mut client = program.connect();
    client.post("/", vec![b'x'; 1024]).expect_status(200);
    client.post("/", vec![b'x'; 1025]).expect_status(413);
    let mut client = program.connect();
    client.get(&"/x".repeat(1024)).expect_status(414);
}

#[test]
fn deadlines_are_flags() {
    let program = Program::spawn(&["--head-timeout", "200ms", "--idle-timeout", "200ms"]);
    program.connect().expect_closed();
}

/// Checking this much JSON occupies the worker for longer than the queue timeout. The test repeats
/// until another request arrives at that moment.
#[test]
fn queue_timeout_is_a_flag() {
    #[track_caller]
    fn check(flags: &[&str]) {
        let program = Program::spawn(&[&["--workers", "1"], flags].concat());
        let body = format!("[{}1]", "1,".repeat(2 * 1024 * 1024));
        let length = body.len();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: it\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let mut others = [(); 8].map(|()| program.connect());
        eventually("a request is shed", || {
            // The request itself may be shed before all of it has arrived.
            let _ = program.connect().try_send(&request);
            for other in &mut others {
                other.get("/");
            }
            let responses = others.each_mut().map(|other| other.expect_response());
            let shed = responses.iter().find(|response| response.status == 503);
            shed.is_some_and(|response| response.header("retry-after") == Some("1"))
        });
    }
    check(&["--queue-timeout", "2ms"]);
    check(&["--queue-timeout", "1h", "--queue-limit", "1"]);
}
