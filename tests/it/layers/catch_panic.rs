use httpool::http::StatusCode;
use httpool::layers::CatchPanic;
use httpool::{Layered, Request};

use super::{call, get, text};
use crate::support::TestServer;

fn describe_panic(message: &str) -> (StatusCode, String) {
    (StatusCode::BAD_GATEWAY, format!("sorry: {message}"))
}

#[test]
fn catch_panic_makes_the_response() {
    let handler = |request: Request| -> String {
        match request.uri().path() {
            "/formatted" => panic!("no {}", "tea"),
            "/plain" => panic!("no cups"),
            "/value" => std::panic::panic_any(7),
            _ => "tea".into(),
        }
    };
    let handler = Layered::new(handler).layer(CatchPanic::new(describe_panic));
    for (target, status, expected) in [
        ("/formatted", 502, "sorry: no tea"),
        ("/plain", 502, "sorry: no cups"),
        ("/value", 502, "sorry: "),
        ("/", 200, "tea"),
    ] {
        let response = call(&handler, get(target));
        assert_eq!(
            (response.status().as_u16(), text(&response)),
            (status, expected),
            "{target}"
        );
    }
}

#[test]
fn a_caught_panic_keeps_the_connection() {
    let handler = Layered::new(|_: Request| -> &str { panic!("a test asked for this") })
        .layer(CatchPanic::new(describe_panic));
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    for _ in 0..3 {
        let response = client.get("/").expect_status(502);
        assert_eq!(response.text(), "sorry: a test asked for this");
    }
}
