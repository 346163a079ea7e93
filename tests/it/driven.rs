use std::io::{self, ErrorKind, Read, Write};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use httpool::{
    DrivenProtocol, DrivenStream, DrivenWaker, Handler, IntoResponse, NextStep, Request, Upgrade,
};

use crate::support::{
    Client, End, HUGE, NEVER, SOON, TIMEOUT, TestServer, Transport, over_every_transport, request,
};

over_every_transport! {
    echo_works_byte_by_byte,
    bytes_behind_the_request_are_read_first,
    thread_wakes_its_connection,
    slow_reader_gets_everything,
    reader_that_stops_is_closed,
    protocol_is_called_at_its_deadline,
    panicking_protocol_closes_its_connection,
    closed_protocol_sends_the_rest,
    drain_waits_for_a_driven_protocol,
    driven_protocol_is_aborted_at_the_deadline,
    fast_client_leaves_others_their_turn,
    idle_connections_hold_no_worker,
}

const ASK: &str = "GET /echo HTTP/1.1\r\nHost: it\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n";

/// Gives back all bytes.
#[derive(Default)]
struct Echo {
    unsent: Vec<u8>,
}

impl Echo {
    fn echo(&mut self, stream: &mut DrivenStream<'_>) -> io::Result<bool> {
        loop {
            while !self.unsent.is_empty() {
                let count = stream.write(&self.unsent)?;
                self.unsent.drain(..count);
            }
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer)? {
                0 => return Ok(true),
                count => self.unsent.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

impl DrivenProtocol for Echo {
    fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep {
        next(self.echo(stream))
    }
}

/// Closes when `result` says so, and waits while the stream would block.
fn next(result: io::Result<bool>) -> NextStep {
    match result {
        Ok(false) => NextStep::Wait,
        Err(error) if error.kind() == ErrorKind::WouldBlock => NextStep::Wait,
        Ok(true) | Err(_) => NextStep::Close,
    }
}

/// A protocol made of a closure.
struct Calls<F>(F);

impl<F: FnMut(&mut DrivenStream<'_>) -> NextStep + Send + 'static> DrivenProtocol for Calls<F> {
    fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep {
        (self.0)(stream)
    }
}

/// Answers `/echo` with an upgrade to what `make` makes.
fn handler<P: DrivenProtocol>(
    make: impl Fn(DrivenWaker) -> P + Clone + Send + Sync + 'static,
) -> impl Handler {
    move |request: Request| match request.uri().path() {
        "/echo" => Upgrade::driven("test", make.clone()).into_response(),
        _ => "in HTTP".into_response(),
    }
}

fn echo_server(transport: Transport) -> TestServer {
    transport.spawn(|builder| builder.workers(1), handler(|_| Echo::default()))
}

/// A client whose connection has switched the protocol.
#[track_caller]
fn upgraded_client(server: &TestServer) -> Client {
    let mut client = server.connect();
    let response = client.send(ASK).expect_status(101);
    assert_eq!(response.header("upgrade"), Some("test"));
    client
}

fn close_counts(server: &TestServer, reason: &str) -> u64 {
    let mut close_counts = server.handle().close_counts();
    let ending = close_counts.find(|(known, _)| known.as_str() == reason);
    ending.expect("the reason exists").1
}

fn echo_works_byte_by_byte(transport: Transport) {
    let server = echo_server(transport);
    let mut client = upgraded_client(&server);
    for byte in b"byte by byte" {
        client.send([*byte]);
        assert_eq!(client.expect_bytes(1), [*byte]);
        server.expect_serving();
    }
    client.finish_sending().expect_closed();
    server.expect_open(0);
    assert_eq!(close_counts(&server, "upgraded"), 1);
    assert_eq!(server.shut_down().aborted, 0);
}

fn bytes_behind_the_request_are_read_first(transport: Transport) {
    let server = echo_server(transport);
    let mut client = server.connect();
    let content = vec![b'x'; 100_000];
    let sent = [&request::get("/")[..], ASK.as_bytes(), &content].concat();
    let sending = client.send_in_background(sent);
    client.expect_body("in HTTP");
    client.expect_status(101);
    assert!(client.expect_bytes(content.len()) == content);
    let sent = sending.join().expect("the sending thread does not panic");
    sent.expect("the server reads everything");
}

/// A way to a protocol of the test: what is sent here goes to the client, after a wake.
type Mailbox = (Sender<&'static [u8]>, DrivenWaker);

/// Sends what arrives in a channel, and closes when the server drains.
struct Mail(Receiver<&'static [u8]>);

impl DrivenProtocol for Mail {
    fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep {
        for part in self.0.try_iter() {
            stream.write_all(part).expect("there is room");
        }
        match stream.is_draining() {
            true => NextStep::Close,
            false => NextStep::Wait,
        }
    }
}

fn mailbox() -> (
    impl Fn(DrivenWaker) -> Mail + Clone + Send + Sync,
    Receiver<Mailbox>,
) {
    let (give, given) = unbounded();
    let make = move |waker| {
        let (sender, receiver) = unbounded();
        give.send((sender, waker)).expect("the test listens");
        Mail(receiver)
    };
    (make, given)
}

fn thread_wakes_its_connection(transport: Transport) {
    let (make, given) = mailbox();
    let server = transport.spawn(|builder| builder.workers(1), handler(make));
    let mut client = upgraded_client(&server);
    let (sender, waker) = given.recv_timeout(TIMEOUT).expect("it is made");
    for _ in 0..100 {
        sender.send(b"news").expect("the protocol lives");
        waker.wake();
        assert_eq!(client.expect_bytes(4), b"news");
    }
    let other = thread::spawn({
        let waker = waker.clone();
        move || (0..1000).for_each(|_| waker.wake())
    });
    other.join().expect("waking does not panic");
    server.handle().shutdown();
    client.expect_closed();
    assert_eq!(server.expect_end().aborted, 0);
    // The connection and the server have gone.
    waker.wake();
}

/// Sends `HUGE` bytes, however slowly they are taken.
fn sender_of_much() -> impl DrivenProtocol {
    let mut left = HUGE;
    let part = vec![b'x'; 64 * 1024];
    Calls(move |stream: &mut DrivenStream<'_>| {
        while left > 0 {
            match stream.write(&part[..left.min(part.len())]) {
                Ok(count) => left -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return NextStep::Wait,
                Err(_) => return NextStep::Close,
            }
        }
        NextStep::Close
    })
}

fn slow_reader_gets_everything(transport: Transport) {
    let make = |_| sender_of_much();
    let server = transport.spawn(|builder| builder.workers(1), handler(make));
    let mut client = upgraded_client(&server);
    server.expect_serving();
    assert_eq!(client.expect_bytes(1), b"x");
    server.expect_serving();
    let (rest, end) = client.read_rest();
    assert_eq!((rest.len(), end), (HUGE - 1, End::Closed));
    server.expect_open(0);
}

fn reader_that_stops_is_closed(transport: Transport) {
    let make = |_| sender_of_much();
    let server = transport.spawn(
        |builder| builder.workers(1).write_timeout(SOON),
        handler(make),
    );
    let client = upgraded_client(&server);
    server.expect_open(0);
    assert_eq!(close_counts(&server, "slow_reader"), 1);
    drop(client);
}

fn protocol_is_called_at_its_deadline(transport: Transport) {
    let make = |_| {
        let mut calls = 0;
        Calls(move |stream: &mut DrivenStream<'_>| {
            calls += 1;
            match calls {
                1 => NextStep::WaitUntil(stream.now() + Duration::from_millis(1)),
                _ => {
                    stream.write_all(b"time").expect("there is room");
                    NextStep::Close
                }
            }
        })
    };
    let server = transport.spawn(|builder| builder.workers(1), handler(make));
    let mut client = upgraded_client(&server);
    assert_eq!(client.read_rest(), (b"time".to_vec(), End::Closed));
}

fn panicking_protocol_closes_its_connection(transport: Transport) {
    let make = |_| {
        Calls(
            |stream: &mut DrivenStream<'_>| match stream.read(&mut [0]) {
                Ok(_) => panic!("a test asked for this"),
                Err(_) => NextStep::Wait,
            },
        )
    };
    let server = transport.spawn(|builder| builder.workers(1), handler(make));
    for _ in 0..3 {
        let mut client = upgraded_client(&server);
        client.send("x").read_rest();
    }
    server.expect_serving();
    server.expect_open(0);
    assert_eq!(close_counts(&server, "upgraded"), 3);
}

fn closed_protocol_sends_the_rest(transport: Transport) {
    let make = |_| {
        Calls(|stream: &mut DrivenStream<'_>| {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(0) => NextStep::Close,
                Ok(_) => {
                    stream.write_all(&[b'y'; 10_000]).expect("there is room");
                    NextStep::Close
                }
                Err(_) => NextStep::Wait,
            }
        })
    };
    let server = transport.spawn(|builder| builder.workers(1), handler(make));
    let mut client = upgraded_client(&server);
    // A reset for the unread bytes would destroy the response.
    client.send(vec![b'x'; 10_000]);
    assert_eq!(client.read_rest(), (vec![b'y'; 10_000], End::Closed));
}

fn drain_waits_for_a_driven_protocol(transport: Transport) {
    let (make, given) = mailbox();
    let server = transport.spawn(
        |builder| builder.workers(1).drain_timeout(NEVER),
        handler(make),
    );
    let mut client = upgraded_client(&server);
    let (sender, _) = given.recv_timeout(TIMEOUT).expect("it is made");
    sender.send(b"goodbye").expect("the protocol lives");
    server.handle().shutdown();
    assert_eq!(client.read_rest(), (b"goodbye".to_vec(), End::Closed));
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (1, 0));
}

