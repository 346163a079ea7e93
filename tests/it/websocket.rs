use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use httpool::websocket::{
    Close, Message, Options, TrySendError, WebSocket, WebSocketHandler, WebSocketSender,
};
use httpool::{Builder, Handler, IntoResponse, Request, Response};

use crate::support::{
    Client, End, HUGE, NEVER, SOON, TIMEOUT, TestServer, Transport, eventually,
    over_every_transport,
};

over_every_transport! {
    messages_are_echoed,
    fragments_are_joined_around_control_frames,
    text_may_be_cut_anywhere,
    violations_have_their_codes,
    close_is_answered_with_its_code,
    large_messages_are_refused,
    incomplete_messages_stay_within_the_budget,
    server_closes_with_a_code,
    threads_send_to_slow_and_fast_clients,
    flood_of_pings_is_bounded,
    silent_clients_are_pinged,
    drain_closes_with_going_away,
    end_is_reported_once,
    idle_sockets_hold_no_worker,
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
pub(crate) const FINAL: u8 = 0x80;

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: it\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A frame of a client, with this first byte.
pub(crate) fn frame(first: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut frame = vec![first];
    match content.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(
        content
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// The content of a close frame.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// A client of a WebSocket.
struct Socket(Client);

impl Socket {
    #[track_caller]
    fn open(server: &TestServer) -> Self {
        let mut client = server.connect();
        let response = client.send(format!("{ASK}\r\n")).expect_status(101);
        let accept = response.header("sec-websocket-accept");
        assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        Self(client)
    }

    fn send(&mut self, first: u8, content: impl AsRef<[u8]>) -> &mut Self {
        self.0.send(frame(first, content));
        self
    }

    fn say(&mut self, text: &str) -> &mut Self {
        self.send(FINAL | TEXT, text)
    }

    /// The next frame: its kind and content.
    #[track_caller]
    fn next(&mut self) -> (u8, Vec<u8>) {
        let head = self.0.expect_bytes(2);
        assert_eq!(head[0] & 0xf0, FINAL, "it is not fragmented");
        let length = match head[1] {
            126 => {
                let length = self.0.expect_bytes(2);
                usize::from(u16::from_be_bytes(length.try_into().expect("two bytes")))
            }
            127 => {
                let length = self.0.expect_bytes(8);
                u64::from_be_bytes(length.try_into().expect("eight bytes")) as usize
            }
            length => usize::from(length),
        };
        (head[0] & 0xf, self.0.expect_bytes(length))
    }

    #[track_caller]
    fn expect(&mut self, kind: u8, content: impl AsRef<[u8]>) -> &mut Self {
        let (received, bytes) = self.next();
        let content = content.as_ref();
        assert!(
            (received, &bytes[..]) == (kind, content),
            "{received} {} instead of {kind} {}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(100)]),
            String::from_utf8_lossy(&content[..content.len().min(100)]),
        );
        self
    }

    /// Expects a close with this code, and the end of the connection.
    #[track_caller]
    fn expect_end(&mut self, code: u16) {
        let (kind, content) = self.next();
        assert_eq!(kind, CLOSE, "{content:?}");
        assert_eq!(content[..2], code.to_be_bytes(), "{content:?}");
        assert_eq!(self.0.read_rest(), (Vec::new(), End::Closed));
    }
}

/// Answers `/ws` with a WebSocket.
fn handler(open: impl Fn(WebSocket) -> Response + Send + Sync + 'static) -> impl Handler {
    handler_with(Options::new(), open)
}

fn handler_with(
    options: Options,
    open: impl Fn(WebSocket) -> Response + Send + Sync + 'static,
) -> impl Handler {
    move |request: Request| match request.uri().path() {
        "/ws" => options.clone().accept(&request).map(&open).into_response(),
        _ => "in HTTP".into_response(),
    }
}

fn echo(socket: WebSocket) -> Response {
    socket.on_message(|sender, message| sender.try_send(message).expect("there is room"))
}

fn echo_server(transport: Transport) -> TestServer {
    transport.spawn(|builder| builder.workers(1), handler(echo))
}

fn messages_are_echoed(transport: Transport) {
    let server = echo_server(transport);
    let mut socket = Socket::open(&server);
    socket.say("hello").expect(TEXT, "hello");
    for length in [0, 125, 126, 4096, 4097, 0xffff, 0x1_0000, 1_000_000] {
        let content = vec![b'x'; length];
        let sending = socket.0.send_in_background(frame(FINAL | BINARY, &content));
        socket.expect(BINARY, &content);
        let sent = sending.join().expect("the thread does not panic");
        sent.expect("the server reads everything");
    }
    // Many messages at once come back in order.
    let many: Vec<_> = (0..200).map(|number: u32| number.to_string()).collect();
    let frames: Vec<_> = many
        .iter()
        .flat_map(|text| frame(FINAL | TEXT, text))
        .collect();
    socket.0.send(frames);
    for text in &many {
        socket.expect(TEXT, text);
    }
    // Byte by byte.
    for byte in frame(FINAL | TEXT, "slow") {
        socket.0.send([byte]);
    }
    socket.expect(TEXT, "slow");
    socket.send(FINAL | CLOSE, close(1000, "bye"));
    socket.expect(CLOSE, close(1000, "bye"));
    socket.0.expect_closed();
    server.expect_open(0);
}

fn fragments_are_joined_around_control_frames(transport: Transport) {
    let server = echo_server(transport);
    let mut socket = Socket::open(&server);
    socket
        .send(TEXT, "Hel")
        .send(FINAL | PING, "1")
        .expect(PONG, "1");
    socket
        .send(0, "")
        .send(FINAL | PONG, "unasked")
        .send(0, "lo");
    socket.send(FINAL | PING, "").send(FINAL, " you");
    socket.expect(PONG, "").expect(TEXT, "Hello you");
    socket.send(BINARY, "").send(FINAL, "").expect(BINARY, "");
    socket
        .send(FINAL | PING, [b'p'; 125])
        .expect(PONG, [b'p'; 125]);
    socket.say("next").expect(TEXT, "next");
}

fn text_may_be_cut_anywhere(transport: Transport) {
    let server = echo_server(transport);
    let text = "κόσμε 🦀";
    let mut socket = Socket::open(&server);
    for cut in 0..=text.len() {
        let (first, second) = text.as_bytes().split_at(cut);
        socket
            .send(TEXT, first)
            .send(FINAL, second)
            .expect(TEXT, text);
    }
    for invalid in [
        &b"\xce\xba\xed\xa0\x80x"[..],
        b"a\xc0\xafb",
        b"ab\xf4\x90\x80\x80",
        b"abc\xe2\x82",
    ] {
        for cut in 0..=invalid.len() {
            let (first, second) = invalid.split_at(cut);
            let mut socket = Socket::open(&server);
            socket
                .0
                .send([frame(TEXT, first), frame(FINAL, second)].concat());
            socket.expect_end(Close::INVALID_DATA);
        }
        let mut socket = Socket::open(&server);
        socket
            .send(FINAL | TEXT, invalid)
            .expect_end(Close::INVALID_DATA);
    }
}

fn violations_have_their_codes(transport: Transport) {
    let server = echo_server(transport);
    let mut unmasked = frame(FINAL | TEXT, "x");
    unmasked[1] &= 0x7f;
    let mut frames = vec![
        unmasked,
        // A continuation of nothing, and a message within another.
        frame(FINAL, "x"),
        [frame(TEXT, "x"), frame(FINAL | TEXT, "y")].concat(),
        // Control frames that are fragmented or too long.
        frame(PING, "x"),
        frame(FINAL | PING, [b'x'; 126]),
        frame(CLOSE, close(1000, "")),
        frame(FINAL | CLOSE, [3; 126]),
        // A code needs two bytes.
        frame(FINAL | CLOSE, [3]),
    ];
    for reserved_bit in [0x40, 0x20, 0x10, 0x70] {
        frames.push(frame(FINAL | reserved_bit | TEXT, "x"));
        frames.push(frame(FINAL | reserved_bit | PING, ""));
    }
    frames.extend([3, 4, 7, 11, 15].map(|reserved| frame(FINAL | reserved, "x")));
    for sent in frames {
        let mut socket = Socket::open(&server);
        // What follows is not read as frames.
        socket.0.send([&sent[..], &[b'x'; 5000]].concat());
        socket.expect_end(Close::PROTOCOL_ERROR);
    }
    server.expect_open(0);
}

fn close_is_answered_with_its_code(transport: Transport) {
    let server = echo_server(transport);
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        let mut socket = Socket::open(&server);
        // The client sends nothing after its close. What was sent before is answered.
        socket
            .say("last")
            .send(FINAL | CLOSE, close(code, "reason"));
        socket
            .expect(TEXT, "last")
            .expect(CLOSE, close(code, "reason"));
        socket.0.expect_closed();
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        let mut socket = Socket::open(&server);
        socket
            .send(FINAL | CLOSE, close(code, ""))
            .expect_end(Close::PROTOCOL_ERROR);
    }
    let mut socket = Socket::open(&server);
    socket.send(FINAL | CLOSE, "").expect(CLOSE, "");
    socket.0.expect_closed();
    let mut socket = Socket::open(&server);
    let invalid = [&close(1000, "")[..], b"\xff"].concat();
    socket
        .send(FINAL | CLOSE, invalid)
        .expect_end(Close::INVALID_DATA);
}

fn large_messages_are_refused(transport: Transport) {
    let options = Options::new().max_message(1000).max_frame(600);
    let server = transport.spawn(|builder| builder, handler_with(options, echo));
    let mut socket = Socket::open(&server);
    socket.send(BINARY, [b'x'; 500]).send(FINAL, [b'x'; 500]);
    socket.expect(BINARY, [b'x'; 1000]);
    socket.send(BINARY, [b'x'; 600]).send(FINAL, [b'x'; 401]);
    socket.expect_end(Close::TOO_LARGE);
    let mut socket = Socket::open(&server);
    socket
        .send(FINAL | BINARY, [b'x'; 601])
        .expect_end(Close::TOO_LARGE);
    // The length is enough.
    let mut socket = Socket::open(&server);
    let length = [
        &[FINAL | BINARY, 0xff][..],
        &u64::MAX.to_be_bytes(),
        &[0; 4],
    ]
    .concat();
    socket.0.send(length);
    socket.expect_end(Close::TOO_LARGE);
}

fn incomplete_messages_stay_within_the_budget(transport: Transport) {
    const PART: usize = 256 * 1024;
    const BUDGET: usize = 5 * PART;
    let configure = |builder: Builder| builder.workers(1).max_buffered_memory(BUDGET);
    let server = transport.spawn(configure, handler(echo));
    let buffered = || server.handle().snapshot().buffered;
    let mut small = Socket::open(&server);
    let mut sockets = Vec::new();
    for _ in 0..4 {
        let mut socket = Socket::open(&server);
        socket.send(BINARY, vec![b'x'; PART]);
        socket.send(FINAL | PING, "").expect(PONG, "");
        sockets.push(socket);
    }
    eventually("all messages count", || {
        (4 * PART - 4 * 4096..=BUDGET).contains(&buffered())
    });
    // There is no room for another, but small messages arrive.
    let mut beyond = Socket::open(&server);
    let sending = beyond
        .0
        .send_in_background(frame(BINARY, vec![b'x'; 2 * PART]));
    eventually("a connection is closed for its memory", || {
        assert!(buffered() <= BUDGET);
        let mut closed = server.handle().close_counts();
        closed.any(|(reason, count)| reason.as_str() == "buffer_limit" && count == 1)
    });
    // The server has closed the connection in the middle of it.
    let _ = sending.join().expect("the thread does not panic");
    small.say("small").expect(TEXT, "small");
    let mut last = sockets.pop().expect("there are four");
    last.send(FINAL, "x");
    let whole = [&vec![b'x'; PART][..], b"x"].concat();
    last.expect(BINARY, whole);
    drop((small, sockets, beyond, last));
    server.expect_open(0);
    assert_eq!(buffered(), 0);
}

/// A server that passes the sender of each WebSocket to the test.
fn server_giving_senders(
    transport: Transport,
    options: Options,
    drain_timeout: Duration,
) -> (TestServer, Receiver<WebSocketSender>) {
    let (give, given) = unbounded();
    let open = move |socket: WebSocket| {
        let give = give.clone();
        socket.serve(move |sender| {
            give.send(sender).expect("the test listens");
            |_: Message| {}
        })
    };
    let configure = |builder: Builder| builder.workers(1).drain_timeout(drain_timeout);
    (
        transport.spawn(configure, handler_with(options, open)),
        given,
    )
}

fn server_closes_with_a_code(transport: Transport) {
    let (server, given) = server_giving_senders(transport, Options::new(), NEVER);
    let mut socket = Socket::open(&server);
    let sender = given.recv_timeout(TIMEOUT).expect("it opens");
    sender.try_send("last").expect("there is room");
    sender.close(Close::new(4001, "over"));
    assert!(sender.is_closed());
    assert!(matches!(
        sender.try_send("more"),
        Err(TrySendError::Closed(_))
    ));
    socket
        .expect(TEXT, "last")
        .expect(CLOSE, close(4001, "over"));
    // The server waits for the client, which has not read the close yet.
    socket.say("late").send(FINAL | PING, "late");
    server.expect_serving();
    socket.send(FINAL | CLOSE, close(4001, ""));
    socket.0.expect_closed();
    server.expect_open(0);
    // A client that does not answer is closed all the same.
    let mut socket = Socket::open(&server);
    let sender = given.recv_timeout(TIMEOUT).expect("it opens");
    sender.close(Close::new(Close::NORMAL, ""));
    socket.expect_end(Close::NORMAL);
}

fn threads_send_to_slow_and_fast_clients(transport: Transport) {
    // Room for nine messages.
    let options = Options::new().max_queued(100_000);
    let (server, given) = server_giving_senders(transport, options, NEVER);
    let (mut fast, slow) = (Socket::open(&server), Socket::open(&server));
    let (one, other) = (given.recv_timeout(TIMEOUT), given.recv_timeout(TIMEOUT));
    let (to_fast, to_slow) = (one.expect("it opens"), other.expect("it opens"));
    let message = Message::from(vec![b'x'; 10_000]);
    let sending = thread::spawn({
        let message = message.clone();
        move || {
            let mut is_slow_full = false;
            for _ in 0..9 {
                assert!(to_fast.try_send(message.clone()).is_ok());
            }
            // The kernel takes some before the queue fills.
            for _ in 0..HUGE / 10_000 {
                is_slow_full |= to_slow.try_send(message.clone()).is_err();
            }
            is_slow_full
        }
    });
    for _ in 0..9 {
        fast.expect(BINARY, [b'x'; 10_000]);
    }
    assert!(
        sending.join().expect("nothing panics"),
        "the queue is bounded"
    );
    server.expect_serving();
    drop(slow);
    server.expect_open(1);
}

fn flood_of_pings_is_bounded(transport: Transport) {
    let server = transport.spawn(
        |builder| builder.workers(1).write_timeout(SOON),
        handler(echo),
    );
    let mut socket = Socket::open(&server);
    let pings = frame(FINAL | PING, [b'x'; 125]).repeat(HUGE / 125);
    let sending = socket.0.send_in_background(pings);
    server.expect_open(0);
    let mut counts = server.handle().close_counts();
    assert!(counts.any(|(reason, count)| reason.as_str() == "slow_reader" && count == 1));
    let sent = sending.join().expect("the thread does not panic");
    assert!(sent.is_err(), "the server has not read everything");
}

fn silent_clients_are_pinged(transport: Transport) {
    let options = Options::new()
        .ping_interval(Some(Duration::from_millis(1)))
        .ping_timeout(Duration::from_millis(1));
    let server = transport.spawn(|builder| builder.workers(1), handler_with(options, echo));
    let mut silent = Socket::open(&server);
    silent.expect(PING, "");
    assert_eq!(silent.0.read_rest(), (Vec::new(), End::Closed));

    let options = Options::new()
        .ping_interval(Some(Duration::from_millis(1)))
        .ping_timeout(NEVER);
    let server = transport.spawn(|builder| builder.workers(1), handler_with(options, echo));
    let mut answering = Socket::open(&server);
    for _ in 0..3 {
        answering.expect(PING, "").send(FINAL | PONG, "");
    }
}

fn drain_closes_with_going_away(transport: Transport) {
    let (server, given) = server_giving_senders(transport, Options::new(), NEVER);
    let mut sockets: Vec<_> = (0..3).map(|_| Socket::open(&server)).collect();
    for sender in given.iter().take(3) {
        sender.try_send("last").expect("there is room");
    }
    server.handle().shutdown();
    for socket in &mut sockets {
        socket.expect(TEXT, "last");
        let (kind, content) = socket.next();
        assert_eq!((kind, &content[..2]), (CLOSE, &1001_u16.to_be_bytes()[..]));
        socket.send(FINAL | CLOSE, close(1001, ""));
        socket.0.expect_closed();
    }
    assert_eq!(server.expect_end().aborted, 0);
}

/// Sends its end to the test.
struct Reporting(crossbeam_channel::Sender<u16>);

impl WebSocketHandler for Reporting {
    fn message(&mut self, _: Message) {
        panic!("a test asked for this");
    }

    fn closed(&mut self, close: Close) {
        self.0.send(close.code()).expect("the test listens");
    }
}

fn end_is_reported_once(transport: Transport) {
    let (report, reports) = unbounded();
    let open = move |socket: WebSocket| {
        let report = report.clone();
        socket.serve(|_| Reporting(report))
    };
    let server = transport.spawn(
        |builder| builder.workers(1).drain_timeout(SOON),
        handler(open),
    );
    let next = || reports.recv_timeout(TIMEOUT).expect("the end is reported");
    for (first, content, code) in [
        (FINAL | CLOSE, close(4999, ""), 4999),
        (FINAL | CLOSE, Vec::new(), Close::NO_CODE),
        (FINAL, Vec::new(), Close::PROTOCOL_ERROR),
    ] {
        let mut socket = Socket::open(&server);
        socket.send(first, content);
        assert_eq!(next(), code);
    }
    drop(Socket::open(&server));
    assert_eq!(next(), Close::LOST);
    // A panic is the end of the handler.
    let mut panicking = Socket::open(&server);
    panicking.say("x").0.read_rest();
    server.expect_serving();
    let _aborted = Socket::open(&server);
    server.handle().shutdown_now();
    assert_eq!(next(), Close::LOST);
    server.expect_end();
    assert!(reports.is_empty());
}

/// A thousand WebSockets on one worker, beside ordinary requests.
fn idle_sockets_hold_no_worker(transport: Transport) {
    let senders = Arc::new(Mutex::new(Vec::<WebSocketSender>::new()));
    let room = Arc::clone(&senders);
    let open = move |socket: WebSocket| {
        let room = Arc::clone(&room);
        socket.serve(move |sender| {
            room.lock().expect("nothing panics").push(sender);
            move |message: Message| {
                for sender in &*room.lock().expect("nothing panics") {
                    sender.try_send(message.clone()).expect("there is room");
                }
            }
        })
    };
    let count = match transport {
        Transport::Tcp => 1000,
        // A handshake of TLS costs more.
        Transport::Unix | Transport::Tls => 100,
    };
    let server = transport.spawn(|builder| builder.workers(1), handler(open));
    let mut sockets: Vec<_> = (0..count).map(|_| Socket::open(&server)).collect();
    eventually("all are in the room", || {
        senders.lock().expect("nothing panics").len() == count
    });
    server.expect_serving();
    sockets[0].say("to all");
    for socket in &mut sockets {
        socket.expect(TEXT, "to all");
    }
    server.expect_serving();
}

#[test]
fn handshake_is_checked() {
    let options = Options::new()
        .allow_origins(["https://other.example"])
        .subprotocols(&["two", "one"]);
    let server = Transport::Tcp.spawn(|builder| builder, handler_with(options, echo));
    let respond = |head: String| {
        let mut client = server.connect();
        client.send(head).expect_response()
    };
    let with = |headers: &str| respond(format!("{ASK}{headers}\r\n"));
    for (headers, subprotocol) in [
        ("", None),
        ("Sec-WebSocket-Protocol: one, two\r\n", Some("two")),
        ("Sec-WebSocket-Protocol: zero, one\r\n", Some("one")),
        ("Sec-WebSocket-Protocol: zero\r\n", None),
        ("Origin: http://it\r\n", None),
        ("Origin: https://other.example\r\n", None),
        ("Sec-WebSocket-Extensions: permessage-deflate\r\n", None),
    ] {
        let response = with(headers);
        assert_eq!(response.status, 101, "{headers}");
        assert_eq!(response.header("sec-websocket-protocol"), subprotocol);
        assert_eq!(response.header("sec-websocket-extensions"), None);
    }
    assert_eq!(with("Origin: https://evil.example\r\n").status, 403);
    let other = |from: &str, to: &str| respond(format!("{}\r\n", ASK.replace(from, to)));
    let response = other("Version: 13", "Version: 12");
    assert_eq!(response.status, 426);
    assert_eq!(response.header("sec-websocket-version"), Some("13"));
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert_eq!(other("Upgrade: websocket", "Upgrade: h2c").status, 426);
    assert_eq!(other("Connection: Upgrade\r\n", "").status, 426);
    assert_eq!(other("bXBs", "").status, 400);
    let response = other("GET", "POST");
    assert_eq!(
        (response.status, response.header("allow")),
        (405, Some("GET"))
    );
}
