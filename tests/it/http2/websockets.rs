//! WebSockets on streams (RFC 8441).

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use httpool::http2::ErrorCode;
use httpool::services::{AccessFormat, AccessLog, Echo};
use httpool::websocket::{Close, Message, Options, WebSocket, WebSocketHandler, WebSocketSender};
use httpool::{Builder, Handler, IntoResponse, Layered, Request, Response};

use crate::support::http2::{END_STREAM, Http2Client, setting};
use crate::support::request::Field;
use crate::support::{
    Gate, HUGE, LogOutput, NEVER, SOON, TIMEOUT, TestServer, Transport, eventually,
    over_every_transport,
};
use crate::websocket::{BINARY, CLOSE, FINAL, PING, PONG, TEXT, close, frame};

over_every_transport! {
    messages_go_both_ways_beside_requests,
    loss_of_a_stream_is_the_end_of_its_websocket,
    drain_closes_websockets_and_aborts_none,
    idle_websockets_hold_no_worker,
}

/// The head of an extended CONNECT.
fn connect_fields<'a>(protocol: &'a str, path: &'a str) -> Vec<Field<'a>> {
    vec![
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "http"),
        (":authority", "it"),
        (":path", path),
        ("sec-websocket-version", "13"),
    ]
}

/// A WebSocket of a client.
struct Socket {
    stream: u32,
    /// How much was read.
    read: usize,
}

impl Socket {
    #[track_caller]
    fn open(client: &mut Http2Client) -> Self {
        let stream = client.open(&connect_fields("websocket", "/ws"));
        client.read_until("the head", |client| client.reply(stream).response.is_some());
        let response = client.reply(stream).response.as_ref();
        let response = response.expect("it has arrived");
        assert_eq!(response.status, 200, "{response:?}");
        for name in ["sec-websocket-accept", "content-length"] {
            assert_eq!(response.header(name), None);
        }
        Self { stream, read: 0 }
    }

    #[track_caller]
    fn send(&self, client: &mut Http2Client, first: u8, content: impl AsRef<[u8]>) {
        client.send_body(self.stream, frame(first, content), 0);
    }

    #[track_caller]
    fn bytes(&mut self, client: &mut Http2Client, count: usize) -> Vec<u8> {
        let end = self.read + count;
        client.read_until(&format!("{end} bytes"), |client| {
            client.reply(self.stream).body_length() >= end
        });
        let response = client.reply(self.stream).response.as_ref();
        let bytes = response.expect("it has arrived").body[self.read..end].to_vec();
        self.read = end;
        bytes
    }

    /// The next frame: its kind and content.
    #[track_caller]
    fn next(&mut self, client: &mut Http2Client) -> (u8, Vec<u8>) {
        let head = self.bytes(client, 2);
        let length = match head[1] {
            126 => u64::from(u16::from_be_bytes(
                self.bytes(client, 2).try_into().expect("two bytes"),
            )),
            127 => u64::from_be_bytes(self.bytes(client, 8).try_into().expect("eight bytes")),
            length => u64::from(length),
        };
        (head[0] & 0xf, self.bytes(client, length as usize))
    }

    #[track_caller]
    fn expect(&mut self, client: &mut Http2Client, kind: u8, content: impl AsRef<[u8]>) {
        let (received, bytes) = self.next(client);
        let content = content.as_ref();
        assert!(
            (received, &bytes[..]) == (kind, content),
            "{received} with {} bytes instead of {kind} with {}",
            bytes.len(),
            content.len(),
        );
    }

    /// Ends the client's side, and expects the end of the server's.
    #[track_caller]
    fn expect_end(self, client: &mut Http2Client) {
        client.data(self.stream, "", END_STREAM);
        let reply = client.expect_reply(self.stream);
        assert_eq!(reply.reset, None);
    }
}

fn handler(open: impl Fn(WebSocket) -> Response + Send + Sync + 'static) -> impl Handler {
    move |request: Request| match request.uri().path() {
        "/ws" => WebSocket::accept(&request).map(&open).into_response(),
        _ => "in HTTP".into_response(),
    }
}

