//! Which response is sent next (RFC 9218 section 10).

use std::collections::VecDeque;

use super::streams::{Stream, Streams};
use crate::http2::{Priority, StreamId};

/// Most priorities for streams that are not open yet.
const MAX_EARLY: usize = 16;

/// The priorities that a client has stated, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    client: Client,
    /// The number of the last turn.
    turn: u64,
    /// Priorities that arrived before their streams (RFC 9218 section 7). `None` if none ever did, as on
    /// most connections.
    #[expect(clippy::box_collection, reason = "`None` takes a word")]
    early: Option<Box<VecDeque<(StreamId, Priority)>>>,
}

/// Whether the client states priorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Client {
    /// It has stated none, so its defaults mean nothing and its streams share the connection.
    #[default]
    Silent,
    /// It has, so what it does not state has the meaning of RFC 9218.
    Prioritizes,
}

impl Schedule {
    /// The priority of a new stream, whose head may state one.
    pub(super) fn open(&mut self, stream: StreamId, stated: Option<Priority>) -> Priority {
        if stated.is_some() {
            self.client = Client::Prioritizes;
        }
        self.take_early(stream).or(stated).unwrap_or_default()
    }

    /// Takes the priority that arrived before this stream, and drops those of streams that were left out.
    fn take_early(&mut self, stream: StreamId) -> Option<Priority> {
        let early = self.early.as_mut()?;
        let mut found = None;
        while let Some((id, priority)) = early.front().copied()
            && id <= stream
        {
            found = (id == stream).then_some(priority);
            early.pop_front();
        }
        found
    }

    /// A PRIORITY_UPDATE has arrived.
    pub(super) fn update(&mut self) {
        self.client = Client::Prioritizes;
    }

    /// Keeps the priority of a stream that is not open yet. If there are too many, that of the
    /// highest stream is dropped, as it is needed last.
    pub(super) fn keep_early(&mut self, stream: StreamId, priority: Priority) {
        let early = self.early.get_or_insert_default();
        match early.binary_search_by_key(&stream, |(id, _)| *id) {
            Ok(at) => early[at].1 = priority,
            Err(at) => {
                early.insert(at, (stream, priority));
                early.truncate(MAX_EARLY);
            }
        }
    }

    /// The number of the turn that begins.
    pub(super) fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// The stream to send from, of those that can send. Within the highest urgency, responses that
    /// are of no use in parts come one after another, and each other response takes turns with
    /// them.
    pub(super) fn choose<T>(
        &self,
        streams: &Streams<T>,
        can_send: impl Fn(&Stream<T>) -> bool,
    ) -> Option<StreamId> {
        let mut chosen: Option<Candidate> = None;
        let mut has_first = [false; 8];
        for stream in streams.iter().filter(|stream| can_send(stream)) {
            let urgency = stream.priority.urgency.min(7);
            if self.client == Client::Prioritizes && !stream.priority.is_incremental {
                let is_second = std::mem::replace(&mut has_first[usize::from(urgency)], true);
                if is_second {
                    continue;
                }
            }
            let candidate = Candidate {
                urgency,
                last_turn: stream.last_turn,
                stream: stream.id,
            };
            if chosen.is_none_or(|chosen| candidate < chosen) {
                chosen = Some(candidate);
            }
        }
        chosen.map(|chosen| chosen.stream)
    }

    /// Frees what is empty.
    pub(super) fn shrink(&mut self) {
        self.early.take_if(|early| early.is_empty());
    }

    pub(super) fn held(&self) -> usize {
        let capacity = self.early.as_ref().map_or(0, |early| early.capacity());
        capacity * size_of::<(StreamId, Priority)>()
    }
}

/// The order of the fields is the order of importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    urgency: u8,
    last_turn: u64,
    stream: StreamId,
}
