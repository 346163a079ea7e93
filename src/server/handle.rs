//! Shutting a server down from outside, and what came of it.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::bell::Bell;
use super::census::Census;
use crate::Phase;
use crate::connection::Budget;
use crate::phase::PhaseCell;

/// Shuts a server down, from any thread and any number of times.
///
/// A handle keeps nothing open: when [`Server::run`](crate::Server::run) has returned it still
/// tells the last figures, and shutting down does nothing.
#[derive(Debug, Clone)]
pub struct Handle {
    phase: Arc<PhaseCell>,
    census: Arc<Census>,
    budget: Arc<Budget>,
    acceptor: Weak<Bell>,
}

/// The figures of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Where the server's life stands.
    pub phase: Phase,
    /// Connections open now.
    pub open: usize,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Requests answered so far: every byte of the answer is with the system.
    pub answered: u64,
    /// Bytes that connections keep of requests that are not complete and of answers that are not
    /// sent ([`Builder::max_buffered`](crate::Builder::max_buffered)).
    pub buffered: usize,
}

/// What a server's life and its end came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections accepted over the server's life.
    pub accepted: u64,
    /// Requests answered over the server's life: every byte of the answer is with the system.
    pub answered: u64,
    /// Requests that were under way at the end and got no whole answer.
    pub cut: u64,
    /// Workers whose handler had not returned at the end. Their requests count as cut.
    pub abandoned_workers: usize,
    /// From the moment that the listeners began to close to the end.
    pub duration: Duration,
}

impl Handle {
    pub(super) fn new(
        phase: &Arc<PhaseCell>,
        census: &Arc<Census>,
        budget: &Arc<Budget>,
        acceptor: &Arc<Bell>,
    ) -> Self {
        Self {
            phase: Arc::clone(phase),
            census: Arc::clone(census),
            budget: Arc::clone(budget),
            acceptor: Arc::downgrade(acceptor),
        }
    }

    /// Begins the drain. It returns at once; [`Server::run`](crate::Server::run) returns when the
    /// drain has ended.
    pub fn shutdown(&self) {
        self.advance(Phase::Announcing);
    }

    /// Ends the server now: what is under way is cut and counted.
    pub fn shutdown_now(&self) {
        self.advance(Phase::Forced);
    }

    /// The figures of this moment.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            phase: self.phase.get(),
            open: self.census.open(),
            accepted: self.census.accepted(),
            answered: self.census.answered(),
            buffered: self.budget.held(),
        }
    }

    fn advance(&self, phase: Phase) {
        self.phase.advance(phase);
        if let Some(bell) = self.acceptor.upgrade() {
            bell.ring();
        }
    }
}

/// One line for the log.
impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "connections accepted: {}, requests answered: {}, cut: {}",
            self.accepted, self.answered, self.cut
        )?;
        if self.abandoned_workers > 0 {
            write!(f, " ({} in handlers)", self.abandoned_workers)?;
        }
        write!(f, ", drained in {} ms", self.duration.as_millis())
    }
}
