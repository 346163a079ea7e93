//! Counts a server's connections and requests.

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
    /// The acceptor is woken when fewer connections than this are open.
    wake_below: AtomicUsize,
    accepted: AtomicU64,
    aborted: AtomicU64,
    /// Closed connections, for each reason.
    closed: [AtomicU64; CloseReason::ALL.len()],
    /// Rounds of the acceptor's loop.
    rounds: AtomicU64,
    /// Requests shed because they had waited too long; they count as answered, too.
    shed_late: AtomicU64,
    /// How often the limit of open connections was reached.
    limit_reached: AtomicU64,
    /// Requests shed because the queue was too long.
    shed_full: AtomicU64,
    /// One counter for each worker and one for the acceptor, written by that thread alone. A shared
    /// counter would be a cache line that all cores contend for.
    answered: Box<[CachePadded<AtomicU64>]>,
    /// Wakes the acceptor. It is weak so that a reader of the counts keeps no descriptor open.
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
            wake_below: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            closed: Default::default(),
            rounds: AtomicU64::new(0),
            shed_late: AtomicU64::new(0),
            limit_reached: AtomicU64::new(0),
            shed_full: AtomicU64::new(0),
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

    pub(super) fn shed(&self, reason: Overload) -> u64 {
        self.shed_count(reason).load(Ordering::Relaxed)
    }

    pub(super) fn add_shed(&self, reason: Overload, requests: u64) {
        self.shed_count(reason)
            .fetch_add(requests, Ordering::Relaxed);
    }

    fn shed_count(&self, reason: Overload) -> &AtomicU64 {
        match reason {
            Overload::Late => &self.shed_late,
            Overload::Full => &self.shed_full,
        }
    }

    pub(super) fn limit_reached(&self) -> u64 {
        self.limit_reached.load(Ordering::Relaxed)
    }

    pub(super) fn add_limit_reached(&self) {
        self.limit_reached.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_aborted(&self, requests: u64) {
        self.aborted.fetch_add(requests, Ordering::Relaxed);
    }

    pub(super) fn add_close(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn close_counts(&self) -> [(CloseReason, u64); CloseReason::ALL.len()] {
        CloseReason::ALL.map(|reason| {
            let count = &self.closed[reason as usize];
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

    /// Wakes the acceptor each time that a connection closes and leaves fewer than this open. Check
    /// [`open`](Self::open) again before waiting.
    pub(super) fn wake_below(&self, limit: usize) {
        self.wake_below.store(limit, Ordering::SeqCst);
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let left = self.stats.open.fetch_sub(1, Ordering::SeqCst) - 1;
        if left < self.stats.wake_below.load(Ordering::SeqCst)
            && let Some(waker) = self.stats.waker.upgrade()
        {
            waker.wake();
        }
    }
}
