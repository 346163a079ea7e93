//! `--header`.

use super::{ask, folder, get, serve};
use crate::support::{Http2Client, Program, eventually, http2, request, run_program};

const ROBOTS: [&str; 2] = ["--header", "X-Robots-Tag: noindex, nofollow"];

#[test]
fn every_response_has_the_header() {
    let folder = folder();
    let program = serve(
        &folder,
        &[&ROBOTS[..], &["--fallback", "index.html"]].concat(),
    );
    let mut client = program.connect();
    let response = ask(&mut client, "GET", "/", "");
    let tag = response
        .header("etag")
        .expect("files have a tag")
        .to_owned();
    let revalidation = format!("If-None-Match: {tag}\r\n");
    for (method, target, lines, status) in [
        ("GET", "/", "", 200),
        ("HEAD", "/", "", 200),
        ("GET", "/a/page", "", 200),
        ("GET", "/", "Range: bytes=0-1\r\n", 206),
        ("GET", "/", "Range: bytes=99-\r\n", 416),
        ("GET", "/assets", "", 301),
        ("PUT", "/", "Content-Length: 0\r\n", 405),
        ("POST", "/", "Content-Length: 99999999999\r\n", 405),
        ("GET", "/", &revalidation, 304),
    ] {
        let response = ask(&mut program.connect(), method, target, lines);
        assert_eq!(response.status, status, "{method} {target} {lines}");
        let value = response.header("x-robots-tag");
        assert_eq!(value, Some("noindex, nofollow"), "{status}");
    }
    let mut client = Http2Client::over(program.connect(), &[]);
    let stream = client.request(&http2::request_fields("GET", "/"));
    let response = client.expect_status(stream, 200);
    assert_eq!(response.header("x-robots-tag"), Some("noindex, nofollow"));
}

#[test]
fn rejected_requests_get_the_header() {
    let limits = ["--max-body", "10B", "--max-header-size", "300B"];
    let program = Program::spawn(&[&ROBOTS[..], &limits].concat());
    let long = "x".repeat(400);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            "POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 11\r\n\r\n".to_owned(),
            413,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: it\r\nX-A: {long}\r\n\r\n"),
            431,
        ),
    ] {
        let response = program.connect().send(request).expect_status(status);
        assert!(response.header("x-robots-tag").is_some(), "{status}");
    }
    let memory = ["--max-buffered-memory", "64KiB"];
    let program = Program::spawn(&[&ROBOTS[..], &memory].concat());
    let body = "x".repeat(50_000);
    let whole = request::post("/", &body);
    let (last, start) = whole.split_last().expect("it has bytes");
    // The memory is enough for one of the bodies.
    eventually("a body finds no memory", || {
        let (mut first, mut second) = (program.connect(), program.connect());
        first.send(start);
        let response = match second.send(&whole).expect_response() {
            response if response.status == 503 => response,
            _ => first.send([*last]).expect_response(),
        };
        response.status == 503 && response.header("x-robots-tag").is_some()
    });
}

#[test]
fn headers_of_prefixes_replace_and_remove() {
    let folder = folder();
    let flags = [
        "--header",
        "Cache-Control: max-age=1",
        "--header",
        "/assets/ Cache-Control: max-age=2",
        "--header",
        "/assets/app.js ETag:",
    ];
    let program = serve(&folder, &flags);
    let home = get(&program, "/", "");
    assert_eq!(home.header("cache-control"), Some("max-age=1"));
    assert!(home.header("etag").is_some());
    let script = get(&program, "/%61ssets/app.js", "");
    assert_eq!(script.header("cache-control"), Some("max-age=2"));
    assert_eq!(script.header("etag"), None);
}

#[test]
fn variable_has_a_header_on_each_line() {
    let lines = "X-A: b, c\n\n/a X-B: d e\n";
    let program = Program::spawn_with(&[], &[("HTTPOOL_HEADER", lines)]);
    let response = get(&program, "/a", "");
    assert_eq!(response.header("x-a"), Some("b, c"));
    assert_eq!(response.header("x-b"), Some("d e"));
}

#[test]
fn header_that_could_break_a_response_is_an_error() {
    for (value, reason) in [
        ("X-A: b\r\nSet-Cookie: c=d", "line break"),
        ("X-A: b\rc", "line break"),
        ("X-A: b\u{1}", "printable ASCII"),
        ("Content-Length: 5", "the server sets Content-Length itself"),
        (
            "Transfer-Encoding: chunked",
            "the server sets Transfer-Encoding itself",
        ),
        ("Connection: close", "the server sets Connection itself"),
        ("nothing", "not a header"),
    ] {
        run_program(&["--header", value], &[]).expect_line(2, reason);
        let exit = run_program(&[], &[("HTTPOOL_HEADER", value)]);
        exit.expect_line(2, "HTTPOOL_HEADER");
    }
}
