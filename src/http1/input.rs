//! Received bytes that are not decoded yet.

/// A buffer that is filled at its end and consumed from its start.
#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    start: usize,
}

impl Input {
    /// An empty buffer with room for this many bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            start: 0,
        }
    }

    /// The received bytes that are not consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// The bytes that fit without growing.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Consumes the first `count` unread bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn consume(&mut self, count: usize) {
        assert!(
            count <= self.unread().len(),
            "only what is there is consumed"
        );
        self.start += count;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Removes all bytes and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Appends received bytes.
    pub fn extend(&mut self, received: &[u8]) {
        self.bytes.extend_from_slice(received);
    }

    /// The vector to receive into: append to it and do not change the rest. It always has room for
    /// at least one byte.
    pub fn room(&mut self) -> &mut Vec<u8> {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        if self.bytes.len() == self.bytes.capacity() {
            self.bytes.reserve(self.bytes.capacity().max(1024));
        }
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_bytes_survive_making_room() {
        let mut input = Input::with_capacity(4);
        input.extend(b"abcd");
        input.consume(3);
        let room = input.room();
        assert!(room.capacity() > room.len());
        room.push(b'e');
        assert_eq!(input.unread(), b"de");
        input.consume(2);
        assert!(input.is_empty());
    }
}
