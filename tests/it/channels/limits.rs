//! Clients that read too slowly, and content beyond the memory budget.

use std::io::Read;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use httpool::{BodySender, Builder};

use super::{Channels, LIMIT, expect_chunk};
use crate::support::http2::{Frame, kind, setting};
use crate::support::{Client, Http2Client, NEVER, SOON, TestServer, Transport, eventually};

/// Far above the rate of any client in these tests.
const FAST: usize = 1_000_000_000;

/// Between two reads of a client that is too slow. A busy machine makes it slower still.
const PAUSE: Duration = Duration::from_millis(10);

/// The memory of all connections: room for two channels.
const BUDGET: usize = 2 * LIMIT;

/// Responses whose channels are at their limits.
const RESPONSES: usize = 40;

fn with_minimum_rate(builder: Builder) -> Builder {
    let builder = builder.write_timeout(NEVER).idle_timeout(NEVER);
    builder.min_rate(FAST).min_rate_grace(SOON)
}

/// Sends until the response has ended.
fn send_without_end(sender: BodySender) -> JoinHandle<()> {
    thread::spawn(move || while sender.send(vec![b'x'; 16 * 1024]).is_ok() {})
}

#[test]
fn reader_below_the_minimum_rate_is_closed() {
    let channels = Channels::spawn(Transport::Tcp, with_minimum_rate);
    let (mut waiting, idle) = channels.open();
    let (mut client, sender) = channels.open();
    let sending = send_without_end(sender);
    // It reads all the time, but takes longer than the grace for what the server has ready.
    let mut part = [0; 1000];
    while let Ok(1..) = client.socket().read(&mut part) {
        thread::sleep(PAUSE);
    }
    sending.join().expect("the sender gets an error");
    channels.server.expect_open(1);
    // A response that waits for content is not slow.
    idle.send("still here").expect("the client is there");
    expect_chunk(&mut waiting, "still here");
}

#[test]
fn stream_below_the_minimum_rate_is_reset() {
    let channels = Channels::spawn(Transport::Tcp, with_minimum_rate);
    let mut client = Http2Client::connect(&channels.server).without_credit();
    let waiting = client.get("/wait");
    let idle = channels.sender();
    let slow = client.get("/wait");
    let sending = send_without_end(channels.sender());
    while client.reply(slow).reset.is_none() {
        client.give_credit(slow, 100).give_credit(0, 100).settle();
        thread::sleep(PAUSE);
    }
    sending.join().expect("the sender gets an error");
    idle.send("still here").expect("the stream is open");
    drop(idle);
    client.give_credit(0, 1000);
    client.expect_body(waiting, "still here");
}

/// Checks that the channels of these responses, whose clients do not read, use no more than the budget,
/// and that all of it is free afterwards. What has come since a connection was last driven counts when
/// it is driven again, which `nudge` sees to.
fn use_up_budget<C>(
    server: &TestServer,
    senders: Vec<BodySender>,
    mut clients: C,
    nudge: impl Fn(&mut C),
) {
    let sending: Vec<_> = senders.into_iter().map(send_without_end).collect();
    let buffered = || server.handle().snapshot().buffered;
    eventually("a connection is closed for its memory", || {
        assert!(buffered() <= BUDGET);
        nudge(&mut clients);
        let mut closed = server.handle().close_counts();
        closed.any(|(reason, count)| reason.as_str() == "buffer_limit" && count > 0)
    });
    // What arrives in one piece needs no budget.
    for _ in 0..100 {
        server.connect().get("/").expect_body("beside");
        assert!(buffered() <= BUDGET);
    }
    drop(clients);
    for sending in sending {
        sending.join().expect("the sender gets an error");
    }
    server.expect_open(0);
    assert_eq!(buffered(), 0);
}

fn with_budget(builder: Builder) -> Builder {
    let builder = builder.write_timeout(NEVER).min_rate_grace(NEVER);
    builder.max_buffered_memory(BUDGET)
}

#[test]
fn channels_at_their_limits_stay_within_the_budget() {
    // The buffers of these sockets are small.
    let channels = Channels::spawn(Transport::Unix, with_budget);
    let open: Vec<_> = (0..RESPONSES).map(|_| channels.open()).collect();
    let (clients, senders): (Vec<Client>, _) = open.into_iter().unzip();
    use_up_budget(&channels.server, senders, clients, |_| {});
}

#[test]
fn channels_of_streams_at_their_limits_stay_within_the_budget() {
    let channels = Channels::spawn(Transport::Tcp, with_budget);
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut clients: Vec<_> = (0..2)
        .map(|_| Http2Client::connect_with(&channels.server, &settings))
        .collect();
    let senders = clients.iter_mut().flat_map(|client| {
        let streams: Vec<_> = (0..RESPONSES / 2).map(|_| client.get("/wait")).collect();
        streams.into_iter().map(|_| channels.sender())
    });
    let senders = senders.collect();
    let ping = Frame::new(kind::PING, 0, 0, [0; 8]);
    use_up_budget(&channels.server, senders, clients, |clients| {
        for client in clients {
            // The server may have closed it.
            let _ = client.try_send_frames(std::slice::from_ref(&ping));
        }
    });
}
