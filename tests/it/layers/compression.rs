use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use httpool::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue, VARY,
};
use httpool::http::request::Builder;
use httpool::http::{self, HeaderMap, StatusCode};
use httpool::layers::Compression;
use httpool::sse::Events;
use httpool::{Body, Handler, IntoResponse, Layered, Problem, Request, Response, testing};

use super::{call, get, values};
use crate::support::{
    Client, Gate, GateWaiter, HUGE, NEVER, Random, TempPath, TestServer, eventually,
};

/// Text that every coding shortens.
fn tea() -> Vec<u8> {
    "tea, and no milk. ".repeat(200).into()
}

fn serve(response: impl Fn(Request) -> Response + Send + Sync + 'static) -> impl Handler {
    Layered::new(response).layer(Compression::new())
}

/// A handler that returns this text with one more header.
fn with(name: HeaderName, value: &'static str) -> impl Handler {
    serve(move |_| {
        let mut response = plain(tea());
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name.clone(), value);
        response
    })
}

fn plain(content: impl Into<Body>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    (headers, content.into()).into_response()
}

fn accepting(codings: &str) -> Builder {
    get("/").header("accept-encoding", codings)
}

fn decode(coding: &str, content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let read = match coding {
        "zstd" => zstd::stream::read::Decoder::new(content)
            .and_then(|mut decoder| decoder.read_to_end(&mut plain)),
        "br" => brotli::Decompressor::new(content, 4096).read_to_end(&mut plain),
        "gzip" => flate2::read::GzDecoder::new(content).read_to_end(&mut plain),
        other => panic!("unknown coding: {other}"),
    };
    read.expect("the content can be decoded");
    plain
}

#[track_caller]
fn expect_uncompressed(response: &Response) {
    assert_eq!(response.headers().get(CONTENT_ENCODING), None);
}

#[test]
fn the_client_chooses_the_coding() {
    let handler = serve(|_| plain(tea()));
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("gzip, br;q=0.9", "gzip"),
        ("*", "zstd"),
    ] {
        let response = call(&handler, accepting(accepted));
        let headers = response.headers();
        assert_eq!(headers[CONTENT_ENCODING], coding, "{accepted}");
        assert_eq!(values(headers, "vary"), ["accept-encoding"]);
        let content = response.body().as_bytes();
        assert!(content.len() < 500, "{coding}: {}", content.len());
        assert_eq!(decode(coding, content), tea());
    }
    for accepted in [
        "",
        "deflate",
        "identity",
        "gzip;q=0",
        "gzip;q=0.1, identity",
    ] {
        let response = call(&handler, accepting(accepted));
        expect_uncompressed(&response);
        assert_eq!(values(response.headers(), "vary"), ["accept-encoding"]);
        assert_eq!(response.body().as_bytes(), tea());
    }
}

#[test]
fn unsuitable_responses_are_not_compressed() {
    for (name, value) in [
        (CONTENT_ENCODING, "br"),
        (CONTENT_TYPE, "image/png"),
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "public, no-transform"),
        (HeaderName::from_static("content-digest"), "sha-256=:AA==:"),
        (HeaderName::from_static("content-range"), "bytes 0-9/*"),
    ] {
        let response = call(&with(name.clone(), value), accepting("gzip"));
        let expected: &[u8] = &tea();
        assert_eq!(response.body().as_bytes(), expected, "{name}: {value}");
        assert!(!response.headers().contains_key(VARY), "{name}: {value}");
    }
    for status in [204, 205, 206, 304] {
        let status = StatusCode::from_u16(status).expect("the status is valid");
        let handler = serve(move |_| (status, plain(tea())).into_response());
        expect_uncompressed(&call(&handler, accepting("gzip")));
    }
    for short in [0, 1, 1023] {
        let handler = serve(move |_| plain(vec![b'x'; short]));
        expect_uncompressed(&call(&handler, accepting("gzip")));
    }
    let noise = Random::new(7).bytes(4096);
    let handler = serve(move |_| plain(noise.clone()));
    expect_uncompressed(&call(&handler, accepting("gzip, br, zstd")));
}

