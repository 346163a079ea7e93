use httpool::http::header::{CONTENT_TYPE, LOCATION};
use httpool::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httpool::sse::{Event, Events};
use httpool::{IntoResponse, Problem, Redirect, Request, Response};

use crate::support::{TestServer, request};

/// Would add a header and a second response if it were sent unchanged.
const INJECTION: &str = "x\r\nset-cookie: a=b\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Puts the request body into every part of a response that a handler can set.
fn repeat(request: Request) -> Response {
    let text = String::from_utf8_lossy(request.body().as_bytes()).into_owned();
    match request.uri().path() {
        "/value" => ([("x-name", text)], "").into_response(),
        "/name" => ([(text, "x")], "").into_response(),
        "/typed" => (StatusCode::OK, [(CONTENT_TYPE, text)], "").into_response(),
        "/map" => {
            let value = HeaderValue::try_from(text);
            value.map_or(StatusCode::BAD_REQUEST.into_response(), |value| {
                let name = HeaderName::from_static("x-name");
                (HeaderMap::from_iter([(name, value)]), "").into_response()
            })
        }
        "/redirect" => Redirect::to(&text).into_response(),
        "/problem" => Problem::new(StatusCode::BAD_REQUEST)
            .detail(text)
            .into_response(),
        "/event" => Events::new([Event::data(&text), Event::comment(&text)]).into_response(),
        "/event-name" => match Event::data("").try_name(text) {
            Ok(event) => Events::new([event]).into_response(),
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        },
        _ => text.into_response(),
    }
}

#[test]
fn injected_line_breaks_never_add_headers_or_responses() {
    let server = TestServer::spawn(|builder| builder, repeat);
    let mut client = server.connect();
    for text in [INJECTION, "x\nset-cookie: a=b", "x\rset-cookie: a=b", "x\0"] {
        for (target, status) in [
            ("/value", 500),
            ("/name", 500),
            ("/typed", 500),
            ("/map", 400),
            ("/redirect", 303),
            ("/problem", 400),
            ("/event", 200),
            ("/content", 200),
        ] {
            let response = client.post(target, text).expect_status(status);
            assert_eq!(response.header("set-cookie"), None, "{target}");
            assert_eq!(response.header("x-name"), None, "{target}");
        }
        // The next response belongs to the next request.
        client.post("/content", "fine").expect_body("fine");
    }
    client
        .post("/event-name", "a\r\ndata: b")
        .expect_status(400);
}

#[test]
fn handler_text_arrives_in_headers_and_body() {
    let server = TestServer::spawn(|builder| builder, repeat);
    let mut client = server.connect();
    let response = client.post("/value", "a b\té").expect_status(200);
    assert_eq!(response.header("x-name"), Some("a b\té"));
    let response = client.post("/typed", "text/csv").expect_status(200);
    assert_eq!(response.header("content-type"), Some("text/csv"));
    let response = client.post("/redirect", "/a b?c#d").expect_status(303);
    assert_eq!(response.header(LOCATION.as_str()), Some("/a%20b?c#d"));
    let event = "data: a\ndata: b\n\n: a\n: b\n\n";
    client.post("/event", "a\nb").expect_body(event);
    client.send(request::get_and_close("/")).expect_body("");
}

#[test]
fn default_headers_are_on_the_servers_own_responses() {
    let server = TestServer::spawn(
        |builder| {
            builder
                .max_body(10)
                .default_headers(|headers, client_info| {
                    let known = headers.contains_key("x-handler");
                    let text = format!("{known} {}", client_info.peer().ip().is_some());
                    let text = HeaderValue::try_from(text).expect("the value is ASCII");
                    headers.insert("x-all", text);
                })
        },
        |request: Request| {
            assert_ne!(request.uri().path(), "/panic", "a test asked for this");
            ([(HeaderName::from_static("x-handler"), "a")], "hello")
        },
    );
    for (sent, status, text) in [
        (request::get("/"), 200, "true true"),
        (request::get("/panic"), 500, "false true"),
        (request::post("/", "more than ten"), 413, "false true"),
        (request::get(&"/x".repeat(20_000)), 414, "false true"),
        (b"nonsense\r\n\r\n".to_vec(), 400, "false true"),
    ] {
        let response = server.connect().send(sent).expect_status(status);
        assert_eq!(response.header("x-all"), Some(text), "{status}");
    }
}
