//! The scripts of the attackers.

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
}

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
    pub(crate) const ALL: [Self; 12] = [
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
    ];

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
        }
    }

    pub(super) fn script(self) -> Script {
        /// Bytes per beat of a flood.
        const FLOOD: usize = 64 * 1024;
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
        }
    }
}