fn driven_protocol_is_aborted_at_the_deadline(transport: Transport) {
    let server = transport.spawn(
        |builder| builder.workers(1).drain_timeout(SOON),
        handler(|_| Echo::default()),
    );
    let mut clients: Vec<_> = (0..3).map(|_| upgraded_client(&server)).collect();
    server.handle().shutdown();
    for client in &mut clients {
        assert_eq!(client.read_rest(), (Vec::new(), transport.end_on_abort()));
    }
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (3, 3));
    assert_eq!(report.abandoned_workers, 0);
}

/// On one worker, a client that sends without end does not keep it from others.
fn fast_client_leaves_others_their_turn(transport: Transport) {
    let make = |_| {
        Calls(|stream: &mut DrivenStream<'_>| {
            let mut buffer = [0; 64 * 1024];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => return NextStep::Close,
                    Ok(_) => {}
                    Err(error) => return next(Err(error)),
                }
            }
        })
    };
    let server = transport.spawn(|builder| builder.workers(1), handler(make));
    let mut fast = upgraded_client(&server);
    let sending = fast.send_in_background(vec![b'x'; 2 * HUGE]);
    while !sending.is_finished() {
        server.expect_serving();
    }
    let sent = sending.join().expect("the sending thread does not panic");
    sent.expect("the server reads everything");
}

