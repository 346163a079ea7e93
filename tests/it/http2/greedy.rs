//! These tests run in their own process, because they count connections and need many descriptors.

use std::time::Duration;

use bytes::Bytes;
use httpool::http2::PREFACE;
use httpool::{Body, Request};

use crate::support::http2::{
    END_HEADERS, END_STREAM, Frame, Http2Client, header_block, kind, request_fields, setting,
};
use crate::support::{BoundServer, Client, HUGE, SOON, eventually, in_own_process};

/// Long enough for the good client, who sends all the time.
const IDLE: Duration = Duration::from_secs(1);

/// Streams of an attacker.
const STREAMS: u32 = 100;

/// A way to be slow or greedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behavior {
    /// Sends the preface without SETTINGS.
    Silent,
    /// Sends a head that does not end.
    SlowHead,
    /// Sends single bytes of many bodies.
    SlowBodies,
    /// Requests large responses and allows nothing of them.
    ZeroWindow,
    /// Requests large responses and allows single bytes of them.
    TinyWindows,
    /// Requests large responses, allows all of them and reads nothing.
    NeverReads,
    /// Requests and cancels.
    RapidReset,
    Pings,
    Settings,
    /// Sends small header blocks that become many headers.
    HeaderBombs,
    /// Resets the TCP connection in the middle of everything, and connects again.
    Reconnects,
}

const BEHAVIORS: [Behavior; 11] = [
    Behavior::Silent,
    Behavior::SlowHead,
    Behavior::SlowBodies,
    Behavior::ZeroWindow,
    Behavior::TinyWindows,
    Behavior::NeverReads,
    Behavior::RapidReset,
    Behavior::Pings,
    Behavior::Settings,
    Behavior::HeaderBombs,
    Behavior::Reconnects,
];

fn streams() -> impl Iterator<Item = u32> {
    (0..STREAMS).map(|number| 2 * number + 1)
}

fn get(stream: u32, target: &str) -> Frame {
    Frame::headers(stream, &request_fields("GET", target), END_STREAM)
}

impl Behavior {
    /// Connects and sends what it sends first.
    fn begin(self, client: Client) -> Attacker {
        let window = match self {
            Self::ZeroWindow | Self::TinyWindows => 0,
            _ => 0x7fff_ffff,
        };
        let settings = [(setting::INITIAL_WINDOW_SIZE, window)];
        let mut client = Http2Client::silent_over(client, &settings).without_credit();
        client.send(PREFACE);
        if self != Self::Silent {
            client.send_frame(&Frame::settings(&settings));
        }
        let frames: Vec<Frame> = match self {
            Self::SlowHead => {
                let block = header_block(&request_fields("GET", "/"));
                vec![Frame::new(kind::HEADERS, END_STREAM, 1, block)]
            }
            Self::SlowBodies => streams()
                .map(|stream| Frame::headers(stream, &request_fields("POST", "/"), 0))
                .collect(),
            Self::ZeroWindow | Self::TinyWindows | Self::Reconnects => {
                streams().map(|stream| get(stream, "/huge")).collect()
            }
            Self::NeverReads => std::iter::once(Frame::window_update(0, 0x7fff_0000))
                .chain(streams().map(|stream| get(stream, "/huge")))
                .collect(),
            _ => Vec::new(),
        };
        client.send_frames(&frames);
        Attacker {
            behavior: self,
            client,
            next: 1,
        }
    }
}

struct Attacker {
    behavior: Behavior,
    client: Http2Client,
    /// Its next stream, if it opens more.
    next: u32,
}

impl Attacker {
    /// Does a little more. The server may have closed the connection.
    fn advance(&mut self) {
        let mut next = || {
            self.next += 2;
            self.next - 2
        };
        let frames: Vec<Frame> = match self.behavior {
            Behavior::Silent | Behavior::ZeroWindow | Behavior::NeverReads => return,
            Behavior::Reconnects => return,
            Behavior::SlowHead => vec![Frame::new(kind::CONTINUATION, 0, 1, [0])],
            Behavior::SlowBodies => streams()
                .map(|stream| Frame::data(stream, "x", 0))
                .collect(),
            Behavior::TinyWindows => streams()
                .map(|stream| Frame::window_update(stream, 1))
                .collect(),
            Behavior::RapidReset => (0..20)
                .flat_map(|_| {
                    // A whole request could get its response before its reset is read.
                    let (stream, fields) = (next(), request_fields("POST", "/"));
                    let head = header_block(&fields);
                    let head = Frame::new(kind::HEADERS, END_HEADERS, stream, head);
                    [head, Frame::reset(stream, 8)]
                })
                .collect(),
            Behavior::Pings => vec![Frame::ping([0; 8]); 100],
            Behavior::Settings => vec![Frame::settings(&[]); 100],
            Behavior::HeaderBombs => {
                let bomb = [&b"\x40\x01a\0"[..], &[0xbe; 5_000]].concat();
                let block = [header_block(&request_fields("GET", "/")), bomb].concat();
                let flags = END_STREAM | END_HEADERS;
                vec![Frame::new(kind::HEADERS, flags, next(), block)]
            }
        };
        let _ = self.client.try_send_frames(&frames);
    }
}

#[test]
fn slow_clients_are_closed_beside_a_good_client() {
    const EACH: usize = 15;
    in_own_process(
        "http2::greedy::slow_clients_are_closed_beside_a_good_client",
        || {
            let huge = Bytes::from(vec![b'x'; HUGE]);
            let server = BoundServer::new(|builder| {
                let builder = builder.head_timeout(SOON).body_timeout(SOON);
                builder.write_timeout(SOON).idle_timeout(IDLE)
            });
            let mut good = Http2Client::over(server.connect(), &[]);
            let first = good.post("/", "first");
            let mut attackers: Vec<Attacker> = BEHAVIORS
                .repeat(EACH)
                .into_iter()
                .map(|behavior| behavior.begin(server.connect()))
                .collect();
            let mut accepted = 1 + attackers.len() as u64;
            let address = server.addresses()[0].clone();
            let server = server.run(move |request: Request| match request.uri().path() {
                "/huge" => Body::from(huge.clone()),
                _ => request.into_body(),
            });
            good.expect_body(first, "first");
            eventually("only the good client is left", || {
                for attacker in &mut attackers {
                    attacker.advance();
                }
                if server.handle().snapshot().open == 1 {
                    return true;
                }
                for attacker in &mut attackers {
                    if attacker.behavior == Behavior::Reconnects && accepted < 1_000 {
                        accepted += 1;
                        let new = attacker.behavior.begin(Client::connect(&address));
                        std::mem::replace(attacker, new).client.disconnect();
                    }
                }
                let beside = good.post("/", "beside");
                good.expect_body(beside, "beside");
                false
            });
            let last = good.post("/", "afterwards");
            good.expect_body(last, "afterwards");
            assert_eq!(good.goaways(), []);
            let snapshot = server.handle().snapshot();
            assert_eq!((snapshot.open, snapshot.accepted), (1, accepted));
            // What the good client's connection keeps.
            assert!(snapshot.buffered <= 1024, "{snapshot:?}");
            drop(attackers);
            assert_eq!(server.shut_down().aborted, 0);
        },
    );
}
