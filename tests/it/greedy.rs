//! These tests run in their own process: they need more descriptors than a process may have by
//! default.

use bytes::Bytes;
use httpool::{Body, Request};

use crate::support::{
    BoundServer, Client, HUGE, NEVER, SOON, describe, eventually, in_own_process, request,
};

/// Size of a response; no socket buffer holds a thousand of them.
const LARGE: usize = HUGE / 1_000;

/// A way to be slow or greedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behavior {
    /// Sends nothing.
    Silent,
    /// Sends this text, then single bytes.
    Trickles(&'static str),
    /// Sends a body in chunks of one byte.
    TinyChunks,
    /// Requests a huge response and does not read it.
    NeverReads,
    /// Requests a huge response and reads single bytes.
    ReadsSlowly,
    /// Pipelines requests and does not read.
    Pipelines,
    /// Sends endless headers.
    EndlessHeaders,
    /// Resets the connection and connects again.
    Reconnects,
}

const BEHAVIORS: [Behavior; 10] = [
    Behavior::Silent,
    Behavior::Trickles("GET / HTTP/1.1\r\nX: "),
    Behavior::Trickles("POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 1000000\r\n\r\n"),
    Behavior::Trickles("POST / HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n"),
    Behavior::TinyChunks,
    Behavior::NeverReads,
    Behavior::ReadsSlowly,
    Behavior::Pipelines,
    Behavior::EndlessHeaders,
    Behavior::Reconnects,
];

impl Behavior {
    fn begin(self, client: &mut Client) {
        match self {
            Self::Silent | Self::Reconnects => {}
            Self::Trickles(start) => drop(client.send(start)),
            Self::TinyChunks => drop(client.send(request::chunked_head("/"))),
            Self::NeverReads | Self::ReadsSlowly => drop(client.get("/huge")),
            Self::Pipelines => drop(client.send(request::get("/large").repeat(1_000))),
            // More than the limit for a head; otherwise a timeout would decide the status.
            Self::EndlessHeaders => drop(
                client
                    .send("GET / HTTP/1.1\r\n")
                    .send("X: y\r\n".repeat(4_000)),
            ),
        }
    }

    /// Does a little more. The server may have closed the connection.
    fn advance(self, client: &mut Client) {
        let _ = match self {
            Self::Silent | Self::NeverReads | Self::Reconnects => Ok(()),
            Self::Trickles(_) => client.try_send("x"),
            Self::TinyChunks => client.try_send("1\r\nx\r\n".repeat(10)),
            Self::ReadsSlowly => {
                client.expect_bytes(1);
                Ok(())
            }
            Self::Pipelines => client.try_send(request::get("/large")),
            Self::EndlessHeaders => client.try_send("X: y\r\n".repeat(100)),
        };
    }
}

#[test]
fn slow_clients_are_closed_beside_a_good_client() {
    const EACH: usize = 20;
    in_own_process(
        "greedy::slow_clients_are_closed_beside_a_good_client",
        || {
            let huge = Bytes::from(vec![b'x'; HUGE]);
            let server = BoundServer::new(|builder| {
                let builder = builder.head_timeout(SOON).body_timeout(SOON);
                builder.write_timeout(SOON).idle_timeout(NEVER)
            });
            let mut good = server.connect();
            let mut clients: Vec<(Behavior, Client)> = Vec::new();
            for behavior in BEHAVIORS.repeat(EACH) {
                let mut client = server.connect();
                behavior.begin(&mut client);
                clients.push((behavior, client));
            }
            good.post("/", "first");
            // All clients have connected before the server starts.
            let server = server.run(move |request: Request| match request.uri().path() {
                "/huge" => Body::from(huge.clone()),
                "/large" => Body::from(huge.slice(..LARGE)),
                _ => request.into_body(),
            });
            good.expect_body("first");
            let mut accepted = 1 + clients.len() as u64;
            eventually("only the good client is left", || {
                for (behavior, client) in &mut clients {
                    behavior.advance(client);
                }
                if server.handle().snapshot().open == 1 {
                    return true;
                }
                for (behavior, client) in &mut clients {
                    if *behavior == Behavior::Reconnects && accepted < 1_000 {
                        accepted += 1;
                        std::mem::replace(client, server.connect()).reset();
                    }
                }
                good.post("/", "beside").expect_body("beside");
                false
            });
            good.post("/", "afterwards").expect_body("afterwards");

            for (behavior, client) in &mut clients {
                match behavior {
                    Behavior::Trickles(_) | Behavior::TinyChunks => drop(client.expect_status(408)),
                    Behavior::EndlessHeaders => drop(client.expect_status(431)),
                    _ => {}
                }
            }
            let snapshot = server.handle().snapshot();
            assert_eq!((snapshot.open, snapshot.accepted), (1, accepted));
            assert_eq!(snapshot.buffered, 0);
            assert_eq!(server.shut_down().aborted, 0);
        },
    );
}

#[test]
fn a_flood_of_connections_is_served_in_order() {
    const MOST: usize = 10;
    const FLOOD: usize = 4 * MOST;
    let server = BoundServer::new(|builder| {
        let builder = builder.max_connections(MOST).head_timeout(SOON);
        builder.idle_timeout(NEVER)
    });
    let mut good = server.connect();
    good.get("/first");
    let flood: Vec<Client> = (0..FLOOD).map(|_| server.connect()).collect();
    let mut late = server.connect();
    late.get("/late");
    let server = server.run(describe);
    good.expect_body("GET /first ");
    eventually("the last queued client is accepted", || {
        good.get("/beside").expect_body("GET /beside ");
        let snapshot = server.handle().snapshot();
        assert!(snapshot.open <= MOST, "{snapshot:?}");
        snapshot.accepted == FLOOD as u64 + 2
    });
    late.expect_body("GET /late ");
    for mut silent in flood {
        silent.expect_closed();
    }
    server.expect_open(2);
}
