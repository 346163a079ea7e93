//! An honest client, which keeps to every rule and expects the same of the server.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A stream as the client sees it.
#[derive(Debug)]
struct Seen {
    /// What the client may still send, and whether it does.
    send: i64,
    is_sending: bool,
    /// What the server may still send.
    receive: i64,
    response: Response,
    /// What the server's handler holds of the content.
    held: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Response {
    Waiting,
    Begun,
    Ended,
}

struct Client {
    server: Server,
    streams: BTreeMap<u32, Seen>,
    next: u32,
    send: i64,
    receive: i64,
    initial_window: i64,
    /// What the client takes for the window of a new stream.
    server_window: i64,
}

#[derive(Debug, Clone)]
enum Step {
    Open {
        ended: bool,
    },
    Data {
        nth: usize,
        length: usize,
        padding: u8,
        end: bool,
    },
    Trailers {
        nth: usize,
    },
    Reset {
        nth: usize,
    },
    StreamCredit {
        nth: usize,
        bytes: u32,
    },
    Credit {
        bytes: u32,
    },
    InitialWindow {
        size: u32,
    },
    AcknowledgeSettings,
    Begin {
        nth: usize,
    },
    Pending {
        nth: usize,
        bytes: usize,
    },
    Send {
        most: usize,
        end: bool,
    },
    EndWithTrailers {
        nth: usize,
    },
    Release {
        nth: usize,
        bytes: usize,
    },
    Raise {
        nth: usize,
    },
    Discard {
        nth: usize,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let nth = || 0..20usize;
    prop_oneof![
        4 => any::<bool>().prop_map(|ended| Step::Open { ended }),
        6 => (nth(), 0..16_000usize, 0..20u8, prop::bool::weighted(0.2)).prop_map(
            |(nth, length, padding, end)| Step::Data { nth, length, padding, end }
        ),
        1 => nth().prop_map(|nth| Step::Trailers { nth }),
        1 => nth().prop_map(|nth| Step::Reset { nth }),
        3 => (nth(), 1..50_000u32).prop_map(|(nth, bytes)| Step::StreamCredit { nth, bytes }),
        3 => (1..50_000u32).prop_map(|bytes| Step::Credit { bytes }),
        1 => (0..200_000u32).prop_map(|size| Step::InitialWindow { size }),
        1 => Just(Step::AcknowledgeSettings),
        3 => nth().prop_map(|nth| Step::Begin { nth }),
        4 => (nth(), 0..50_000usize).prop_map(|(nth, bytes)| Step::Pending { nth, bytes }),
        6 => (0..50_000usize, prop::bool::weighted(0.2))
            .prop_map(|(most, end)| Step::Send { most, end }),
        1 => nth().prop_map(|nth| Step::EndWithTrailers { nth }),
        4 => (nth(), 0..30_000usize).prop_map(|(nth, bytes)| Step::Release { nth, bytes }),
        1 => nth().prop_map(|nth| Step::Raise { nth }),
        1 => nth().prop_map(|nth| Step::Discard { nth }),
    ]
}

impl Client {
    fn new(config: MuxConfig) -> Self {
        Self {
            server: Server::with(config, Policy::Wait),
            streams: BTreeMap::new(),
            next: 1,
            send: i64::from(config.connection_window),
            receive: 65_535,
            initial_window: 65_535,
            server_window: 65_535,
        }
    }

