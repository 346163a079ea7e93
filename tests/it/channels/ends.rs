use std::sync::Mutex;
use std::thread;

use crossbeam_channel::bounded;
use httpool::{Body, BodySender, Request};

use super::{Channels, LIMIT, expect_chunk, expect_last_chunk};
use crate::sse::expect_head;
use crate::support::{
    End, Gate, HUGE, NEVER, SOON, TIMEOUT, TestServer, Transport, eventually, over_every_transport,
};

over_every_transport! {
    sender_learns_that_the_client_has_reset,
    sender_learns_that_the_client_has_closed,
    drain_waits_for_content,
    drain_aborts_a_waiting_response_at_the_deadline,
}

/// How many connections have closed for this reason.
fn close_count(server: &TestServer, reason: &str) -> u64 {
    let mut close_counts = server.handle().close_counts();
    let found = close_counts.find(|(known, _)| known.as_str() == reason);
    found.expect("the reason exists").1
}

fn sender_learns_that_the_client_has_reset(transport: Transport) {
    let channels = Channels::spawn(transport, |builder| builder.workers(1));
    let (client, sender) = channels.open();
    let (left, has_left) = bounded(1);
    sender.on_close(move || left.send(()).expect("the test waits"));
    channels.expect_busy(0);
    client.reset();
    assert_eq!(has_left.recv_timeout(TIMEOUT), Ok(()));
    assert!(sender.is_closed());
    assert!(sender.send("too late").is_err());
    channels.server.expect_open(0);
    assert_eq!(close_count(&channels.server, "client_left"), 1);
}

/// Over TCP this looks like a half-close until something is sent.
fn sender_learns_that_the_client_has_closed(transport: Transport) {
    let channels = Channels::spawn(transport, |builder| builder.workers(1));
    let (client, sender) = channels.open();
    drop(client);
    eventually("the sender is closed", || sender.send("news").is_err());
    channels.server.expect_open(0);
}

#[test]
fn blocked_sender_learns_that_the_client_has_left() {
    let channels = Channels::spawn(Transport::Tcp, |builder| {
        builder.workers(1).write_timeout(NEVER)
    });
    let (mut client, sender) = channels.open();
    let thread = thread::spawn(move || while sender.send(vec![b'x'; LIMIT]).is_ok() {});
    // The sender fills the buffers of both sockets, and then waits.
    client.expect_bytes(HUGE / 100);
    eventually("the content waits for the client", || {
        channels.server.handle().snapshot().buffered > 0
    });
    client.reset();
    thread.join().expect("sending does not panic");
    channels.server.expect_open(0);
    assert_eq!(channels.server.handle().snapshot().buffered, 0);
}

#[test]
fn slow_reader_gets_the_write_timeout() {
    let channels = Channels::spawn(Transport::Tcp, |builder| builder.write_timeout(SOON));
    let (mut waiting, idle) = channels.open();
    let (mut client, sender) = channels.open();
    // The client does not read. The last call waits until the server closes the connection.
    while sender.send(vec![b'x'; LIMIT]).is_ok() {}
    channels.server.expect_open(1);
    assert_eq!(close_count(&channels.server, "slow_reader"), 1);
    assert_eq!(client.read_rest().1, End::Reset);
    // Waiting for content has no timeout.
    idle.send("still here").expect("the client is there");
    expect_chunk(&mut waiting, "still here");
}

#[test]
fn failed_content_resets_the_connection() {
    for version in ["1.1", "1.0"] {
        let channels = Channels::spawn(Transport::Tcp, |builder| builder);
        let mut client = channels.server.connect();
        client.send(format!("GET /wait HTTP/{version}\r\nHost: it\r\n\r\n"));
        expect_head(&mut client);
        let sender = channels.sender();
        sender.send("a part").expect("the client is there");
        client.expect_bytes("a part".len());
        sender.fail();
        let (rest, end) = client.read_rest();
        assert_eq!(end, End::Reset, "{version}");
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{version}");
        channels.server.expect_serving();
    }
}

fn drain_waits_for_content(transport: Transport) {
    let channels = Channels::spawn(transport, |builder| builder.drain_timeout(NEVER));
    let (mut client, sender) = channels.open();
    assert!(!sender.is_draining());
    // A request that has arrived is answered, too.
    client.get("/beside");
    channels.server.begin_drain();
    assert!(sender.is_draining());
    sender.send("goodbye").expect("the client is there");
    expect_chunk(&mut client, "goodbye");
    drop(sender);
    expect_last_chunk(&mut client);
    assert!(client.expect_body("beside").announces_close());
    client.expect_closed();
    let report = channels.server.expect_end();
    assert_eq!((report.answered, report.aborted), (2, 0));
}

fn drain_aborts_a_waiting_response_at_the_deadline(transport: Transport) {
    let channels = Channels::spawn(transport, |builder| builder.drain_timeout(SOON));
    let open = [(); 3].map(|()| channels.open());
    channels.expect_busy(0);
    let report = channels.server.shut_down();
    assert_eq!((report.answered, report.aborted), (0, 3));
    assert_eq!(report.abandoned_workers, 0);
    for (mut client, sender) in open {
        assert!(sender.is_closed());
        let (rest, end) = client.read_rest();
        assert!(rest.is_empty(), "the body must be incomplete");
        // A Unix socket can't be reset.
        assert_eq!(end == End::Reset, transport != Transport::Unix);
    }
}

/// The server sheds requests, and no responses that have begun.
#[test]
fn overloaded_server_completes_waiting_responses() {
    let gate = Gate::new();
    let (senders, waiter) = (Mutex::new(Vec::new()), gate.waiter());
    let (new, opened) = bounded(10);
    let handler = move |request: Request| match request.uri().path() {
        "/wait" => {
            let (sender, body) = Body::channel(LIMIT);
            new.send(sender.clone()).expect("the test waits for it");
            senders.lock().expect("no thread panicked").push(sender);
            body
        }
        _ => {
            waiter.wait();
            Body::from("beside")
        }
    };
    let server = TestServer::spawn(
        |builder| builder.workers(1).queue_timeout(SOON).queue_limit(1),
        handler,
    );
    let mut waiting = server.connect();
    waiting.get("/wait");
    expect_head(&mut waiting);
    let sender: BodySender = opened.recv_timeout(TIMEOUT).expect("the handler is called");
    let mut busy = server.connect();
    busy.get("/busy");
    gate.expect_arrived(1);
    sender.send("late").expect("the client is there");
    // Requests that come later are shed, because the only worker is busy.
    for _ in 0..5 {
        server.connect().get("/shed").expect_status(503);
    }
    gate.open();
    expect_chunk(&mut waiting, "late");
    busy.expect_body("beside");
}
