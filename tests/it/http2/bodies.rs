use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use httpool::http::header::ETAG;
use httpool::http::{HeaderMap, HeaderValue};
use httpool::http2::ErrorCode;
use httpool::{
    Body, BodyMode, Handler, IntoResponse as _, RawRequest, Request, Response, ServeDir,
};

use crate::support::http2::{
    END_STREAM, Frame, Http2Client, header_block, request_fields, setting,
};
use crate::support::{
    Gate, GateWaiter, HUGE, NEVER, Random, TempDir, TestServer, Transport, eventually,
    expect_status, header, in_own_process, mirror, over_every_transport, resident_memory,
};

over_every_transport! {
    large_bodies_are_echoed,
    responses_keep_to_small_windows,
    files_and_readers_arrive_unchanged,
    changed_files_are_served_as_they_are_now,
    bodies_of_one_burst_arrive,
    bodies_share_the_connection,
    streamed_body_reaches_its_handler_as_it_arrives,
    streamed_bodies_of_one_connection_are_all_read,
    continue_is_sent_on_request,
    trailers_follow_the_body,
}

/// Larger than any window at first.
const LARGE: usize = 3_000_000;

fn large_bodies_are_echoed(transport: Transport) {
    let server = transport.spawn(|builder| builder, mirror);
    let mut client = Http2Client::connect(&server);
    let body = Random::new(1).bytes(LARGE);
    for _ in 0..2 {
        let stream = client.post("/", &body);
        client.expect_body(stream, &body);
    }
}

/// The client gives credit as it wants: odd amounts, to the stream and to the connection.
fn responses_keep_to_small_windows(transport: Transport) {
    let body = Bytes::from(Random::new(2).bytes(200_000));
    let content = body.clone();
    let server = transport.spawn(|builder| builder, move |_: Request| content.clone());
    let settings = [(setting::INITIAL_WINDOW_SIZE, 3_000)];
    let mut client = Http2Client::connect_with(&server, &settings).without_credit();
    let (first, second) = (client.get("/"), client.get("/"));
    let mut random = Random::new(3);
    while ![first, second]
        .iter()
        .all(|stream| client.reply(*stream).is_ended)
    {
        for stream in [first, second] {
            if !client.reply(stream).is_ended {
                client.give_credit(stream, 1 + random.below(20_000) as u32);
            }
        }
        client
            .give_credit(0, 1 + random.below(20_000) as u32)
            .settle();
    }
    client.expect_body(first, &body);
    client.expect_body(second, &body);
}

fn files_and_readers_arrive_unchanged(transport: Transport) {
    const SIZES: [usize; 6] = [0, 1, 1024, 16_384, 16_385, LARGE];
    let folder = Arc::new(TempDir::new());
    let mut random = Random::new(4);
    let contents = SIZES.map(|size| random.bytes(size));
    for content in &contents {
        folder.file(&content.len().to_string(), content);
    }
    let files = Arc::clone(&folder);
    let server = transport.spawn(
        |builder| builder,
        move |request: Request| -> Response {
            let (_, name) = request.uri().path().rsplit_once('/').expect("a path");
            let file = File::open(files.path(name)).expect("the file exists");
            let length = file.metadata().expect("there are metadata").len();
            match request.uri().query() {
                Some("reader") => Body::from_reader(file).into_response(),
                Some("sized") => Body::from_sized_reader(file, length).into_response(),
                _ => file.into_response(),
            }
        },
    );
    let mut client = Http2Client::connect(&server);
    let mut streams = Vec::new();
    for content in &contents {
        for query in ["file", "reader", "sized"] {
            streams.push((
                client.get(&format!("/{}?{query}", content.len())),
                query,
                content,
            ));
        }
    }
    for (stream, query, content) in streams {
        let response = client.expect_body(stream, content);
        let length = content.len().to_string();
        let expected = (query != "reader").then_some(&*length);
        assert_eq!(response.header("content-length"), expected, "{query}");
    }
}

