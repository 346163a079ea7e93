use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::net::SocketAddr;
use std::panic::catch_unwind;

use http::StatusCode;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, DATE, HOST, LOCATION, SET_COOKIE,
    TRANSFER_ENCODING,
};

use super::exchange::LIMITS;
use super::*;
use crate::message::{
    Body, BodyMode, ClientInfo, IntoResponse, PeerAddr, RawRequest, Redirect, Request, Response,
};

fn describe(request: &Request) -> String {
    let client_info = ClientInfo::of(request).expect("a request has client information");
    let raw_request = RawRequest::of(request).expect("a request has its raw form");
    let lines: Vec<_> = raw_request
        .header_lines()
        .map(|(name, value)| [name, b"=", value].concat())
        .collect();
    format!(
        "{} {} {} {}",
        client_info.peer(),
        String::from_utf8_lossy(raw_request.request_line()),
        String::from_utf8_lossy(&lines.join(&b' ')),
        String::from_utf8_lossy(request.body().as_bytes())
    )
}

#[test]
fn request_is_encoded_as_by_a_client() {
    let client = Client::new(|request: Request| describe(&request));
    let response = client.get("/a?b").send();
    assert_eq!(
        response.text(),
        "127.0.0.1:49152 GET /a?b HTTP/1.1 host=localhost "
    );
    let response = client
        .request(Method::from_bytes(b"BREW").expect("valid method"), "/pot")
        .peer(([192, 0, 2, 1], 7).into())
        .header("X-Cups", 2)
        .header(HOST, "example.org")
        .body("tea")
        .send();
    assert_eq!(
        response.text(),
        "192.0.2.1:7 BREW /pot HTTP/1.1 content-length=3 x-cups=2 host=example.org tea"
    );
    let response = client.get("/").unix_peer().send();
    assert_eq!(response.text(), "unix GET / HTTP/1.1 host=localhost ");
}

#[cfg(feature = "proxy")]
#[test]
fn request_can_come_through_a_proxy() {
    let client = Client::new(|request: Request| {
        let client_info = ClientInfo::of(&request).expect("a request has client information");
        let [peer, proxy, client] = [
            Some(client_info.peer()),
            client_info.proxy(),
            client_info.client(),
        ]
        .map(|node| node.map_or("none".into(), |node| node.to_string()));
        format!("{peer} {proxy} {client} {:?}", client_info.scheme())
    });
    let peer = ([192, 0, 2, 1], 7).into();
    let send = |client_addr, scheme| {
        let request = client.get("/").peer(peer);
        let response = request.on_behalf_of(client_addr, scheme).send();
        response.text().to_owned()
    };
    let ada = PeerAddr::from(SocketAddr::from(([192, 0, 2, 2], 8)));
    assert_eq!(
        send(Some(ada), Some(http::uri::Scheme::HTTPS)),
        "192.0.2.1:7 192.0.2.1:7 192.0.2.2:8 Some(\"https\")"
    );
    assert_eq!(send(None, None), "192.0.2.1:7 192.0.2.1:7 none None");
}

#[test]
fn invalid_request_is_rejected_as_by_the_server() {
    #[track_caller]
    fn check(request: RequestBuilder<'_>, status: u16) {
        let response = request.send();
        assert_eq!(response.status(), status, "{response:?}");
    }
    let client = Client::new(|_: Request| "handled");
    check(client.get("/"), 200);
    check(client.get("no path"), 400);
    check(client.get("/").header(HOST, "a b"), 400);
    check(
        client
            .get("/")
            .header(CONTENT_LENGTH, "1")
            .header(CONTENT_LENGTH, "1"),
        400,
    );
    check(client.get(&"/".repeat(LIMITS.head)), 414);
    check(client.post("/").body(vec![0; LIMITS.body + 1]), 413);
    check(client.post("/").body(vec![0; LIMITS.body]), 200);
}

/// Responds with the length of the body, which may have at most this many bytes.
struct Reading(u64);

impl Handler for Reading {
    fn handle(&self, request: &mut Request) -> Response {
        let mut content = request.body().as_bytes().to_vec();
        let read = request.body_mut().read_to_end(&mut content);
        read.map(|count| format!("{count} {}", content.len()))
            .into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::Streaming { most: self.0 }
    }
}

