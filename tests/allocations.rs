//! Serving a request allocates no memory.
//!
//! The counts cover the whole process. Cargo's test harness has a thread that allocates at any
//! time, so this test sets `harness = false` and has a plain `main`.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use httpool::http1::{self, Content, Date, Decoder, Ending, Event, Input, Limits, RequestBuffer};
use httpool::http2;
use httpool::{
    Body, Builder, Handler, Layer, Layered, ListenAddr, Next, Request, Response, Server,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const GET: &[u8] =
    b"GET /index.html HTTP/1.1\r\nHost: localhost:4000\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

const LIMITS: Limits = Limits {
    head: 16 * 1024,
    body: 1024,
};

/// Enough requests for buffers to reach their final size.
const WARM_UP: usize = 100;

const REQUESTS: usize = 10_000;

/// Allocations outside of requests: the acceptor allocates at each wakeup, at most about once a
/// millisecond, and the date is formatted once a second. The limit is higher, so that the test does
/// not depend on timing.
const BESIDE_PER_MILLISECOND: usize = 4;

/// How often `work` allocates.
fn allocations(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    change.allocations + change.reallocations
}

fn main() {
    the_protocol();
    the_heads_of_http2();
    the_protocol_of_http2();
    borrowing_handler();
    indexed_http2();
    owning_handler();
    borrowing_layer();
    behind_proxies();
    #[cfg(all(feature = "brotli", feature = "gzip", feature = "zstd"))]
    decompression_bomb();
}

/// Decoding and encoding with reused buffers, as a worker does.
fn the_protocol() {
    let (mut decoder, mut buffer) = (Decoder::default(), RequestBuffer::default());
    let mut input = Input::with_capacity(16 * 1024);
    let mut output = Vec::with_capacity(1024);
    let response = Response::new(Body::from("hello"));
    let date = Date::new(SystemTime::UNIX_EPOCH);
    let mut process = || {
        input.room().extend_from_slice(GET);
        let event = decoder.decode(&mut input, &mut buffer, &LIMITS);
        assert_eq!(event, Ok(Event::Request));
        assert_eq!(buffer.request.headers().len(), 3);
        output.clear();
        let content = http1::encode(
            &response,
            &buffer.context,
            Ending::KeepAlive,
            &date,
            &mut output,
        );
        assert_eq!(content, Content::Follows);
    };
    (0..WARM_UP).for_each(|_| process());
    assert_eq!(allocations(|| (0..REQUESTS).for_each(|_| process())), 0);
}

/// Decoding and encoding the heads of a connection whose client indexes its headers.
fn the_heads_of_http2() {
    const FIRST: &[u8] = b"\x82\x87\x85\x41\x0elocalhost:4000\x7a\x0acurl/8.5.0\x53\x03*/*\
                           \x60\x03a=1\x60\x03b=2\x40\x0esec-fetch-mode\x04cors";
    const INDEXED: &[u8] = b"\x82\x87\x85\xc3\xc2\xc1\xc0\xbf\xbe";

    let (mut decoder, mut encoder) = (
        http2::hpack::Decoder::default(),
        http2::hpack::Encoder::default(),
    );
    let mut buffer = http2::RequestBuffer::default();
    let mut output = Vec::with_capacity(1024);
    let response = Response::new(Body::from("hello"));
    let date = Date::new(SystemTime::UNIX_EPOCH);
    let mut process = |block: &[u8]| {
        let head = http2::decode_head(&mut decoder, block, LIMITS.head, &mut buffer);
        assert!(matches!(head, Ok(Ok(_))), "{head:?}");
        assert_eq!(buffer.request.uri(), "/index.html");
        assert_eq!(buffer.request.headers().len(), 5);
        assert_eq!(buffer.request.headers()["cookie"], "a=1; b=2");
        buffer.receive_body(Default::default(), None);
        output.clear();
        let content =
            http2::encode_head(&response, buffer.is_head, &date, &mut encoder, &mut output);
        assert_eq!(content, http2::Content::Follows);
    };
    process(FIRST);
    (0..WARM_UP).for_each(|_| process(INDEXED));
    assert_eq!(
        allocations(|| (0..REQUESTS).for_each(|_| process(INDEXED))),
        0
    );
}

/// Requests on one connection of HTTP/2, some of them with a body, whose frames are in one buffer.
fn the_protocol_of_http2() {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    // It puts the authority into the table.
    const FIRST: &[u8] = b"\x82\x87\x85\x41\x0elocalhost:4000";
    const GET: &[u8] = b"\x82\x87\x85\xbe";
    const POST: &[u8] = b"\x83\x87\x85\xbe";

    let mut output = Vec::with_capacity(64 * 1024);
    let mut mux = http2::Mux::<()>::new(http2::MuxConfig::default(), &mut output);
    let mut buffer = http2::RequestBuffer::default();
    let response = Response::new(Body::from("hello"));
    let date = Date::new(SystemTime::UNIX_EPOCH);
    let mut input = Vec::with_capacity(1024);
    let mut process = |input: &[u8]| {
        let mut rest = input;
        output.clear();
        loop {
            let event = mux.receive(&mut rest, &mut buffer, &mut output);
            let (stream, ended) = match event.expect("the client keeps to the rules") {
                http2::Event::Incomplete { .. } => break,
                http2::Event::Request { stream, ended, .. } => (stream, ended),
                http2::Event::Data {
                    stream,
                    content,
                    ended,
                } => {
                    mux.release(stream, content.len(), &mut output);
                    (stream, ended)
                }
                event => panic!("{event:?}"),
            };
            if ended {
                let content = mux.respond(stream, &response, false, &date, &mut output);
                assert_eq!(content, http2::Content::Follows);
                mux.send_data(stream, b"hello", true, &mut output);
            }
        }
        assert!(mux.is_empty());
    };
    let mut number = 1_u32;
    let mut frame = |kind: u8, flags: u8, payload: &[u8], is_new: bool, input: &mut Vec<u8>| {
        number += 2 * u32::from(is_new);
        input.extend_from_slice(&[0, 0, payload.len() as u8, kind, flags]);
        input.extend_from_slice(&number.to_be_bytes());
        input.extend_from_slice(payload);
    };
    input.extend_from_slice(SETTINGS);
    frame(1, 5, FIRST, true, &mut input);
    process(&input);
    let mut burst = || {
        input.clear();
        // So that windows never run out.
        input.extend_from_slice(b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x0f");
        for _ in 0..2 {
            frame(1, 5, GET, true, &mut input);
        }
        frame(1, 4, POST, true, &mut input);
        frame(0, 0, b"some content", false, &mut input);
        frame(0, 1, b"more", false, &mut input);
        process(&input);
    };
    (0..WARM_UP).for_each(|_| burst());
    assert_eq!(allocations(|| (0..REQUESTS).for_each(|_| burst())), 0);
}

struct Hello;

impl Handler for Hello {
    fn handle(&self, _: &mut Request) -> Response {
        Response::new(Body::from("hello"))
    }
}

/// Over a socket, with a handler that borrows the request.
fn borrowing_handler() {
    check(|builder| builder, GET, Hello, 0);
}

/// Over a socket, with HTTP/2 and headers that are in the table.
fn indexed_http2() {
    const REQUEST: &[u8] = b"\x82\x86\x85\xbe";
    const RESPONSE_END: &[u8] = b"\0\0\x05\0\x01";

    let builder = Server::builder()
        .listen("127.0.0.1:0")
        .workers(2)
        .http2(true);
    let server = builder.bind().expect("some port is free");
    let address = server.local_addrs()[0].to_string();
    let handle = server.handle();
    let running = thread::spawn(move || server.run(Hello));

    let mut client = TcpStream::connect(address).expect("the server listens");
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("the timeout is not zero");
    let mut number = 0_u32;
    let mut buffer = [0; 1024];
    let mut request_once = |before: &[u8], block: &[u8]| {
        number = if number == 0 { 1 } else { number + 2 };
        let mut message = [0; 128];
        let head = [&[0, 0, block.len() as u8, 1, 5], &number.to_be_bytes()[..]];
        let mut length = 0;
        for part in [before, head[0], head[1], block] {
            message[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        }
        let sent = client.write_all(&message[..length]);
        sent.expect("the server reads the request");
        // The settings of the server may come before.
        let mut received = 0;
        while !(buffer[..received].windows(5)).any(|part| part == RESPONSE_END)
            || !buffer[..received].ends_with(b"hello")
        {
            let count = client.read(&mut buffer[received..]);
            received += count.expect("the server responds");
        }
    };
    // The preface, the settings, and a window that is never used up.
    let opening = [
        &http2::PREFACE[..],
        b"\0\0\0\x04\0\0\0\0\0\0\0\x04\x08\0\0\0\0\0\x3f\0\0\0",
    ]
    .concat();
    request_once(&opening, b"\x82\x86\x85\x41\x0elocalhost:4000");
    (0..WARM_UP).for_each(|_| request_once(b"", REQUEST));
    let began = Instant::now();
    let allocations = allocations(|| (0..REQUESTS).for_each(|_| request_once(b"", REQUEST)));
    let milliseconds = usize::try_from(began.elapsed().as_millis()).expect("the time fits");
    let most = BESIDE_PER_MILLISECOND * (milliseconds + 1);
    println!("{allocations} allocations for {REQUESTS} requests in {milliseconds} ms");
    assert!(allocations <= most, "{allocations} for {REQUESTS}");

    handle.shutdown();
    drop(client);
    let report = running.join().expect("the server does not panic");
    assert_eq!(report.expect("the server does not fail").aborted, 0);
}

/// Over a socket, with a function that owns its request: the new header map costs two allocations.
fn owning_handler() {
    check(|builder| builder, GET, |_: Request| Body::from("hello"), 2);
}

struct Through;

impl Layer for Through {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        next.handle(request)
    }
}

/// Layers that borrow, around a handler that borrows.
fn borrowing_layer() {
    let handler = Layered::new(Hello).layer(Through).layer(Through);
    check(|builder| builder, GET, handler, 0);
}

/// The client that a trusted proxy names is kept in one allocation. Without forwarding headers
/// there is none.
fn behind_proxies() {
    let trusting = |builder: Builder| {
        let proxy: httpool::TrustedProxy = "127.0.0.1".parse().expect("the proxy is valid");
        builder
            .trusted_proxy(proxy)
            .forwarded_by(httpool::ForwardedBy::Forwarded)
    };
    let passed_on = [&GET[..GET.len() - 2], b"Forwarded: for=192.0.2.1\r\n\r\n"].concat();
    check(trusting, GET, Hello, 0);
    check(trusting, &passed_on, Hello, 1);
}

fn check(
    configure: impl FnOnce(Builder) -> Builder,
    message: &[u8],
    handler: impl Handler,
    most_per_request: usize,
) {
    let builder = Server::builder()
        .listen(
            "127.0.0.1:0"
                .parse::<ListenAddr>()
                .expect("the address is valid"),
        )
        .workers(2);
    let server = configure(builder).bind().expect("some port is free");
    let address = server.local_addrs()[0].to_string();
    let handle = server.handle();
    let running = thread::spawn(move || server.run(handler));

    let mut client = TcpStream::connect(address).expect("the server listens");
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("the timeout is not zero");
    let mut buffer = [0; 1024];
    let mut request_once = || {
        client
            .write_all(message)
            .expect("the server reads the request");
        let count = client.read(&mut buffer).expect("the server answers");
        // The server sends the whole response in one call, and the client receives it in one.
        assert!(buffer[..count].ends_with(b"\r\n\r\nhello"));
    };
    (0..WARM_UP).for_each(|_| request_once());
    let began = Instant::now();
    let allocations = allocations(|| (0..REQUESTS).for_each(|_| request_once()));
    let milliseconds = usize::try_from(began.elapsed().as_millis()).expect("the time fits");
    let most = most_per_request * REQUESTS + BESIDE_PER_MILLISECOND * (milliseconds + 1);
    println!("{allocations} allocations for {REQUESTS} requests in {milliseconds} ms");
    assert!(allocations <= most, "{allocations} for {REQUESTS}");

    handle.shutdown();
    let report = running.join().expect("the server does not panic");
    assert_eq!(report.expect("the server does not fail").aborted, 0);
}

/// Decompression of a small body with huge content stops at the limit, plus brotli's window.
#[cfg(all(feature = "brotli", feature = "gzip", feature = "zstd"))]
fn decompression_bomb() {
    use std::io;

    use httpool::http;
    use httpool::layers::Decompression;

    const LONG: u64 = 64 << 20;
    const MOST: usize = 8 << 20;

    let content = || io::repeat(0).take(LONG);
    let handler = Layered::new(|_: Request| "undone").layer(Decompression::new(64 * 1024));
    let check = |coding: &str, encoder: &mut dyn Read| {
        let mut bomb = Vec::new();
        encoder.read_to_end(&mut bomb).expect("encoding succeeds");
        let mut request = http::Request::post("/")
            .header("content-encoding", coding)
            .body(Body::from(bomb))
            .expect("the request is valid");
        let region = Region::new(ALLOCATOR);
        let status = handler.handle(&mut request).status();
        let taken = region.change().bytes_allocated;
        assert_eq!(status, 413, "{coding}");
        assert!(taken < MOST, "{coding}: {taken}");
    };
    let level = flate2::Compression::fast();
    check("gzip", &mut flate2::read::GzEncoder::new(content(), level));
    check(
        "br",
        &mut brotli::CompressorReader::new(content(), 4096, 1, 18),
    );
    let mut zstd = zstd::stream::read::Encoder::new(content(), 1).expect("the level is valid");
    check("zstd", &mut zstd);
}