    /// A stream by a random number, if it is open for the client.
    fn nth(&self, nth: usize, is_fit: impl Fn(&Seen) -> bool) -> Option<u32> {
        let fit = self.streams.iter().filter(|(_, seen)| is_fit(seen));
        let fit: Vec<_> = fit.map(|(id, _)| *id).collect();
        fit.get(nth % fit.len().max(1)).copied()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Open { ended } if self.streams.len() < 90 => self.open(ended),
            Step::Data {
                nth,
                length,
                padding,
                end,
            } => self.send(nth, length, padding, end),
            Step::Trailers { nth } => {
                if let Some(stream) = self.nth(nth, |seen| seen.is_sending) {
                    self.seen(stream).is_sending = false;
                    self.server.receive(&trailers(stream));
                }
            }
            Step::Reset { nth } => {
                if let Some(stream) = self.nth(nth, |_| true) {
                    self.streams.remove(&stream);
                    self.server.receive(&rst_stream(stream, ErrorCode::Cancel));
                }
            }
            Step::StreamCredit { nth, bytes } => {
                if let Some(stream) = self.nth(nth, |_| true) {
                    self.seen(stream).receive += i64::from(bytes);
                    self.server.receive(&window_update(stream, bytes));
                }
            }
            Step::Credit { bytes } => {
                self.receive += i64::from(bytes);
                self.server.receive(&window_update(0, bytes));
            }
            Step::InitialWindow { size } => {
                let change = i64::from(size) - self.initial_window;
                self.initial_window += change;
                for seen in self.streams.values_mut() {
                    seen.receive += change;
                }
                self.server.receive(&settings(&[(4, size)]));
            }
            Step::AcknowledgeSettings => self.acknowledge(),
            _ => self.serve(step),
        }
        self.check_output();
    }

    fn seen(&mut self, stream: u32) -> &mut Seen {
        self.streams.get_mut(&stream).expect("it is open")
    }

    fn open(&mut self, ended: bool) {
        let stream = self.next;
        self.next += 2;
        let seen = Seen {
            send: self.server_window,
            is_sending: !ended,
            receive: self.initial_window,
            response: Response::Waiting,
            held: 0,
        };
        self.streams.insert(stream, seen);
        self.server.receive(&match ended {
            true => get(stream),
            false => post(stream),
        });
    }

    fn send(&mut self, nth: usize, length: usize, padding: u8, end: bool) {
        let Some(stream) = self.nth(nth, |seen| seen.is_sending) else {
            return;
        };
        let connection = self.send;
        let seen = self.seen(stream);
        let most = seen.send.min(connection) - i64::from(padding) - 1;
        let Ok(length) = usize::try_from(most.min(length as i64)) else {
            return;
        };
        let mut payload = vec![padding];
        payload.extend(vec![0; length + usize::from(padding)]);
        seen.send -= payload.len() as i64;
        seen.held += length;
        seen.is_sending = !end;
        self.send -= payload.len() as i64;
        let flags = PADDED | u8::from(end);
        self.server.receive(&frame(0, flags, stream, &payload));
    }

    /// The client learns of the server's SETTINGS.
    fn acknowledge(&mut self) {
        let window = i64::from(self.server.mux.config.stream_window);
        let change = window - self.server_window;
        self.server_window = window;
        for seen in self.streams.values_mut() {
            seen.send += change;
        }
        self.server.receive(&settings_ack());
    }

    fn serve(&mut self, step: &Step) {
        match *step {
            Step::Begin { nth } => {
                let is_fit = |seen: &Seen| seen.response == Response::Waiting;
                if let Some(stream) = self.nth(nth, is_fit) {
                    self.server.begin_open(stream);
                }
            }
            Step::Pending { nth, bytes } => {
                if let Some(stream) = self.nth(nth, |_| true) {
                    self.server.mux.set_pending(id(stream), Some(bytes));
                }
            }
            Step::Send { most, end } => {
                if let Some(stream) = self.server.mux.next_to_send() {
                    let length = self.server.mux.capacity(stream).min(most);
                    self.server.send(stream.get(), &vec![0; length], end);
                }
            }
            Step::EndWithTrailers { nth } => {
                let is_fit = |seen: &Seen| seen.response == Response::Begun;
                if let Some(stream) = self.nth(nth, is_fit) {
                    let out = &mut self.server.out;
                    let map = header_map("x-sum", "6");
                    self.server.mux.send_trailers(id(stream), &map, out);
                }
            }
            Step::Release { nth, bytes } => {
                if let Some(stream) = self.nth(nth, |_| true) {
                    let bytes = bytes.min(self.seen(stream).held);
                    self.seen(stream).held -= bytes;
                    let out = &mut self.server.out;
                    self.server.mux.release(id(stream), bytes, out);
                }
            }
            Step::Raise { nth } => {
                if let Some(stream) = self.nth(nth, |_| true) {
                    let out = &mut self.server.out;
                    self.server.mux.raise_window(id(stream), out);
                }
            }
            Step::Discard { nth } => {
                if let Some(stream) = self.nth(nth, |_| true) {
                    self.server.mux.discard(id(stream));
                }
            }
            _ => {}
        }
    }

