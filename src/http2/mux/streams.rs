//! The open streams of a connection.

use std::mem;
use std::time::Instant;

use crate::http2::{ErrorCode, Priority, ReceiveWindow, SendWindow, StreamId};

/// A stream from its HEADERS until both sides have ended it, or one has reset it.
#[derive(Debug)]
pub(super) struct Stream<T> {
    pub(super) id: StreamId,
    pub(super) request: RequestState,
    /// Only DATA may follow its head, because it is an extended CONNECT.
    pub(super) is_tunnel: bool,
    pub(super) response: ResponseState,
    /// The missing part of the announced Content-Length.
    pub(super) content_left: Option<u64>,
    pub(super) receive: ReceiveWindow,
    /// The part of a DATA frame that has not arrived: content and padding.
    pub(super) arriving: u32,
    /// By how much the receive window was raised.
    pub(super) raised: u32,
    pub(super) send: SendWindow,
    pub(super) priority: Priority,
    /// Content that is ready to be sent, and how much there is at least.
    pub(super) pending: Option<usize>,
    /// When the stream got to send last, by a counter of turns.
    pub(super) last_turn: u64,
    /// The time when its HEADERS arrived.
    pub(super) since: Option<Instant>,
    pub(super) data: T,
}

/// What the client still sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestState {
    /// Content or trailers, which the caller receives.
    Receiving,
    /// Content that is discarded.
    Discarding,
    /// Nothing: the client has ended the stream.
    Ended,
}

/// What the server still sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseState {
    /// The head and what follows. A rejected request is reset with this code afterwards.
    Waiting { then: Option<ErrorCode> },
    /// Content or trailers.
    Sending { then: Option<ErrorCode> },
    /// Nothing.
    Ended,
}

/// The streams by their numbers. A client opens them in ascending order, so a new one is the last.
#[derive(Debug)]
pub(super) struct Streams<T> {
    streams: Vec<Stream<T>>,
}

impl<T> Default for Streams<T> {
    fn default() -> Self {
        Self {
            streams: Vec::new(),
        }
    }
}

/// Memory for streams, which connections without streams leave to others.
#[derive(Debug)]
pub struct StreamMemory<T>(Vec<Stream<T>>);

impl<T> Default for StreamMemory<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Streams<T> {
    /// Adds a stream whose number is higher than all others.
    pub(super) fn push(&mut self, stream: Stream<T>) {
        debug_assert!(self.streams.last().is_none_or(|last| last.id < stream.id));
        if self.streams.capacity() == 0 {
            // Many connections have one stream at a time, and an idle one keeps this memory.
            self.streams.reserve_exact(1);
        }
        self.streams.push(stream);
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Stream<T>> {
        self.streams.get(self.position(id)?)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream<T>> {
        let position = self.position(id)?;
        self.streams.get_mut(position)
    }

    pub(super) fn remove(&mut self, id: StreamId) -> Option<Stream<T>> {
        let position = self.position(id)?;
        Some(self.streams.remove(position))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream<T>> {
        self.streams.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream<T>> {
        self.streams.iter_mut()
    }

    pub(super) fn held(&self) -> usize {
        self.streams.capacity() * size_of::<Stream<T>>()
    }

    /// Uses this memory if it has none.
    pub(super) fn borrow_memory(&mut self, memory: &mut StreamMemory<T>) {
        if self.streams.capacity() == 0 {
            mem::swap(&mut self.streams, &mut memory.0);
        }
    }

    /// Returns the memory if there is no stream.
    pub(super) fn return_memory(&mut self, memory: &mut StreamMemory<T>) {
        if self.streams.is_empty() {
            memory.0 = mem::take(&mut self.streams);
        }
    }

    /// Most lookups are for the newest stream.
    fn position(&self, id: StreamId) -> Option<usize> {
        let last = self.streams.len().checked_sub(1)?;
        if self.streams[last].id == id {
            return Some(last);
        }
        self.streams
            .binary_search_by_key(&id, |stream| stream.id)
            .ok()
    }
}
