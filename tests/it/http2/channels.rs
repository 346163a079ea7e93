//! Responses whose content other threads send.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use httpool::http::{HeaderMap, HeaderValue};
use httpool::http2::ErrorCode;
use httpool::{Body, BodySender, Builder, IntoResponse, Request, Response, TrySendError};

use crate::support::http2::{Http2Client, setting};
use crate::support::{
    Gate, GateWaiter, NEVER, SOON, TIMEOUT, TestServer, Transport, eventually, over_every_transport,
};

over_every_transport! {
    content_of_another_thread_arrives,
    waiting_streams_leave_the_only_worker_free,
    reset_stream_closes_its_sender,
    blocked_sender_continues_when_the_client_reads,
    drain_waits_for_senders_and_tells_them,
}

/// The bytes that a channel keeps.
const LIMIT: usize = 64 * 1024;

/// A server whose responses to `/wait` are sent by the test.
struct Fed {
    server: TestServer,
    senders: Receiver<BodySender>,
}

/// Responds by channels to `/wait`, blocks at `/gate`, and responds at once to others.
fn respond(senders: &Sender<BodySender>, gate: &GateWaiter, request: &Request) -> Response {
    match request.uri().path() {
        "/wait" => {
            let (sender, body) = Body::channel(LIMIT);
            // Some tests end before their last response.
            let _ = senders.send(sender);
            body.into_response()
        }
        "/gate" => {
            gate.wait();
            "opened".into_response()
        }
        _ => "at once".into_response(),
    }
}

impl Fed {
    #[track_caller]
    fn new(configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::over(Transport::Tcp, configure)
    }

    #[track_caller]
    fn over(transport: Transport, configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::gated(transport, configure, &Gate::new())
    }

    #[track_caller]
    fn gated(
        transport: Transport,
        configure: impl FnOnce(Builder) -> Builder,
        gate: &Gate,
    ) -> Self {
        let (give, senders) = channel();
        let waiter = gate.waiter();
        let handler = move |request: Request| respond(&give, &waiter, &request);
        let server = transport.spawn(configure, handler);
        Self { server, senders }
    }

    fn connect(&self) -> Http2Client {
        Http2Client::connect(&self.server)
    }

    /// Opens a stream that waits.
    #[track_caller]
    fn open(&self, client: &mut Http2Client) -> (u32, BodySender) {
        let stream = client.get("/wait");
        let sender = self.senders.recv_timeout(TIMEOUT);
        (stream, sender.expect("the handler makes a channel"))
    }

    /// Opens this many streams that wait.
    #[track_caller]
    fn open_many(&self, client: &mut Http2Client, count: usize) -> Vec<(u32, BodySender)> {
        let opened = (0..count).map(|_| self.open(client)).collect();
        client.settle();
        opened
    }
}

#[track_caller]
fn send(sender: &BodySender, content: impl Into<Vec<u8>>) {
    sender.send(content.into()).expect("the client is there");
}

/// Reads until this much content has arrived in all.
#[track_caller]
fn expect_content(client: &mut Http2Client, stream: u32, length: usize) {
    client.read_until(&format!("{length} bytes"), |client| {
        client.reply(stream).body_length() >= length
    });
    assert_eq!(client.reply(stream).body_length(), length);
}

fn content_of_another_thread_arrives(transport: Transport) {
    let fed = Fed::over(transport, |builder| builder);
    let mut client = fed.connect();
    let (stream, sender) = fed.open(&mut client);
    client.read_until("the head", |client| client.reply(stream).response.is_some());
    let mut length = 0;
    for part in ["one ", "two ", "three "] {
        send(&sender, part);
        length += part.len();
        expect_content(&mut client, stream, length);
    }
    let other = thread::spawn(move || send(&sender, "four"));
    client.expect_body(stream, "one two three four");
    other.join().expect("sending does not panic");
}

fn waiting_streams_leave_the_only_worker_free(transport: Transport) {
    let fed = Fed::over(transport, |builder| builder.workers(1));
    let mut client = fed.connect();
    let waiting = fed.open_many(&mut client, 99);
    for _ in 0..3 {
        let stream = client.get("/");
        client.expect_body(stream, "at once");
    }
    let mut other = fed.connect();
    let stream = other.get("/");
    other.expect_body(stream, "at once");
    eventually("the worker is idle", || {
        fed.server.handle().snapshot().busy == 0
    });
    for (stream, sender) in waiting.into_iter().rev() {
        let text = format!("stream {stream}");
        send(&sender, &*text);
        drop(sender);
        client.expect_body(stream, text);
    }
}

