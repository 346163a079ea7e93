use std::fs::File;
use std::io::ErrorKind;

use http::StatusCode;
use http::header::{CONNECTION, DATE};

use super::*;
use crate::message::{Body, BodyMode, IntoResponse, RawRequest};

fn tell(request: &Request) -> String {
    let origin = ClientInfo::of(request).expect("it has come from somewhere");
    let wire = RawRequest::of(request).expect("it has come over something");
    let lines: Vec<_> = wire
        .field_lines()
        .map(|(name, value)| [name, b"=", value].concat())
        .collect();
    format!(
        "{} {} {} {}",
        origin.peer(),
        String::from_utf8_lossy(wire.request_line()),
        String::from_utf8_lossy(&lines.join(&b' ')),
        String::from_utf8_lossy(request.body().as_bytes())
    )
}

#[test]
fn a_request_is_what_a_client_would_send() {
    let client = Client::new(|request: Request| tell(&request));
    let answer = client.get("/a?b").send();
    assert_eq!(
        answer.text(),
        "127.0.0.1:49152 GET /a?b HTTP/1.1 host=localhost "
    );
    let answer = client
        .request(Method::from_bytes(b"BREW").expect("it is a method"), "/pot")
        .peer(([192, 0, 2, 1], 7).into())
        .header("X-Cups", 2)
        .header(HOST, "example.org")
        .body("tea")
        .send();
    assert_eq!(
        answer.text(),
        "192.0.2.1:7 BREW /pot HTTP/1.1 content-length=3 x-cups=2 host=example.org tea"
    );
    let answer = client.get("/").unix_peer().send();
    assert_eq!(answer.text(), "unix GET / HTTP/1.1 host=localhost ");
}

#[cfg(feature = "proxy")]
#[test]
fn a_request_may_come_through_a_proxy() {
    let client = Client::new(|request: Request| {
        let origin = ClientInfo::of(&request).expect("it has come from somewhere");
        let [peer, proxy, client] = [Some(origin.peer()), origin.proxy(), origin.client()]
            .map(|node| node.map_or("none".into(), |node| node.to_string()));
        format!("{peer} {proxy} {client} {:?}", origin.scheme())
    });
    let peer = ([192, 0, 2, 1], 7).into();
    let ask = |client_is, scheme| {
        let request = client.get("/").peer(peer);
        let answer = request.on_behalf_of(client_is, scheme).send();
        answer.text().to_owned()
    };
    let ada = PeerAddr::from(SocketAddr::from(([192, 0, 2, 2], 8)));
    assert_eq!(
        ask(Some(ada), Some(http::uri::Scheme::HTTPS)),
        "192.0.2.1:7 192.0.2.1:7 192.0.2.2:8 Some(\"https\")"
    );
    assert_eq!(ask(None, None), "192.0.2.1:7 192.0.2.1:7 none None");
}

#[test]
fn what_the_server_refuses_is_refused() {
    #[track_caller]
    fn check(request: RequestBuilder<'_>, status: u16) {
        let answer = request.send();
        assert_eq!(answer.status(), status, "{answer:?}");
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

/// Gives back what it reads of bodies of at most so many bytes.
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
fn a_body_is_streamed_to_who_asks_for_it() {
    #[track_caller]
    fn check(request: RequestBuilder<'_>, body: &'static str, status: u16, text: &str) {
        let answer = request.body(body).send();
        assert_eq!(answer.status(), status, "{answer:?}");
        assert!(status != 200 || answer.text() == text, "{answer:?}");
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
fn an_answer_is_what_a_client_would_see() {
    let client = Client::new(|request: Request| match request.uri().path() {
        "/none" => (StatusCode::NO_CONTENT, [(CONTENT_LENGTH, "7")], "content"),
        "/interim" => (StatusCode::PROCESSING, [(CONTENT_LENGTH, "7")], "content"),
        _ => (StatusCode::OK, [(CONTENT_LENGTH, "3")], "content"),
    });
    let answer = client.get("/").send();
    assert_eq!((answer.status().as_u16(), answer.text()), (200, "content"));
    assert_eq!(answer.header("content-length"), Some("7"));
    assert!(answer.headers().contains_key(DATE));
    let answer = client.head("/").send();
    assert_eq!(
        (answer.text(), answer.header("content-length")),
        ("", Some("7"))
    );
    let answer = client.get("/none").send();
    assert_eq!((answer.text(), answer.header("content-length")), ("", None));
    assert_eq!(client.get("/interim").send().status(), 500);
    let client = Client::new(|_: Request| ([(CONNECTION, "upgrade")], ()));
    assert_eq!(client.get("/").send().header("connection"), None);
}

#[test]
fn a_reader_is_read_to_the_end_that_was_announced() {
    let numbers = |announced| {
        Client::new(move |_: Request| match announced {
            Some(length) => Body::from_sized_reader(&b"12345"[..], length),
            None => Body::from_reader(&b"12345"[..]),
        })
    };
    assert_eq!(numbers(None).get("/").send().text(), "12345");
    assert_eq!(numbers(Some(4)).get("/").send().text(), "1234");
    let manifest = |_: Request| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT");
        let file = File::open(path).expect("it is there");
        Body::from_file(file, 1..8)
    };
    assert_eq!(Client::new(manifest).get("/").send().text(), "IT Lice");
    let mut reader = numbers(Some(6)).get("/").open().into_body();
    let error = reader
        .read_to_end(&mut Vec::new())
        .expect_err("it ends early");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}
