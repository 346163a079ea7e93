use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use httpool::http::HeaderMap;
use httpool::sse::{Event, Events, last_event_id};
use httpool::{Phase, Request};

use crate::support::{
    BoundServer, Client, End, Gate, GateWaiter, NEVER, SOON, TestServer, Transport, eventually,
    over_every_transport,
};

over_every_transport! {
    closed_clients_release_their_workers_at_once,
    half_closed_client_gets_its_events,
}

/// The first request is answered with the events that are sent through the channel.
fn channel() -> (SyncSender<Event>, impl Fn(Request) -> Events) {
    let (sender, receiver) = sync_channel(1);
    (sender, responding_with(receiver))
}

/// Answers the first request with `events`, and later ones with none.
fn responding_with(events: Receiver<Event>) -> impl Fn(Request) -> Events {
    responding_with_changed(events, |events| events)
}

/// Like [`responding_with`], with `change` applied to the events.
fn responding_with_changed(
    events: Receiver<Event>,
    change: fn(Events) -> Events,
) -> impl Fn(Request) -> Events {
    let events = Mutex::new(Some(events));
    move |_| match events.lock().expect("no thread panicked").take() {
        Some(events) => change(Events::received(events)),
        None => Events::new([]),
    }
}

/// Reads a response head.
#[track_caller]
pub(crate) fn expect_head(client: &mut Client) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(client.expect_bytes(1));
    }
    String::from_utf8(head).expect("the head is ASCII")
}

/// Reads one chunk, which holds one event.
#[track_caller]
fn expect_event(client: &mut Client, event: &str) {
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    let part = client.expect_bytes(chunk.len());
    assert_eq!(String::from_utf8_lossy(&part), chunk);
}

#[test]
fn each_event_is_sent_at_once() {
    let (sender, handler) = channel();
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.get("/");
    let head = expect_head(&mut client);
    for header in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-store\r\n",
        "x-accel-buffering: no\r\n",
        "transfer-encoding: chunked\r\n",
    ] {
        assert!(head.contains(header), "{head}");
    }
    // Each event arrives before the next one is sent.
    for number in 0..3 {
        let event = Event::data("one\r\ntwo").name("news").id(number);
        sender.send(event).expect("the stream is open");
        let event = format!("event: news\nid: {number}\ndata: one\ndata: two\n\n");
        expect_event(&mut client, &event);
    }
    drop(sender);
    assert_eq!(client.expect_bytes(5), b"0\r\n\r\n");
    // The connection is kept.
    client.get("/").expect_body("");
}

#[test]
fn last_event_id_resumes_the_stream() {
    let numbers = |request: Request| {
        let last = last_event_id(request.headers()).and_then(|id| id.parse().ok());
        let first = last.map_or(0, |last: u64| last.saturating_add(1));
        Events::new((first..4).map(|number| Event::data("").id(number)))
    };
    let server = TestServer::spawn(|builder| builder, numbers);
    let mut client = server.connect();
    for (last, expected) in [
        ("2", "id: 3\ndata: \n\n"),
        ("18446744073709551615", ""),
        (
            "-1\u{fffd}",
            "id: 0\ndata: \n\nid: 1\ndata: \n\nid: 2\ndata: \n\nid: 3\ndata: \n\n",
        ),
    ] {
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: it\r\nLast-Event-ID: {last}\r\n\r\n"
        ));
        client.expect_body(expected);
    }
    assert_eq!(last_event_id(&HeaderMap::new()), None);
}

#[test]
fn blocking_iterator_holds_only_its_worker() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let handler = move |request: Request| {
        let waiter = (request.uri() == "/").then(|| waiter.clone());
        let events = ["a", "b"].map(Event::data);
        Events::new(
            events
                .into_iter()
                .inspect(move |_| waiter.iter().for_each(GateWaiter::wait)),
        )
    };
    let server = TestServer::spawn(|builder| builder.workers(2), handler);
    let mut client = server.connect();
    client.get("/");
    gate.expect_arrived(1);
    expect_head(&mut client);
    assert_eq!(server.handle().snapshot().busy, 1);
    server.expect_serving();
    gate.open();
    expect_event(&mut client, "data: a\n\n");
    expect_event(&mut client, "data: b\n\n");
    assert_eq!(client.expect_bytes(5), b"0\r\n\r\n");
}

