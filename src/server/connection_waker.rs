//! Wakes a connection from any thread.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::ServerState;
use super::poller::{Delivery, Token};
use super::task::{ReadyTask, Task};
use crate::connection::WakeReason;
use crate::connection::call::ConnectionWaker;

/// Names a connection without owning it or its server.
pub(super) struct ServerConnectionWaker {
    shared: Weak<ServerState>,
    token: Token,
}

impl ServerConnectionWaker {
    pub(super) fn new(shared: &Arc<ServerState>, token: Token) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            token,
        }
    }
}

impl ConnectionWaker for ServerConnectionWaker {
    fn wake(&self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        match shared.poller.wake(self.token) {
            Delivery::Taken(task, wake) => shared.hand_over(ready(task, wake)),
            Delivery::Lent => {}
            Delivery::Left => return,
        }
        shared.idle_workers.start_detector_for_lent();
    }

    fn hand_over(&self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        if let Some(task) = shared.poller.reclaim(self.token) {
            shared.hand_over(ready(task, WakeReason::Ready));
        }
        // If no worker is free, the acceptor drives the connection.
        shared.idle_workers.start_detector_for_lent();
    }
}

fn ready(task: Box<Task>, wake: WakeReason) -> ReadyTask {
    ReadyTask {
        task,
        wake,
        since: Some(Instant::now()),
    }
}
