//! Random numbers that a seed repeats.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read};

use bytes::Bytes;

/// A generator (SplitMix64). The same seed gives the same bytes in every version, so that the tests of
/// clients can name them. It is not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// A generator with this seed, or with a random one.
    pub(super) fn new(seed: Option<i64>) -> Self {
        let state = seed.map_or_else(|| RandomState::new().hash_one(()), i64::cast_unsigned);
        Self(state)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to 1, without 1.
    pub(super) fn fraction(&mut self) -> f64 {
        const STEPS: u64 = 1 << 53;
        (self.next() % STEPS) as f64 / STEPS as f64
    }
}

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
        let mut random = Random::new(Some(1_234_567));
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        let mut bytes = RandomBytes::new(Random::new(Some(1_234_567)));
        let parts = [
            bytes.next_bytes(3),
            bytes.next_bytes(5),
            bytes.next_bytes(8),
        ]
        .concat();
        let mut whole = [0; 16];
        let read = RandomBytes::new(Random::new(Some(1_234_567))).read(&mut whole);
        assert_eq!((read.ok(), &whole[..]), (Some(16), &parts[..]));
        assert_eq!(whole[..8], 6_457_827_717_110_365_317_u64.to_le_bytes());
        let fraction = Random::new(None).fraction();
        assert!((0.0..1.0).contains(&fraction));
    }
}
