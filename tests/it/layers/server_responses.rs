//! Layers complete the responses that the server makes itself.

use std::io;

use httpool::http::header::{CONTENT_TYPE, ETAG};
use httpool::http::header::{HeaderName, HeaderValue};
use httpool::http::{HeaderMap, Method};
use httpool::layers::{Cors, SecurityHeaders};
use httpool::{
    BodyMode, Builder, Handler, Html, IntoResponse, Layered, Problem, Request, Response, Upgrade,
};

use crate::support::{self, BoundServer, Gate, SOON, TestServer, describe};

const SHOP: &str = "https://shop.example";

fn shop() -> Cors {
    Cors::allow_origins([SHOP, "https://blog.example"])
        .methods([Method::PUT])
        .allow_headers([CONTENT_TYPE])
        .expose_headers([ETAG])
}

/// All values of this header.
fn values<'r>(response: &'r support::Response, name: &str) -> Vec<&'r str> {
    let lines = response.headers.iter().filter(|(known, _)| known == name);
    lines.map(|(_, value)| value.as_str()).collect()
}

/// Panics, upgrades or streams a body, depending on the path.
struct TestHandler;

impl Handler for TestHandler {
    fn handle(&self, request: &mut Request) -> Response {
        match request.uri().path() {
            "/panic" => panic!("a test asked for this"),
            // A function handler has moved the request out when it panics.
            "/taken" => {
                let _ = std::mem::take(request);
                panic!("a test asked for this")
            }
            "/upgrade" => Upgrade::new("lines", |_| ()).into_response(),
            "/stream" => {
                let count = io::copy(request.body_mut(), &mut io::sink());
                count.map(|count| count.to_string()).into_response()
            }
            _ => describe(std::mem::take(request)).into_response(),
        }
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match request.uri().path() {
            "/stream" => BodyMode::Streaming { most: 10 },
            _ => BodyMode::Buffered,
        }
    }
}

fn limits(builder: Builder) -> Builder {
    let builder = builder.max_body(10).max_header_size(1000);
    builder.head_timeout(SOON).body_timeout(SOON)
}

/// The server's response to these bytes.
#[track_caller]
fn respond(handler: impl Handler, sent: &str, status: u16) -> support::Response {
    let server = BoundServer::new(limits);
    let mut client = server.connect();
    client.send(sent);
    let _server = server.run(handler);
    client.expect_status(status)
}

/// Requests that the server answers itself, with a placeholder for more header lines.
fn requests() -> Vec<(u16, String)> {
    let long = "x".repeat(1000);
    let headers = "x: y\r\n".repeat(101);
    let with = |status, line: &str, rest: &str| {
        (
            status,
            format!("{line} HTTP/1.1\r\nHost: it\r\nORIGIN\r\n{rest}"),
        )
    };
    vec![
        with(413, "POST /", "Content-Length: 11\r\n\r\n"),
        with(
            413,
            "POST /",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nB\r\n",
        ),
        with(413, "POST /stream", "Content-Length: 11\r\n\r\n"),
        with(
            413,
            "POST /stream",
            "Transfer-Encoding: chunked\r\n\r\nB\r\n12345678901",
        ),
        with(408, "POST /", "Content-Length: 10\r\n\r\nabc"),
        with(408, "POST /stream", "Content-Length: 10\r\n\r\nabc"),
        with(408, "GET /", "X: y"),
        with(431, "GET /", &format!("X: {long}\r\n\r\n")),
        with(431, "GET /", &headers),
        with(400, "POST /", "Content-Length: x\r\n\r\n"),
        with(400, "POST /", "Transfer-Encoding: chunked\r\n\r\nnone\r\n"),
        with(400, "GET /", "no field\r\n\r\n"),
        with(400, "GET nowhere", "\r\n"),
        with(417, "POST /", "Expect: tea\r\nContent-Length: 1\r\n\r\n"),
        with(501, "POST /", "Transfer-Encoding: gzip, chunked\r\n\r\n"),
        with(501, "CONNECT it:80", "\r\n"),
        with(500, "GET /panic", "\r\n"),
        with(500, "GET /taken", "\r\n"),
        with(426, "GET /upgrade", "\r\n"),
    ]
}

