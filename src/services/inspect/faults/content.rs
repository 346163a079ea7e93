//! Content of faults: the parts of a body, cut off, slowed down or in chunks.

use std::io::{ErrorKind, Read as _};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{iter, mem};

use bytes::Bytes;

use super::spec::ChunkDefect;
use crate::message::Body;
use crate::message::body::{Polled, PolledReader, PolledSource};
use crate::message::waker::Wake;

/// The shortest time between two parts of content that drips. The server's timers are as precise.
const TICK: Duration = Duration::from_millis(10);

/// The most bytes that are read from a body at a time.
const PART: u64 = 16 * 1024;

/// No content.
pub(super) struct Nothing;

/// The content of a body from any source. The readers of the inspector never block.
pub(super) enum Parts {
    Polled(Box<PolledReader>),
    Read(Body),
}

/// The first bytes of content.
pub(super) struct Limited<S> {
    content: S,
    left: u64,
}

/// Content in the chunked coding with a defect.
pub(super) struct Chunks<S> {
    content: S,
    defect: ChunkDefect,
    step: ChunkStep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkStep {
    First,
    Next,
    End,
}

impl PolledSource for Nothing {
    fn attach(&mut self, _: Arc<dyn Wake>) {}

    fn poll(&mut self, _: Instant) -> Polled {
        Polled::End
    }
}

impl Parts {
    pub(super) fn of(mut body: Body) -> Self {
        match body.take_polled() {
            Some(reader) => Self::Polled(reader),
            None => Self::Read(body),
        }
    }
}

impl PolledSource for Parts {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        match self {
            Self::Polled(reader) => reader.attach(waker),
            Self::Read(_) => {}
        }
    }

    fn poll(&mut self, now: Instant) -> Polled {
        match self {
            Self::Polled(reader) => reader.poll(now),
            Self::Read(body) => read(body),
        }
    }

    fn client_finished(&mut self) {
        match self {
            Self::Polled(reader) => reader.client_finished(),
            Self::Read(_) => {}
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Polled(reader) => reader.held(),
            Self::Read(body) => body.as_bytes().len(),
        }
    }
}

fn read(body: &mut Body) -> Polled {
    let mut part = Vec::new();
    loop {
        return match body.by_ref().take(PART).read_to_end(&mut part) {
            Ok(0) => Polled::End,
            Ok(_) => Polled::Part(part.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Polled::Failed(error),
        };
    }
}

impl<S: PolledSource> Limited<S> {
    pub(super) fn new(content: S, bytes: u64) -> Self {
        let left = bytes;
        Self { content, left }
    }
}

impl<S: PolledSource> PolledSource for Limited<S> {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        self.content.attach(waker);
    }

    fn poll(&mut self, now: Instant) -> Polled {
        if self.left == 0 {
            return Polled::End;
        }
        match self.content.poll(now) {
            Polled::Part(mut part) => {
                part.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= part.len() as u64;
                Polled::Part(part)
            }
            other => other,
        }
    }

    fn client_finished(&mut self) {
        self.content.client_finished();
    }

    fn held(&self) -> usize {
        self.content.held()
    }
}

/// The content of a body of this length, spread over this time. The first part is sent at once, and the
/// last one at its end.
pub(super) fn dripping(mut body: Body, length: u64, time: Duration) -> Body {
    let (part, interval) = pace(length, time);
    let mut wait = Duration::ZERO;
    let parts = iter::from_fn(move || {
        let mut bytes = Vec::new();
        // A body that fails is incomplete, which its length shows.
        body.by_ref().take(part).read_to_end(&mut bytes).ok();
        let wait = mem::replace(&mut wait, interval);
        (!bytes.is_empty()).then(|| (wait, bytes.into()))
    });
    Body::from_sized_schedule(parts, length)
}

/// The size of the parts, and the time between two of them.
fn pace(length: u64, time: Duration) -> (u64, Duration) {
    let ticks = (time.as_nanos() / TICK.as_nanos()).clamp(1, u128::from(u32::MAX)) as u64;
    let part = length.div_ceil(ticks + 1).max(1);
    let intervals = length.div_ceil(part).saturating_sub(1).max(1);
    (part, time / u32::try_from(intervals).unwrap_or(u32::MAX))
}

impl<S: PolledSource> Chunks<S> {
    pub(super) fn new(content: S, defect: ChunkDefect) -> Self {
        let step = ChunkStep::First;
        Self {
            content,
            defect,
            step,
        }
    }
}

