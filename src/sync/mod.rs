//! What threads do to each other goes through here: locks, atomics, the ready channel, and the
//! system calls by which one learns of another or of a client.
//!
//! All of it is what its name says, from the standard library, crossbeam and the system. In tests
//! that are built with `--cfg loom`, stand-ins with the same names hand every such step to loom,
//! which plays the same code in all orders (`server/worker/interleavings.rs`).

/// Seconds longer than any server runs, and short enough that no sum of times overflows.
pub(crate) const CENTURY: u64 = 100 * 365 * 24 * 60 * 60;

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

    /// How long ago that was.
    pub(crate) fn elapsed(since: Instant) -> Duration {
        since.elapsed()
    }
}