/// Files that are requested often are sent from memory, once they are old enough.
fn changed_files_are_served_as_they_are_now(transport: Transport) {
    const SIZES: [usize; 3] = [100, 10_000, 70_000];
    let folder = TempDir::new();
    let fill = |letter: u8| {
        for size in SIZES {
            folder.file(&size.to_string(), vec![letter; size]);
        }
    };
    fill(b'a');
    let files = || ServeDir::new(&folder).expect("the folder can be opened");
    let server = transport.spawn(|builder| builder, files());
    let mut client = Http2Client::connect(&server);
    eventually("the files are old enough", || {
        let response = expect_status(&files(), "/70000", 200);
        header(&response, ETAG).is_some_and(|tag| tag.starts_with('"'))
    });
    let mut check = |letter: u8| {
        for size in SIZES {
            let target = format!("/{size}");
            let whole = client.get(&target);
            let mut fields = request_fields("GET", &target);
            fields.push(("range", "bytes=10-59"));
            let part = client.request(&fields);
            client.expect_body(whole, vec![letter; size]);
            let part = client.expect_status(part, 206);
            assert!(part.body == [letter; 50]);
        }
    };
    for _ in 0..3 {
        check(b'a');
    }
    // They are changed in place, and keep their sizes.
    fill(b'b');
    check(b'b');
}

/// Requests a body of each size, all at once, from a client whose windows have room for all.
#[track_caller]
fn check_burst(server: &TestServer, sizes: &[usize]) {
    let mut client = Http2Client::connect_with(server, &[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]);
    client.give_credit(0, 1 << 20);
    let (mut streams, mut requests) = (Vec::new(), Vec::new());
    for size in sizes {
        let stream = client.next_stream();
        let target = format!("/{size}");
        let fields = request_fields("GET", &target);
        let frame = Frame::headers(stream, &fields, END_STREAM);
        requests.extend(frame.encode());
        streams.push(stream);
    }
    client.send(requests);
    for (stream, size) in streams.into_iter().zip(sizes) {
        client.expect_body(stream, vec![b'x'; *size]);
    }
}

/// Large parts leave in one system call, which takes only so many of them.
fn bodies_of_one_burst_arrive(transport: Transport) {
    let server = transport.spawn(
        |builder| builder,
        |request: Request| {
            let size = request.uri().path()[1..].parse();
            vec![b'x'; size.expect("the test asks for a size")]
        },
    );
    for small in 1..16 {
        let mut sizes = vec![8193; small];
        sizes.push(60_000);
        check_burst(&server, &sizes);
    }
    check_burst(&server, &[20_000, 8193, 9000, 8193, 8193, 40_000, 100_000]);
}

/// A response that the client does not take yet does not stop the others.
fn bodies_share_the_connection(transport: Transport) {
    let server = transport.spawn(|builder| builder, |_: Request| vec![b'x'; LARGE]);
    let mut client = Http2Client::connect(&server).without_credit();
    client.give_credit(0, 100_000_000);
    let stuck = client.get("/");
    client.read_until("a window of content", |client| {
        client.reply(stuck).body_length() == 65_535
    });
    let other = client.get("/");
    client.give_credit(other, 100_000_000);
    assert!(client.expect_status(other, 200).body.len() == LARGE);
    assert_eq!(client.reply(stuck).body_length(), 65_535);
    client.give_credit(stuck, 100_000_000);
    assert!(client.expect_status(stuck, 200).body.len() == LARGE);
}

/// Reads and answers bodies in pieces.
struct Streaming<F>(F);

impl<F: Fn(Request) -> io::Result<Vec<u8>> + Send + Sync + 'static> Handler for Streaming<F> {
    fn handle(&self, request: &mut Request) -> Response {
        self.0(mem::take(request)).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::Streaming { most: u64::MAX }
    }
}

fn read_all(mut request: Request) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    request.body_mut().read_to_end(&mut content)?;
    Ok(content)
}

fn streamed_body_reaches_its_handler_as_it_arrives(transport: Transport) {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = transport.spawn(
        |builder| builder,
        Streaming(move |mut request: Request| {
            let mut start = [0; 5];
            request.body_mut().read_exact(&mut start)?;
            waiter.wait();
            let rest = read_all(request)?;
            Ok([&start[..], &rest].concat())
        }),
    );
    let mut client = Http2Client::connect(&server);
    let stream = client.open_post("/");
    client.data(stream, "start", 0);
    gate.expect_arrived(1);
    gate.open();
    let rest = Random::new(5).bytes(LARGE);
    client.send_body(stream, &rest, END_STREAM);
    client.expect_body(stream, [&b"start"[..], &rest].concat());
}

/// There are fewer workers than bodies, and every handler waits for its body.
fn streamed_bodies_of_one_connection_are_all_read(transport: Transport) {
    let server = transport.spawn(|builder| builder, Streaming(read_all));
    let mut client = Http2Client::connect(&server);
    let bodies: Vec<_> = (0..10)
        .map(|seed| Random::new(seed).bytes(50_000))
        .collect();
    let streams: Vec<_> = bodies.iter().map(|_| client.open_post("/")).collect();
    for part in 0..5 {
        for (stream, body) in streams.iter().zip(&bodies) {
            let flags = if part == 4 { END_STREAM } else { 0 };
            client.send_body(*stream, &body[part * 10_000..][..10_000], flags);
        }
    }
    for (stream, body) in streams.into_iter().zip(bodies) {
        client.expect_body(stream, body);
    }
}

