//! Each attack is a known one, and each test fails without its defence. What is usual for browsers
//! and for gRPC is no attack.

use std::io::{self, Read as _};
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use httpool::http::Method;
use httpool::http2::ErrorCode;
use httpool::{Body, BodyMode, Handler, IntoResponse as _, Request, Response};

use crate::support::http2::{
    END_HEADERS, END_STREAM, Frame, Http2Client, header_block, hpack_integer, kind, request_fields,
    setting,
};
use crate::support::{Gate, GateWaiter, NEVER, TestServer, describe};

/// More than any budget allows.
const FLOOD: usize = 20_000;

/// Sends these frames again and again, until the server rejects them.
#[track_caller]
fn flood(client: &mut Http2Client, frames: &[Frame]) {
    for _ in 0..FLOOD.div_ceil(100) {
        let batch: Vec<_> = (0..100).flat_map(|_| frames.to_vec()).collect();
        if client.try_send_frames(&batch).is_err() {
            return;
        }
    }
}

/// The server ends the connection of the attacker, and serves others.
#[track_caller]
fn expect_calmed(server: &TestServer, client: &mut Http2Client) {
    let goaway = client.expect_connection_error(ErrorCode::EnhanceYourCalm);
    println!("{}", goaway.debug);
    server.expect_serving();
    let mut good = Http2Client::connect(server);
    let stream = good.get("/beside");
    good.expect_status(stream, 200);
}

#[track_caller]
fn expect_flood_ends(name: &str, frames: &[Frame]) {
    println!("{name}");
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = Http2Client::connect(&server);
    flood(&mut client, frames);
    expect_calmed(&server, &mut client);
}

