//! `--cors`.

use super::{ask, folder, get, serve};
use crate::support::{Program, run_program};

const PREFLIGHT: &str = "Origin: https://shop.example\r\nAccess-Control-Request-Method: PUT\r\n\
     Access-Control-Request-Headers: content-type\r\n";

#[test]
fn pages_of_listed_origins_may_read_and_send() {
    let program = Program::spawn(&[
        "--cors",
        "https://shop.example",
        "--cors",
        "http://localhost:3000",
    ]);
    let mut client = program.connect();
    for (origin, allowed) in [
        ("https://shop.example", Some("https://shop.example")),
        ("http://localhost:3000", Some("http://localhost:3000")),
        ("https://evil.example", None),
    ] {
        let response = ask(&mut client, "GET", "/", &format!("Origin: {origin}\r\n"));
        assert_eq!(response.header("access-control-allow-origin"), allowed);
        assert_eq!(response.header("vary"), Some("origin"));
    }
    let response = ask(&mut client, "OPTIONS", "/", PREFLIGHT);
    assert_eq!(response.status, 204);
    let header = |name| response.header(name).unwrap_or_default();
    assert!(header("access-control-allow-methods").contains("PUT"));
    assert!(header("access-control-allow-headers").contains("content-type"));
    assert_eq!(header("access-control-allow-credentials"), "true");
    assert_eq!(header("access-control-max-age"), "600");
}

#[test]
fn pages_of_any_origin_may_only_read_unless_they_inspect() {
    let folder = folder();
    let program = serve(&folder, &["--cors", "*"]);
    let response = get(
        &program,
        "/assets/app.js",
        "Origin: https://shop.example\r\n",
    );
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    assert_eq!(response.header("access-control-allow-credentials"), None);
    let exposed = response.header("access-control-expose-headers");
    assert!(exposed.is_some_and(|names| names.contains("etag")));
    let preflight = ask(&mut program.connect(), "OPTIONS", "/", PREFLIGHT);
    assert_eq!(preflight.header("access-control-allow-methods"), None);
    let inspector = Program::spawn(&["--inspect", "--cors", "*"]);
    let preflight = ask(&mut inspector.connect(), "OPTIONS", "/put", PREFLIGHT);
    let methods = preflight.header("access-control-allow-methods");
    assert_eq!(methods, Some("PUT, PATCH, DELETE"));
}

#[test]
fn pages_may_read_errors_of_the_server() {
    let program = Program::spawn(&["--cors", "*", "--max-body", "10B"]);
    let head =
        "POST / HTTP/1.1\r\nHost: it\r\nOrigin: https://a.example\r\nContent-Length: 11\r\n\r\n";
    let response = program.connect().send(head).expect_status(413);
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
}

#[test]
fn wrong_origin_is_an_error() {
    for wrong in [
        "shop.example",
        "https://shop.example/",
        "https://*.example",
        "null",
        "",
    ] {
        let exit = run_program(&["--cors", wrong], &[]);
        exit.expect_line(2, "--cors");
    }
    let exit = run_program(&["--cors", "*", "--cors", "https://a.example"], &[]);
    exit.expect_line(2, "--cors: * allows all origins, so give no other");
}