fn reset_stream_closes_its_sender(transport: Transport) {
    let fed = Fed::over(transport, |builder| builder);
    let mut client = fed.connect();
    let (reset, gone) = fed.open(&mut client);
    let (stream, sender) = fed.open(&mut client);
    let (closed, is_closed) = channel();
    gone.on_close(move || closed.send(()).expect("the test waits"));
    client.reset(reset, ErrorCode::Cancel);
    let closed = is_closed.recv_timeout(TIMEOUT);
    closed.expect("the sender learns that its client has left");
    assert!(gone.is_closed());
    let late = gone.try_send("late");
    assert_eq!(late, Err(TrySendError::Closed("late".into())));
    assert!(!sender.is_closed());
    send(&sender, "the other");
    drop(sender);
    client.expect_body(stream, "the other");
}

/// The client gives no windows, so the queue of the sender fills.
fn blocked_sender_continues_when_the_client_reads(transport: Transport) {
    const PARTS: usize = 200;
    const PART: usize = 10_000;
    const WINDOW: usize = 65_535;
    let fed = Fed::over(transport, |builder| builder.write_timeout(NEVER));
    let mut client = fed.connect().without_credit();
    let (stream, sender) = fed.open(&mut client);
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let thread = thread::spawn(move || {
        for _ in 0..PARTS {
            send(&sender, vec![b'x'; PART]);
            count.fetch_add(PART, Ordering::SeqCst);
        }
    });
    expect_content(&mut client, stream, WINDOW);
    eventually("the queue is full", || {
        sent.load(Ordering::SeqCst) > WINDOW + LIMIT - PART
    });
    client.settle();
    // One part was taken from the queue and not sent in full.
    assert!(sent.load(Ordering::SeqCst) <= WINDOW + PART + LIMIT);
    let all = u32::try_from(PARTS * PART).expect("the content is small");
    client.give_credit(0, all).give_credit(stream, all);
    client.expect_body(stream, vec![b'x'; PARTS * PART]);
    thread.join().expect("the sender sends everything");
}

fn drain_waits_for_senders_and_tells_them(transport: Transport) {
    let fed = Fed::over(transport, |builder| builder.drain_timeout(NEVER));
    let mut client = fed.connect();
    let (stream, sender) = fed.open(&mut client);
    client.settle();
    assert!(!sender.is_draining());
    let (ended, other) = fed.open(&mut client);
    send(&other, "before");
    drop(other);
    client.expect_body(ended, "before");
    fed.server.begin_drain();
    client.expect_goaway(2);
    eventually("the sender learns of the drain", || sender.is_draining());
    send(&sender, "after");
    drop(sender);
    client.expect_body(stream, "after");
    client.client().finish_sending();
    client.expect_closed();
    let report = fed.server.expect_end();
    assert_eq!((report.answered, report.aborted), (2, 0));
}

#[test]
fn drain_aborts_waiting_streams_at_its_deadline() {
    let fed = Fed::new(|builder| builder.drain_timeout(SOON));
    let mut client = fed.connect();
    let waiting = fed.open_many(&mut client, 5);
    let report = fed.server.shut_down();
    assert_eq!((report.answered, report.aborted), (0, 5));
    assert!(waiting.iter().all(|(_, sender)| sender.is_closed()));
}

#[test]
fn trailers_follow_the_content_of_a_channel() {
    let fed = Fed::new(|builder| builder);
    let mut client = fed.connect();
    let (stream, sender) = fed.open(&mut client);
    send(&sender, "messages");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(0));
    sender.set_trailers(trailers);
    drop(sender);
    let reply = client.expect_reply(stream);
    let response = reply.response.expect("a response has headers");
    assert_eq!(response.body, b"messages");
    let trailers = reply.trailers.expect("the trailers follow");
    assert_eq!(trailers, [("grpc-status".to_owned(), "0".to_owned())]);
}

#[test]
fn failed_body_resets_its_stream_only() {
    let fed = Fed::new(|builder| builder);
    let mut client = fed.connect();
    let (stream, sender) = fed.open(&mut client);
    let (_, other) = fed.open(&mut client);
    send(&sender, "a part");
    expect_content(&mut client, stream, 6);
    sender.fail();
    assert_eq!(client.expect_reset(stream), ErrorCode::InternalError);
    assert!(!other.is_closed());
}