#[test]
fn only_compressible_types_are_compressed() {
    for (content_type, compresses) in [
        ("text/html; charset=utf-8", true),
        ("TEXT/CSS", true),
        ("application/json", true),
        ("application/problem+json", true),
        ("image/svg+xml", true),
        ("application/wasm", true),
        ("application/octet-stream", false),
        ("video/mp4", false),
        ("font/woff2", false),
    ] {
        let response = call(&with(CONTENT_TYPE, content_type), accepting("gzip"));
        let is_compressed = response.headers().contains_key(CONTENT_ENCODING);
        assert_eq!(is_compressed, compresses, "{content_type}");
    }
}

#[test]
fn compression_adjusts_validators() {
    for (tag, expected) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\"")] {
        let handler = with(ETAG, tag);
        assert_eq!(call(&handler, accepting("br")).headers()[ETAG], expected);
        assert_eq!(call(&handler, accepting("")).headers()[ETAG], tag);
    }
    let handler = with(ACCEPT_RANGES, "bytes");
    let response = call(&handler, accepting("br"));
    assert!(!response.headers().contains_key(ACCEPT_RANGES));
    let response = call(&with(VARY, "origin"), accepting("br"));
    assert_eq!(
        values(response.headers(), "vary"),
        ["origin", "accept-encoding"]
    );
    let response = call(&with(VARY, "Accept-Encoding"), accepting("br"));
    assert_eq!(values(response.headers(), "vary"), ["Accept-Encoding"]);
}

#[test]
fn bodiless_responses_have_the_compressed_validators() {
    let handler = |status| {
        serve(move |_| {
            let mut headers = HeaderMap::new();
            headers.insert(ETAG, HeaderValue::from_static("\"a\""));
            if status == StatusCode::PARTIAL_CONTENT {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            }
            (status, headers, Body::empty()).into_response()
        })
    };
    let not_modified = handler(StatusCode::NOT_MODIFIED);
    for (accepted, if_none_match, expected) in [
        ("br", "W/\"a\"", "W/\"a\""),
        ("br", "\"b\", W/\"a\"", "W/\"a\""),
        ("br", "\"a\"", "\"a\""),
        ("br", "*", "\"a\""),
        ("identity", "W/\"a\"", "\"a\""),
    ] {
        let request = accepting(accepted).header("if-none-match", if_none_match);
        let response = call(&not_modified, request);
        assert_eq!(
            response.headers()[ETAG],
            expected,
            "{accepted} {if_none_match}"
        );
        assert_eq!(values(response.headers(), "vary"), ["accept-encoding"]);
    }
    let part = call(&handler(StatusCode::PARTIAL_CONTENT), accepting("br"));
    assert_eq!(part.headers()[ETAG], "\"a\"");
    assert_eq!(values(part.headers(), "vary"), ["accept-encoding"]);
}

#[test]
fn a_compressed_body_keeps_its_trailers() {
    let handler = serve(|_| {
        let body = Body::from_reader(io::Cursor::new(tea()));
        plain(body.with_trailers(|| {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", HeaderValue::from_static("1234"));
            trailers
        }))
    });
    let client = testing::Client::new(handler);
    let response = client.get("/").header("accept-encoding", "gzip").send();
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(decode("gzip", response.bytes()), tea());
    assert_eq!(response.trailers()["x-checksum"], "1234");
}

#[test]
fn errors_are_not_compressed() {
    let long = "x".repeat(5000);
    let handler = serve(move |_| {
        let problem = Problem::new(StatusCode::NOT_FOUND).detail(long.clone());
        problem.into_response()
    });
    expect_uncompressed(&call(&handler, accepting("gzip")));
}

fn serve_body(response: impl Fn() -> Body + Send + Sync + 'static) -> (TestServer, Client) {
    let server = TestServer::spawn(|builder| builder, serve(move |_| plain(response())));
    let client = server.connect();
    (server, client)
}