#[test]
fn body_is_streamed_if_the_handler_chooses_it() {
    #[track_caller]
    fn check(request: RequestBuilder<'_>, body: &'static str, status: u16, text: &str) {
        let response = request.body(body).send();
        assert_eq!(response.status(), status, "{response:?}");
        assert!(status != 200 || response.text() == text, "{response:?}");
    }
    let client = Client::new(Reading(5));
    let chunked = || client.post("/").header(TRANSFER_ENCODING, "chunked");
    check(client.post("/"), "", 200, "0 0");
    check(client.post("/"), "whole", 200, "5 5");
    check(client.post("/"), "larger", 413, "");
    check(chunked(), "5\r\nwhole\r\n0\r\n\r\n", 200, "5 5");
    check(chunked(), "6\r\nlarger\r\n0\r\n\r\n", 413, "");
    check(chunked(), "5\r\nwhole!", 400, "");
    check(chunked(), "5\r\nwhole\r\n", 400, "");
}

#[test]
fn response_is_decoded_as_by_a_client() {
    let client = Client::new(|request: Request| match request.uri().path() {
        "/none" => (StatusCode::NO_CONTENT, [(CONTENT_LENGTH, "7")], "content"),
        "/interim" => (StatusCode::PROCESSING, [(CONTENT_LENGTH, "7")], "content"),
        _ => (StatusCode::OK, [(CONTENT_LENGTH, "3")], "content"),
    });
    let response = client.get("/").send();
    assert_eq!(
        (response.status().as_u16(), response.text()),
        (200, "content")
    );
    assert_eq!(response.header("content-length"), Some("7"));
    assert!(response.headers().contains_key(DATE));
    let response = client.head("/").send();
    assert_eq!(
        (response.text(), response.header("content-length")),
        ("", Some("7"))
    );
    let response = client.get("/none").send();
    assert_eq!(
        (response.text(), response.header("content-length")),
        ("", None)
    );
    assert_eq!(client.get("/interim").send().status(), 500);
    let client = Client::new(|_: Request| ([(CONNECTION, "upgrade")], ()));
    assert_eq!(client.get("/").send().header("connection"), None);
}

#[test]
fn reader_is_read_up_to_its_announced_length() {
    let digits = |announced| {
        Client::new(move |_: Request| match announced {
            Some(length) => Body::from_sized_reader(&b"12345"[..], length),
            None => Body::from_reader(&b"12345"[..]),
        })
    };
    assert_eq!(digits(None).get("/").send().text(), "12345");
    assert_eq!(digits(Some(4)).get("/").send().text(), "1234");
    let license = |_: Request| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT");
        let file = File::open(path).expect("the file exists");
        Body::from_file(file, 1..8)
    };
    assert_eq!(Client::new(license).get("/").send().text(), "IT Lice");
    let mut reader = digits(Some(6)).get("/").open().into_body();
    let error = reader
        .read_to_end(&mut Vec::new())
        .expect_err("the body ends early");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

/// Redirects as the path says, and otherwise describes the request.
fn redirecting(request: &Request) -> Response {
    let location = |status: u16, target: &'static str| {
        let status = StatusCode::from_u16(status).expect("the status is valid");
        (status, [(LOCATION, target)], "redirected").into_response()
    };
    match request.uri().path() {
        "/301" => location(301, "/end"),
        "/302" => location(302, "end?x"),
        "/303" => location(303, "http://localhost/end"),
        "/307" => location(307, "/end"),
        "/308" => location(308, "//localhost/308/"),
        "/308/" => location(308, "../end"),
        "/away" => location(302, "http://elsewhere.example/"),
        "/nowhere" => StatusCode::SEE_OTHER.into_response(),
        "/loop" => Redirect::to("/loop").into_response(),
        path => {
            let content_type = request.headers().contains_key(CONTENT_TYPE);
            let body = String::from_utf8_lossy(request.body().as_bytes());
            format!("{} {path} {content_type} {body}", request.method()).into_response()
        }
    }
}

