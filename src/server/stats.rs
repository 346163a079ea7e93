//! How many connections and requests there are and have been.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;

use super::waker::Waker;
use crate::connection::CloseReason;
use crate::message::Overload;

/// The counts of one server.
#[derive(Debug)]
pub(super) struct Stats {
    open: AtomicUsize,
    /// The acceptor wants the bell when fewer connections than this are open.
    wanted: AtomicUsize,
    accepted: AtomicU64,
    aborted: AtomicU64,
    /// Connections that have ended, for each reason.
    ended: [AtomicU64; CloseReason::ALL.len()],
    /// How often the acceptor has gone round.
    rounds: AtomicU64,
    /// Those of the answered that no handler has seen.
    late: AtomicU64,
    /// How often as many connections were open as may be.
    full: AtomicU64,
    crowded: AtomicU64,
    /// One a worker and one for the acceptor, written by it alone: a shared counter would be the one
    /// line that all cores fight for.
    answered: Box<[CachePadded<AtomicU64>]>,
    /// The acceptor's. Whoever only looks at the counts keeps nothing open.
    waker: Weak<Waker>,
}

/// One open connection, counted until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionGuard {
    stats: Arc<Stats>,
}

impl Stats {
    pub(super) fn new(workers: usize, waker: &Arc<Waker>) -> Self {
        Self {
            open: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            ended: Default::default(),
            rounds: AtomicU64::new(0),
            late: AtomicU64::new(0),
            full: AtomicU64::new(0),
            crowded: AtomicU64::new(0),
            answered: (0..=workers).map(|_| CachePadded::default()).collect(),
            waker: Arc::downgrade(waker),
        }
    }

    pub(super) fn accept(self: &Arc<Self>) -> ConnectionGuard {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.accepted.fetch_add(1, Ordering::Relaxed);
        ConnectionGuard {
            stats: Arc::clone(self),
        }
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(super) fn aborted(&self) -> u64 {
        self.aborted.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    pub(super) fn shed(&self, why: Overload) -> u64 {
        self.of(why).load(Ordering::Relaxed)
    }

    pub(super) fn add_shed(&self, why: Overload, requests: u64) {
        self.of(why).fetch_add(requests, Ordering::Relaxed);
    }

    fn of(&self, why: Overload) -> &AtomicU64 {
        match why {
            Overload::Late => &self.late,
            Overload::Full => &self.crowded,
        }
    }

    pub(super) fn full(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
    }

    pub(super) fn add_full(&self) {
        self.full.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_aborted(&self, requests: u64) {
        self.aborted.fetch_add(requests, Ordering::Relaxed);
    }

    pub(super) fn add_ended(&self, why: CloseReason) {
        self.ended[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) -> [(CloseReason, u64); CloseReason::ALL.len()] {
        CloseReason::ALL.map(|reason| {
            let count = &self.ended[reason as usize];
            (reason, count.load(Ordering::Relaxed))
        })
    }

    pub(super) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    pub(super) fn add_round(&self) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_answered(&self, thread: usize, requests: u64) {
        self.answered[thread].store(requests, Ordering::Relaxed);
    }

    /// Asks for the bell each time that a connection ends and leaves fewer than this. Look at
    /// [`open`](Self::open) again before waiting for it.
    pub(super) fn wake_below(&self, wanted: usize) {
        self.wanted.store(wanted, Ordering::SeqCst);
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let left = self.stats.open.fetch_sub(1, Ordering::SeqCst) - 1;
        if left < self.stats.wanted.load(Ordering::SeqCst)
            && let Some(waker) = self.stats.waker.upgrade()
        {
            waker.wake();
        }
    }
}
