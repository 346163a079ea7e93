//! Counts connections that have switched to another protocol.

use std::sync::Arc;

use super::ServerState;
use super::stats::{ConnectionGuard, Stats};
use super::task::Task;
use crate::connection::phase::PhaseCell;
use crate::connection::{CloseReason, Phase};

/// Counts a connection as open until its stream is dropped, then as closed. The connection also counts
/// as aborted if the server is already [forced](Phase::Forced) to stop: the drain's deadline has passed,
/// or [`Handle::shutdown_now`](super::Handle::shutdown_now) was called.
struct UpgradeGuard {
    _connection_guard: Option<ConnectionGuard>,
    stats: Arc<Stats>,
    phase: Arc<PhaseCell>,
}

impl ServerState {
    /// Runs a connection's upgrade on this thread until it ends.
    #[cold]
    pub(super) fn run_upgrade(&self, task: &mut Task) {
        self.deregister(task);
        let guard = UpgradeGuard {
            _connection_guard: task.connection_guard.take(),
            stats: Arc::clone(&self.stats),
            phase: Arc::clone(&self.service.phase),
        };
        task.connection.run_upgrade(guard, &self.service);
    }
}

impl Drop for UpgradeGuard {
    fn drop(&mut self) {
        // This comes before the connection guard is dropped, as with every close. A reader that sees no
        // open connection then sees the reason, and the drain ends only after the last guard is dropped.
        self.stats.add_close(CloseReason::Upgraded);
        if self.phase.get() >= Phase::Forced {
            self.stats.add_aborted(1);
        }
    }
}
