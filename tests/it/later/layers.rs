//! Layers around handlers whose responses come later.

use std::time::Duration;

use httpool::http::HeaderMap;
use httpool::http::header::{HeaderValue, SERVER};
use httpool::layers::Timeout;
#[cfg(feature = "gzip")]
use httpool::layers::{Compression, Cors, SecurityHeaders};
use httpool::testing::Client;
use httpool::{IntoResponse, Later, Layered, Next, Problem, Request, Response};

use super::Desk;
use crate::support::{SOON, TestServer, Transport};

/// Sets a header without knowing of later responses.
fn name_server(request: Request, next: Next<'_>) -> Response {
    let mut response = next.run(request);
    let name = HeaderValue::from_static("teapot");
    response.headers_mut().insert(SERVER, name);
    response
}

#[cfg(feature = "gzip")]
#[test]
fn provided_layers_act_on_the_response() {
    let (desk, handler) = Desk::new();
    let handler = Layered::new(handler)
        .layer(Cors::any_origin())
        .layer(SecurityHeaders::new())
        .layer(Compression::new())
        .layer(name_server);
    let server = Transport::Tcp.spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccept-Encoding: gzip\r\n\r\n");
    let text = "tea ".repeat(1000);
    desk.next().respond(text).expect("the client waits");
    let response = client.expect_status(200);
    for (name, value) in [
        ("content-encoding", "gzip"),
        ("vary", "accept-encoding"),
        ("access-control-allow-origin", "*"),
        ("x-content-type-options", "nosniff"),
        ("server", "teapot"),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
    client.get("/late");
    let response = client.expect_status(504);
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    assert_eq!(response.header("server"), None, "the layer saw no response");
}

#[test]
fn time_limit_ends_the_wait() {
    let (desk, handler) = Desk::new();
    let handler = Layered::new(handler).layer(Timeout::new(SOON));
    let server = Transport::Tcp.spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.get("/");
    let responder = desk.next();
    let response = client.expect_status(503);
    assert!(response.header("retry-after").is_some());
    assert!(responder.is_cancelled());
    client.get("/after").expect_body("after");
}

#[test]
fn panic_in_a_layer_is_500() {
    let layer = |request: Request, next: Next<'_>| {
        Later::map(next.run(request), |response| {
            match response.status().as_u16() {
                200 => panic!("a test asked for this"),
                _ => response,
            }
        })
    };
    let (desk, handler) = Desk::new();
    let server = TestServer::spawn(|builder| builder, Layered::new(handler).layer(layer));
    let mut client = server.connect();
    for _ in 0..3 {
        client.get("/");
        desk.next().respond("hello").expect("the client waits");
        client.expect_status(500);
    }
    client.get("/");
    desk.next().respond(None::<&str>).expect("the client waits");
    client.expect_status(404);
}

#[test]
fn layer_may_respond_instead_of_waiting() {
    let layer = |request: Request, next: Next<'_>| {
        drop(next.run(request));
        "at once"
    };
    let (desk, handler) = Desk::new();
    let server = TestServer::spawn(|builder| builder, Layered::new(handler).layer(layer));
    server.connect().get("/").expect_body("at once");
    assert!(desk.next().is_cancelled());
}

#[test]
fn error_pages_replace_later_errors() {
    let (desk, handler) = Desk::new();
    let page = |problem: &Problem, _: &HeaderMap| {
        Some(format!("page {}", problem.status().as_u16()).into_response())
    };
    let server = TestServer::spawn(|builder| builder.error_pages(page), handler);
    let mut client = server.connect();
    client.get("/");
    desk.next().respond(None::<&str>).expect("the client waits");
    assert_eq!(client.expect_status(404).text(), "page 404");
    client.get("/late");
    assert_eq!(client.expect_status(504).text(), "page 504");
}

#[test]
fn test_client_waits() {
    let handler = |request: Request| match request.uri().path() {
        "/after" => Later::after(Duration::from_millis(5), "after"),
        _ => {
            let (responder, later) = Later::new();
            std::thread::spawn(move || responder.respond("thread"));
            later
        }
    };
    let client = Client::new(Layered::new(handler).layer(name_server));
    for (target, body) in [("/after", "after"), ("/", "thread")] {
        let response = client.get(target).send();
        assert_eq!(response.text(), body);
        assert_eq!(response.header("server"), Some("teapot"));
    }
}
