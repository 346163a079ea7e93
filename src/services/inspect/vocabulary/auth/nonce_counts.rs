//! The counts with which clients have used their nonces (`nc` of RFC 7616), so that no request can be
//! replayed.

use crate::sync::{Mutex, ignore_poison};

/// Nonces whose counts are kept. An older one is stale, and its client receives another.
pub(super) const KEPT: u64 = 4096;

/// Counts below the largest that may still come: a client sends requests on several connections.
const WINDOW: u32 = u64::BITS;

/// The counts of the last nonces.
#[derive(Debug, Default)]
pub(super) struct NonceCounts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The number of the next nonce.
    next: u64,
    /// The counts of the nonces by their numbers, modulo [`KEPT`].
    counts: Vec<Counts>,
}

/// The counts of one nonce.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    largest: u32,
    /// A bit for the largest count and each of those below it, from the lowest bit.
    seen: u64,
}

/// Whether a count may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    First,
    /// It was used before, or is so old that this is not known any more.
    Replayed,
}

impl NonceCounts {
    /// The number of a new nonce.
    pub(super) fn add(&self) -> u64 {
        let mut state = ignore_poison(self.0.lock());
        let number = state.next;
        state.next += 1;
        match state.counts.len() < KEPT as usize {
            true => state.counts.push(Counts::default()),
            false => state.counts[(number % KEPT) as usize] = Counts::default(),
        }
        number
    }

    /// Notes a use of the nonce with this number.
    pub(super) fn note(&self, number: u64, count: u32) -> Use {
        let mut state = ignore_poison(self.0.lock());
        let is_kept = number < state.next && number + KEPT >= state.next;
        match is_kept {
            true => state.counts[(number % KEPT) as usize].note(count),
            false => Use::Replayed,
        }
    }
}

impl Counts {
    fn note(&mut self, count: u32) -> Use {
        if count > self.largest {
            self.seen = match count - self.largest {
                more @ ..WINDOW => self.seen << more,
                _ => 0,
            };
            self.seen |= 1;
            self.largest = count;
            return Use::First;
        }
        let bit = match self.largest - count {
            below @ ..WINDOW => 1_u64 << below,
            _ => return Use::Replayed,
        };
        if self.seen & bit != 0 {
            return Use::Replayed;
        }
        self.seen |= bit;
        Use::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_is_used_once_in_any_order() {
        let counts = NonceCounts::default();
        let nonce = counts.add();
        for count in [1, 3, 2, 100, 99, 37, u32::MAX, u32::MAX - 1] {
            assert_eq!(counts.note(nonce, count), Use::First, "{count}");
            assert_eq!(counts.note(nonce, count), Use::Replayed, "{count}");
        }
        // Below the window, nothing is known.
        assert_eq!(counts.note(nonce, 1), Use::Replayed);
        assert_eq!(counts.note(nonce, 4), Use::Replayed);
        assert_eq!(counts.note(counts.add(), 1), Use::First);
    }

    #[test]
    fn only_the_last_nonces_are_kept() {
        let counts = NonceCounts::default();
        let first = counts.add();
        assert_eq!(counts.note(first, 1), Use::First);
        let last = (0..KEPT).map(|_| counts.add()).last();
        assert_eq!(counts.note(first, 2), Use::Replayed);
        assert_eq!(counts.note(first + 1, 1), Use::First);
        let last = last.expect("some were added");
        assert_eq!(counts.note(last, 1), Use::First);
        assert_eq!(counts.note(last + 1, 1), Use::Replayed);
        let state = ignore_poison(counts.0.lock());
        assert_eq!(state.counts.len() as u64, KEPT);
    }
}
