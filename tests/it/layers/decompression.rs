use std::io::{self, Cursor, Read};

use httpool::http::request::Builder;
use httpool::http::{self, StatusCode};
use httpool::layers::Decompression;
use httpool::{Body, BodyMode, ClientInfo, Handler, IntoResponse, Layered, Request, Response};

use super::{call, get, send, text};
use crate::support::{Random, TestServer};

const LIMIT: usize = 100_000;

/// Returns the body, and whether the headers about its coding are present.
fn decompressing() -> impl Handler {
    let describe = |request: Request| {
        let headers = request.headers();
        let present = ["content-encoding", "content-length"].map(|name| headers.contains_key(name));
        format!(
            "{present:?} {}",
            String::from_utf8_lossy(request.body().as_bytes())
        )
    };
    Layered::new(describe).layer(Decompression::new(LIMIT))
}

fn encoded(coding: &str, content: impl Read) -> Vec<u8> {
    let mut encoded = Vec::new();
    let read = match coding {
        "zstd" => zstd::stream::read::Encoder::new(content, 3)
            .and_then(|mut encoder| encoder.read_to_end(&mut encoded)),
        "br" => brotli::CompressorReader::new(content, 4096, 1, 22).read_to_end(&mut encoded),
        "gzip" | "x-gzip" => flate2::read::GzEncoder::new(content, flate2::Compression::fast())
            .read_to_end(&mut encoded),
        other => panic!("unknown coding: {other}"),
    };
    read.expect("encoding succeeds");
    encoded
}

fn post(coding: &str) -> Builder {
    http::Request::post("/").header("content-encoding", coding)
}

#[track_caller]
fn check(response: &Response, status: StatusCode, part: &str) {
    assert_eq!(response.status(), status, "{}", text(response));
    assert!(text(response).contains(part), "{}", text(response));
}

#[test]
fn a_handler_receives_the_decoded_body() {
    for coding in ["zstd", "br", "gzip", "x-gzip"] {
        let body = encoded(coding, &b"hello"[..]);
        let request = post(coding).header("content-length", body.len());
        let response = send(&decompressing(), request, body);
        assert_eq!(text(&response), "[false, false] hello", "{coding}");
    }
    let response = send(&decompressing(), post("identity"), "hello");
    assert_eq!(text(&response), "[true, false] hello");
    assert_eq!(text(&call(&decompressing(), get("/"))), "[false, false] ");
}

#[test]
fn decompression_stops_at_its_limit() {
    for coding in ["zstd", "br", "gzip"] {
        let fits = encoded(coding, Cursor::new(vec![b'x'; LIMIT]));
        check(
            &send(&decompressing(), post(coding), fits),
            StatusCode::OK,
            "xxx",
        );
        let over = encoded(coding, Cursor::new(vec![b'x'; LIMIT + 1]));
        let response = send(&decompressing(), post(coding), over);
        check(&response, StatusCode::PAYLOAD_TOO_LARGE, "too large");
        let bomb = encoded(coding, io::repeat(0).take(16 << 20));
        assert!(bomb.len() < 200_000, "{coding}: {}", bomb.len());
        let response = send(&decompressing(), post(coding), bomb);
        check(&response, StatusCode::PAYLOAD_TOO_LARGE, "too large");
    }
}

#[test]
fn invalid_compressed_bodies_get_400() {
    let noise = Random::new(7).bytes(50_000);
    for coding in ["zstd", "br", "gzip"] {
        let whole = encoded(coding, &b"hello, world, hello, world"[..]);
        let truncated = whole[..whole.len() - 1].to_vec();
        let garbage = [&whole[..], b"garbage"].concat();
        // More than a decoder reads at a time.
        let long = [
            encoded(coding, Cursor::new(noise.clone())),
            b"garbage".to_vec(),
        ]
        .concat();
        let nonsense = b"nonsense".to_vec();
        for broken in [truncated, nonsense, garbage, long] {
            let response = send(&decompressing(), post(coding), broken);
            check(
                &response,
                StatusCode::BAD_REQUEST,
                "the content is not valid",
            );
        }
    }
}

