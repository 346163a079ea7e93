//! A connection with what the server knows of it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use super::census::Seat;
use super::lot::Ticket;
use crate::connection::{Connection, Wake};

/// One open connection. It has one owner at any time: the lot, the ready channel, or a worker.
pub(super) struct Client {
    pub(super) connection: Connection,
    /// Its place in the lot, from the first time that it parks to a loan of its socket.
    pub(super) ticket: Option<Ticket>,
    /// What counts it, unless something else does.
    pub(super) seat: Option<Seat>,
}

/// A connection that can go on, and why.
pub(super) struct Job {
    pub(super) client: Box<Client>,
    pub(super) wake: Wake,
    /// Since when it has waited for a worker, if it did not come from the system itself.
    pub(super) since: Option<Instant>,
}

impl Client {
    pub(super) fn new(connection: Connection, seat: Seat) -> Self {
        Self {
            connection,
            ticket: None,
            seat: Some(seat),
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}
