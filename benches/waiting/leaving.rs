//! Clients that all leave at once, and a shutdown while all of them wait, with checks.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::Size;
use crate::handler::{LISTENERS, OPEN, SHUT_DOWN, WAITING};
use crate::serving::{Serving, send_request};

/// Times that all clients leave.
const ROUNDS: usize = 3;

/// The longest time until the server is as before, or has ended.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How much more memory the server may use after the last round than after the first.
const GROWTH: u64 = 4 * 1024 * 1024;

/// The content that clients wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Events.
    Listeners,
    /// A response that never comes.
    Waiting,
}

/// What a server uses without clients.
#[derive(Debug, PartialEq, Eq)]
struct Rest {
    descriptors: usize,
    threads: usize,
    listeners: u64,
    waiting: u64,
}

/// The figures of one server.
#[derive(serde::Serialize)]
struct Row {
    clients: usize,
    /// Milliseconds until the server is as before, after each round.
    listeners: Vec<f64>,
    waiting: Vec<f64>,
    /// Milliseconds of the shutdown.
    drain: f64,
}

/// Measures the server, and panics if anything remains or a client sees no orderly end.
pub(crate) fn measure(server: Serving, size: Size, is_json: bool) {
    let count = size.clients;
    // Every worker has its own buffers then.
    leave(
        &server,
        Kind::Listeners,
        connect(&server, Kind::Listeners, count / 10),
    );
    thread::sleep(Duration::from_millis(100));
    let rest = Rest::of(&server);
    let rounds = |kind| leave_again_and_again(&server, kind, count, &rest);
    let row = Row {
        clients: count,
        listeners: rounds(Kind::Listeners),
        waiting: rounds(Kind::Waiting),
        drain: drain(server, count).as_secs_f64() * 1e3,
    };
    row.print(is_json);
}

fn leave_again_and_again(server: &Serving, kind: Kind, count: usize, rest: &Rest) -> Vec<f64> {
    let mut memory = Vec::new();
    let times = (0..ROUNDS).map(|_| {
        let clients = connect(server, kind, count);
        let began = Instant::now();
        leave(server, kind, clients);
        rest.expect_again(server);
        let time = began.elapsed();
        // Those of earlier requests may close a moment later.
        eventually("only the connection of this request is open", || {
            server.figure(OPEN) == 1
        });
        memory.push(server.resident());
        time.as_secs_f64() * 1e3
    });
    let times = times.collect();
    let growth = memory[ROUNDS - 1].saturating_sub(memory[0]);
    assert!(
        growth < GROWTH,
        "{kind:?}: the memory grows by {growth} bytes"
    );
    times
}

/// Connects clients whose requests have all reached the server.
fn connect(server: &Serving, kind: Kind, count: usize) -> Vec<TcpStream> {
    let clients = (0..count).map(|_| {
        let mut client = server.connect();
        let request = format!("GET {} HTTP/1.1\r\nHost: bench\r\n\r\n", kind.path());
        client
            .write_all(request.as_bytes())
            .expect("the server takes a request");
        client
    });
    let clients = clients.collect();
    eventually("all clients wait", || {
        server.figure(kind.figure()) == count as u64
    });
    clients
}

/// Closes all connections: those of listeners in turn by a reset and as a program that ends. A client
/// that waits for a response might only have finished sending, so those are reset.
fn leave(server: &Serving, kind: Kind, clients: Vec<TcpStream>) {
    for (index, client) in clients.iter().enumerate() {
        if kind == Kind::Waiting || index % 2 == 0 {
            let set = SockRef::from(client).set_linger(Some(Duration::ZERO));
            set.expect("a socket has the option");
        }
    }
    drop(clients);
    eventually("all clients are gone", || server.figure(kind.figure()) == 0);
}

/// Shuts the server down while half of the clients listen and the others wait for delayed responses.
fn drain(mut server: Serving, count: usize) -> Duration {
    let mut listeners = connect(&server, Kind::Listeners, count / 2);
    let mut delayed: Vec<_> = (0..count / 2).map(|_| server.connect()).collect();
    for client in &mut delayed {
        // They are connected and known to the server.
        send_request(client);
    }
    for client in &mut delayed {
        let request = b"GET /later?1000 HTTP/1.1\r\nHost: bench\r\n\r\n";
        client
            .write_all(request)
            .expect("the server takes a request");
    }
    let began = Instant::now();
    server.figure(SHUT_DOWN);
    for (clients, end) in [
        (&mut listeners, "\r\n0\r\n\r\n"),
        (&mut delayed, "Hello, World!"),
    ] {
        for client in clients {
            let received = read_to_end(client);
            assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{received:?}");
            assert!(received.ends_with(end), "{received:?}");
        }
    }
    assert!(
        server.ends_within(TIMEOUT),
        "requests were aborted, or the drain takes too long"
    );
    began.elapsed()
}

/// Everything until an orderly end.
fn read_to_end(client: &mut TcpStream) -> String {
    let timeout = client.set_read_timeout(Some(TIMEOUT));
    timeout.expect("a socket has timeouts");
    let mut received = String::new();
    let read = client.read_to_string(&mut received);
    read.expect("the connection ends in order");
    received
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Self::Listeners => "/events?0",
            Self::Waiting => "/never",
        }
    }

    /// The path of the number of such clients.
    fn figure(self) -> &'static str {
        match self {
            Self::Listeners => LISTENERS,
            Self::Waiting => WAITING,
        }
    }
}

impl Rest {
    fn of(server: &Serving) -> Self {
        Self {
            listeners: server.figure(LISTENERS),
            waiting: server.figure(WAITING),
            descriptors: server.descriptors(),
            threads: server.threads(),
        }
    }

    fn expect_again(&self, server: &Serving) {
        eventually(&format!("the server is as before: {self:?}"), || {
            Self::of(server) == *self
        });
    }
}

impl Row {
    fn print(&self, is_json: bool) {
        if is_json {
            let row = serde_json::to_string(self).expect("numbers can be serialized");
            return println!("{row}");
        }
        let longest = |times: &[f64]| times.iter().fold(0.0_f64, |a, b| a.max(*b));
        println!(
            "{} clients leave at once, and nothing of them remains: listeners after {:.0} ms, requests \
             that wait after {:.0} ms\nshutdown with half of each: {:.0} ms, all end in order",
            self.clients,
            longest(&self.listeners),
            longest(&self.waiting),
            self.drain,
        );
    }
}

/// Polls until a condition holds.
fn eventually(description: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "not within {TIMEOUT:?}: {description}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}
