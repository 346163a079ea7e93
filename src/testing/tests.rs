use std::fs::File;
use std::io::ErrorKind;

use http::StatusCode;
use http::header::{CONNECTION, DATE};

use super::*;
use crate::message::{Body, BodyMode, IntoResponse, RawRequest};

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