#[test]
fn an_allowed_origin_may_read_the_servers_own_responses() {
    for (status, sent) in requests() {
        let handler = Layered::new(TestHandler).layer(shop());
        let sent = sent.replace("ORIGIN", &format!("Origin: {SHOP}"));
        let response = respond(handler, &sent, status);
        let allowed = values(&response, "access-control-allow-origin");
        assert_eq!(allowed, [SHOP], "{sent} {response:?}");
        assert!(
            values(&response, "vary").contains(&"origin"),
            "{response:?}"
        );
        let exposed = values(&response, "access-control-expose-headers");
        assert_eq!(exposed, ["etag"], "{response:?}");
    }
}

#[test]
fn other_origins_get_no_cors_headers_on_server_responses() {
    let others = ["Origin: https://evil.example", "Origin: null", "X: y"];
    for (number, (status, sent)) in requests().into_iter().enumerate() {
        let handler = Layered::new(TestHandler).layer(shop());
        let sent = sent.replace("ORIGIN", others[number % others.len()]);
        let response = respond(handler, &sent, status);
        let allowed = values(&response, "access-control-allow-origin");
        assert!(allowed.is_empty(), "{sent} {response:?}");
        assert!(
            values(&response, "vary").contains(&"origin"),
            "{response:?}"
        );
    }
    // An incomplete header line may be the start of another origin.
    let incomplete = format!("GET / HTTP/1.1\r\nHost: it\r\nOrigin: {SHOP}");
    let late = format!(
        "GET /{} HTTP/1.1\r\nOrigin: {SHOP}\r\n\r\n",
        "x".repeat(1000)
    );
    for (status, sent) in [(408, incomplete), (414, late)] {
        let response = respond(Layered::new(TestHandler).layer(shop()), &sent, status);
        let allowed = values(&response, "access-control-allow-origin");
        assert!(allowed.is_empty(), "{response:?}");
        assert!(
            values(&response, "vary").contains(&"origin"),
            "{response:?}"
        );
        // A policy for any origin does not depend on the request.
        let response = respond(
            Layered::new(TestHandler).layer(Cors::any_origin()),
            &sent,
            status,
        );
        let allowed = values(&response, "access-control-allow-origin");
        assert_eq!(allowed, ["*"], "{response:?}");
    }
}

fn preflight(origin: &str) -> String {
    format!(
        "OPTIONS / HTTP/1.1\r\nHost: it\r\nOrigin: {origin}\r\n\
         Access-Control-Request-Method: PUT\r\n\r\n"
    )
}

#[test]
fn an_allowed_origin_may_read_a_shed_response() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let handler = move |request: Request| {
        if request.uri() == "/gate" {
            waiter.wait();
        }
        "handled"
    };
    let server = TestServer::spawn(
        |builder| builder.queue_timeout(SOON).request_ids(true),
        Layered::new(handler).layer(shop()),
    );
    let mut held = [(); 2].map(|()| server.connect());
    for client in &mut held {
        client.get("/gate");
    }
    gate.expect_arrived(held.len());
    let mut client = server.connect();
    // Browsers send the preflight first; without its response they do not send the request.
    let response = client.send(preflight(SHOP)).expect_status(204);
    assert_eq!(values(&response, "access-control-allow-origin"), [SHOP]);
    assert_eq!(values(&response, "access-control-allow-methods"), ["PUT"]);
    let get = |origin: &str| format!("GET / HTTP/1.1\r\nHost: it\r\nOrigin: {origin}\r\n\r\n");
    let response = client.send(get(SHOP)).expect_status(503);
    assert_eq!(values(&response, "access-control-allow-origin"), [SHOP]);
    let exposed = values(&response, "access-control-expose-headers");
    assert_eq!(exposed, ["etag", "x-request-id", "retry-after"]);
    assert!(response.header("x-request-id").is_some());
    for sent in [
        preflight("https://evil.example"),
        get("https://evil.example"),
    ] {
        let response = client.send(sent).expect_status(503);
        let allowed = values(&response, "access-control-allow-origin");
        assert!(allowed.is_empty(), "{response:?}");
    }
    gate.open();
    for mut client in held {
        client.expect_status(200);
    }
    let response = client.send(get(SHOP)).expect_status(200);
    let exposed = values(&response, "access-control-expose-headers");
    assert_eq!(exposed, ["etag", "x-request-id"]);
}