#[test]
fn redirects_are_followed_on_demand() {
    let client = Client::new(|request: Request| redirecting(&request));
    let check = |method: Method, target: &str, expected: &str| {
        let request = client.request(method, target).form([("a", "b")]);
        let response = request.follow_redirects().send();
        assert_eq!(response.text(), expected, "{target}");
    };
    check(Method::POST, "/301", "GET /end false ");
    check(Method::POST, "/302", "GET /end false ");
    check(Method::PUT, "/302", "PUT /end true a=b");
    check(Method::PUT, "/303", "GET /end false ");
    check(Method::POST, "/307", "POST /end true a=b");
    check(Method::DELETE, "/308", "DELETE /end true a=b");
    let response = client.post("/303").send();
    assert_eq!(
        (response.status().as_u16(), response.target()),
        (303, "/303")
    );
    for (target, status) in [("/away", 302), ("/nowhere", 303), ("/end", 200)] {
        let response = client.get(target).follow_redirects().send();
        assert_eq!(
            (response.status().as_u16(), response.target()),
            (status, target)
        );
    }
}

#[test]
fn endless_redirects_panic() {
    let follow = || {
        let client = Client::new(|request: Request| redirecting(&request));
        client.get("/loop").follow_redirects().send()
    };
    let panic = catch_unwind(follow).expect_err("there is no end");
    let message = panic.downcast_ref::<String>().map(String::as_str);
    assert_eq!(message, Some("there were more than 20 redirects"));
}

#[test]
fn cookies_are_kept_if_the_client_is_told_to() {
    let handler = |request: Request| {
        let cookies = format!("{:?}", request.headers().get(COOKIE));
        match request.uri().path() {
            "/set" => ([(SET_COOKIE, "a=1; Path=/")], cookies).into_response(),
            "/remove" => ([(SET_COOKIE, "a=; Path=/; Max-Age=0")], cookies).into_response(),
            _ => cookies.into_response(),
        }
    };
    let client = Client::new(handler);
    let cookies = |client: &Client, target| client.get(target).send().text().to_owned();
    assert_eq!(cookies(&client, "/set"), "None");
    assert_eq!(cookies(&client, "/"), "None");
    assert_eq!(client.cookie("a"), None);
    let client = client.keep_cookies();
    assert_eq!(cookies(&client, "/set"), "None");
    assert_eq!(cookies(&client, "/"), "Some(\"a=1\")");
    assert_eq!(client.cookie("a").as_deref(), Some("1"));
    let response = client.get("/").cookie("b", "2").cookie("a", "3").send();
    assert_eq!(response.text(), "Some(\"b=2; a=3\")");
    assert_eq!(cookies(&client, "/remove"), "Some(\"a=1\")");
    assert_eq!(cookies(&client, "/"), "None");
    assert_eq!(cookies(&client, "/set"), "None");
    client.clear_cookies();
    assert_eq!(cookies(&client, "/"), "None");
}

#[test]
fn default_headers_can_be_replaced() {
    let client = Client::new(|request: Request| describe(&request))
        .default_header("x-a", "1")
        .default_header(HOST, "it.example");
    let response = client.get("/").header("x-a", "2").send();
    let line = "127.0.0.1:49152 GET / HTTP/1.1";
    assert_eq!(response.text(), format!("{line} x-a=2 host=it.example "));
    let response = client.get("/").send();
    assert_eq!(response.text(), format!("{line} x-a=1 host=it.example "));
}

#[test]
fn forms_have_their_content_type() {
    let client = Client::new(|request: Request| {
        let content_type = request.headers()[CONTENT_TYPE].to_str().map(str::to_owned);
        let body = String::from_utf8_lossy(request.body().as_bytes()).into_owned();
        format!("{} {body}", content_type.expect("it is text"))
    });
    let response = client.post("/").form([("a", "é b"), ("a", "")]).send();
    let expected = "application/x-www-form-urlencoded a=%C3%A9+b&a=";
    assert_eq!(response.text(), expected);
    let form = FormData::new().text("a", "b");
    let response = client.post("/").multipart(&form).send();
    let (content_type, body) = form.encode();
    let expected = format!("{content_type} {}", String::from_utf8_lossy(&body));
    assert_eq!(response.text(), expected);
}