impl<S: PolledSource> PolledSource for Chunks<S> {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        self.content.attach(waker);
    }

    fn poll(&mut self, now: Instant) -> Polled {
        if self.step == ChunkStep::End {
            return Polled::End;
        }
        match self.content.poll(now) {
            Polled::Part(part) => {
                let is_first = self.step == ChunkStep::First;
                self.step = ChunkStep::Next;
                let is_short = is_first && self.defect == ChunkDefect::Short;
                Polled::Part(chunk(&part, part.len() - usize::from(is_short)))
            }
            Polled::End => {
                self.step = ChunkStep::End;
                match self.defect {
                    ChunkDefect::Size => Polled::Part(Bytes::from_static(b"size\r\n")),
                    ChunkDefect::Short => Polled::Part(Bytes::from_static(b"0\r\n\r\n")),
                    ChunkDefect::End => Polled::End,
                }
            }
            other => other,
        }
    }

    fn client_finished(&mut self) {
        self.content.client_finished();
    }

    fn held(&self) -> usize {
        self.content.held()
    }
}

/// A chunk that claims this size.
fn chunk(part: &[u8], size: usize) -> Bytes {
    [format!("{size:x}\r\n").as_bytes(), part, b"\r\n"]
        .concat()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All parts until the end, with the time after which each came.
    fn parts(mut source: impl PolledSource) -> Vec<(Duration, String)> {
        let start = Instant::now();
        let (mut now, mut parts) = (start, Vec::new());
        loop {
            match source.poll(now) {
                Polled::Part(part) => {
                    parts.push((now - start, String::from_utf8_lossy(&part).into_owned()));
                }
                Polled::Pending(until) => now = until.expect("the clock continues it"),
                Polled::End => return parts,
                Polled::Failed(error) => panic!("{error}"),
            }
        }
    }

    fn text(source: impl PolledSource) -> String {
        parts(source).into_iter().map(|(_, part)| part).collect()
    }

    fn body(text: &'static str) -> Parts {
        Parts::of(Body::from(text))
    }

    #[test]
    fn content_of_any_body_is_cut() {
        for length in 0..=6 {
            let expected = &"hello"[..5.min(length)];
            let limit = length as u64;
            assert_eq!(text(Limited::new(body("hello"), limit)), expected);
            let reader = Parts::of(Body::from_reader(&b"hello"[..]));
            assert_eq!(text(Limited::new(reader, limit)), expected);
            let (sender, channel) = Body::channel(100);
            sender.send("hello").expect("there is room");
            drop(sender);
            assert_eq!(text(Limited::new(Parts::of(channel), limit)), expected);
        }
    }

    #[test]
    fn content_drips_evenly_until_its_time_is_over() {
        let millis = Duration::from_millis;
        let parts_of = |text: &'static str, time| {
            let body = dripping(Body::from(text), text.len() as u64, time);
            assert_eq!(body.length(), Some(text.len() as u64));
            parts(Parts::of(body))
        };
        let owned = |parts: &[(u64, &str)]| -> Vec<_> {
            let owned = |(time, part): &(u64, &str)| (millis(*time), (*part).to_owned());
            parts.iter().map(owned).collect()
        };
        let expected = owned(&[(0, "ab"), (10, "cd"), (20, "ef")]);
        assert_eq!(parts_of("abcdef", millis(20)), expected);
        let expected = owned(&[(0, "ab"), (15, "cd"), (30, "e")]);
        assert_eq!(parts_of("abcde", millis(30)), expected);
        // Fewer bytes than ticks.
        let expected = owned(&[(0, "a"), (5_000, "b"), (10_000, "c")]);
        assert_eq!(parts_of("abc", millis(10_000)), expected);
        assert_eq!(parts_of("a", millis(300)), owned(&[(0, "a")]));
        assert_eq!(parts_of("", millis(300)), []);
        assert_eq!(parts_of("ab", Duration::ZERO).len(), 2);
    }

    #[test]
    fn chunks_have_their_defect() {
        for (defect, expected) in [
            (ChunkDefect::Size, "5\r\nhello\r\nsize\r\n"),
            (ChunkDefect::Short, "4\r\nhello\r\n0\r\n\r\n"),
            (ChunkDefect::End, "5\r\nhello\r\n"),
        ] {
            assert_eq!(text(Chunks::new(body("hello"), defect)), expected);
        }
        assert_eq!(text(Chunks::new(Nothing, ChunkDefect::End)), "");
    }
}
