//! Counts workers' turns, to show whether workers make progress.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, Ordering};

/// One count for each worker, incremented at the beginning and the end of each turn: it is odd within
/// a turn and even between turns. Only the worker itself writes its count.
#[derive(Debug)]
pub(super) struct WorkerActivity(Box<[CachePadded<AtomicU64>]>);

impl WorkerActivity {
    pub(super) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| CachePadded::default()).collect())
    }

    /// Marks the beginning or the end of a worker's turn.
    pub(super) fn mark(&self, worker: usize) {
        let turns = &self.0[worker];
        turns.store(turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Returns each worker's count.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|turns| turns.load(Ordering::Relaxed))
    }

    pub(super) fn workers(&self) -> usize {
        self.0.len()
    }
}

/// Whether a worker with this count is within a turn.
pub(super) fn is_in_turn(count: u64) -> bool {
    !count.is_multiple_of(2)
}
