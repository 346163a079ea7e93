use std::io::{ErrorKind, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use httpool::Router;
use httpool::bytes::Bytes;
use httpool::extract::BodyStream;
use httpool::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use httpool::http::{Method, StatusCode, Uri};
use httpool::layers::Cors;
use httpool::{BodyMode, Handler, IntoResponse, Layered, Next, Request, Response};

use crate::support::{Client, NEVER, TestServer, Transport, over_every_transport, request};

over_every_transport! {
    a_rejected_request_gets_no_100_continue,
    a_rejected_body_is_discarded_as_it_arrives,
    a_rejected_body_of_the_last_request_is_discarded,
    a_malformed_or_large_rejected_body_closes_the_connection,
    drain_does_not_wait_for_a_rejected_body,
}

fn router() -> Router {
    Router::new()
        .get("/", || "home")
        .post("/notes", |note: Bytes| note)
        .nest("/api", Router::new().post("/notes", |note: Bytes| note))
}

fn head(method: &str, target: &str, length: usize) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: it\r\nContent-Length: {length}\r\n\r\n")
}

/// The head of a request with a body of five bytes and `Expect: 100-continue`.
fn waiting(method: &str, target: &str) -> String {
    head(method, target, 5).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")
}

fn a_rejected_request_gets_no_100_continue(transport: Transport) {
    let server = transport.spawn(|builder| builder, router());
    for (method, target, status) in [
        ("PUT", "/notes", 405),
        ("PUT", "/api/notes", 405),
        ("DELETE", "/", 405),
        ("OPTIONS", "/notes", 204),
        ("POST", "/nothing", 404),
        ("POST", "/api/nothing", 404),
    ] {
        let mut client = server.connect();
        let response = client.send(waiting(method, target)).expect_status(status);
        assert!(
            response.announces_close(),
            "{method} {target}: {response:?}"
        );
        client.finish_sending().expect_closed();
    }
    let mut client = server.connect();
    client.send(waiting("POST", "/notes")).expect_status(100);
    client.send("hello").expect_body("hello");
}

fn a_rejected_body_is_discarded_as_it_arrives(transport: Transport) {
    let server = transport.spawn(|builder| builder.body_timeout(NEVER), router());
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(head("POST", "/nothing", 100_000));
        assert!(!client.expect_status(404).announces_close());
        client.send(vec![b'x'; 99_999]);
        client.send("x").post("/notes", "kept").expect_body("kept");
        client.send("PUT /notes HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
        assert!(!client.expect_status(405).announces_close());
        client.send("llo\r\n0\r\n").send("\r\n");
        client.get("/").expect_body("home");
    }
    assert_eq!(server.handle().snapshot().buffered, 0);
}

fn a_rejected_body_of_the_last_request_is_discarded(transport: Transport) {
    let server = transport.spawn(|builder| builder, router());
    let mut client = server.connect();
    let last = head("POST", "/nothing", 5).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    client.send(last);
    assert!(client.expect_status(404).announces_close());
    client.send("hello").finish_sending().expect_closed();
    server.expect_open(0);
}

fn a_malformed_or_large_rejected_body_closes_the_connection(transport: Transport) {
    let server = transport.spawn(|builder| builder.max_body(10), router());
    let mut client = server.connect();
    client.send(head("POST", "/nothing", 11));
    assert!(client.expect_status(404).announces_close());
    client.finish_sending().expect_closed();
    for chunks in ["4\r\nhalf!", "b\r\n"] {
        let mut client = server.connect();
        client.send(request::chunked_head("/nothing"));
        client.expect_status(404);
        client.send(chunks).finish_sending().expect_closed();
    }
    server.expect_open(0);
}

fn drain_does_not_wait_for_a_rejected_body(transport: Transport) {
    let server = transport.spawn(|builder| builder.drain_timeout(NEVER), router());
    let mut client = server.connect();
    client.send(head("POST", "/nothing", 5)).expect_status(404);
    server.begin_drain();
    client.expect_closed();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (1, 0), "{report:?}");
}

/// A layer that counts the requests that pass.
fn counting(passed: &Arc<AtomicUsize>) -> impl Fn(Request, Next<'_>) -> Response + use<> {
    let passed = Arc::clone(passed);
    move |request: Request, next: Next<'_>| {
        passed.fetch_add(1, Ordering::SeqCst);
        next.run(request)
    }
}

#[test]
fn a_head_only_rejection_passes_every_layer() {
    let passed = Arc::default();
    let router = router()
        .layer(Cors::allow_origins(["https://shop.example"]))
        .layer(counting(&passed));
    let server = TestServer::spawn(
        |builder| builder,
        Layered::new(router).layer(counting(&passed)),
    );
    let origin = "\r\nOrigin: https://shop.example\r\n\r\n";
    let mut client = server.connect();
    client.send(waiting("PUT", "/notes").replace("\r\n\r\n", origin));
    let response = client.expect_status(405);
    let allowed = response.header(ACCESS_CONTROL_ALLOW_ORIGIN.as_str());
    assert_eq!(allowed, Some("https://shop.example"), "{response:?}");
    assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
    assert_eq!(passed.load(Ordering::SeqCst), 2);
}

