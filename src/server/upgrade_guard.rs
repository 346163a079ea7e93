//! What is left of a connection with the server when it speaks another protocol than HTTP.

use std::sync::Arc;

use super::ServerState;
use super::stats::{ConnectionGuard, Stats};
use super::task::Task;
use crate::connection::CloseReason;
use crate::connection::Phase;
use crate::connection::phase::PhaseCell;

/// Counts a connection until its stream is dropped, then as ended, and as cut if that comes too late.
struct UpgradeGuard {
    _seat: Option<ConnectionGuard>,
    stats: Arc<Stats>,
    phase: Arc<PhaseCell>,
}

impl ServerState {
    /// Lets a connection go on in another protocol, until that has ended on this thread.
    #[cold]
    pub(super) fn run_upgrade(&self, client: &mut Task) {
        self.unwatch(client);
        let berth = UpgradeGuard {
            _seat: client.seat.take(),
            stats: Arc::clone(&self.stats),
            phase: Arc::clone(&self.service.phase),
        };
        client.connection.run_upgrade(berth, &self.service);
    }
}

impl Drop for UpgradeGuard {
    fn drop(&mut self) {
        // Before the seat is left, as with every end: who sees that nobody is there sees why, and when
        // the last one has left, the drain ends and is past that phase.
        self.stats.add_ended(CloseReason::Upgraded);
        if self.phase.get() >= Phase::Forced {
            self.stats.add_aborted(1);
        }
    }
}
