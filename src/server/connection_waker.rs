//! Wakes a connection from any thread.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::ServerState;
use super::poller::{Delivery, Token};
use super::task::{ReadyTask, Task};
use crate::connection::Phase;
use crate::connection::WakeReason;
use crate::connection::waker::{Alarm, ConnectionWaker, WakerSource};
use crate::message::waker::Wake;

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

    fn alarm(&self, at: Instant, waker: Arc<dyn Wake>) -> Option<Box<dyn Alarm>> {
        Some(self.0.upgrade()?.timers.set(at, waker))
    }
}

impl Wake for ServerConnectionWaker {
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

    fn is_draining(&self) -> bool {
        (self.shared.upgrade()).is_none_or(|shared| shared.phase() > Phase::Running)
    }
}

impl ConnectionWaker for ServerConnectionWaker {
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