fn idle_connections_hold_no_worker(transport: Transport) {
    let server = echo_server(transport);
    let mut clients: Vec<_> = (0..50).map(|_| upgraded_client(&server)).collect();
    server.expect_serving();
    for client in clients.iter_mut().rev() {
        client.send("x");
        assert_eq!(client.expect_bytes(1), b"x");
    }
    assert_eq!(
        server
            .handle()
            .close_counts()
            .map(|(_, count)| count)
            .sum::<u64>(),
        1
    );
}

#[test]
fn client_reset_closes_a_driven_protocol() {
    let server = echo_server(Transport::Tcp);
    for _ in 0..3 {
        upgraded_client(&server).reset();
    }
    server.expect_open(0);
    server.expect_serving();
}

/// While all workers are busy and requests are shed, a driven protocol waits for its turn.
#[test]
fn overload_does_not_shed_a_driven_protocol() {
    let (release, released) = bounded::<()>(0);
    let make = |_| Echo::default();
    let upgrade = handler(make);
    let server = Transport::Tcp.spawn(
        |builder| builder.workers(1).queue_timeout(SOON),
        move |mut request: Request| match request.uri().path() {
            "/block" => {
                let _ = released.recv();
                "released".into_response()
            }
            _ => upgrade.handle(&mut request),
        },
    );
    let mut clients: Vec<_> = (0..20).map(|_| upgraded_client(&server)).collect();
    let mut blocking = server.connect();
    blocking.get("/block");
    let mut shed = server.connect();
    for client in &mut clients {
        client.send("x");
    }
    // A request that waits as long gets its 503.
    shed.get("/").expect_status(503);
    drop(release);
    blocking.expect_body("released");
    for client in &mut clients {
        assert_eq!(client.expect_bytes(1), b"x");
    }
}
