//! The same restarts with clients of HTTP/2.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use httpool::ListenAddr;
use httpool::http2::PREFACE;
use rustix::process::Signal;

use super::{
    Call, DRAINS, LONG_IDLE, Load, connect, drain_under, hand_over_a_shared_port,
    restart_behind_a_passed_socket,
};
use crate::support::http2::{END_STREAM, Frame};
use crate::support::{Http2Client, Program, Random};

/// Clients that send requests at the same time, several each.
const CLIENTS: usize = 16;

/// Requests that a client keeps open.
const OPEN: usize = 8;

/// One request of a connection in this many has a large body.
const LARGE_EVERY: usize = 64;

/// Larger than the first window of a stream.
const LARGE: usize = 200_000;

const FLAGS: [&str; 4] = ["--http2", "on", LONG_IDLE[0], LONG_IDLE[1]];

/// Half of the clients keep their connections.
const CALLS: [Call; 2] = [keep_requesting, keep_connecting];

/// Sends requests on one connection until the server announces its end. Then sends the next ones on
/// a new connection, and finishes those on the old one.
fn keep_requesting(load: &Load, address: &ListenAddr) -> bool {
    let mut requests = Requests::default();
    let mut current: Option<Connection> = None;
    loop {
        let next = Connection::start(address, &mut requests);
        // The new connection may wait in the queue until this server has ended.
        if let Some(leaving) = current.take() {
            leaving.finish(load, &mut requests);
        }
        let Some(next) = next else { return true };
        let Some(mut connection) = next.unless_reset(load, &mut requests) else {
            continue;
        };
        connection.keep_requesting(load, &mut requests);
        if load.is_over() {
            connection.finish(load, &mut requests);
            return false;
        }
        current = Some(connection);
    }
}

/// Like [`keep_requesting`], with a few requests on each connection.
fn keep_connecting(load: &Load, address: &ListenAddr) -> bool {
    let mut requests = Requests::default();
    while !load.is_over() {
        let Some(connection) = Connection::start(address, &mut requests) else {
            return true;
        };
        if let Some(connection) = connection.unless_reset(load, &mut requests) {
            connection.finish(load, &mut requests);
        }
    }
    false
}

/// The requests of one client. Each has a body of its own, which the server returns.
#[derive(Default)]
struct Requests {
    /// Requests that no server has accepted.
    refused: Vec<Vec<u8>>,
}

impl Requests {
    fn next(&mut self, length: usize) -> Vec<u8> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        if let Some(refused) = self.refused.pop() {
            return refused;
        }
        let mut body = NUMBER
            .fetch_add(1, Ordering::Relaxed)
            .to_string()
            .into_bytes();
        body.resize(length.max(body.len()), b'x');
        body
    }
}

struct Connection {
    http2: Http2Client,
    sent: usize,
    /// The bodies of the open requests.
    open: BTreeMap<u32, Vec<u8>>,
}

impl Connection {
    /// Connects, and sends the first requests before anything has arrived. `None` if the connection is
    /// refused.
    fn start(address: &ListenAddr, requests: &mut Requests) -> Option<Self> {
        let mut client = connect(address)?;
        // A failed write shows as a missing response.
        let _ = client.try_send([&PREFACE[..], &Frame::settings(&[]).encode()].concat());
        let mut connection = Self {
            http2: Http2Client::silent_over(client, &[]),
            sent: 0,
            open: BTreeMap::new(),
        };
        for _ in 0..OPEN {
            connection.send_next(requests);
        }
        Some(connection)
    }

    /// Waits for the first byte. If the connection is reset before, nothing was lost.
    fn unless_reset(mut self, load: &Load, requests: &mut Requests) -> Option<Self> {
        if self.http2.client().is_reset_early() {
            load.reset.fetch_add(1, Ordering::Relaxed);
            requests.refused.extend(self.open.into_values());
            return None;
        }
        Some(self)
    }

    /// Keeps requests open until the server announces its end, or the load is over.
    fn keep_requesting(&mut self, load: &Load, requests: &mut Requests) {
        while !load.is_over() && self.http2.goaways().is_empty() {
            while self.open.len() < OPEN {
                self.send_next(requests);
            }
            let open = &self.open;
            self.http2.read_until("a response or a GOAWAY", |http2| {
                let is_over = |stream| http2.reply(stream).is_over();
                !http2.goaways().is_empty() || open.keys().copied().any(is_over)
            });
            self.take_responses(load);
        }
    }

    fn send_next(&mut self, requests: &mut Requests) {
        self.sent += 1;
        let is_large = self.sent.is_multiple_of(LARGE_EVERY);
        let body = requests.next(if is_large { LARGE } else { 0 });
        let stream = self.http2.try_post("/", &body);
        self.open.insert(stream, body);
    }

    fn take_responses(&mut self, load: &Load) {
        let is_over = |stream: &u32| self.http2.reply(*stream).is_over();
        let over: Vec<u32> = self.open.keys().copied().filter(is_over).collect();
        for stream in over {
            let body = self.open.remove(&stream).expect("the stream is open");
            self.http2.expect_body(stream, body);
            load.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens no more streams, and waits for the open ones. Those above the last stream that a GOAWAY
    /// names were not handled and may be sent again.
    fn finish(mut self, load: &Load, requests: &mut Requests) {
        let open = &self.open;
        self.http2.read_until("the responses", |http2| {
            let is_over = |stream| http2.reply(stream).is_over() || stream > last_stream(http2);
            open.keys().copied().all(is_over)
        });
        let refused = self
            .open
            .split_off(&(last_stream(&self.http2).saturating_add(1)));
        load.repeated.fetch_add(refused.len(), Ordering::Relaxed);
        requests.refused.extend(refused.into_values());
        self.take_responses(load);
        if !self.http2.goaways().is_empty() {
            self.http2.expect_closed();
        }
    }
}

/// The highest stream that the server handles.
fn last_stream(http2: &Http2Client) -> u32 {
    http2
        .goaways()
        .last()
        .map_or(u32::MAX - 1, |goaway| goaway.last_stream)
}

#[test]
fn drain_under_many_streams_loses_nothing() {
    drain_under(CLIENTS, keep_requesting, &FLAGS);
}

#[test]
fn drain_under_new_http2_connections_answers_all_accepted() {
    drain_under(CLIENTS, keep_connecting, &FLAGS);
}

#[test]
fn restarts_behind_a_passed_socket_lose_no_stream() {
    restart_behind_a_passed_socket(CLIENTS, CALLS, &FLAGS);
}

#[test]
fn servers_sharing_a_port_lose_no_stream() {
    hand_over_a_shared_port(CLIENTS, CALLS, &FLAGS);
}

#[test]
fn drain_finishes_large_bodies_of_streams_in_both_directions() {
    const SIZE: usize = 4 * 1024 * 1024;
    let body = Random::new(7).bytes(SIZE);
    for _ in 0..DRAINS {
        let program = Program::spawn(&["--http2", "on", "--max-body", "10MiB"]);
        let mut client = Http2Client::over(program.connect(), &[]);
        let upload = client.open_post("/");
        client.send_body(upload, &body[..SIZE / 2], 0);
        let download = client.post("/", &body);
        client.read_until("a part of the response", |client| {
            client.reply(download).body_length() > 0
        });
        program.signal(Signal::TERM);
        program.expect_refused();
        client.send_body(upload, &body[SIZE / 2..], END_STREAM);
        for stream in [upload, download] {
            client.expect_body(stream, &body);
        }
        client.expect_closed();
        drop(client);
        program.expect_exit(0);
    }
}
