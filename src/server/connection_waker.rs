//! Wakes a connection from any thread.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::ServerState;
use super::poller::{Delivery, Token};
use super::task::ReadyTask;
use crate::connection::Phase;
use crate::connection::WakeReason;
use crate::connection::waker::{ConnectionWaker, WakerSource};
use crate::message::waker::{Alarm, Wake, WakeBatch, WorkerPool};
use crate::sync;

/// Names a connection without owning it or its server.
pub(super) struct ServerConnectionWaker {
    shared: Weak<ServerState>,
    token: Token,
}

/// Creates wakers for the connections of a server.
pub(super) struct ServerWakerSource(Weak<ServerState>);

impl ServerWakerSource {
    pub(super) fn new(shared: &Arc<ServerState>) -> Self {
        Self(Arc::downgrade(shared))
    }
}

impl WakerSource for ServerWakerSource {
    fn waker(&self, number: &mut Option<u64>) -> Option<Arc<dyn ConnectionWaker>> {
        let token = match number.and_then(Token::from_number) {
            Some(token) => token,
            None => self.0.upgrade()?.poller.reserve()?,
        };
        *number = Some(token.number());
        Some(Arc::new(ServerConnectionWaker {
            shared: Weak::clone(&self.0),
            token,
        }))
    }
}

impl Wake for ServerConnectionWaker {
    fn wake(&self) {
        if let Some(shared) = self.shared.upgrade()
            && shared.queue_woken(self.token)
        {
            shared.wake_for_queued();
        }
    }

    fn wake_in(&self, batch: &mut WakeBatch) {
        if let Some(shared) = self.shared.upgrade()
            && shared.queue_woken(self.token)
        {
            batch.note_queued(shared);
        }
    }

    fn is_draining(&self) -> bool {
        (self.shared.upgrade()).is_none_or(|shared| shared.phase() > Phase::Running)
    }

    fn alarm(&self, at: Instant, waker: Arc<dyn Wake>) -> Option<Box<dyn Alarm>> {
        Some(self.shared.upgrade()?.timers.set(at, waker))
    }
}

impl ConnectionWaker for ServerConnectionWaker {
    fn hand_over(&self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        if let Some(task) = shared.poller.reclaim(self.token) {
            shared.hand_over(ReadyTask {
                task,
                wake: WakeReason::Ready,
                since: Some(sync::now()),
            });
        }
        // If no worker is free, the acceptor drives the connection.
        shared.idle_workers.start_detector_for_lent();
    }
}

impl WorkerPool for ServerState {
    fn wake_workers(&self) {
        self.idle_workers.wake_if_core_is_free();
    }
}

impl ServerState {
    /// Queues a connection that another thread wakes. Returns whether a worker is needed for it.
    fn queue_woken(&self, token: Token) -> bool {
        match self.poller.wake(token) {
            Delivery::Taken(task, wake) => {
                // It waits for no worker's answer, so its wait is not measured and it is not shed.
                let since = None;
                self.woken.put(ReadyTask { task, wake, since });
                true
            }
            Delivery::Lent => {
                self.idle_workers.start_detector_for_lent();
                false
            }
            Delivery::Left => false,
        }
    }

    /// Wakes a worker for a queued connection. If no worker is free, the acceptor may drive it.
    fn wake_for_queued(&self) {
        match self.idle_workers.has_idle() {
            true => self.idle_workers.wake_one(),
            false => self.idle_workers.start_detector_for_lent(),
        }
    }
}