fn echo(socket: WebSocket) -> Response {
    socket.on_message(|sender, message| sender.try_send(message).expect("there is room"))
}

/// A server that passes the sender of each WebSocket and its end to the test.
struct Told {
    server: TestServer,
    senders: Receiver<WebSocketSender>,
    ends: Receiver<u16>,
}

struct Reporting(crossbeam_channel::Sender<u16>);

impl WebSocketHandler for Reporting {
    fn message(&mut self, _: Message) {}

    fn closed(&mut self, close: Close) {
        self.0.send(close.code()).expect("the test listens");
    }
}

impl Told {
    fn new(transport: Transport, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let ((give, senders), (tell, ends)) = (unbounded(), unbounded());
        let open = move |socket: WebSocket| {
            let (give, tell) = (give.clone(), tell.clone());
            socket.serve(move |sender| {
                give.send(sender).expect("the test listens");
                Reporting(tell)
            })
        };
        Self {
            server: transport.spawn(configure, handler(open)),
            senders,
            ends,
        }
    }

    #[track_caller]
    fn open(&self, client: &mut Http2Client) -> (Socket, WebSocketSender) {
        let socket = Socket::open(client);
        let sender = self.senders.recv_timeout(TIMEOUT);
        (socket, sender.expect("it opens"))
    }

    #[track_caller]
    fn expect_ended(&self, code: u16) {
        assert_eq!(self.ends.recv_timeout(TIMEOUT), Ok(code));
    }
}

fn messages_go_both_ways_beside_requests(transport: Transport) {
    let server = transport.spawn(|builder| builder.workers(1), handler(echo));
    let mut client = Http2Client::connect(&server);
    assert_eq!(
        client.expect_settings()[&setting::ENABLE_CONNECT_PROTOCOL],
        1
    );
    let (mut one, mut other) = (Socket::open(&mut client), Socket::open(&mut client));
    one.send(&mut client, FINAL | TEXT, "hello");
    other.send(&mut client, FINAL | PING, "1");
    other.expect(&mut client, PONG, "1");
    one.expect(&mut client, TEXT, "hello");
    for length in [0, 125, 126, 4097, 16_384, 0x1_0000, 1_000_000] {
        let content = vec![b'x'; length];
        one.send(&mut client, FINAL | BINARY, &content);
        let stream = client.get("/");
        one.expect(&mut client, BINARY, &content);
        client.expect_body(stream, "in HTTP");
    }
    // Many messages in one frame, and one message in many.
    let many: Vec<_> = (0..200).map(|number: u32| number.to_string()).collect();
    let frames = many.iter().flat_map(|text| frame(FINAL | TEXT, text));
    let frames: Vec<_> = frames.collect();
    client.send_body(one.stream, frames, 0);
    for text in &many {
        one.expect(&mut client, TEXT, text);
    }
    for byte in frame(FINAL | TEXT, "slow") {
        client.data(one.stream, [byte], 0);
    }
    one.expect(&mut client, TEXT, "slow");
    one.send(&mut client, FINAL | CLOSE, close(1000, "bye"));
    one.expect(&mut client, CLOSE, close(1000, "bye"));
    one.expect_end(&mut client);
    other.send(&mut client, FINAL | TEXT, "still here");
    other.expect(&mut client, TEXT, "still here");
}

fn loss_of_a_stream_is_the_end_of_its_websocket(transport: Transport) {
    let told = Told::new(transport, |builder| builder);
    let mut client = Http2Client::connect(&told.server);
    let (reset, gone) = told.open(&mut client);
    let (mut socket, sender) = told.open(&mut client);
    client.reset(reset.stream, ErrorCode::Cancel);
    told.expect_ended(Close::LOST);
    assert!(gone.is_closed());
    sender.try_send("the other").expect("it is open");
    socket.expect(&mut client, TEXT, "the other");
    // An end without a close frame.
    client.data(socket.stream, "", END_STREAM);
    told.expect_ended(Close::LOST);
    assert!(client.expect_reply(socket.stream).is_ended);
    told.open(&mut client);
    client.disconnect();
    told.expect_ended(Close::LOST);
    told.server.expect_open(0);
}

