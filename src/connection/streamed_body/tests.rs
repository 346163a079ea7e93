use std::cell::Cell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::http1::{Decoder, Event, Limits, RequestBuffer};

/// More than there is room for between a server and its client.
static LONG: [u8; 1 << 20] = [b'x'; 1 << 20];

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Both ends of a connection.
fn pair() -> (UnixStream, Socket) {
    let (client, ours) = UnixStream::pair().expect("a pair of sockets can be made");
    let deadlines = client.set_read_timeout(Some(PATIENCE));
    deadlines.expect("a socket can have a time limit");
    let ready = ours.set_nonblocking(true);
    ready.expect("a socket can be made non-blocking");
    (client, Socket::new(ours.into()))
}

/// What the body of five bytes behind a head with these fields is read from.
fn lent(socket: Socket, fields: &str, body_timeout: Duration) -> ChannelState {
    let (mut decoder, mut slot) = (Decoder::default(), RequestBuffer::default());
    let mut input = Input::with_capacity(4096);
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n{fields}\r\n");
    input.extend(head.as_bytes());
    let limits = Limits {
        head: head.len(),
        body: 0,
    };
    let event = decoder.decode_with(&mut input, &mut slot, &limits, |_| {
        Some(BodyMode::STREAMING)
    });
    assert_eq!(event, Ok(Event::Stream));
    ChannelState {
        socket,
        input,
        inflow: decoder.stream(&mut slot).expect("there is a body"),
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
fn an_interim_answer_goes_in_parts_if_there_is_no_room_for_it() {
    let (mut client, socket) = pair();
    let mut lent = lent(socket, "", PATIENCE);
    lent.interim = &LONG;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut told = vec![0; LONG.len()];
            client.read_exact(&mut told).expect("all of it comes");
            assert!(told == LONG);
            client.write_all(b"hello").expect("there is room");
        });
        let mut content = [0; 5];
        assert_eq!(lent.read(&mut content, || true), Ok(5));
        assert_eq!(&content, b"hello");
    });
}

#[test]
fn what_has_not_gone_of_an_interim_answer_in_its_time_is_kept() {
    let (mut client, socket) = pair();
    let mut lent = lent(socket, "", Duration::from_millis(10));
    lent.interim = &LONG;
    let failure = Failure::Refused(RequestError::BodyTimeout);
    for _ in 0..2 {
        assert_eq!(lent.read(&mut [0; 5], || true), Err(failure));
    }
    drop(lent.socket);
    let mut gone = Vec::new();
    client.read_to_end(&mut gone).expect("the connection ends");
    assert!(!gone.is_empty() && !lent.interim.is_empty());
    assert_eq!(gone.len() + lent.interim.len(), LONG.len());
}

/// A client that has so many bytes to read before, and has left no room, is told to continue when
/// it reads them.
#[track_caller]
fn check_told_to_continue(mut client: impl Read + Write + Send, before: usize, socket: Socket) {
    let mut lent = lent(socket, "Expect: 100-continue\r\n", PATIENCE);
    let looks = Cell::new(0);
    let (begin, begun) = mpsc::channel();
    let told = thread::scope(|scope| {
        let told = scope.spawn(move || {
            begun.recv().expect("the server waits");
            let mut told = vec![0; before + CONTINUE.len()];
            client.read_exact(&mut told)?;
            client.write_all(b"hello").map(|()| told)
        });
        let mut content = [0; 5];
        let read = lent.read(&mut content, || {
            looks.set(looks.get() + 1);
            // By the third time that it looks whether it may, it has waited.
            if looks.get() == 3 {
                begin.send(()).expect("the client waits");
            }
            true
        });
        assert_eq!((read, &content), (Ok(5), b"hello"));
        told.join().expect("a client does not panic")
    });
    assert!(told.is_ok_and(|told| told.ends_with(CONTINUE)));
}

#[test]
fn a_client_is_told_to_continue_when_there_is_room_for_it() {
    let (client, mut socket) = pair();
    let mut before = 0;
    loop {
        match socket.take(&[0; 4096]).expect("the client is there") {
            0 => break,
            count => before += count,
        }
    }
    check_told_to_continue(client, before, socket);
}

#[cfg(feature = "_tls")]
mod tls {
    use rustls::{ClientConfig, ClientConnection, Stream};

    use super::*;
    use crate::connection::tests::tls;
    use crate::net::Tls;
    use crate::net::transport::Handshake;

    /// Both ends of a connection after the handshake.
    fn agree(tls: &Tls, config: &Arc<ClientConfig>) -> (ClientConnection, UnixStream, Socket) {
        let (mut client, socket) = pair();
        let mut socket = socket.with_tls(tls.config()).expect("it is right");
        let mut session = tls::client(config);
        thread::scope(|scope| {
            scope.spawn(|| {
                while session.is_handshaking() {
                    session.complete_io(&mut client).expect("they agree");
                }
            });
            while socket.handshake().expect("they agree") != Handshake::Done {
                thread::yield_now();
            }
        });
        (session, client, socket)
    }

    /// Sends a byte, and says whether there was room for it.
    fn send_byte(socket: &mut Socket) -> bool {
        let taken = socket.take(b"x").expect("the client is there");
        assert_eq!(taken, 1);
        socket.send_rest().expect("the client is there")
    }

    #[test]
    fn a_client_is_told_to_continue_when_there_is_room_for_it() {
        let (tls, config) = tls::parties();
        // What finds no room stays with the session, so that another one shows how much there is.
        let (_session, _client, mut like_it) = agree(&tls, &config);
        let bytes = std::iter::from_fn(|| send_byte(&mut like_it).then_some(())).count();
        let (mut session, mut client, mut socket) = agree(&tls, &config);
        for _ in 0..bytes {
            assert!(send_byte(&mut socket));
        }
        check_told_to_continue(Stream::new(&mut session, &mut client), bytes, socket);
    }
}
