//! Streams that the server has reset while the client may still have sent frames for them.

use std::collections::VecDeque;

use crate::http2::StreamId;

/// How many streams are kept at least and at most. Each is looked at for a frame on any of them.
const KEPT: std::ops::RangeInclusive<u32> = 128..=1024;

/// The last streams that the server reset before the client ended them. What the client sent before
/// it knew is ignored (RFC 9113 section 5.1). A stream that is forgotten is a closed stream.
#[derive(Debug)]
pub(super) struct ResetStreams {
    /// `None` while there is none, because most connections never have one.
    #[expect(clippy::box_collection, reason = "`None` takes a word")]
    streams: Option<Box<VecDeque<ResetStream>>>,
    most: u32,
}

#[derive(Debug)]
struct ResetStream {
    id: StreamId,
    /// What the client may still send. Nothing gives it more.
    window: u32,
}

impl ResetStreams {
    /// For a client that may have this many streams open. All of them may be reset at once.
    pub(super) fn new(max_streams: u32) -> Self {
        Self {
            streams: None,
            most: max_streams.clamp(*KEPT.start(), *KEPT.end()),
        }
    }

    pub(super) fn insert(&mut self, id: StreamId, window: u32) {
        let streams = self.streams.get_or_insert_default();
        if streams.len() == self.most as usize {
            streams.pop_front();
        }
        streams.push_back(ResetStream { id, window });
    }

    pub(super) fn contains(&self, id: StreamId) -> bool {
        let mut streams = self.streams.iter().flat_map(|streams| streams.iter());
        streams.any(|stream| stream.id == id)
    }

    /// Forgets a stream that the client has ended.
    pub(super) fn remove(&mut self, id: StreamId) {
        if let Some(streams) = &mut self.streams {
            streams.retain(|stream| stream.id != id);
        }
    }

    /// Counts a DATA frame. `Err` is more than the client may send, `None` another stream.
    pub(super) fn debit(&mut self, id: StreamId, length: u32) -> Option<Result<(), ()>> {
        let mut streams = self.streams.as_mut()?.iter_mut();
        let stream = streams.find(|stream| stream.id == id)?;
        let left = stream.window.checked_sub(length);
        stream.window = left.unwrap_or(0);
        Some(left.map(drop).ok_or(()))
    }

    pub(super) fn held(&self) -> usize {
        let capacity = self
            .streams
            .as_ref()
            .map_or(0, |streams| streams.capacity());
        capacity * size_of::<ResetStream>()
    }

    pub(super) fn shrink(&mut self) {
        self.streams.take_if(|streams| streams.is_empty());
    }
}
