//! What each kind of attacker does.

use crate::serving::LARGE;

/// A kind of attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Manner {
    /// Connects and sends nothing.
    Silent,
    /// Sends a head without end, one byte a beat.
    SlowHead,
    /// Sends nearly as long a head as is allowed, and then one byte a beat.
    LongHead,
    /// Sends a body, one byte a beat.
    SlowBody,
    /// Sends a head of many long fields, and then a body, one byte a beat.
    LongHeadAndBody,
    /// Sends nearly all of a large body, and then nothing.
    LargeBody,
    /// Sends a body in chunks of one byte, a thousand bytes a beat.
    TinyChunks,
    /// Asks for a large answer and takes nothing of it.
    NoReader,
    /// Asks for a large answer and takes so little of it that it never stops for long.
    SlowReader,
    /// Sends requests without end and takes no answer.
    Pipeliner,
    /// Sends header fields without end.
    HeaderFlood,
    /// Connects, and leaves a beat later.
    Visitor,
}

/// What an attacker does with its connection.
#[derive(Debug)]
pub(super) struct Script {
    /// Sent first, as fast as it is taken.
    pub(super) start: Vec<u8>,
    /// Sent afterwards, again and again.
    pub(super) more: Vec<u8>,
    /// Bytes of `more` that are sent in a beat.
    pub(super) share: usize,
    pub(super) reading: Reading,
    /// Beats after which it leaves; otherwise it stays for as long as it can.
    pub(super) beats: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    All,
    /// At most this many bytes a beat.
    Sips(usize),
    Nothing,
}

impl Manner {
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
        /// As much as a flood sends in a beat.
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