    /// Reads what the server has sent as a strict client.
    fn check_output(&mut self) {
        assert_eq!(self.server.error, None);
        for line in self.server.trace() {
            let Some(line) = line.strip_prefix("> ") else {
                assert!(!line.ends_with("by server"), "{line}");
                continue;
            };
            let words: Vec<_> = line.split(' ').collect();
            let number = |at: usize| -> i64 { words[at].parse().expect("it is a number") };
            match words[0] {
                "SETTINGS" => {}
                "WINDOW_UPDATE" if number(1) == 0 => self.send += number(2),
                "WINDOW_UPDATE" => {
                    let seen = self.seen(number(1) as u32);
                    assert!(seen.is_sending, "{line}");
                    seen.send += number(2);
                }
                "RST_STREAM" => {
                    // The window is used up, and the response has ended.
                    assert_eq!(words[2], "NO_ERROR");
                    let seen = self
                        .streams
                        .remove(&(number(1) as u32))
                        .expect("it is open");
                    assert_eq!(seen.response, Response::Ended);
                    assert!(seen.send < 1024 && seen.is_sending, "{seen:?}");
                }
                "HEADERS" => {
                    let seen = self.seen(number(1) as u32);
                    let is_end = line.ends_with(" end");
                    let expected = match is_end {
                        true => Response::Begun,
                        false => Response::Waiting,
                    };
                    assert_eq!(seen.response, expected);
                    seen.response = match is_end {
                        true => Response::Ended,
                        false => Response::Begun,
                    };
                }
                "DATA" => {
                    let length = match words[2] {
                        "of" => number(3),
                        text => (text.len() as i64 - 2) / 4,
                    };
                    self.receive -= length;
                    let connection = self.receive;
                    let seen = self.seen(number(1) as u32);
                    seen.receive -= length;
                    assert!(
                        length == 0 || seen.receive >= 0 && connection >= 0,
                        "{line}"
                    );
                    assert_eq!(seen.response, Response::Begun);
                    if line.ends_with(" end") {
                        seen.response = Response::Ended;
                    }
                }
                _ => panic!("{line}"),
            }
        }
        self.streams
            .retain(|_, seen| seen.is_sending || seen.response != Response::Ended);
        let open: Vec<_> = self.server.mux.streams().map(|(id, _)| id.get()).collect();
        let seen: Vec<_> = self.streams.keys().copied().collect();
        assert_eq!(open, seen);
    }

    /// All that was sent is consumed, so the client may send at least half of each window.
    fn check_credit(&mut self) {
        self.acknowledge();
        self.check_output();
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            self.server
                .mux
                .release(id(stream), usize::MAX, &mut self.server.out);
        }
        self.check_output();
        let window = self.server_window;
        for (stream, seen) in &self.streams {
            let open = self
                .server
                .mux
                .streams
                .get(id(*stream))
                .expect("it is open");
            if open.request == RequestState::Receiving {
                assert_eq!(seen.send, i64::from(open.receive.available()));
                assert!(seen.send >= window / 2, "{seen:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn honest_client_and_server_agree(
        steps in prop::collection::vec(any_step(), 0..150),
        stream_window in prop_oneof![Just(65_536u32), 1000..200_000u32],
    ) {
        let config = MuxConfig { stream_window, ..MuxConfig::default() };
        let mut client = Client::new(config);
        for step in &steps {
            client.step(step);
        }
        client.check_credit();
    }
}
