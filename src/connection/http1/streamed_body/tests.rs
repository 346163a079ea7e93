use std::cell::Cell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::http1::{Decoder, Event, Limits, RequestBuffer};

/// More than the buffers of both sockets hold.
static LONG: [u8; 1 << 20] = [b'x'; 1 << 20];

/// The longest time that a step may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Both ends of a connection.
fn pair() -> (UnixStream, Socket) {
    let (client, ours) = UnixStream::pair().expect("a pair of sockets can be made");
    let deadlines = client.set_read_timeout(Some(TIMEOUT));
    deadlines.expect("a socket can have a time limit");
    let ready = ours.set_nonblocking(true);
    ready.expect("a socket can be made non-blocking");
    (client, Socket::new(ours.into()))
}

/// The state for a body of five bytes behind a head with these headers.
fn open(socket: Socket, headers: &str, body_timeout: Duration) -> ChannelState {
    let (mut decoder, mut buffer) = (Decoder::default(), RequestBuffer::default());
    let mut input = Input::with_capacity(4096);
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n{headers}\r\n");
    input.extend(head.as_bytes());
    let limits = Limits {
        head: head.len(),
        body: 0,
    };
    let event = decoder.decode_with(&mut input, &mut buffer, &limits, |_| {
        Some(BodyMode::STREAMING)
    });
    assert_eq!(event, Ok(Event::Stream));
    ChannelState {
        socket,
        input,
        decoder: decoder.stream(&mut buffer).expect("there is a body"),
        waited: Duration::ZERO,
        interim: &[],
        failure: None,
        config: Config {
            body_timeout,
            ..Config::default()
        },
    }
}

#[test]
fn interim_response_is_sent_in_parts() {
    let (mut client, socket) = pair();
    let mut channel = open(socket, "", TIMEOUT);
    channel.interim = &LONG;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut received = vec![0; LONG.len()];
            client.read_exact(&mut received).expect("all of it comes");
            assert!(received == LONG);
            client.write_all(b"hello").expect("there is room");
        });
        let mut content = [0; 5];
        assert_eq!(channel.read(&mut content, || true), Ok(5));
        assert_eq!(&content, b"hello");
    });
}

#[test]
fn late_interim_response_keeps_its_unsent_rest() {
    let (mut client, socket) = pair();
    let mut channel = open(socket, "", Duration::from_millis(10));
    channel.interim = &LONG;
    let failure = Failure::Rejected(RequestError::BodyTimeout);
    for _ in 0..2 {
        assert_eq!(channel.read(&mut [0; 5], || true), Err(failure));
    }
    drop(channel.socket);
    let mut sent = Vec::new();
    client.read_to_end(&mut sent).expect("the connection ends");
    assert!(!sent.is_empty() && !channel.interim.is_empty());
    assert_eq!(sent.len() + channel.interim.len(), LONG.len());
}

/// A client that reads `before` bytes from a full socket receives the 100 response then.
#[track_caller]
fn check_continue(mut client: impl Read + Write + Send, before: usize, socket: Socket) {
    let mut channel = open(socket, "Expect: 100-continue\r\n", TIMEOUT);
    let checks = Cell::new(0);
    let (begin, begun) = mpsc::channel();
    let received = thread::scope(|scope| {
        let received = scope.spawn(move || {
            begun.recv().expect("the server waits");
            let mut received = vec![0; before + CONTINUE.len()];
            client.read_exact(&mut received)?;
            client.write_all(b"hello").map(|()| received)
        });
        let mut content = [0; 5];
        let read = channel.read(&mut content, || {
            checks.set(checks.get() + 1);
            // At the third check, the read has already waited.
            if checks.get() == 3 {
                begin.send(()).expect("the client waits");
            }
            true
        });
        assert_eq!((read, &content), (Ok(5), b"hello"));
        received.join().expect("a client does not panic")
    });
    assert!(received.is_ok_and(|received| received.ends_with(CONTINUE)));
}

#[test]
fn client_receives_100_once_there_is_room() {
    let (client, mut socket) = pair();
    let mut before = 0;
    loop {
        match socket.write(&[0; 4096]).expect("the client is there") {
            0 => break,
            count => before += count,
        }
    }
    check_continue(client, before, socket);
}

#[cfg(feature = "_tls")]
mod tls {
    use rustls::{ClientConfig, ClientConnection, Stream};

    use super::*;
    use crate::connection::tests::tls;
    use crate::net::transport::Handshake;
    use crate::net::{Alpn, Tls};

    /// Both ends of a connection after the handshake.
    fn handshake(tls: &Tls, config: &Arc<ClientConfig>) -> (ClientConnection, UnixStream, Socket) {
        let (mut client, socket) = pair();
        let mut socket = socket
            .with_tls(tls.config(Alpn::Http1))
            .expect("the configuration is valid");
        let mut session = tls::client(config);
        thread::scope(|scope| {
            scope.spawn(|| {
                while session.is_handshaking() {
                    session
                        .complete_io(&mut client)
                        .expect("the handshake succeeds");
                }
            });
            while socket.handshake().expect("the handshake succeeds") != Handshake::Done {
                thread::yield_now();
            }
        });
        (session, client, socket)
    }

    /// Sends a byte, and returns whether the socket had room for it.
    fn send_byte(socket: &mut Socket) -> bool {
        let taken = socket.write(b"x").expect("the client is there");
        assert_eq!(taken, 1);
        socket.flush().expect("the client is there")
    }

    #[test]
    fn client_receives_100_once_there_is_room() {
        let (tls, config) = tls::parties();
        // The session keeps bytes without room, so a second connection measures the room.
        let (_session, _client, mut other) = handshake(&tls, &config);
        let bytes = std::iter::from_fn(|| send_byte(&mut other).then_some(())).count();
        let (mut session, mut client, mut socket) = handshake(&tls, &config);
        for _ in 0..bytes {
            assert!(send_byte(&mut socket));
        }
        check_continue(Stream::new(&mut session, &mut client), bytes, socket);
    }
}
