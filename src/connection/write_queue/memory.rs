//! A response body in memory, and what of it counts against the budget.

use bytes::{Buf as _, Bytes};

/// A larger body does not count against the budget while it is shared: the memory is the handler's,
/// which sends the same bytes to several clients.
const COUNTED_BODY: usize = 64 * 1024;

/// A body in memory.
#[derive(Debug)]
pub(in crate::connection) struct Memory {
    left: Bytes,
    /// The size of its memory, which is kept until all of it is sent.
    kept: usize,
}

impl Memory {
    pub(in crate::connection) fn new(body: Bytes) -> Self {
        Self {
            kept: body.len(),
            left: body,
        }
    }

    /// The bytes that are not sent yet.
    pub(in crate::connection) fn left(&self) -> &[u8] {
        &self.left
    }

    /// The bytes that are not sent yet, in memory that can be shared.
    #[cfg(feature = "http2")]
    pub(in crate::connection) fn shared(&self) -> &Bytes {
        &self.left
    }

    /// Notes that `sent` bytes were sent.
    pub(in crate::connection) fn advance(&mut self, sent: usize) {
        self.left.advance(sent);
    }

    fn is_shared(&self) -> bool {
        self.kept > COUNTED_BODY && !self.left.is_unique()
    }

    /// Bytes of memory that count against the budget.
    pub(in crate::connection) fn held(&self) -> usize {
        match self.is_shared() {
            true => 0,
            false => self.kept,
        }
    }

    /// Copies the rest into memory of its own once more than half is sent. Otherwise a client that
    /// reads all but the end of each response would keep the memory of all of them. In total, no more
    /// bytes are copied than the body has.
    pub(in crate::connection) fn shrink(&mut self) {
        if self.left.len() <= self.kept / 2 && !self.is_shared() {
            *self = Self::new(Bytes::copy_from_slice(&self.left));
        }
    }
}
