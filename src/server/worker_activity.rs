//! Counts workers' turns, to show whether workers make progress, and shows which connections they have
//! lent.

use crossbeam_utils::CachePadded;

use super::poller::{NO_TOKEN, Token};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The activity of each worker. Only the worker itself writes its part.
#[derive(Debug)]
pub(super) struct WorkerActivity(Box<[CachePadded<Worker>]>);

#[derive(Debug)]
struct Worker {
    /// Incremented at the beginning and the end of each turn: it is odd within a turn and even between
    /// turns.
    turns: AtomicU64,
    /// Connections that the worker has lent so far.
    lends: AtomicU64,
    /// The token of the connection that it has lent now.
    lent: AtomicU64,
}

/// A connection that a worker has lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LentConnection {
    pub(super) token: Token,
    /// Which of the worker's lends it is.
    pub(super) lend: u64,
}

impl WorkerActivity {
    pub(super) fn new(workers: usize) -> Self {
        let worker = || Worker {
            turns: AtomicU64::new(0),
            lends: AtomicU64::new(0),
            lent: AtomicU64::new(NO_TOKEN),
        };
        Self((0..workers).map(|_| worker().into()).collect())
    }

    /// Marks the beginning or the end of a worker's turn.
    pub(super) fn mark(&self, worker: usize) {
        increment(&self.0[worker].turns);
    }

    /// Returns each worker's count.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        let workers = self.0.iter();
        workers.map(|worker| worker.turns.load(Ordering::Relaxed))
    }

    /// Marks that a worker is about to lend this connection.
    pub(super) fn begin_lend(&self, worker: usize, token: Token) {
        let worker = &self.0[worker];
        increment(&worker.lends);
        worker.lent.store(token.number(), Ordering::Relaxed);
    }

    /// Marks that a worker has lent no connection any more.
    pub(super) fn end_lend(&self, worker: usize) {
        self.0[worker].lent.store(NO_TOKEN, Ordering::Relaxed);
    }

    /// Returns the connection that each worker has lent. A connection that was lent a moment ago may be
    /// missing, or be returned with another lend's number.
    pub(super) fn lent(&self) -> impl Iterator<Item = Option<LentConnection>> {
        self.0.iter().map(|worker| {
            let token = Token::from_number(worker.lent.load(Ordering::Relaxed))?;
            let lend = worker.lends.load(Ordering::Relaxed);
            Some(LentConnection { token, lend })
        })
    }

    pub(super) fn workers(&self) -> usize {
        self.0.len()
    }
}

fn increment(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Whether a worker with this count is within a turn.
pub(super) fn is_in_turn(count: u64) -> bool {
    !count.is_multiple_of(2)
}
