//! `--rate-limit`.

use super::{ask, folder, get, serve};
use crate::support::{Program, TempDir, run_program};

const LIMIT: [&str; 2] = ["--rate-limit", "2/1h"];

#[test]
fn client_that_asks_too_often_gets_429() {
    let folder = folder();
    let flags = [&LIMIT[..], &["--header", "X-A: b", "--cors", "*"]].concat();
    let program = serve(&folder, &flags);
    let mut client = program.connect();
    for left in ["\"client\";r=1", "\"client\";r=0"] {
        let response = ask(&mut client, "GET", "/", "");
        assert_eq!(response.status, 200);
        assert_eq!(response.header("ratelimit"), Some(left));
        assert_eq!(
            response.header("ratelimit-policy"),
            Some("\"client\";q=2;w=3600")
        );
    }
    let refused = ask(&mut client, "GET", "/", "Origin: https://a.example\r\n");
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("x-a"), Some("b"));
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
    let preflight = "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n";
    assert_eq!(ask(&mut client, "OPTIONS", "/", preflight).status, 204);
}

#[test]
fn guesses_of_passwords_count() {
    let folder = TempDir::new();
    folder.file(
        "users",
        "ada:$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K\n",
    );
    let users = folder.path("users");
    let users = users.to_str().expect("it is UTF-8");
    let program = Program::spawn(&[&LIMIT[..], &["--auth-file", users]].concat());
    let guess = "Authorization: Basic YWRhOmd1ZXNz\r\n";
    for status in [401, 401, 429] {
        assert_eq!(get(&program, "/", guess).status, status);
    }
    assert_eq!(
        get(&program, "/", "Authorization: Basic YWRhOmxvdmVsYWNl\r\n").status,
        429
    );
}

#[test]
fn clients_behind_a_trusted_proxy_have_their_own_limits() {
    let program = Program::spawn(&[&LIMIT[..], &["--trusted-proxy", "127.0.0.0/8"]].concat());
    let mut client = program.connect();
    let mut status = |address: &str| {
        let line = format!("X-Forwarded-For: {address}\r\n");
        ask(&mut client, "GET", "/", &line).status
    };
    for (address, expected) in [
        ("192.0.2.1", 200),
        ("192.0.2.1", 200),
        ("192.0.2.1", 429),
        ("192.0.2.2", 200),
        ("2001:db8::1", 200),
        ("2001:db8::2", 200),
        ("2001:db8::3", 429),
        ("2001:db8:0:1::1", 200),
    ] {
        assert_eq!(status(address), expected, "{address}");
    }
}

#[test]
fn forwarding_headers_of_others_do_not_evade_the_limit() {
    let program = Program::spawn(&LIMIT);
    for (address, status) in [("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.3", 429)] {
        let line = format!("X-Forwarded-For: {address}\r\n");
        assert_eq!(get(&program, "/", &line).status, status);
    }
}

#[test]
fn wrong_rate_is_an_error() {
    for (rate, reason) in [
        ("100", "not N/TIME, for example 100/1m"),
        ("0/1m", "greater than zero"),
        ("1/5", "no unit"),
    ] {
        run_program(&["--rate-limit", rate], &[]).expect_line(2, reason);
    }
}
