//! Large parts of content that are sent from their own memory, between the bytes of a write queue.

use std::io::{self, IoSlice};
use std::ops::Range;

use bytes::Bytes;

use super::GATHERED;

/// Most parts at a time. Each one and the bytes before it are a part of one system call. DATA frames
/// have 16 KiB, so this is room for 320 KiB.
const MOST: usize = 20;

/// The parts of 64 KiB, which are added at once.
const MOST_AT_ONCE: usize = 4;

/// The parts, in their order.
#[derive(Debug, Default)]
pub(in crate::connection) struct Insertions {
    list: Vec<Insertion>,
    /// The length of all parts.
    length: usize,
    /// Memory for parts that are read. It is kept, because new memory has to be overwritten with
    /// zeros first.
    memory: Vec<u8>,
    /// How much of it is used.
    used: usize,
}

#[derive(Debug)]
struct Insertion {
    /// How many bytes of the queue are before it.
    position: usize,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Read(Range<usize>),
    Shared(Bytes),
}

impl Insertions {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The length of all parts.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The length of the parts that lie in other memory.
    #[cfg(feature = "http2")]
    pub(super) fn shared(&self) -> usize {
        self.length - self.used
    }

    /// Whether there may be no room for what is added at once.
    #[cfg(feature = "http2")]
    pub(super) fn is_full(&self) -> bool {
        self.list.len() + MOST_AT_ONCE > MOST
    }

    /// Whether this many parts can be added.
    pub(in crate::connection) fn has_room_for(&self, parts: usize) -> bool {
        self.list.len() + parts <= MOST && self.used < GATHERED
    }

    /// Adds a part behind the bytes so far.
    pub(in crate::connection) fn push(&mut self, bytes: &[u8], part: Bytes) {
        self.add(bytes, part.len(), Part::Shared(part));
    }

    /// Reads up to `most` bytes into memory, which [`push_read`](Self::push_read) adds.
    pub(in crate::connection) fn read(
        &mut self,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.memory.resize(GATHERED, 0);
        let room = &mut self.memory[self.used..];
        let most = most.min(room.len());
        read(&mut room[..most])
    }

    /// Adds the next `length` bytes that were read behind the bytes so far.
    pub(in crate::connection) fn push_read(&mut self, bytes: &[u8], length: usize) {
        let start = self.used;
        self.used += length;
        self.add(bytes, length, Part::Read(start..self.used));
    }

    fn add(&mut self, bytes: &[u8], length: usize, part: Part) {
        debug_assert!(self.list.len() < MOST, "there is room for the part");
        self.length += length;
        self.list.push(Insertion {
            position: bytes.len(),
            part,
        });
    }

    /// Passes everything after the first `sent` bytes to `send`.
    pub(super) fn gathered<R>(
        &self,
        bytes: &[u8],
        sent: usize,
        send: impl FnOnce(&[IoSlice<'_>]) -> R,
    ) -> R {
        let mut slices = [IoSlice::new(&[]); 2 * MOST + 1];
        let (mut count, mut start) = (0, sent);
        for insertion in &self.list {
            slices[count] = IoSlice::new(&bytes[start..insertion.position]);
            slices[count + 1] = IoSlice::new(match &insertion.part {
                Part::Read(range) => &self.memory[range.clone()],
                Part::Shared(part) => part,
            });
            (count, start) = (count + 2, insertion.position);
        }
        slices[count] = IoSlice::new(&bytes[start..]);
        send(&slices[..=count])
    }

    /// Removes all parts.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        (self.length, self.used) = (0, 0);
    }

    /// Copies everything except the first `before` bytes and the `sent` ones behind them into one
    /// piece, and removes all parts.
    pub(super) fn flatten(&mut self, bytes: &mut Vec<u8>, before: usize, sent: usize) {
        let length = bytes.len() - before + self.length - sent;
        if length == 0 || self.is_empty() {
            bytes.drain(..bytes.len().min(before + sent));
            return self.clear();
        }
        let mut left = Vec::with_capacity(length);
        self.gathered(bytes, before, |slices| {
            let mut skipped = sent;
            for slice in slices {
                let skip = skipped.min(slice.len());
                skipped -= skip;
                left.extend_from_slice(&slice[skip..]);
            }
        });
        *bytes = left;
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(insertions: &Insertions, bytes: &[u8], sent: usize) -> String {
        let join =
            |slices: &[IoSlice<'_>]| slices.iter().flat_map(|slice| slice.to_vec()).collect();
        String::from_utf8(insertions.gathered(bytes, sent, join)).expect("it is text")
    }

    fn filled() -> (Insertions, Vec<u8>) {
        let mut insertions = Insertions::default();
        let mut bytes = b"one".to_vec();
        insertions.push(&bytes, Bytes::from_static(b"TWO"));
        let read = insertions.read(5, |room| {
            room.copy_from_slice(b"THREE");
            Ok(5)
        });
        assert_eq!(read.expect("it is read"), 5);
        insertions.push_read(&bytes, 2);
        bytes.extend(b"four");
        insertions.push_read(&bytes, 3);
        bytes.extend(b"five");
        (insertions, bytes)
    }

    #[test]
    fn parts_are_sent_where_they_were_added() {
        let (insertions, bytes) = filled();
        assert_eq!(text(&insertions, &bytes, 0), "oneTWOTHfourREEfive");
        assert_eq!(text(&insertions, &bytes, 2), "eTWOTHfourREEfive");
        assert_eq!(insertions.len(), 8);
    }

    #[test]
    fn rest_is_copied_into_one_piece() {
        let whole = b"oneTWOTHfourREEfive";
        for before in 0..3 {
            for sent in 0..=whole.len() - before {
                let (mut insertions, mut bytes) = filled();
                insertions.flatten(&mut bytes, before, sent);
                assert_eq!(bytes, whole[before + sent..]);
                assert!(insertions.is_empty());
                assert_eq!(insertions.length, 0);
                assert_eq!(text(&insertions, &bytes, 0).len(), bytes.len());
            }
        }
    }

    #[test]
    fn memory_is_filled_up_to_its_end() {
        let mut insertions = Insertions::default();
        let fill = |room: &mut [u8]| Ok(room.len());
        for _ in 0..2 {
            assert!(insertions.has_room_for(1));
            let read = insertions.read(GATHERED - 1, fill);
            insertions.push_read(b"", read.expect("it is read"));
            assert!(insertions.has_room_for(1));
            let read = insertions.read(GATHERED, fill);
            assert_eq!(read.expect("it is read"), 1);
            insertions.push_read(b"", 1);
            assert!(!insertions.has_room_for(1));
            insertions.clear();
        }
    }
}
