//! What the protocol costs: bytes into requests, and responses into bytes, without a socket.
//! Buffers are reused from request to request as a worker does.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use httpool::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED, VARY};
use httpool::http::{HeaderName, StatusCode};
use httpool::http1::{self, Date, Decoder, Ending, Event, Input, Limits, Slot};
use httpool::{Body, Request, Response};

const LIMITS: Limits = Limits {
    head: 16 * 1024,
    body: 1024 * 1024,
};

const CURL_GET: &str = "GET /index.html HTTP/1.1\r\n\
    Host: localhost:4000\r\n\
    User-Agent: curl/8.5.0\r\n\
    Accept: */*\r\n\r\n";

const BROWSER_GET: &str = "GET /assets/app.js?v=20 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.com/somewhere/else?with=query\r\n\
    DNT: 1\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=5f2b7c9d8e1a4f6b9c3d2e1f0a9b8c7d; theme=dark; consent=necessary\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    If-None-Match: \"33a64df551425fcc55e4d42a148795d9f25f89d4\"\r\n\
    Cache-Control: max-age=0\r\n\r\n";

/// A post of one KiB, whole or in chunks of this many bytes.
fn post(chunk: Option<usize>) -> Vec<u8> {
    let body = [b'x'; 1024];
    let mut message = b"POST /items HTTP/1.1\r\n\
        Host: localhost:4000\r\n\
        User-Agent: curl/8.5.0\r\n\
        Accept: */*\r\n\
        Content-Type: application/octet-stream\r\n"
        .to_vec();
    let Some(chunk) = chunk else {
        message.extend(b"Content-Length: 1024\r\n\r\n");
        message.extend(body);
        return message;
    };
    message.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    for data in body.chunks(chunk) {
        message.extend(format!("{:x}\r\n", data.len()).into_bytes());
        message.extend(data);
        message.extend(b"\r\n");
    }
    message.extend(b"0\r\n\r\n");
    message
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, message) in [
        ("get_curl", CURL_GET.as_bytes().to_vec()),
        ("get_browser", BROWSER_GET.as_bytes().to_vec()),
        ("post_1k", post(None)),
        ("post_1k_chunked", post(Some(256))),
    ] {
        let (mut decoder, mut slot) = (Decoder::default(), Slot::default());
        let mut input = Input::with_capacity(16 * 1024);
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                // Receiving copies it here too, if from the system.
                input.room().extend_from_slice(&message);
                let event = decoder.decode(&mut input, &mut slot, &LIMITS);
                assert_eq!(event, Ok(Event::Request));
                black_box(&slot.request);
            });
        });
    }
    group.finish();
}

/// What a function that owns its request pays beside a handler that borrows it.
fn own(criterion: &mut Criterion) {
    let (mut decoder, mut slot) = (Decoder::default(), Slot::default());
    let mut input = Input::with_capacity(16 * 1024);
    criterion.bench_function("decode/get_curl_owned", |bencher| {
        bencher.iter(|| {
            input.room().extend_from_slice(CURL_GET.as_bytes());
            let event = decoder.decode(&mut input, &mut slot, &LIMITS);
            assert_eq!(event, Ok(Event::Request));
            black_box::<Request>(std::mem::take(&mut slot.request));
        });
    });
}

fn encode(criterion: &mut Criterion) {
    let mut plain = Response::new(Body::from("Hello, World!"));
    let fields = plain.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));

    let rich = rich_response();
    let mut unchanged = rich_response();
    *unchanged.status_mut() = StatusCode::NOT_MODIFIED;

    let (mut decoder, mut slot) = (Decoder::default(), Slot::default());
    let mut input = Input::default();
    input.extend(CURL_GET.as_bytes());
    let event = decoder.decode(&mut input, &mut slot, &LIMITS);
    assert_eq!(event, Ok(Event::Request));
    let date = Date::new(SystemTime::now());

    let mut group = criterion.benchmark_group("encode");
    for (name, response) in [
        ("plain", &plain),
        ("six_fields", &rich),
        ("not_modified", &unchanged),
    ] {
        let mut output = Vec::with_capacity(4 * 1024);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                output.clear();
                let terms = black_box(&slot.terms);
                let content = http1::encode(response, terms, Ending::KeepAlive, &date, &mut output);
                let _ = black_box(content);
                black_box(&output);
            });
        });
    }
    group.finish();
}

/// A page with the fields that a cache wants.
fn rich_response() -> Response {
    let mut rich = Response::new(Body::from(vec![b'x'; 1024]));
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
        (ETAG, "\"33a64df551425fcc55e4d42a148795d9f25f89d4\""),
        (LAST_MODIFIED, "Wed, 21 Oct 2015 07:28:00 GMT"),
        (VARY, "accept-encoding"),
        (HeaderName::from_static("x-request-id"), "7b2f1c9e4d"),
    ] {
        let value = HeaderValue::from_static(value);
        rich.headers_mut().insert(name, value);
    }
    rich
}

criterion_group! {
    name = http1;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = decode, own, encode
}
criterion_main!(http1);
