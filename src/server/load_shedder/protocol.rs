//! Drives multiplexed connections while no worker is free.
//!
//! Such a connection has frames to receive and to acknowledge, windows to open and responses to send
//! while all workers are in handlers. A handler may even wait for the content of its request, which
//! arrives on a connection that needs a worker. So the acceptor drives these connections by
//! [`Admission::Protocol`]: it calls no handler and no reader. A connection that then has work for a
//! worker goes into the ready channel.

use std::time::Instant;

use super::LoadShedder;
use crate::connection::{Admission, DriveResult, WakeReason, WorkerBuffers};
use crate::server::ServerState;
use crate::server::poller::Token;
use crate::server::task::ReadyTask;
use crate::server::worker_activity::WorkerActivity;

/// How often a connection is driven in a row while events arrive for it.
const DRIVES_IN_A_ROW: u32 = 4;

/// Notices which connections are lent for long.
pub(super) struct LendWatch {
    /// The number of each worker's lend at the last look, if there was one.
    seen: Box<[Option<u64>]>,
}

impl LendWatch {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            seen: vec![None; workers].into(),
        }
    }

    /// Returns the connections that were already lent at the last call.
    fn overdue(&mut self, activity: &WorkerActivity) -> impl Iterator<Item = Token> {
        self.seen
            .iter_mut()
            .zip(activity.lent())
            .filter_map(|(seen, lent)| {
                let lend = lent.map(|lent| lent.lend);
                let is_overdue = lend.is_some() && lend == *seen;
                *seen = lend;
                lent.filter(|_| is_overdue).map(|lent| lent.token)
            })
    }
}

impl LoadShedder {
    /// Takes ready connections that have been lent for long, for a worker if one is idle.
    pub(super) fn take_overdue(&mut self, shared: &ServerState) {
        for token in self.lend_watch.overdue(&shared.activity) {
            let Some(task) = shared.poller.take_lent(token) else {
                continue;
            };
            let ready = ReadyTask {
                task,
                wake: WakeReason::Ready,
                since: Some(Instant::now()),
            };
            let ready = match shared.idle_workers.has_idle() {
                true => Some(ready),
                false => shared.drive_protocol(&mut self.buffers, ready),
            };
            if let Some(ready) = ready {
                shared.hand_over(ready);
            }
        }
    }

    /// Drives the multiplexed connections in the ready channel if no worker is free. All connections
    /// keep their order and the time since when they wait.
    pub(super) fn drive_queued(&mut self, shared: &ServerState) {
        for _ in 0..shared.ready_rx.len() {
            if shared.idle_workers.has_idle() {
                return;
            }
            let Ok(ready) = shared.ready_rx.try_recv() else {
                return;
            };
            let left = match ready.task.connection.is_multiplexed() {
                true => shared.drive_protocol(&mut self.buffers, ready),
                false => Some(ready),
            };
            match left {
                Some(ready) => shared.hand_over(ready),
                // It has left the channel, and no wait was counted.
                None => self.requeued += 1,
            }
        }
    }
}

impl ServerState {
    /// Drives a multiplexed connection on the acceptor's thread. Returns it if it has work for a
    /// worker.
    pub(super) fn drive_protocol(
        &self,
        buffers: &mut WorkerBuffers,
        ready: ReadyTask,
    ) -> Option<ReadyTask> {
        let ReadyTask {
            mut task,
            mut wake,
            since,
        } = ready;
        for _ in 0..DRIVES_IN_A_ROW {
            let (admission, now) = (Admission::Protocol, Instant::now());
            let result = self.drive(buffers, &mut task, wake, admission, now);
            let index = self.activity.workers();
            self.stats.set_answered(index, buffers.answered());
            let has_work = matches!(result, DriveResult::Requeue);
            (task, wake) = self.apply_result(task, result)?;
            if has_work {
                break;
            }
        }
        Some(ReadyTask { task, wake, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::poller::Poller;
    use crate::server::waker::Waker;

    #[test]
    fn connection_is_overdue_at_the_second_look() {
        let waker = Waker::new().expect("the system has descriptors");
        let poller: Poller<std::os::fd::OwnedFd> =
            Poller::new(1, &waker).expect("the system has descriptors");
        let token = poller.reserve().expect("the poller has a free slot");
        let activity = WorkerActivity::new(2);
        let mut watch = LendWatch::new(2);
        let mut overdue = || watch.overdue(&activity).collect::<Vec<_>>();

        activity.begin_lend(1, token);
        assert_eq!(overdue(), []);
        assert_eq!(overdue(), [token]);
        activity.end_lend(1);
        activity.begin_lend(1, token);
        assert_eq!(overdue(), [], "it was lent again");
        activity.end_lend(1);
        assert_eq!(overdue(), []);
    }
}
