//! Values that are split into shards, so that workers do not wait for each other.

use std::sync::{Mutex, MutexGuard};

use crossbeam_utils::CachePadded;

use crate::sync::ignore_poison;

/// Number of shards. In larger pools, and with several servers, workers share them.
const SHARDS: usize = 64;

/// One value for each worker, each behind its own lock. A lock is contended only while the values
/// are read, or by a worker with the same shard.
#[derive(Debug)]
pub(crate) struct Sharded<T>(Box<[CachePadded<Mutex<T>>]>);

impl<T: Default> Sharded<T> {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| CachePadded::default()).collect())
    }

    /// The value of this worker.
    pub(crate) fn of(&self, worker: usize) -> MutexGuard<'_, T> {
        ignore_poison(self.0[worker % SHARDS].lock())
    }

    /// All values, locked one after another.
    pub(crate) fn all(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.0.iter().map(|shard| ignore_poison(shard.lock()))
    }
}
