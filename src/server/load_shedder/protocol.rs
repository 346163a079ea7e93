//! Drives multiplexed connections while all workers are stuck in handlers.
//!
//! Such a connection has frames to receive and to acknowledge, windows to open and responses to
//! send while all workers are in handlers. A handler may even wait for the content of its request,
//! which arrives on a connection that needs a worker. So the acceptor drives these connections by
//! [`Admission::Protocol`]: it calls no handler and no reader, and reads no file. A connection that
//! then has work for a worker goes into the ready channel.

use super::LoadShedder;
use crate::connection::{Admission, DriveResult, WakeReason, WorkerBuffers};
use crate::server::ServerState;
use crate::server::poller::Token;
use crate::server::task::ReadyTask;
use crate::server::worker_activity::{LentConnection, WorkerActivity};
use crate::sync;

/// How often a connection is driven in a row while events arrive for it.
const DRIVES_IN_A_ROW: u32 = 4;

/// Notices which connections are lent for long: for each worker, what the last look has found.
pub(super) struct LendWatch(Box<[Seen]>);

/// What a look has found for one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It has lent no connection.
    Nothing,
    /// It has lent a connection; the number of the lend.
    Lent(u64),
    /// The connection of this lend was taken. Another worker may have lent it since.
    Taken(u64),
}

impl LendWatch {
    pub(super) fn new(workers: usize) -> Self {
        Self(vec![Seen::Nothing; workers].into())
    }

    /// Takes the connections that were already lent at the last call, if `take` can take them.
    fn overdue<T>(
        &mut self,
        activity: &WorkerActivity,
        take: impl Fn(Token) -> Option<T>,
    ) -> impl Iterator<Item = T> {
        let workers = self.0.iter_mut().zip(activity.lent());
        workers.filter_map(move |(seen, lent)| {
            let Some(LentConnection { token, lend }) = lent else {
                *seen = Seen::Nothing;
                return None;
            };
            if *seen == Seen::Lent(lend) {
                let taken = take(token)?;
                *seen = Seen::Taken(lend);
                return Some(taken);
            }
            if *seen != Seen::Taken(lend) {
                *seen = Seen::Lent(lend);
            }
            None
        })
    }
}

impl LoadShedder {
    /// Takes ready connections that have been lent for long, for a worker if one is idle.
    pub(super) fn take_overdue(&mut self, shared: &ServerState) {
        let take = |token| shared.poller.take_lent(token);
        for task in self.lend_watch.overdue(&shared.activity, take) {
            shared.service.count_stolen();
            let ready = ReadyTask {
                task,
                wake: WakeReason::Ready,
                since: Some(sync::now()),
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

    /// Drives the multiplexed connections in the channels if no worker is free. All connections keep
    /// their order and the time since when they wait.
    pub(super) fn drive_queued(&mut self, shared: &ServerState) {
        self.drive_woken(shared);
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

    fn drive_woken(&mut self, shared: &ServerState) {
        for _ in 0..shared.woken.len() {
            if !shared.woken.has_multiplexed() || shared.idle_workers.has_idle() {
                return;
            }
            let Some(ready) = shared.woken.take() else {
                return;
            };
            let left = match ready.task.connection.is_multiplexed() {
                true => shared.drive_protocol(&mut self.buffers, ready),
                false => Some(ready),
            };
            if let Some(ready) = left {
                shared.woken.put(ready);
                shared.idle_workers.wake_one();
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
            let (admission, now) = (Admission::Protocol, sync::now());
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
        let mut overdue = |can_take| -> Vec<Token> {
            let take = |token| Some(token).filter(|_| can_take);
            watch.overdue(&activity, take).collect()
        };

        activity.begin_lend(1, token);
        assert_eq!(overdue(true), []);
        assert_eq!(overdue(false), [], "it is not ready");
        assert_eq!(overdue(true), [token]);
        assert_eq!(overdue(true), [], "it may be lent by another worker");
        activity.begin_lend(1, token);
        assert_eq!(overdue(true), [], "it was lent again");
        assert_eq!(overdue(true), [token]);
        activity.end_lend(1);
        assert_eq!(overdue(true), []);
    }
}