#[test]
fn unknown_or_several_codings_get_415() {
    for (coding, part) in [
        ("deflate", "unknown"),
        ("gzip, gzip", "several"),
        ("gzip,br", "several"),
        ("rot13\u{a0}", "Content-Encoding is invalid"),
    ] {
        let response = send(&decompressing(), post(coding), "hello");
        check(&response, StatusCode::UNSUPPORTED_MEDIA_TYPE, part);
        assert_eq!(response.headers()["accept-encoding"], "zstd, br, gzip");
    }
    let twice = post("gzip").header("content-encoding", "br");
    let response = send(&decompressing(), twice, "hello");
    check(&response, StatusCode::UNSUPPORTED_MEDIA_TYPE, "several");
}

#[test]
fn decompression_keeps_the_client_info() {
    let describe = |request: Request| format!("{}", ClientInfo::of(&request).is_some());
    let handler = Layered::new(describe).layer(Decompression::new(LIMIT));
    let server = TestServer::spawn(|builder| builder, handler);
    let body = encoded("gzip", &b"hello"[..]);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: it\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = server.connect();
    client.send(head).send(body).expect_body("true");
}

/// Returns the number of bytes read and their coding.
struct Streaming;

impl Handler for Streaming {
    fn handle(&self, request: &mut Request) -> Response {
        let count = io::copy(request.body_mut(), &mut io::sink()).expect("the body is complete");
        let coding = &request.headers()["content-encoding"];
        format!("{count} {coding:?}").into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::Streaming { most: u64::MAX }
    }
}

#[test]
fn streamed_bodies_are_not_decompressed() {
    let handler = Layered::new(Streaming).layer(Decompression::new(LIMIT));
    let server = TestServer::spawn(|builder| builder, handler);
    let body = encoded("gzip", &b"hello"[..]);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: it\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let expected = format!("{} \"gzip\"", body.len());
    let at_once = [head.as_bytes(), &body].concat();
    server.connect().send(at_once).expect_body(&*expected);
    let mut client = server.connect();
    client.send(head).send(body).expect_body(&*expected);
}

#[test]
fn a_request_without_content_passes_with_any_coding() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST"] {
        for coding in ["identity", "gzip", "br", "zstd", "deflate", "gzip, br"] {
            let request = http::Request::builder().method(method).uri("/");
            let request = request.header("content-encoding", coding);
            let response = send(&decompressing(), request, Body::empty());
            check(&response, StatusCode::OK, "[false, false] ");
        }
    }
    let length = post("gzip").header("content-length", "0");
    check(
        &send(&decompressing(), length, Body::empty()),
        StatusCode::OK,
        "[false, true] ",
    );
}

#[test]
fn an_empty_chunked_body_passes_with_any_coding() {
    let server = TestServer::spawn(|builder| builder, decompressing());
    let head = "POST / HTTP/1.1\r\nHost: it\r\nContent-Encoding: gzip\r\n";
    for framing in [
        "Content-Length: 0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "\r\n",
    ] {
        let mut client = server.connect();
        client.send([head, framing].concat()).expect_status(200);
    }
}

#[test]
fn an_unknown_coding_is_rejected_before_the_body() {
    let server = TestServer::spawn(|builder| builder, decompressing());
    let head = "POST / HTTP/1.1\r\nHost: it\r\nContent-Encoding: deflate\r\n\
                Expect: 100-continue\r\n";
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let mut client = server.connect();
        let sent = client.send(format!("{head}{framing}\r\n\r\n"));
        let response = sent.expect_status(415);
        assert_eq!(response.header("accept-encoding"), Some("zstd, br, gzip"));
    }
    // A known coding is decoded, whether or not the client waits for 100.
    let body = encoded("gzip", &b"hello"[..]);
    let head = head.replace("deflate", "gzip");
    let mut client = server.connect();
    client.send(format!("{head}Content-Length: {}\r\n\r\n", body.len()));
    let interim = client.expect_bytes("HTTP/1.1 100 Continue\r\n\r\n".len());
    assert!(interim.starts_with(b"HTTP/1.1 100 "));
    client.send(body).expect_body("[false, false] hello");
    // A request that is rejected for another reason need not send its body either.
    let handler = Layered::new(OnlyGet).layer(Decompression::new(LIMIT));
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    let sent = client.send(format!("{head}Content-Length: 1000\r\n\r\n"));
    sent.expect_status(405);
}

struct OnlyGet;

impl Handler for OnlyGet {
    fn handle(&self, _: &mut Request) -> Response {
        StatusCode::METHOD_NOT_ALLOWED.into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::HeadOnly
    }
}