fn continue_is_sent_on_request(transport: Transport) {
    let server = transport.spawn(|builder| builder.max_body(100), mirror);
    let mut client = Http2Client::connect(&server);
    let mut fields = request_fields("POST", "/");
    fields.push(("expect", "100-continue"));
    let stream = client.open(&fields);
    client.read_until("100", |client| client.reply(stream).interim == [100]);
    client.data(stream, "a body", END_STREAM);
    let reply = client.expect_reply(stream);
    assert_eq!(reply.interim, [100]);
    assert_eq!(reply.response.expect("it is complete").body, b"a body");
    // A body that is too large is not asked for.
    fields.push(("content-length", "101"));
    let stream = client.open(&fields);
    client.read_until("413", |client| client.reply(stream).response.is_some());
    let reply = client.reply(stream);
    let status = reply.response.as_ref().map(|response| response.status);
    assert_eq!((status, &reply.interim[..]), (Some(413), &[][..]));
}

fn trailers_follow_the_body(transport: Transport) {
    let trailers = || {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers
    };
    let server = transport.spawn(
        |builder| builder,
        move |request: Request| match request.uri().path() {
            "/reader" => Body::from_reader(&b"hello"[..]).with_trailers(trailers),
            "/empty" => Body::from("").with_trailers(trailers),
            _ => request.into_body().with_trailers(trailers),
        },
    );
    let mut client = Http2Client::connect(&server);
    let expected = Some(vec![("grpc-status".to_owned(), "0".to_owned())]);
    for (target, body) in [("/reader", "hello"), ("/empty", ""), ("/", "posted")] {
        // Trailers of the request too.
        let stream = client.open_post(target);
        client.data(stream, "posted", 0);
        client.send_frame(&Frame::headers(stream, &[("checksum", "1")], END_STREAM));
        let reply = client.expect_reply(stream);
        assert_eq!(reply.trailers, expected, "{target}");
        let response = reply.response.expect("it is complete");
        assert_eq!(response.text(), body, "{target}");
    }
    let stream = client.request(&request_fields("HEAD", "/reader"));
    assert_eq!(client.expect_reply(stream).trailers, None);
}

/// A body ends where its client ends the stream, and not where its length is reached.
#[test]
fn streamed_body_with_a_length_ends_behind_its_trailers() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder,
        Streaming(move |mut request: Request| {
            let raw = RawRequest::of(&request).cloned().expect("it was received");
            request.body_mut().read_exact(&mut [0; 6])?;
            waiter.wait();
            assert_eq!(request.body_mut().read(&mut [0])?, 0);
            Ok(raw.trailers()["checksum"].as_bytes().to_vec())
        }),
    );
    let mut client = Http2Client::connect(&server);
    let mut fields = request_fields("POST", "/");
    fields.push(("content-length", "6"));
    let stream = client.open(&fields);
    client.data(stream, "posted", 0);
    gate.expect_arrived(1);
    gate.open();
    client.send_frame(&Frame::headers(stream, &[("checksum", "1")], END_STREAM));
    client.expect_body(stream, "1");
}

/// Fails in the middle.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.0);
        self.0 -= count;
        match count {
            0 => Err(io::Error::other("a test asked for this")),
            count => Ok(count),
        }
    }
}

#[test]
fn failing_reader_resets_only_its_stream() {
    let server = TestServer::spawn(
        |builder| builder,
        |request: Request| match request.uri().path() {
            "/failing" => Body::from_reader(Failing(100_000)),
            "/short" => Body::from_sized_reader(&b"short"[..], 100),
            _ => Body::from("fine"),
        },
    );
    let mut client = Http2Client::connect(&server);
    for target in ["/failing", "/short"] {
        let (failing, fine) = (client.get(target), client.get("/"));
        assert_eq!(
            client.expect_reset(failing),
            ErrorCode::InternalError,
            "{target}"
        );
        client.expect_body(fine, "fine");
    }
}