/// A layer that reads the body causes it to be received.
#[test]
fn a_layer_that_reads_the_body_receives_it() {
    fn signed(request: Request, next: Next<'_>) -> Response {
        match request.body().as_bytes() {
            b"hello" => next.run(request),
            _ => StatusCode::FORBIDDEN.into_response(),
        }
    }
    fn signed_and_read(mut request: Request, next: Next<'_>) -> Response {
        let mut content = Vec::new();
        match request.body_mut().read_to_end(&mut content) {
            Ok(_) if content == b"hello" => next.run(request),
            Ok(_) => StatusCode::FORBIDDEN.into_response(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotConnected);
                StatusCode::IM_A_TEAPOT.into_response()
            }
        }
    }
    for router in [router().layer(signed), router().layer(signed_and_read)] {
        let server = TestServer::spawn(|builder| builder.max_body(10), router);
        let mut client = server.connect();
        client.send(waiting("PUT", "/notes")).expect_status(100);
        client.send("hello").expect_status(405);
        client.send(head("PUT", "/notes", 5)).send("jello");
        client.expect_status(403);
        client.send(head("PUT", "/notes", 11)).expect_status(413);
    }
}

/// The router chooses the body mode before its layers see the request.
#[test]
fn a_rerouted_request_keeps_its_body() {
    fn moved(mut request: Request, next: Next<'_>) -> Response {
        if request.uri().path() == "/old" {
            *request.method_mut() = Method::POST;
            *request.uri_mut() = Uri::from_static("/notes");
        }
        next.run(request)
    }
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let router = Router::new()
        .layer(moved)
        .post("/notes", move |note: Bytes| {
            called.fetch_add(1, Ordering::SeqCst);
            note
        });
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    client.send(waiting("PUT", "/old")).expect_status(100);
    client.send("hello").expect_body("hello");
    client.send(head("PUT", "/old", 5)).send("hello");
    client.expect_body("hello");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_handler_behind_a_method_changing_layer_gets_the_body() {
    struct Mirror;

    impl Handler for Mirror {
        fn handle(&self, request: &mut Request) -> Response {
            match *request.method() {
                Method::POST => std::mem::take(request.body_mut()).into_response(),
                _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
            }
        }

        fn body_mode(&self, request: &Request) -> BodyMode {
            match *request.method() {
                Method::POST => BodyMode::Buffered,
                _ => BodyMode::HeadOnly,
            }
        }
    }

    fn posted(mut request: Request, next: Next<'_>) -> Response {
        if request.headers().contains_key("x-post") {
            *request.method_mut() = Method::POST;
        }
        next.run(request)
    }

    let server = TestServer::spawn(|builder| builder, Layered::new(Mirror).layer(posted));
    let mut client = server.connect();
    let posted = "\r\nX-Post: yes\r\n\r\n";
    client.send(waiting("PUT", "/").replace("\r\n\r\n", posted));
    client.expect_status(100);
    client.send("hello").expect_body("hello");
    client.send(waiting("PUT", "/")).expect_status(405);
}

/// A handler that asks for no body and still returns it gets it.
#[test]
fn a_head_only_handler_that_returns_the_body_has_it() {
    struct Liar;

    impl Handler for Liar {
        fn handle(&self, request: &mut Request) -> Response {
            Response::new(std::mem::take(request.body_mut()))
        }

        fn body_mode(&self, _: &Request) -> BodyMode {
            BodyMode::HeadOnly
        }
    }

    let server = TestServer::spawn(|builder| builder, Liar);
    let mut client: Client = server.connect();
    client.send(request::post_head("/", 5)).send("hello");
    client.expect_body("hello");
}

#[test]
fn a_streamed_body_over_its_limit_is_rejected_by_length() {
    let router = Router::new().put("/up", |_: BodyStream<4>| "taken");
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    client.send(waiting("PUT", "/up")).expect_status(413);
}

#[cfg(feature = "basic-auth")]
#[test]
fn an_unauthenticated_client_need_not_send_a_body() {
    use httpool::layers::BasicAuth;

    let auth = || BasicAuth::of("it", [("alice", "tea")]);
    let nested = Router::new().nest("/in", router().layer(auth()));
    for (router, target) in [(router().layer(auth()), "/notes"), (nested, "/in/notes")] {
        let server = TestServer::spawn(|builder| builder, router);
        let mut client = server.connect();
        let request = waiting("POST", target);
        client.send(&request).expect_status(401);
        let user = "\r\nAuthorization: Basic YWxpY2U6dGVh\r\n\r\n";
        let mut client = server.connect();
        client.send(request.replace("\r\n\r\n", user));
        client.expect_status(100);
        client.send("hello").expect_body("hello");
    }
}

#[test]
fn file_handlers_need_no_body() {
    use httpool::ServeDir;

    let files = || ServeDir::new(env!("CARGO_MANIFEST_DIR")).expect("the folder can be opened");
    let nested = Router::new().nest("/files", files());
    for server in [
        TestServer::spawn(|builder| builder, files()),
        TestServer::spawn(|builder| builder, nested),
    ] {
        for (method, status) in [("PUT", 405), ("POST", 405), ("GET", 404)] {
            let mut client = server.connect();
            client.send(waiting(method, "/files/nothing"));
            client.expect_status(status);
        }
    }
}
