//! Random bytes that a seed repeats.

use std::io::{self, Read};

use bytes::Bytes;

use crate::services::inspect::random::Random;

/// Random bytes, which depend on the seed alone and not on the sizes in which they are taken.
#[derive(Debug)]
pub(super) struct RandomBytes {
    random: Random,
    word: [u8; 8],
    used: usize,
}

impl RandomBytes {
    pub(super) fn new(random: Random) -> Self {
        Self {
            random,
            word: [0; 8],
            used: 8,
        }
    }

    pub(super) fn next_bytes(&mut self, count: usize) -> Bytes {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> u8 {
        if self.used == self.word.len() {
            self.word = self.random.next().to_le_bytes();
            self.used = 0;
        }
        self.used += 1;
        self.word[self.used - 1]
    }
}

impl Read for RandomBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill_with(|| self.next());
        Ok(buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_fixes_the_bytes() {
        let seeded = || RandomBytes::new(Random::new(1_234_567));
        let mut bytes = seeded();
        let parts = [
            bytes.next_bytes(3),
            bytes.next_bytes(5),
            bytes.next_bytes(8),
        ]
        .concat();
        let mut whole = [0; 16];
        let read = seeded().read(&mut whole);
        assert_eq!((read.ok(), &whole[..]), (Some(16), &parts[..]));
        let first = Random::new(1_234_567).next();
        assert_eq!(whole[..8], first.to_le_bytes());
    }
}
