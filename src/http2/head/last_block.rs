//! Recognizes a head that is the last one once more.

use std::sync::atomic::{AtomicU64, Ordering};

use super::text::HostSource;
use crate::http2::hpack::Decoder;

/// The longest block that is remembered.
const LONGEST: usize = 1024;

/// How many marks a buffer takes at once.
const MARKS: u64 = 1 << 20;

/// The result of the last block that a buffer has decoded. Clients often send several requests with
/// the same headers in a row, and then the block is the same, too, because all headers are in the table.
/// If the table is also the same, nothing has to be decoded: the buffer still has the result.
///
/// A block that is decoded leaves a mark in its decoder, which disappears when the table changes. No two
/// marks are equal. So if a decoder has the mark that this buffer has left last, both the buffer and the
/// table are as they were after that block.
#[derive(Debug, Default)]
pub(super) struct LastBlock {
    block: Vec<u8>,
    max_header_size: usize,
    /// `None` if the next block must be decoded.
    learnt: Option<Learnt>,
    /// The last mark. All up to the next multiple of [`MARKS`] are this buffer's.
    mark: u64,
}

/// The result beside the lines and the pseudo-headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learnt {
    pub(super) first_line: usize,
    pub(super) host: HostSource,
}

impl LastBlock {
    /// The result of decoding this block, if the last one was the same. Otherwise the block must be
    /// decoded, and then [`remember`](Self::remember) may be called.
    #[inline]
    pub(super) fn find(
        &mut self,
        decoder: &mut Decoder,
        block: &[u8],
        max_header_size: usize,
    ) -> Option<Learnt> {
        if let Some(learnt) = self.learnt.take()
            && decoder.mark() == self.mark
            && self.max_header_size == max_header_size
            && self.block == block
        {
            self.learnt = Some(learnt);
            return Some(learnt);
        }
        self.mark = match (self.mark + 1) % MARKS {
            0 | 1 => first_of_more(),
            _ => self.mark + 1,
        };
        decoder.set_mark(self.mark);
        None
    }

    /// Remembers a block with a valid head, unless it has changed the table.
    #[inline]
    pub(super) fn remember(
        &mut self,
        decoder: &Decoder,
        block: &[u8],
        max_header_size: usize,
        learnt: Learnt,
    ) {
        if decoder.mark() == self.mark && block.len() <= LONGEST {
            self.block.clear();
            self.block.extend_from_slice(block);
            self.max_header_size = max_header_size;
            self.learnt = Some(learnt);
        }
    }
}

/// The first of some marks that no buffer has. 0 is none.
#[cold]
fn first_of_more() -> u64 {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    TAKEN.fetch_add(MARKS, Ordering::Relaxed) + 1
}
