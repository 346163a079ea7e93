use std::fs::File;
use std::time::{Duration, SystemTime};

use crate::support::{Client, Http2Client, Program, Response, TempDir, http2};

mod auth;
mod compress;
mod cors;
mod headers;
mod limits;

/// A folder with the files that most of these tests ask for.
fn folder() -> TempDir {
    let folder = TempDir::new();
    folder
        .file("index.html", "<h1>home</h1>")
        .file("assets/app.js", "console.log(1);\n".repeat(200));
    // The tag of a file that has just changed is weak.
    let script = File::options()
        .write(true)
        .open(folder.path("assets/app.js"));
    let changed = SystemTime::now() - Duration::from_secs(3600);
    let changed = script.and_then(|script| script.set_modified(changed));
    changed.expect("the time can be set");
    folder
}

/// Starts the program for this folder, with further flags.
#[track_caller]
fn serve(folder: &TempDir, flags: &[&str]) -> Program {
    let root = folder.path("");
    let root = root.to_str().expect("the path is UTF-8");
    Program::spawn(&[&["--root", root], flags].concat())
}

/// Sends a request with these header lines, each of which ends with CR LF.
#[track_caller]
fn ask(client: &mut Client, method: &str, target: &str, lines: &str) -> Response {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: it\r\n{lines}\r\n");
    client.send(request);
    match method {
        "HEAD" => client.expect_response_to_head(),
        _ => client.expect_response(),
    }
}

#[track_caller]
fn get(program: &Program, target: &str, lines: &str) -> Response {
    ask(&mut program.connect(), "GET", target, lines)
}

#[test]
fn security_headers_are_in_every_response_over_both_protocols() {
    let folder = folder();
    let program = serve(&folder, &["--security-headers"]);
    for target in ["/", "/none"] {
        let response = get(&program, target, "");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    }
    let rejected = program
        .connect()
        .send("GET / HTTP/1.1\r\n\r\n")
        .expect_status(400);
    assert_eq!(rejected.header("x-content-type-options"), Some("nosniff"));
    let mut client = Http2Client::over(program.connect(), &[]);
    let stream = client.request(&http2::request_fields("GET", "/"));
    let response = client.expect_status(stream, 200);
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
}
