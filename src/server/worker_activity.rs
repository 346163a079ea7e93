//! Whether workers move.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, Ordering};

/// Each worker's turns, counted at both ends: even between two, odd within one. Only the worker
/// itself writes its count.
#[derive(Debug)]
pub(super) struct WorkerActivity(Box<[CachePadded<AtomicU64>]>);

impl WorkerActivity {
    pub(super) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| CachePadded::default()).collect())
    }

    /// Marks the beginning or the end of a worker's turn.
    pub(super) fn count(&self, worker: usize) {
        let turns = &self.0[worker];
        turns.store(turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The count of each worker.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|turns| turns.load(Ordering::Relaxed))
    }

    pub(super) fn workers(&self) -> usize {
        self.0.len()
    }
}

/// Whether a worker with this count is within a turn.
pub(super) fn is_within(count: u64) -> bool {
    !count.is_multiple_of(2)
}
