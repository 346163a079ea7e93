use std::panic::catch_unwind;
use std::time::Duration;

use httpool::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, SERVER, SET_COOKIE,
};
use httpool::http::{self, StatusCode};
use httpool::layers::SetHeaders;
use httpool::{Handler as _, Later, Layered, Problem, Request};

use super::{call, get, values};
use crate::support::TestServer;

const fn value(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}

fn cookies(_: Request) -> (HeaderMap, &'static str) {
    let mut headers = HeaderMap::new();
    headers.append(SET_COOKIE, value("a=1"));
    headers.append(SET_COOKIE, value("b=2"));
    headers.insert(SERVER, value("own"));
    (headers, "hello")
}

#[test]
fn rules_replace_and_remove_headers_of_the_handler() {
    let layer = SetHeaders::new()
        .set(SERVER, value("first"))
        .set(SERVER, value("teapot"))
        .remove(SET_COOKIE);
    let response = call(&Layered::new(cookies).layer(layer), get("/"));
    assert_eq!(values(response.headers(), "server"), ["teapot"]);
    assert!(!response.headers().contains_key(SET_COOKIE));
    let layer = SetHeaders::new().set(SET_COOKIE, value("c=3"));
    let response = call(&Layered::new(cookies).layer(layer), get("/"));
    assert_eq!(values(response.headers(), "set-cookie"), ["c=3"]);
}

#[test]
fn all_prefixes_that_match_apply_in_their_order() {
    let layer = SetHeaders::new()
        .set(SERVER, value("all"))
        .set_under("/a/", SERVER, value("a"))
        .set_under("/a/b", CACHE_CONTROL, value("no-store"))
        .remove_under("/a/bare", CACHE_CONTROL)
        .set_under("/caf%C3%A9", SERVER, value("encoded"))
        .set_under("/tée/", SERVER, value("decoded"));
    // A function takes the request before the layer sees its response.
    let handler = Layered::new(|_: Request| "hello").layer(layer);
    for (path, server, control) in [
        ("/", "all", None),
        ("/a", "all", None),
        ("/a/", "a", None),
        ("/a/b", "a", Some("no-store")),
        ("/a/beans?x=/a/bare", "a", Some("no-store")),
        ("/a/bare", "a", None),
        ("/%61/b", "a", Some("no-store")),
        ("/b?/a/b", "all", None),
        ("/caf%C3%A9", "encoded", None),
        ("/t%c3%a9e/x", "decoded", None),
    ] {
        let response = call(&handler, get(path));
        assert_eq!(values(response.headers(), "server"), [server], "{path}");
        let found = response.headers().get(CACHE_CONTROL);
        assert_eq!(found, control.map(value).as_ref(), "{path}");
    }
}

#[test]
fn responses_of_the_server_have_the_headers() {
    let layer = SetHeaders::new().set(SERVER, value("teapot")).set_under(
        "/a",
        CACHE_CONTROL,
        value("no-store"),
    );
    let server = TestServer::spawn(
        |builder| builder,
        Layered::new(|_: Request| "hello").layer(layer),
    );
    let head = |path| format!("POST {path} HTTP/1.1\r\nHost: it\r\nContent-Length: 1e9\r\n\r\n");
    let response = server.connect().send(head("/a")).expect_status(400);
    assert_eq!(response.header("server"), Some("teapot"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let response = server.connect().send("x\r\n\r\n").expect_status(400);
    assert_eq!(response.header("server"), Some("teapot"));
}

#[test]
fn later_response_has_the_headers() {
    let layer = SetHeaders::new().set_under("/", SERVER, value("teapot"));
    let later = |_: Request| {
        let mut headers = HeaderMap::new();
        headers.insert(SERVER, value("own"));
        Later::after(Duration::from_millis(1), (headers, "hello"))
    };
    let server = TestServer::spawn(|builder| builder, Layered::new(later).layer(layer));
    let response = server.connect().get("/").expect_status(200);
    assert_eq!(response.header("server"), Some("teapot"));
}

#[test]
fn built_in_page_keeps_its_policy() {
    let layer = SetHeaders::new().set(CONTENT_SECURITY_POLICY, value("default-src 'self'"));
    let page =
        |request: Request| Problem::new(StatusCode::NOT_FOUND).to_response(request.headers());
    let server = TestServer::spawn(|builder| builder, Layered::new(page).layer(layer.clone()));
    let request = "GET / HTTP/1.1\r\nHost: it\r\nAccept: text/html\r\n\r\n";
    let response = server.connect().send(request).expect_status(404);
    let policy = response
        .header("content-security-policy")
        .unwrap_or_default();
    assert!(policy.contains("style-src 'sha256-"), "{policy}");
    let response = call(&Layered::new(cookies).layer(layer), get("/"));
    let policies = values(response.headers(), "content-security-policy");
    assert_eq!(policies, ["default-src 'self'"]);
}

#[test]
fn headers_of_the_connection_are_refused() {
    for name in [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        let name = HeaderName::from_static(name);
        assert!(!SetHeaders::can_set(&name));
        for wrong in [
            catch_unwind(|| SetHeaders::new().set(name.clone(), value("x"))),
            catch_unwind(|| SetHeaders::new().remove_under("/", name.clone())),
        ] {
            assert!(wrong.is_err(), "{name}");
        }
    }
}

#[test]
fn layer_without_rules_changes_nothing() {
    let handler = Layered::new(cookies).layer(SetHeaders::new());
    let mut request = http::Request::get("/")
        .body(Default::default())
        .expect("valid");
    assert_eq!(handler.handle(&mut request).headers().len(), 4);
}
