use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;

use crossbeam_channel::bounded;
use httpool::http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use httpool::{BodyMode, Handler, IntoResponse, Request, Response, Stream, Upgrade};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Error, Message, WebSocket};

use super::expect_close_count;
use crate::support::tls::{NAME, TlsServer};
use crate::support::{Client, Gate, HUGE, Random, SOON, TIMEOUT, request};

/// Echoes bodies that are read while they arrive, and upgrades to an echo protocol.
struct EchoHandler;

impl Handler for EchoHandler {
    fn handle(&self, request: &mut Request) -> Response {
        if request.headers().contains_key(UPGRADE) {
            return Upgrade::new("echo", |mut stream: Stream| {
                let mut part = [0; 1000];
                while let Ok(count @ 1..) = stream.read(&mut part) {
                    stream.write_all(&part[..count]).expect("the client reads");
                }
            })
            .into_response();
        }
        let mut content = Vec::new();
        let read = request.body_mut().read_to_end(&mut content);
        read.map(|_| content).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::STREAMING
    }
}

#[test]
fn streamed_bodies_and_upgrades_work_over_tls() {
    let secure = TlsServer::spawn(|builder| builder, EchoHandler);
    let body = Random::new(11).bytes(2 * 1024 * 1024 + 13);
    let mut client = secure.connect();
    client.post("/", &body).expect_body(&body);
    client.send(request::post_chunked("/", &body, 100_000));
    client.expect_body(&body);
    client.send(request::post_head("/", 5)).send("later");
    client.expect_body("later");
    client.send("GET / HTTP/1.1\r\nHost: it\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly");
    client.expect_status(101);
    assert_eq!(client.expect_bytes(5), b"early");
    for part in body.chunks(50_000).take(10) {
        client.send(part);
        assert!(client.expect_bytes(part.len()) == part);
    }
    client.finish_sending().expect_closed();
    secure.server.expect_open(0);
}

/// Echoes messages until the client closes the WebSocket.
fn echo(stream: Stream) {
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                socket.send(message).expect("the client reads");
            }
            // tungstenite answers pings and close frames itself.
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn websocket_works_over_tls() {
    let secure = TlsServer::spawn(
        |builder| builder,
        |request: Request| {
            let key = request.headers().get(SEC_WEBSOCKET_KEY);
            let accept = derive_accept_key(
                key.expect("the request is a WebSocket handshake")
                    .as_bytes(),
            );
            let headers = [(SEC_WEBSOCKET_ACCEPT, accept)];
            (headers, Upgrade::new("websocket", echo))
        },
    );
    let mut client = secure.connect();
    let (tls, socket) = client.tls_and_socket();
    let stream = rustls::Stream::new(tls, socket);
    let opened = tungstenite::client(format!("wss://{NAME}/"), stream);
    let (mut socket, response) = opened.expect("the server accepts the handshake");
    assert_eq!(response.status(), 101);
    let large = Random::new(5).bytes(300_000);
    for message in [Message::text("hello"), Message::text(""), large.into()] {
        socket.send(message.clone()).expect("a message can be sent");
        let reply = socket.read().expect("a message comes back");
        assert!(reply == message, "{} bytes came back", reply.len());
    }
    let ping = socket.send(Message::Ping("p".into()));
    ping.expect("the ping can be sent");
    let pong = socket.read().expect("a pong comes back");
    assert_eq!(pong, Message::Pong("p".into()));
    socket.close(None).expect("the close frame can be sent");
    let close = socket.read().expect("a close frame comes back");
    assert!(close.is_close(), "{close}");
    // A TLS connection closed without close_notify would be another error.
    let end = socket.read();
    assert!(matches!(end, Err(Error::ConnectionClosed)), "{end:?}");
    secure.server.expect_open(0);
    expect_close_count(&secure.server, "upgraded", 1);
}

/// A server that upgrades every request, and an upgraded client.
#[track_caller]
fn upgraded(serve: impl Fn(Stream) + Clone + Send + Sync + 'static) -> (TlsServer, Client) {
    let secure = TlsServer::spawn(
        |builder| builder,
        move |_: Request| Upgrade::new("x", serve.clone()),
    );
    let mut client = secure.connect();
    client.send("GET / HTTP/1.1\r\nHost: it\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    client.expect_status(101);
    (secure, client)
}

#[test]
fn timed_out_write_does_not_corrupt_the_next() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let (_secure, mut client) = upgraded(move |mut stream: Stream| {
        stream.set_write_timeout(Some(SOON));
        let late = stream.write_all(&vec![b'x'; HUGE]);
        assert_eq!(
            late.map_err(|error| error.kind()),
            Err(ErrorKind::WouldBlock)
        );
        waiter.wait();
        stream.set_write_timeout(None);
        assert_eq!(stream.write(b"goodbye").expect("the client reads"), 7);
        stream.finish().expect("the client reads");
    });
    gate.expect_arrived(1);
    gate.open();
    let mut rest = Vec::new();
    let (tls, socket) = client.tls_and_socket();
    let end = rustls::Stream::new(tls, socket).read_to_end(&mut rest);
    end.expect("the server sends close_notify");
    let content = rest
        .strip_suffix(b"goodbye")
        .expect("the last write comes last");
    assert!(
        content.iter().all(|byte| *byte == b'x'),
        "the content is corrupt"
    );
}

#[test]
fn finish_times_out_when_the_client_does_not_read() {
    let (sender, receiver) = bounded(1);
    let (_secure, _client) = upgraded(move |mut stream: Stream| {
        stream.set_write_timeout(Some(SOON));
        let late = stream.write_all(&vec![b'x'; HUGE]);
        late.expect_err("the client does not read");
        let end = stream.finish().map_err(|error| error.kind());
        sender.send(end).expect("the test waits");
    });
    assert_eq!(
        receiver.recv_timeout(TIMEOUT),
        Ok(Err(ErrorKind::WouldBlock))
    );
}

#[test]
fn stream_dropped_in_a_write_sends_no_close_notify() {
    let (secure, mut client) = upgraded(|mut stream: Stream| {
        stream.set_write_timeout(Some(SOON));
        let late = stream.write_all(&vec![b'x'; HUGE]);
        late.expect_err("the client does not read");
    });
    secure.server.expect_open(0);
    let mut rest = Vec::new();
    let (tls, socket) = client.tls_and_socket();
    let end = rustls::Stream::new(tls, socket).read_to_end(&mut rest);
    end.expect_err("the missing close_notify is an error");
}

#[test]
fn eof_without_close_notify_is_an_error() {
    for announced in [true, false] {
        let (sender, receiver) = bounded(1);
        let (_secure, mut client) = upgraded(move |mut stream: Stream| {
            let end = stream.read_to_end(&mut Vec::new());
            sender
                .send(end.map_err(|error| error.kind()))
                .expect("the test waits");
        });
        client.send("content");
        if announced {
            client.finish_sending();
        } else {
            let ended = client.socket().shutdown(Shutdown::Write);
            ended.expect("the connection is open");
        }
        let expected = if announced {
            Ok(7)
        } else {
            Err(ErrorKind::UnexpectedEof)
        };
        assert_eq!(receiver.recv_timeout(TIMEOUT), Ok(expected));
    }
}
