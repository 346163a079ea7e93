//! A connection together with the server's bookkeeping for it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use super::poller::Token;
use super::stats::ConnectionGuard;
use crate::connection::call::Reply;
use crate::connection::{Connection, WakeReason};

/// One open connection. It has one owner at any time: the poller, the ready channel, or a worker.
pub(super) struct Task {
    pub(super) connection: Connection,
    /// Its slot in the poller, from the first time that it parks until the socket is deregistered.
    pub(super) token: Option<Token>,
    /// Counts the connection as open. `None` after an [`UpgradeGuard`](super::upgrade_guard) took it.
    pub(super) connection_guard: Option<ConnectionGuard>,
}

/// A ready connection and the reason for its wake-up.
pub(super) struct ReadyTask {
    pub(super) task: Box<Task>,
    pub(super) wake: WakeReason,
    /// When it began to wait for a worker; `None` if it came from the poller directly.
    pub(super) since: Option<Instant>,
}

impl Task {
    pub(super) fn new(connection: Connection, connection_guard: ConnectionGuard) -> Self {
        Self {
            connection,
            token: None,
            connection_guard: Some(connection_guard),
        }
    }

    /// Gives replies to the connection, which must then be driven.
    pub(super) fn deliver(&mut self, replies: Vec<Reply>) {
        for reply in replies {
            self.connection.deliver(reply);
        }
    }
}

impl AsFd for Task {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}