fn drain_closes_websockets_and_aborts_none(transport: Transport) {
    let told = Told::new(transport, |builder| builder.drain_timeout(NEVER));
    let mut client = Http2Client::connect(&told.server);
    let mut sockets = vec![told.open(&mut client).0, told.open(&mut client).0];
    told.server.begin_drain();
    for socket in &mut sockets {
        let (kind, content) = socket.next(&mut client);
        assert_eq!((kind, &content[..2]), (CLOSE, &1001_u16.to_be_bytes()[..]));
    }
    for socket in sockets {
        socket.send(&mut client, FINAL | CLOSE, close(1001, ""));
        socket.expect_end(&mut client);
    }
    client.client().finish_sending();
    client.expect_closed();
    let report = told.server.expect_end();
    assert_eq!((report.answered, report.aborted), (2, 0));
}

fn idle_websockets_hold_no_worker(transport: Transport) {
    let told = Told::new(transport, |builder| builder.workers(1));
    let mut clients: Vec<_> = (0..3).map(|_| Http2Client::connect(&told.server)).collect();
    let mut opened = Vec::new();
    for client in &mut clients {
        opened.extend((0..50).map(|_| told.open(client)));
    }
    let stream = clients[0].get("/");
    clients[0].expect_body(stream, "in HTTP");
    eventually("the worker is idle", || {
        told.server.handle().snapshot().busy == 0
    });
    for (_, sender) in &opened {
        sender.try_send("to all").expect("there is room");
    }
    for (number, (mut socket, _)) in opened.into_iter().enumerate() {
        socket.expect(&mut clients[number / 50], TEXT, "to all");
    }
}

#[test]
fn servers_without_websockets_announce_none() {
    let plain = TestServer::spawn(|builder| builder, Arc::new(Layered::new(Echo::default())));
    let mut client = Http2Client::connect(&plain);
    let settings = client.expect_settings();
    let announced = settings.get(&setting::ENABLE_CONNECT_PROTOCOL);
    assert!(matches!(announced, None | Some(0)), "{announced:?}");
    let stream = client.open(&connect_fields("websocket", "/"));
    // Without the setting, the pseudo-header of RFC 8441 is an unknown one.
    client.expect_status(stream, 400);
}

#[test]
fn requests_are_checked() {
    let server = TestServer::spawn(|builder| builder, handler(echo));
    let mut client = Http2Client::connect(&server);
    let mut expect = |fields: &[Field<'_>], status: u16| {
        let stream = client.open(fields);
        let response = client.expect_status(stream, status);
        String::from_utf8(response.body).expect("it is text")
    };
    let with = |name, value| {
        let mut fields = connect_fields("websocket", "/ws");
        fields.retain(|(known, _)| *known != name);
        fields.push((name, value));
        fields
    };
    expect(&with("origin", "https://evil.example"), 403);
    expect(&with("sec-websocket-version", "8"), 426);
    let body = expect(&connect_fields("websocket", "/"), 501);
    assert!(body.contains("no WebSocket"), "{body}");
    let body = expect(&connect_fields("connect-udp", "/ws"), 501);
    assert!(body.contains("only protocol"), "{body}");
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("content-length", "5"),
    ] {
        expect(&with(name, value), 400);
    }
    // A GET of HTTP/2 opens none.
    let stream = client.get("/ws");
    client.expect_status(stream, 426);
    let mut fields = with("origin", "http://it");
    fields.push(("sec-websocket-protocol", "chat"));
    let stream = client.open(&fields);
    client.read_until("the head", |client| client.reply(stream).response.is_some());
}