#[test]
fn an_allowed_origin_may_read_an_error_page() {
    let server = TestServer::spawn(
        |builder| {
            let page = |_: &Problem, request: &HeaderMap| {
                let accepts = request.contains_key("accept");
                accepts.then(|| Html("a page").into_response())
            };
            limits(builder).error_pages(page)
        },
        Layered::new(TestHandler).layer(shop()),
    );
    for (status, sent) in requests() {
        // The Accept header of an incomplete head counts, too.
        let lines = format!("Origin: {SHOP}\r\nAccept: text/html");
        let mut client = server.connect();
        let response = client.send(sent.replace("ORIGIN", &lines));
        let response = response.expect_status(status);
        assert_eq!(response.text(), "a page", "{sent}");
        assert_eq!(values(&response, "access-control-allow-origin"), [SHOP]);
        let mut vary = values(&response, "vary");
        vary.sort_unstable();
        assert_eq!(vary, ["accept", "origin"], "{sent}");
    }
}

#[test]
fn security_headers_are_on_server_responses() {
    for (status, sent) in requests() {
        let handler = Layered::new(TestHandler).layer(SecurityHeaders::new());
        let response = respond(handler, &sent.replace("ORIGIN", "X: y"), status);
        assert_eq!(values(&response, "x-content-type-options"), ["nosniff"]);
    }
}

#[test]
fn layers_of_a_nested_router_complete_responses_to_its_paths() {
    use httpool::Router;

    let named = |name: &'static str| Named(HeaderName::from_static(name));
    let router = || {
        let inner = Router::new()
            .layer(named("x-inner"))
            .post("/{id}", |body: String| body)
            .get("/panic", || -> &'static str {
                panic!("a test asked for this")
            });
        let shared = Router::new()
            .layer(named("x-shared"))
            .post("/", |body: String| body);
        Router::<()>::new()
            .layer(named("x-outer"))
            .get("/", || "hello")
            .post("/plain", |body: String| body)
            .nest("/in", inner)
            .merge(shared)
    };
    let large =
        |target: &str| format!("POST {target} HTTP/1.1\r\nHost: it\r\nContent-Length: 11\r\n\r\n");
    for (sent, status, names) in [
        (large("/plain"), 413, "x-outer"),
        (large("/in/7"), 413, "x-inner x-outer"),
        (large("/%69n/7"), 413, "x-inner x-outer"),
        (large("/"), 413, "x-outer x-shared"),
        (
            "GET /in/panic HTTP/1.1\r\nHost: it\r\n\r\n".into(),
            500,
            "x-inner x-outer",
        ),
        (
            "GET /in/7 HTTP/1.1\r\nnone\r\n\r\n".into(),
            400,
            "x-inner x-outer",
        ),
        ("GET / nonsense\r\n\r\n".into(), 400, "x-outer"),
        ("nonsense\r\n\r\n".into(), 400, "x-outer"),
    ] {
        let response = respond(router(), &sent, status);
        let mut found: Vec<_> = (response.headers.iter())
            .map(|(name, _)| name.as_str())
            .filter(|name| name.starts_with("x-"))
            .collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), names, "{sent}");
    }
}

/// Adds a header to the server's own responses.
struct Named(HeaderName);

impl httpool::Layer for Named {
    fn handle(&self, request: &mut Request, next: httpool::Next<'_>) -> Response {
        next.handle(request)
    }

    fn server_response(&self, _: &Request, response: &mut Response) {
        let yes = HeaderValue::from_static("yes");
        response.headers_mut().insert(&self.0, yes);
    }
}