/// While the only worker is in a handler, the load shedder sends.
#[test]
fn content_is_sent_while_the_only_worker_is_blocked() {
    let gate = Gate::new();
    let configure = |builder: Builder| builder.workers(1).queue_timeout(NEVER);
    let fed = Fed::gated(Transport::Tcp, configure, &gate);
    let mut client = fed.connect();
    let (stream, sender) = fed.open(&mut client);
    let mut other = fed.connect();
    let held = other.get("/gate");
    gate.expect_arrived(1);
    for length in 1..5 {
        send(&sender, "x");
        expect_content(&mut client, stream, length);
    }
    drop(sender);
    client.expect_body(stream, "xxxx");
    gate.open();
    other.expect_body(held, "opened");
}

/// A client that does not read has the write timeout, and then its sender waits no longer.
#[test]
fn write_timeout_ends_the_wait_of_a_sender() {
    let fed = Fed::new(|builder| builder.write_timeout(SOON));
    let mut client = fed.connect().without_credit();
    let (stream, sender) = fed.open(&mut client);
    let part = vec![b'x'; 100_000];
    let thread = thread::spawn(move || while sender.send(part.clone()).is_ok() {});
    assert_eq!(client.expect_reset(stream), ErrorCode::Cancel);
    thread.join().expect("the sender gets an error");
    let stream = client.get("/");
    client.give_credit(0, 1000);
    client.expect_body(stream, "at once");
}

/// Its own window is large, and it takes that of the connection.
#[test]
fn bulk_content_does_not_delay_events_of_other_streams() {
    let fed = Fed::new(|builder| builder.write_timeout(NEVER));
    let settings = [(setting::INITIAL_WINDOW_SIZE, 10_000_000)];
    let client = Http2Client::connect_with(&fed.server, &settings);
    let mut client = client.without_credit();
    let (bulk, sender) = fed.open(&mut client);
    let (events, other) = fed.open(&mut client);
    let thread = thread::spawn(move || {
        for _ in 0..100 {
            send(&sender, vec![b'x'; 50_000]);
        }
    });
    expect_content(&mut client, bulk, 65_535);
    for number in 1..=20 {
        send(&other, "e");
        // The event waits for a window as the bulk does.
        client.settle();
        client.give_credit(0, 20_000);
        client.read_until("the event", |client| {
            client.reply(events).body_length() == number
        });
        let most = 65_535 + 20_000 * number;
        assert!(client.reply(bulk).body_length() <= most - number);
    }
    client.give_credit(0, 10_000_000);
    client.expect_body(bulk, vec![b'x'; 100 * 50_000]);
    thread.join().expect("the sender sends everything");
}

#[test]
fn a_thousand_streams_are_woken_at_once() {
    let fed = Fed::new(|builder| builder.workers(2));
    let mut clients: Vec<_> = (0..10).map(|_| fed.connect()).collect();
    let mut senders = Vec::new();
    let mut streams = Vec::new();
    for client in &mut clients {
        for (stream, sender) in fed.open_many(client, 100) {
            streams.push(stream);
            senders.push(sender);
        }
    }
    for round in 1..=3 {
        for sender in &senders {
            send(sender, "news");
        }
        for (client, streams) in clients.iter_mut().zip(streams.chunks(100)) {
            for stream in streams {
                expect_content(client, *stream, 4 * round);
            }
        }
    }
    drop(senders);
    for (client, streams) in clients.iter_mut().zip(streams.chunks(100)) {
        for stream in streams {
            client.expect_body(*stream, "newsnewsnews");
        }
    }
    eventually("all responses are counted", || {
        fed.server.handle().snapshot().answered == 1000
    });
}

#[test]
fn lost_connection_closes_a_thousand_senders() {
    let fed = Fed::new(|builder| builder.max_streams(1000).workers(2));
    for ends_in_order in [true, false] {
        let mut client = fed.connect();
        client.expect_settings();
        let waiting = fed.open_many(&mut client, 1000);
        let closes = Arc::new(AtomicUsize::new(0));
        for (_, sender) in &waiting {
            let closes = Arc::clone(&closes);
            sender.on_close(move || {
                closes.fetch_add(1, Ordering::SeqCst);
            });
        }
        match ends_in_order {
            true => drop(client),
            false => client.disconnect(),
        }
        fed.server.expect_open(0);
        eventually("every sender is told", || {
            closes.load(Ordering::SeqCst) == 1000
        });
        for (_, sender) in &waiting {
            assert!(sender.send("late").is_err());
        }
    }
}
