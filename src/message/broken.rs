//! Responses that are broken on purpose, for tests of clients.
//!
//! A body of this kind tells the connection how to deviate from an ordinary response: which length the
//! head announces, which bytes follow it, and how the connection or the stream ends. Nothing else in
//! the server changes, so the head has all headers that it would otherwise have. Of the close, it says
//! something only if the response has `Connection: close`.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::body::{Body, Content, Polled, PolledReader, PolledSource};
use super::waker::Wake;

/// A response that is not sent as its head says.
pub(crate) struct Broken {
    pub(crate) head: BrokenHead,
    /// The length that the head announces. Without one, an HTTP/1.1 head announces chunks.
    pub(crate) length: Option<u64>,
    /// The bytes behind the head. HTTP/1.1 sends exactly these, without chunks around them.
    pub(crate) content: Box<dyn PolledSource>,
    pub(crate) end: BrokenEnd,
}

/// Whether the head is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokenHead {
    Sent,
    /// Nothing is sent at all, neither head nor content.
    Omitted,
}

/// The end, behind the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokenEnd {
    /// The connection closes in order. In HTTP/2 only the stream ends, if it has a head.
    Finish,
    /// The connection is reset.
    Reset,
    /// In HTTP/2 the stream is reset with the code of this number; otherwise the connection.
    ResetStream(u32),
    /// In HTTP/2 the connection closes behind a GOAWAY with the code of this number, which names the
    /// previous stream as the last one. Otherwise it closes in order.
    Goaway(u32),
}

/// The error of content after which the response is broken off.
#[derive(Debug)]
struct BreakOff(BrokenEnd);

/// Content with its end.
struct Ending {
    content: Box<dyn PolledSource>,
    end: BrokenEnd,
}

impl Broken {
    /// The content as a connection reads it. It fails at its end with an error that [names the
    /// end](BrokenEnd::of), unless it is to finish.
    pub(crate) fn into_reader(self, end: BrokenEnd) -> PolledReader {
        let content = self.content;
        PolledReader::new(Ending { content, end })
    }
}

impl BrokenEnd {
    /// The end that this error of a response's content stands for.
    #[cfg_attr(
        not(feature = "http2"),
        allow(dead_code, reason = "in HTTP/1.1 every end is the connection's")
    )]
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        let BreakOff(end) = error.get_ref()?.downcast_ref()?;
        Some(*end)
    }
}

impl PolledSource for Ending {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        self.content.attach(waker);
    }

    fn poll(&mut self, now: Instant) -> Polled {
        match (self.content.poll(now), self.end) {
            (Polled::End, BrokenEnd::Finish) => Polled::End,
            (Polled::End, end) => Polled::Failed(io::Error::other(BreakOff(end))),
            (polled, _) => polled,
        }
    }

    fn client_finished(&mut self) {
        self.content.client_finished();
    }

    fn held(&self) -> usize {
        self.content.held()
    }
}

impl From<Broken> for Body {
    fn from(broken: Broken) -> Self {
        Content::Broken(Box::new(broken)).into()
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broken")
            .field("head", &self.head)
            .field("length", &self.length)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for BreakOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response is broken off on purpose")
    }
}

impl Error for BreakOff {}