/// The client must not send more than one window of a body that nobody reads.
#[test]
fn early_response_stops_the_upload() {
    let server = TestServer::spawn(
        |builder| builder.max_body(1_000_000),
        |_: Request| "not read",
    );
    let mut client = Http2Client::connect(&server);
    let mut fields = request_fields("POST", "/");
    fields.push(("content-length", "10000000"));
    let stream = client.open(&fields);
    client.read_until("413", |client| client.reply(stream).response.is_some());
    let status = client
        .reply(stream)
        .response
        .as_ref()
        .map(|response| response.status);
    assert_eq!(status, Some(413));
    // What is under way is ignored.
    for _ in 0..3 {
        client.data(stream, vec![b'x'; 16_384], 0);
    }
    let other = client.get("/");
    client.expect_body(other, "not read");
    client.data(stream, vec![b'x'; 16_384], 0);
    assert_eq!(client.expect_reset(stream), ErrorCode::NoError);
    let other = client.get("/");
    client.expect_body(other, "not read");
}

#[test]
fn empty_and_padded_frames_are_part_of_a_body() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = Http2Client::connect(&server);
    let stream = client.open_post("/");
    client.data(stream, "", 0).data(stream, "a", 0);
    client.send_frame(&Frame::data(stream, b"\x03b\0\0\0", 0x8));
    client.data(stream, "c", 0).data(stream, "", END_STREAM);
    client.expect_body(stream, "abc");
    // Padding counts for the windows and is credited.
    let padded = [&[254, b'x'][..], &[0; 254]].concat();
    let stream = client.open_post("/");
    for _ in 0..1_000 {
        if client.send_window(stream) < 256 {
            client.read_until("credit", |client| client.send_window(stream) >= 256);
        }
        client.data(stream, &padded, 0x8);
    }
    client.data(stream, "end", END_STREAM);
    client.expect_body(stream, "x".repeat(1_000) + "end");
}

/// A client that takes nothing of large responses costs a window of memory and no worker.
#[test]
fn responses_that_wait_cost_little_memory_and_no_worker() {
    const CLIENTS: usize = 20;
    in_own_process(
        "http2::bodies::responses_that_wait_cost_little_memory_and_no_worker",
        || {
            let gate = Gate::new();
            let server = TestServer::spawn(
                |builder| builder.write_timeout(NEVER).min_rate_grace(NEVER),
                endless(gate.waiter()),
            );
            let mut clients: Vec<_> = (0..CLIENTS)
                .map(|_| Http2Client::connect(&server).without_credit())
                .collect();
            let before = resident_memory();
            for client in &mut clients {
                let streams = [(); 50].map(|()| client.get("/endless"));
                client.settle();
                client.read_until("the window of the connection is used", |client| {
                    let received = streams.map(|stream| client.reply(stream).body_length());
                    received.iter().sum::<usize>() == 65_535
                });
                server.expect_serving();
            }
            let grown = resident_memory().saturating_sub(before);
            // The clients keep 64 KiB each too.
            assert!(grown < 32 * 1024 * 1024, "{grown} bytes");
        },
    );
}

fn endless(_: GateWaiter) -> impl Fn(Request) -> Body + Send + Sync + 'static {
    |request: Request| match request.uri().path() {
        "/endless" => Body::from_reader(io::repeat(b'x')),
        _ => Body::from("fine"),
    }
}

#[test]
fn huge_memory_body_is_sent_from_where_it_is() {
    in_own_process(
        "http2::bodies::huge_memory_body_is_sent_from_where_it_is",
        || {
            let body = Bytes::from(vec![b'x'; HUGE]);
            let server = TestServer::spawn(|builder| builder, move |_: Request| body.clone());
            let before = resident_memory();
            let mut clients: Vec<_> = (0..10)
                .map(|_| Http2Client::connect(&server).without_credit())
                .collect();
            for client in &mut clients {
                client.give_credit(0, 1_000_000_000);
                let streams = [(); 10].map(|()| client.get("/"));
                client.read_until("windows of content", |client| {
                    streams
                        .iter()
                        .all(|stream| client.reply(*stream).body_length() == 65_535)
                });
            }
            let grown = resident_memory().saturating_sub(before);
            // The clients keep 6.4 MiB.
            assert!(grown < 24 * 1024 * 1024, "{grown} bytes");
        },
    );
}

/// Request trailers are checked like headers.
#[test]
fn trailers_with_pseudo_fields_reset_the_stream() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = Http2Client::connect(&server);
    let stream = client.open_post("/");
    client.data(stream, "x", 0);
    let block = header_block(&[(":path", "/")]);
    client.send_frame(&Frame::new(1, 0x5, stream, block));
    assert_eq!(client.expect_reset(stream), ErrorCode::ProtocolError);
    let other = client.post("/", "other");
    client.expect_body(other, "other");
}
