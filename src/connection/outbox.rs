//! Bytes on their way to a client.

use std::io;

use bytes::Bytes;

use crate::transport::Socket;

/// Bodies up to this size are copied behind their heads, so that many small answers leave in one
/// call; larger ones are sent from where they are.
const COPIED_BODY: usize = 8 * 1024;

/// Answers are gathered up to this many bytes before they are sent.
const GATHERED: usize = 64 * 1024;

/// Bytes sent before other connections get their turn, if a client reads as fast as that.
const SENT_PER_TURN: usize = 1024 * 1024;

/// Answers gathered to leave together: heads and small bodies in one buffer, at most one large
/// body behind it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    tail: Bytes,
    sent: usize,
    answers: u64,
}

/// Whether everything has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Everything has, and this many answers with it.
    All(u64),
    /// The client does not read fast enough; this many bytes went.
    Part(usize),
    /// The client reads on, but others have waited long enough.
    Enough,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.tail.is_empty()
    }

    /// Whether it must be sent before another answer can be gathered.
    pub(super) fn is_full(&self) -> bool {
        !self.tail.is_empty() || self.bytes.len() >= GATHERED
    }

    /// Where heads are appended.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.tail.is_empty(), "nothing may follow a large body");
        &mut self.bytes
    }

    /// Appends the body of the answer whose head was appended last.
    pub(super) fn push_body(&mut self, body: Bytes) {
        if body.len() <= COPIED_BODY {
            self.bytes().extend_from_slice(&body);
        } else {
            self.tail = body;
        }
    }

    /// Counts a whole answer.
    pub(super) fn push_answer(&mut self) {
        self.answers += 1;
    }

    /// How many answers have not left in full.
    pub(super) fn answers(&self) -> u64 {
        self.answers
    }

    pub(super) fn flush(&mut self, socket: &Socket) -> io::Result<Flushed> {
        let mut progress = 0;
        while !self.is_empty() {
            let first = self.bytes.get(self.sent..).unwrap_or_default();
            let second = &self.tail[self.sent.saturating_sub(self.bytes.len())..];
            let (first, second) = if first.is_empty() {
                (second, &[][..])
            } else {
                (first, second)
            };
            let left = first.len() + second.len();
            let count = socket.send(first, second)?;
            progress += count;
            self.sent += count;
            if count == 0 {
                return Ok(Flushed::Part(progress));
            }
            if count < left && progress >= SENT_PER_TURN {
                return Ok(Flushed::Enough);
            }
            if count == left {
                self.bytes.clear();
                self.tail = Bytes::new();
                self.sent = 0;
            }
        }
        Ok(Flushed::All(std::mem::take(&mut self.answers)))
    }

    /// What is left, in no more memory than it needs; this one is empty afterwards.
    pub(super) fn take(&mut self) -> Self {
        let mut left = std::mem::take(self);
        let gone = left.sent.min(left.bytes.len());
        left.bytes.drain(..gone);
        left.bytes.shrink_to_fit();
        left.sent -= gone;
        left
    }
}