#[track_caller]
fn get_compressed(client: &mut Client, coding: &str) -> Vec<u8> {
    let head = format!("GET / HTTP/1.1\r\nHost: it\r\nAccept-Encoding: {coding}\r\n\r\n");
    let response = client.send(head).expect_status(200);
    assert_eq!(response.header("content-encoding"), Some(coding));
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    response.body
}

#[test]
fn a_reader_is_compressed_while_it_is_sent() {
    const LENGTH: u64 = 2 << 20;
    let (_server, mut client) = serve_body(|| Body::from_reader(io::repeat(b'x').take(LENGTH)));
    for coding in ["zstd", "br", "gzip"] {
        let content = get_compressed(&mut client, coding);
        assert!(content.len() < 10_000, "{coding}: {}", content.len());
        let plain = decode(coding, &content);
        assert_eq!(plain.len() as u64, LENGTH);
        assert!(plain.iter().all(|byte| *byte == b'x'), "{coding}");
    }
}

/// Decodes content that has not ended yet.
fn decode_partial(coding: &str, content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let end = match coding {
        "zstd" => zstd::stream::read::Decoder::new(content)
            .and_then(|mut decoder| decoder.read_to_end(&mut plain)),
        "br" => brotli::Decompressor::new(content, 4096).read_to_end(&mut plain),
        "gzip" => flate2::read::GzDecoder::new(content).read_to_end(&mut plain),
        other => panic!("unknown coding: {other}"),
    };
    end.expect_err("the content is incomplete");
    plain
}

/// Yields one line at a time, and waits at the gate before each line but the first.
struct Lines {
    left: u32,
    waiter: Option<GateWaiter>,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const LINE: &[u8] = b"{\"event\":\"tea is ready\"}\n";
        match self.left {
            0 => return Ok(0),
            3 => {}
            _ => self.waiter.as_ref().expect("a gate is set").wait(),
        }
        self.left -= 1;
        buffer[..LINE.len()].copy_from_slice(LINE);
        Ok(LINE.len())
    }
}

/// The next chunk of a chunked body.
fn chunk(client: &mut Client) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(client.expect_bytes(1));
    }
    let size = str::from_utf8(&line).expect("a chunk begins with its size");
    let size = usize::from_str_radix(size.trim(), 16).expect("the chunk size is hexadecimal");
    let mut part = client.expect_bytes(size + 2);
    part.truncate(size);
    part
}

#[test]
fn lines_of_a_live_stream_are_flushed() {
    for (coding, content_type) in [
        ("zstd", "application/x-ndjson"),
        ("br", "text/plain"),
        ("gzip", "application/json"),
    ] {
        let gate = Gate::new();
        let waiter = gate.waiter();
        let server = TestServer::spawn(
            |builder| builder,
            serve(move |_| {
                let waiter = Some(waiter.clone());
                let mut response = plain(Body::from_reader(Lines { left: 3, waiter }));
                let content_type = HeaderValue::from_static(content_type);
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                response
            }),
        );
        let mut client = server.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: it\r\nAccept-Encoding: {coding}\r\n\r\n"
        ));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(client.expect_bytes(1));
        }
        let mut content = chunk(&mut client);
        let line = "{\"event\":\"tea is ready\"}\n";
        assert_eq!(decode_partial(coding, &content), line.as_bytes());
        // The reader waits before the second line.
        gate.expect_arrived(1);
        gate.open();
        loop {
            let part = chunk(&mut client);
            if part.is_empty() {
                break;
            }
            content.extend(part);
        }
        assert_eq!(decode(coding, &content), line.repeat(3).as_bytes());
    }
}

#[test]
fn long_content_is_compressed_while_it_is_sent() {
    let long = "tea, and no milk. ".repeat(100_000);
    let content = long.clone();
    let (_server, mut client) = serve_body(move || content.clone().into());
    for coding in ["zstd", "br", "gzip"] {
        let content = get_compressed(&mut client, coding);
        assert!(decode(coding, &content) == long.as_bytes(), "{coding}");
    }
}