/// CVE-2019-9512, CVE-2019-9515, CVE-2019-9513.
#[test]
fn floods_of_control_frames_end_the_connection() {
    expect_flood_ends("PING", &[Frame::ping([0; 8])]);
    expect_flood_ends("SETTINGS", &[Frame::settings(&[])]);
    let settings = [
        (setting::INITIAL_WINDOW_SIZE, 1),
        (setting::MAX_FRAME_SIZE, 16_384),
    ];
    expect_flood_ends("SETTINGS with entries", &[Frame::settings(&settings)]);
    let priority = Frame::new(kind::PRIORITY, 0, 1, b"\0\0\0\0\x10");
    expect_flood_ends("PRIORITY", &[priority]);
    let update = Frame::new(kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1");
    expect_flood_ends("PRIORITY_UPDATE", &[update]);
    expect_flood_ends("WINDOW_UPDATE", &[Frame::window_update(0, 1)]);
    expect_flood_ends("unknown frames", &[Frame::new(0xfa, 0, 0, b"")]);
    let acks = Frame::new(kind::PING, 1, 0, [0; 8]);
    expect_flood_ends("acknowledgements of no PING", &[acks]);
}

/// Counts its calls, and how many run at once.
#[derive(Debug, Default)]
struct Calls {
    all: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Calls {
    fn during(&self, call: impl FnOnce()) {
        self.all.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        call();
        self.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// CVE-2023-44487. Handlers that were called return, and no more than half of the workers run them.
#[test]
fn rapid_reset_occupies_half_of_the_workers() {
    let gate = Gate::new();
    let (waiter, calls) = (gate.waiter(), Arc::new(Calls::default()));
    let seen = Arc::clone(&calls);
    let server = TestServer::spawn(
        |builder| builder.workers(4),
        move |request: Request| {
            if request.uri().path() == "/slow" {
                seen.during(|| waiter.wait());
            }
            describe(request)
        },
    );
    let mut client = Http2Client::connect(&server);
    // Few enough that the budget is not used up.
    for _ in 0..80 {
        let stream = client.next_stream();
        let get = Frame::headers(stream, &request_fields("GET", "/slow"), END_STREAM);
        let reset = Frame::reset(stream, ErrorCode::Cancel.number());
        client.send_frames(&[get, reset]);
    }
    client.settle();
    server.expect_serving();
    gate.open();
    let last = client.get("/last");
    client.expect_body(last, "GET /last ");
    let most = calls.most.load(Ordering::SeqCst);
    assert!(most <= 2, "{most} handlers at once");
    // A request that was reset before its turn is not run.
    let all = calls.all.load(Ordering::SeqCst);
    assert!(all <= 10, "{all} handlers");
}

#[test]
fn rapid_reset_ends_the_connection() {
    let calls = Arc::new(Calls::default());
    let seen = Arc::clone(&calls);
    let server = TestServer::spawn(
        |builder| builder,
        move |request: Request| {
            seen.during(|| {});
            describe(request)
        },
    );
    let mut client = Http2Client::connect(&server);
    for _ in 0..FLOOD / 100 {
        let mut frames = Vec::new();
        for _ in 0..100 {
            let stream = client.next_stream();
            // Incomplete requests: handlers have nothing to answer.
            frames.push(Frame::headers(stream, &request_fields("POST", "/"), 0));
            frames.push(Frame::reset(stream, ErrorCode::Cancel.number()));
        }
        if client.try_send_frames(&frames).is_err() {
            break;
        }
    }
    expect_calmed(&server, &mut client);
    // Of good clients only.
    assert!(calls.all.load(Ordering::SeqCst) <= 2);
}

/// Responses that have begun may be aborted as often as a client likes: browsers do.
#[test]
fn aborted_downloads_are_no_attack() {
    let server = TestServer::spawn(
        |builder| builder,
        |_: Request| Body::from_reader(io::repeat(b'x')),
    );
    let mut client = Http2Client::connect(&server);
    for _ in 0..1_500 {
        let stream = client.get("/");
        client.read_until("content", |client| client.reply(stream).body_length() > 0);
        client.reset(stream, ErrorCode::Cancel);
        // What was under way still counts for the connection's window, and was credited.
        client.settle();
    }
    assert_eq!(client.goaways(), []);
}

/// An EventSource that its page closes and opens again, beside one that stays.
#[test]
fn event_sources_are_no_attack() {
    let senders = Mutex::new(Vec::new());
    let server = TestServer::spawn(
        |builder| builder,
        move |_: Request| {
            let (sender, body) = Body::channel(100);
            let first = sender.send("data: first\n\n");
            first.expect("the body is not dropped");
            senders.lock().expect("no thread panics").push(sender);
            ([("content-type", "text/event-stream")], body)
        },
    );
    let mut client = Http2Client::connect(&server);
    let stays = client.get("/");
    client.read_until("an event", |client| client.reply(stays).body_length() > 0);
    for _ in 0..1_500 {
        let stream = client.get("/again");
        client.read_until("an event", |client| client.reply(stream).body_length() > 0);
        client.reset(stream, ErrorCode::Cancel);
    }
    client.settle();
    assert_eq!(client.goaways(), []);
    assert!(!client.reply(stays).is_ended);
}

/// CVE-2025-8671: the client makes the server reset its streams.
#[test]
fn made_you_reset_ends_the_connection() {
    type Frames = fn(u32) -> Vec<Frame>;
    fn get(stream: u32) -> Frame {
        Frame::headers(stream, &request_fields("GET", "/"), END_STREAM)
    }
    fn open(stream: u32) -> Frame {
        let mut fields = request_fields("POST", "/");
        fields.push(("content-length", "1"));
        Frame::headers(stream, &fields, 0)
    }
    let ways: [(&str, Frames); 7] = [
        ("WINDOW_UPDATE of 0", |stream| {
            vec![open(stream), Frame::window_update(stream, 0)]
        }),
        ("a window over the limit", |stream| {
            vec![open(stream), Frame::window_update(stream, 0x7fff_ffff)]
        }),
        ("DATA behind the end", |stream| {
            vec![get(stream), Frame::data(stream, "x", 0)]
        }),
        ("HEADERS behind the end", |stream| {
            let again = Frame::headers(stream, &[("a", "b")], END_STREAM);
            vec![get(stream), again]
        }),
        ("content over its length", |stream| {
            vec![open(stream), Frame::data(stream, "xy", 0)]
        }),
        ("content under its length", |stream| {
            vec![open(stream), Frame::data(stream, "", END_STREAM)]
        }),
        ("a malformed head", |stream| {
            vec![Frame::headers(stream, &[(":method", "GET")], END_STREAM)]
        }),
    ];
    for (way, frames) in ways {
        println!("{way}");
        let gate = Gate::new();
        let waiter = gate.waiter();
        let server = TestServer::spawn(
            |builder| builder,
            move |request: Request| {
                if request.uri().path() == "/" {
                    waiter.wait();
                }
                describe(request)
            },
        );
        let mut client = Http2Client::connect(&server);
        for _ in 0..FLOOD / 10 {
            let stream = client.next_stream();
            if client.try_send_frames(&frames(stream)).is_err() {
                break;
            }
        }
        // An error of the connection at once is as good.
        let goaway = client.expect_goaway(1);
        assert_ne!(goaway.code, ErrorCode::NoError, "{way}: {goaway:?}");
        let mut good = Http2Client::connect(&server);
        let stream = good.get("/beside");
        good.expect_status(stream, 200);
        gate.open();
    }
}

/// CVE-2024-27316 and its relatives.
#[test]
fn flood_of_continuations_ends_the_connection() {
    for fragment in [&b""[..], &header_block(&[("a", "b")])] {
        let server = TestServer::spawn(|builder| builder.head_timeout(NEVER), describe);
        let mut client = Http2Client::connect(&server);
        let stream = client.next_stream();
        let block = header_block(&request_fields("GET", "/"));
        client.send_frame(&Frame::new(kind::HEADERS, END_STREAM, stream, block));
        flood(
            &mut client,
            &[Frame::new(kind::CONTINUATION, 0, stream, fragment)],
        );
        expect_calmed(&server, &mut client);
    }
}

/// A block without an end holds no more memory than a head may.
#[test]
fn large_header_block_ends_the_connection() {
    let server = TestServer::spawn(|builder| builder.head_timeout(NEVER), describe);
    let mut client = Http2Client::connect(&server);
    let stream = client.next_stream();
    let value = "x".repeat(16_000);
    let block = header_block(&[("a", &value)]);
    client.send_frame(&Frame::new(kind::HEADERS, END_STREAM, stream, &block));
    for _ in 0..8 {
        let frame = Frame::new(kind::CONTINUATION, 0, stream, &block);
        if client.try_send_frames(&[frame]).is_err() {
            break;
        }
    }
    let goaway = client.expect_goaway(1);
    assert_ne!(goaway.code, ErrorCode::NoError, "{goaway:?}");
    server.expect_serving();
}

/// The request is rejected, with or without its connection, and no handler sees it.
#[track_caller]
fn expect_bomb_fails(block: &[u8]) {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = Http2Client::connect(&server);
    let stream = client.next_stream();
    let (first, rest) = block.split_at(block.len().min(16_000));
    let flags = if rest.is_empty() { END_HEADERS } else { 0 };
    client.send_frame(&Frame::new(
        kind::HEADERS,
        END_STREAM | flags,
        stream,
        first,
    ));
    if !rest.is_empty() {
        let _ =
            client.try_send_frames(&[Frame::new(kind::CONTINUATION, END_HEADERS, stream, rest)]);
    }
    client.read_until("a rejection", |client| {
        client.reply(stream).is_over() || !client.goaways().is_empty()
    });
    if let Some(response) = &client.reply(stream).response {
        assert_eq!(response.status, 431, "{response:?}");
    }
    assert_eq!(
        server.handle().snapshot().answered,
        u64::from(client.goaways().is_empty())
    );
    server.expect_serving();
}

/// CVE-2016-6581: one large entry of the table, and many references to it.
#[test]
fn hpack_bomb_is_rejected() {
    let mut block = header_block(&request_fields("GET", "/"));
    block.extend(b"\x40\x01a");
    hpack_integer(4_000, 0, 7, &mut block);
    block.extend([b'x'; 4_000]);
    block.extend([0xbe; 10_000]);
    expect_bomb_fails(&block);
}

/// CVE-2026-49975: one-byte references to tiny fields cost the server more than their bytes.
#[test]
fn field_bomb_is_rejected() {
    for name in ["a", "cookie"] {
        let mut block = header_block(&request_fields("GET", "/"));
        block.push(0x40);
        hpack_integer(name.len(), 0, 7, &mut block);
        block.extend(name.as_bytes());
        block.extend(b"\0");
        block.extend([0xbe; 12_000]);
        expect_bomb_fails(&block);
    }
}

/// CVE-2019-9518.
#[test]
fn flood_of_empty_data_ends_the_connection() {
    for padding in [&b""[..], &b"\0"[..]] {
        let server = TestServer::spawn(|builder| builder, describe);
        let mut client = Http2Client::connect(&server);
        let stream = client.open_post("/");
        let flags = if padding.is_empty() { 0 } else { 0x8 };
        flood(&mut client, &[Frame::data(stream, padding, flags)]);
        expect_calmed(&server, &mut client);
    }
}

/// Trailers that do not end the stream, and HEADERS in its middle.
#[test]
fn headers_within_a_body_are_rejected() {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = Http2Client::connect(&server);
    let stream = client.open_post("/");
    client.send_frame(&Frame::headers(stream, &[("a", "b")], 0));
    client.read_until("an error", |client| {
        client.reply(stream).reset.is_some() || !client.goaways().is_empty()
    });
    server.expect_serving();
}

/// Waits at the gate if there is one, and reads the whole body in pieces.
struct Streaming(Option<GateWaiter>);

impl Handler for Streaming {
    fn handle(&self, request: &mut Request) -> Response {
        if let (Some(gate), &Method::POST) = (&self.0, request.method()) {
            gate.wait();
        }
        let mut content = Vec::new();
        let result = mem::take(request).into_body().read_to_end(&mut content);
        result.map(|length| length.to_string()).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::Streaming { most: u64::MAX }
    }
}

/// Clients of gRPC send each message in a frame of its own.
#[test]
fn small_messages_are_no_attack() {
    const MESSAGES: usize = 5_000;
    let server = TestServer::spawn(|builder| builder.workers(4), Streaming(None));
    let mut client = Http2Client::connect(&server);
    let stream = client.open_post("/");
    for number in 0..MESSAGES {
        client.send_body(stream, [b'x'; 50], 0);
        if number % 100 == 0 {
            client.settle();
        }
    }
    client.data(stream, "", END_STREAM);
    client.expect_body(stream, (50 * MESSAGES).to_string());
    assert_eq!(client.goaways(), []);
}

#[test]
fn settings_with_many_entries_end_the_connection() {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = Http2Client::connect(&server);
    let few = vec![(setting::HEADER_TABLE_SIZE, 4096); 32];
    client.send_frame(&Frame::settings(&few)).settle();
    let many = vec![(setting::HEADER_TABLE_SIZE, 4096); 2_000];
    client.send_frame(&Frame::settings(&many));
    let goaway = client.expect_goaway(1);
    assert_ne!(goaway.code, ErrorCode::NoError);
    server.expect_serving();
}

/// Ids only go up and are odd, and there is a last one.
#[test]
fn stream_ids_must_go_up() {
    let fields = request_fields("GET", "/");
    for stream in [0, 2, 3] {
        let server = TestServer::spawn(|builder| builder, describe);
        let mut client = Http2Client::connect(&server);
        client.send_frame(&Frame::headers(5, &fields, END_STREAM));
        client.expect_body(5, "GET / ");
        client.send_frame(&Frame::headers(stream, &fields, END_STREAM));
        let goaway = client.expect_goaway(1);
        assert_ne!(
            goaway.code,
            ErrorCode::NoError,
            "stream {stream}: {goaway:?}"
        );
    }
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = Http2Client::connect(&server);
    client.send_frame(&Frame::headers(0x7fff_ffff, &fields, END_STREAM));
    client.expect_body(0x7fff_ffff, "GET / ");
    let goaway = client.expect_goaway(1);
    assert_eq!(goaway.code, ErrorCode::NoError, "{goaway:?}");
}

#[test]
fn windows_must_not_be_exceeded_or_overflow() {
    let gate = Gate::new();
    let check = |frames: &[Frame], code: ErrorCode| {
        let server = TestServer::spawn(
            |builder| builder.body_timeout(NEVER),
            Streaming(Some(gate.waiter())),
        );
        let mut client = Http2Client::connect(&server);
        client.expect_settings();
        let stream = client.open_post("/");
        assert_eq!(stream, 1);
        let _ = client.try_send_frames(frames);
        client.read_until("an error", |client| {
            client.reply(stream).reset.is_some() || !client.goaways().is_empty()
        });
        let goaway = client.goaways().first().map(|goaway| goaway.code);
        assert_eq!(goaway.or(client.reply(stream).reset), Some(code));
        server.expect_serving();
    };
    check(
        &[Frame::window_update(0, 0x7fff_ffff)],
        ErrorCode::FlowControlError,
    );
    check(
        &[Frame::window_update(1, 0x7fff_ffff)],
        ErrorCode::FlowControlError,
    );
    check(&[Frame::window_update(0, 0)], ErrorCode::ProtocolError);
    // The stream's window, sent at once so that no credit can arrive in between.
    let data = vec![Frame::data(1, vec![0; 16_384], 0); 2_000];
    check(&data, ErrorCode::FlowControlError);
    gate.open();
}