#[test]
fn client_that_takes_nothing_loses_its_stream_only() {
    let told = Told::new(Transport::Tcp, |builder| builder.write_timeout(SOON));
    let mut client = Http2Client::connect(&told.server).without_credit();
    let (slow, to_slow) = told.open(&mut client);
    let window = 65_535;
    // The queue is full once the window is.
    while to_slow.try_send(vec![b'x'; 10_000]).is_ok() {}
    client.read_until("a window of content", |client| {
        client.reply(slow.stream).body_length() == window
    });
    assert_eq!(client.expect_reset(slow.stream), ErrorCode::Cancel);
    told.expect_ended(Close::LOST);
    client.give_credit(0, 1_000_000);
    let (mut socket, sender) = told.open(&mut client);
    sender.try_send("here").expect("there is room");
    socket.expect(&mut client, TEXT, "here");
}

#[test]
fn client_that_sends_much_is_slowed_by_its_window() {
    let gate = Gate::new();
    let waiter = Arc::new(gate.waiter());
    let open = move |socket: WebSocket| {
        let waiter = Arc::clone(&waiter);
        socket.on_message(move |sender, message| {
            waiter.wait();
            let _ = sender.try_send(message.len().to_string());
        })
    };
    let server = TestServer::spawn(|builder| builder.workers(4), handler(open));
    let mut client = Http2Client::connect(&server);
    client.expect_settings();
    let mut socket = Socket::open(&mut client);
    socket.send(&mut client, FINAL | TEXT, "first");
    gate.expect_arrived(1);
    // A function that blocks delays no other stream, and what arrives meanwhile is bounded.
    let rest = vec![0; usize::try_from(client.send_window(socket.stream)).expect("it is open")];
    client.send_body(socket.stream, rest, 0);
    let stream = client.get("/");
    client.expect_body(stream, "in HTTP");
    assert_eq!(client.send_window(socket.stream), 0);
    gate.open();
    // Those bytes are no frames.
    socket.expect(&mut client, TEXT, "5");
    let (kind, _) = socket.next(&mut client);
    assert_eq!(kind, CLOSE);
}

#[test]
fn flood_of_pings_ends_the_stream() {
    let server = TestServer::spawn(|builder| builder.write_timeout(SOON), handler(echo));
    let mut client = Http2Client::connect(&server).without_credit();
    let socket = Socket::open(&mut client);
    let pings = frame(FINAL | PING, [b'x'; 125]);
    let mut sent = 0;
    while client.reply(socket.stream).reset.is_none() {
        match client.send_window(socket.stream) >= pings.len() as i64 {
            true => {
                client.data(socket.stream, &pings, 0);
                sent += pings.len();
                assert!(sent < HUGE, "the server has not read everything");
            }
            false => drop(client.next_frame().expect("the connection is open")),
        }
    }
    assert_eq!(client.expect_reset(socket.stream), ErrorCode::Cancel);
    let stream = client.get("/");
    client.give_credit(0, 100_000);
    client.expect_body(stream, "in HTTP");
}

#[test]
fn silent_clients_are_pinged() {
    let options = Options::new()
        .ping_interval(Some(Duration::from_millis(1)))
        .ping_timeout(NEVER);
    let server = TestServer::spawn(
        |builder| builder.workers(1),
        move |request: Request| options.clone().accept(&request).map(echo),
    );
    let mut client = Http2Client::connect(&server);
    let mut socket = Socket::open(&mut client);
    for _ in 0..3 {
        socket.expect(&mut client, PING, "");
        socket.send(&mut client, FINAL | PONG, "");
    }
}

#[test]
fn access_log_has_the_opening_once() {
    let output = LogOutput::default();
    let log = AccessLog::start(AccessFormat::Combined, output.clone()).expect("it starts");
    let server = TestServer::spawn(|builder| builder.observer(log.lines()), handler(echo));
    let mut client = Http2Client::connect(&server);
    let mut socket = Socket::open(&mut client);
    socket.send(&mut client, FINAL | TEXT, "hello");
    socket.expect(&mut client, TEXT, "hello");
    drop(client);
    server.shut_down();
    log.finish();
    let text = output.text();
    assert!(text.contains("\"GET /ws HTTP/2.0\" 200"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}
