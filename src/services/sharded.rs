//! Something for each worker, so that none waits for another.

use std::sync::{Mutex, MutexGuard};

use crossbeam_utils::CachePadded;

use crate::sync::ignore_poison;

/// Workers of larger pools share them in turns, and so do those of several servers.
const LANES: usize = 64;

/// One for each worker. Its lock is the worker's own, and so free but while somebody reads it, or a
/// worker that shares it is at the same point.
#[derive(Debug)]
pub(crate) struct Sharded<T>(Box<[CachePadded<Mutex<T>>]>);

impl<T: Default> Sharded<T> {
    pub(crate) fn new() -> Self {
        Self((0..LANES).map(|_| CachePadded::default()).collect())
    }

    /// The one of this worker.
    pub(crate) fn of(&self, worker: usize) -> MutexGuard<'_, T> {
        ignore_poison(self.0[worker % LANES].lock())
    }

    /// All of them, one after another.
    pub(crate) fn all(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.0.iter().map(|lane| ignore_poison(lane.lock()))
    }
}
