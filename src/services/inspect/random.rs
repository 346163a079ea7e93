//! Random numbers that a seed repeats.

use std::hash::{BuildHasher as _, RandomState};

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

/// A generator. The same seed gives the same numbers in all versions and on all machines, so that the
/// tests of clients can depend on them. It is not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Random(Pcg64Mcg);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 to 1, without 1.
    pub(super) fn fraction(&mut self) -> f64 {
        // The significant bits of a number of this type.
        const BITS: u32 = f64::MANTISSA_DIGITS;
        (self.next() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
    }
}

/// A seed that differs from run to run.
pub(super) fn random_seed() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_fixes_the_numbers() {
        assert_eq!(Random::new(1_234_567).next(), 8_290_513_589_126_623_617);
        let fraction = Random::new(random_seed()).fraction();
        assert!((0.0..1.0).contains(&fraction));
    }
}
