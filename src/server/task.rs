//! A connection with what the server knows of it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use super::poller::Token;
use super::stats::ConnectionGuard;
use crate::connection::{Connection, WakeReason};

/// One open connection. It has one owner at any time: the lot, the ready channel, or a worker.
pub(super) struct Task {
    pub(super) connection: Connection,
    /// Its place in the lot, from the first time that it parks to a loan of its socket.
    pub(super) token: Option<Token>,
    /// What counts it, unless something else does.
    pub(super) seat: Option<ConnectionGuard>,
}

/// A connection that can go on, and why.
pub(super) struct ReadyTask {
    pub(super) client: Box<Task>,
    pub(super) wake: WakeReason,
    /// Since when it has waited for a worker, if it did not come from the system itself.
    pub(super) since: Option<Instant>,
}

impl Task {
    pub(super) fn new(connection: Connection, seat: ConnectionGuard) -> Self {
        Self {
            connection,
            token: None,
            seat: Some(seat),
        }
    }
}

impl AsFd for Task {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}