#[test]
fn compression_state_counts_towards_the_budget() {
    let noise = Random::new(7).bytes(HUGE);
    let body_length = noise.len();
    let server = TestServer::spawn(
        |builder| {
            let builder = builder.max_buffered_memory(2 * HUGE);
            builder.write_timeout(NEVER).min_rate_grace(NEVER)
        },
        serve(move |_| plain(noise.clone())),
    );
    for (coding, state) in [("zstd", 3 << 20), ("br", 4 << 20), ("gzip", 256 << 10)] {
        let mut client = server.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: it\r\nAccept-Encoding: {coding}\r\n\r\n"
        ));
        eventually("the state is counted", || {
            server.handle().snapshot().buffered > body_length + state
        });
        client.reset();
        eventually("nothing is buffered", || {
            server.handle().snapshot().buffered == 0
        });
    }
}

#[test]
fn a_file_is_compressed_while_it_is_sent() {
    let path = TempPath::new("compressed");
    fs::write(&path, tea()).expect("a file can be written");
    let open = {
        let path = path.as_ref().to_owned();
        move || File::open(&path).expect("the file exists")
    };
    let end = tea().len() as u64;
    let (_server, mut client) = serve_body(move || Body::from_file(open(), 5..end));
    for coding in ["zstd", "br", "gzip"] {
        let content = get_compressed(&mut client, coding);
        assert_eq!(decode(coding, &content), tea()[5..], "{coding}");
    }
}

#[test]
fn a_short_reader_resets_the_connection() {
    let response = || Body::from_sized_reader(io::Cursor::new(tea()), 1_000_000);
    let (_server, mut client) = serve_body(response);
    client.send("GET / HTTP/1.1\r\nHost: it\r\nAccept-Encoding: gzip\r\n\r\n");
    let (received, end) = client.read_rest();
    assert_eq!(end, crate::support::End::Reset);
    assert!(!received.ends_with(b"0\r\n\r\n"));
}

#[test]
fn head_has_the_headers_of_get() {
    let head = || http::Request::head("/").header("accept-encoding", "gzip");
    let noise = Random::new(7).bytes(4096);
    for (content, coding) in [(tea(), Some("gzip")), (noise, None)] {
        let handler = serve(move |_| plain(content.clone()));
        let (get_response, head_response) =
            (call(&handler, accepting("gzip")), call(&handler, head()));
        assert_eq!(head_response.headers(), get_response.headers());
        assert_eq!(head_response.body().length(), get_response.body().length());
        let found = head_response.headers().get(CONTENT_ENCODING);
        assert_eq!(found.map(HeaderValue::as_bytes), coding.map(str::as_bytes));
    }

    // The handler sets the length and makes no body.
    let handler = serve(|_| {
        let mut response = plain(Body::empty());
        response.headers_mut().insert(CONTENT_LENGTH, 5000.into());
        response
    });
    let response = call(&handler, head());
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    assert_eq!(response.headers().get(CONTENT_LENGTH), None);
    assert_eq!(values(response.headers(), "vary"), ["accept-encoding"]);
    assert_eq!(response.body().length(), None);

    let (_server, mut client) = serve_body(|| tea().into());
    client.send("HEAD / HTTP/1.1\r\nHost: it\r\nAccept-Encoding: gzip\r\n\r\n");
    let response = client.expect_response_to_head();
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    client.get("/").expect_body(tea());
}

#[test]
fn a_waiting_compressed_stream_ends_with_its_client() {
    let (sender, receiver) = sync_channel(1);
    let receiver = Mutex::new(Some(receiver));
    let handler = serve(move |_| {
        let receiver = receiver.lock().expect("the mutex is not poisoned").take();
        let events = Events::received(receiver.expect("the handler runs once"));
        let mut response = events.keep_alive(NEVER).into_response();
        let content_type = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    });
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: it\r\nAccept-Encoding: gzip\r\n\r\n");
    let status = b"HTTP/1.1 200 OK\r\n";
    assert_eq!(client.expect_bytes(status.len()), status);
    eventually("the handler waits", || server.handle().snapshot().busy == 1);
    drop(client);
    server.expect_open(0);
    drop(sender);
}
