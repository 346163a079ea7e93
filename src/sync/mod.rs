//! Synchronisation primitives: locks, atomics, the ready channel, and the system calls through which
//! threads wake each other or learn of clients.
//!
//! They come from the standard library, crossbeam and the system. Tests built with `--cfg loom`
//! replace them by models with the same names, and loom runs the code in all interleavings
//! (`server/worker/interleavings`).

use std::sync::{LockResult, PoisonError};

/// A century in seconds: longer than any server runs, and short enough that no sum of times
/// overflows.
pub(crate) const CENTURY: u64 = 100 * 365 * 24 * 60 * 60;

/// Returns the guard of a lock, even if the lock is poisoned: a thread has panicked while it held the
/// lock. The value is used as that thread left it.
pub(crate) fn ignore_poison<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, loom))]
mod model;

#[cfg(all(test, loom))]
pub(crate) use self::model::*;
#[cfg(not(all(test, loom)))]
pub(crate) use self::real::*;

#[cfg(not(all(test, loom)))]
mod real {
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
    use std::time::{Duration, Instant};

    pub(crate) use crossbeam_channel as channel;
    pub(crate) use rustix::event::epoll;
    pub(crate) use rustix::io::write;
    pub(crate) use rustix::net::recv;

    /// Returns the current time.
    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    /// Returns the time since `since`.
    pub(crate) fn elapsed(since: Instant) -> Duration {
        since.elapsed()
    }
}