#[test]
fn silent_stream_detects_a_closed_client() {
    let (sender, receiver) = sync_channel(0);
    let receiver = Mutex::new(Some(receiver));
    let handler = move |_: Request| {
        let receiver = receiver.lock().expect("no thread panicked").take();
        Events::received(receiver.expect("there is one request")).keep_alive(SOON)
    };
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.get("/");
    expect_head(&mut client);
    expect_event(&mut client, ": \n\n");
    client.reset();
    server.expect_open(0);
    eventually("the receiver is dropped", || {
        sender.try_send(Event::data("")) == Err(TrySendError::Disconnected(Event::data("")))
    });
}

/// Each stream occupies a worker while it waits for an event, and not after the client left.
fn closed_clients_release_their_workers_at_once(transport: Transport) {
    let senders = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&senders);
    let handler = move |request: Request| {
        if request.uri() == "/beside" {
            return Events::new([]);
        }
        let (sender, receiver) = sync_channel(1);
        kept.lock().expect("no thread panicked").push(sender);
        Events::received(receiver).keep_alive(NEVER)
    };
    let server = transport.spawn(|builder| builder.workers(8), handler);
    let clients = (0..8).map(|_| {
        let mut client = server.connect();
        client.get("/");
        expect_head(&mut client);
        client
    });
    let mut clients: Vec<Client> = clients.collect();
    eventually("all workers are busy", || {
        server.handle().snapshot().busy == 8
    });
    // One client resets its connection; the others close theirs, which looks like half-closing.
    clients.remove(0).reset();
    drop(clients);
    server.expect_serving();
    server.expect_open(0);
    for sender in &*senders.lock().expect("no thread panicked") {
        eventually("the receiver is dropped", || {
            matches!(
                sender.try_send(Event::data("")),
                Err(TrySendError::Disconnected(_))
            )
        });
    }
}

fn half_closed_client_gets_its_events(transport: Transport) {
    let (sender, receiver) = sync_channel(1);
    let handler = responding_with_changed(receiver, |events| events.keep_alive(NEVER));
    let server = transport.spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.get("/");
    expect_head(&mut client);
    client.finish_sending();
    expect_event(&mut client, ": \n\n");
    sender.send(Event::data("a")).expect("the stream is open");
    expect_event(&mut client, "data: a\n\n");
    drop(sender);
    assert_eq!(client.expect_bytes(5), b"0\r\n\r\n");
}

#[test]
fn iterator_stops_when_the_client_is_gone() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let handler = move |_: Request| {
        let (waiter, count) = (waiter.clone(), Arc::clone(&count));
        Events::new(std::iter::repeat_with(move || {
            count.fetch_add(1, Ordering::SeqCst);
            waiter.wait();
            Event::data("a")
        }))
    };
    let server = TestServer::spawn(|builder| builder.workers(1), handler);
    let mut client = server.connect();
    client.get("/");
    expect_head(&mut client);
    gate.expect_arrived(1);
    client.reset();
    gate.open();
    server.expect_open(0);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn end_when_ends_the_stream_on_drain() {
    let server = BoundServer::new(|builder| builder);
    let handle = server.handle();
    let (sender, receiver) = sync_channel(1);
    let receiver = Mutex::new(Some(receiver));
    let server = server.run(move |_: Request| {
        let receiver = receiver.lock().expect("no thread panicked").take();
        let handle = handle.clone();
        Events::received(receiver.expect("there is one request"))
            .end_when(move || handle.phase() > Phase::Running)
    });
    let mut client = server.connect();
    client.get("/");
    expect_head(&mut client);
    sender.send(Event::data("a")).expect("the stream is open");
    expect_event(&mut client, "data: a\n\n");
    server.begin_drain();
    let (rest, end) = client.read_rest();
    assert_eq!((&*rest, end), (&b"0\r\n\r\n"[..], End::Closed));
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (1, 0));
}

#[test]
fn endless_events_are_aborted_at_the_drain_deadline() {
    let (sender, handler) = channel();
    let server = TestServer::spawn(|builder| builder.drain_timeout(SOON), handler);
    let mut client = server.connect();
    client.get("/");
    expect_head(&mut client);
    server.handle().shutdown();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (0, 1));
    assert_eq!(report.abandoned_workers, 1);
    // The blocked worker ends when the channel is closed.
    drop(sender);
    let (rest, _) = client.read_rest();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the body must be incomplete");
}
