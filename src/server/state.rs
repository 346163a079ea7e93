//! The state that the threads of one server share: its queues, and how a connection is driven, parked
//! and closed.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, error};

use super::idle_workers::IdleWorkers;
use super::poller::{Events, Parked, Poller, Token};
use super::queue_times::QueueTimeCounters;
use super::shutdown_callbacks::ShutdownCallbacks;
use super::stats::Stats;
use super::task::{ReadyTask, Task};
use super::timers::Timers;
use super::woken_channel::WokenChannel;
use super::worker_activity::WorkerActivity;
use crate::connection::call::Reply;
use crate::connection::{
    Admission, CloseReason, Connection, DriveResult, Pending, Phase, Service, WakeReason,
    WorkerBuffers,
};
use crate::message::Overload;
use crate::sync;
use crate::sync::channel::{Receiver, Sender};

/// The state shared by the threads of one server.
pub(super) struct ServerState {
    pub(super) service: Service,
    pub(super) max_connections: usize,
    pub(super) poller: Poller<Box<Task>, Reply>,
    pub(super) ready_tx: Sender<ReadyTask>,
    pub(super) ready_rx: Arc<Receiver<ReadyTask>>,
    pub(super) woken: WokenChannel,
    pub(super) idle_workers: IdleWorkers,
    pub(super) stats: Arc<Stats>,
    pub(super) activity: Arc<WorkerActivity>,
    pub(super) queue_times: Arc<QueueTimeCounters>,
    pub(super) timers: Arc<Timers>,
    pub(super) shutdown_callbacks: Arc<ShutdownCallbacks>,
}

impl ServerState {
    pub(super) fn phase(&self) -> Phase {
        self.service.phase.get()
    }

    /// Queues a task for any worker.
    pub(super) fn enqueue(&self, ready: ReadyTask) {
        let sent = self.ready_tx.send(ready);
        debug_assert!(sent.is_ok(), "the receiver lives as long as the sender");
    }

    /// Queues a task for any worker, and wakes an idle one.
    pub(super) fn hand_over(&self, ready: ReadyTask) {
        self.enqueue(ready);
        self.idle_workers.wake_one();
    }

    /// Takes a connection from a channel.
    pub(super) fn take_queued(&self, is_woken_first: bool) -> Option<ReadyTask> {
        let take_ready = || self.ready_rx.try_recv().ok();
        match is_woken_first {
            true => self.woken.take().or_else(take_ready),
            false => take_ready().or_else(|| self.woken.take()),
        }
    }

    /// Connections in both channels.
    pub(super) fn queued(&self) -> usize {
        self.ready_rx.len() + self.woken.len()
    }

    pub(super) fn has_queued(&self) -> bool {
        !self.ready_rx.is_empty() || !self.woken.is_empty()
    }

    pub(super) fn poll(&self, events: &mut Events, timeout: Option<Duration>) {
        if let Err(error) = self.poller.wait(events, timeout) {
            error!("waiting for connections failed: {error}");
        }
    }

    /// Queues the connections of all these events for any worker. Returns whether there were any.
    pub(super) fn enqueue_all(&self, events: &mut Events) -> bool {
        self.enqueue_some(events, Some)
    }

    /// Queues the connections of all these events that `select` returns.
    pub(super) fn enqueue_some(
        &self,
        events: &mut Events,
        mut select: impl FnMut(ReadyTask) -> Option<ReadyTask>,
    ) -> bool {
        let (mut now, mut is_any_queued) = (None, false);
        while let Some((task, wake)) = self.poller.next_ready(events) {
            // The clock is read once for all of them.
            let since = Some(*now.get_or_insert_with(sync::now));
            if let Some(ready) = select(ReadyTask { task, wake, since }) {
                self.enqueue(ready);
                is_any_queued = true;
            }
        }
        self.attend_lent(events);
        is_any_queued
    }

    /// Whether a connection that has been ready since then has waited too long.
    pub(super) fn is_late(&self, since: Option<Instant>, now: Instant) -> bool {
        since.is_some_and(|since| {
            now.saturating_duration_since(since) > self.service.config.queue_timeout
        })
    }

    /// How a connection is driven that has waited too long for a worker. A multiplexed connection
    /// knows how long each of its requests has waited, and some may have arrived just now.
    pub(super) fn admission_when_late(connection: &Connection, otherwise: Admission) -> Admission {
        match connection.is_multiplexed() || connection.is_driven() {
            true => otherwise,
            false => Admission::Shed(Overload::Late),
        }
    }

    /// Drives a connection once.
    pub(super) fn drive(
        &self,
        buffers: &mut WorkerBuffers,
        task: &mut Task,
        wake: WakeReason,
        admission: Admission,
        now: Instant,
    ) -> DriveResult {
        let connection = &mut task.connection;
        buffers.set_token(task.token.map(Token::number));
        let result = guarded(buffers, |buffers| {
            connection.drive(wake, admission, now, buffers, &self.service)
        });
        task.token = buffers.token().and_then(Token::from_number);
        self.count_shed(buffers);
        match result {
            DriveResult::Upgrade => {
                self.run_upgrade(task);
                DriveResult::Close(CloseReason::Upgraded)
            }
            result => result,
        }
    }

    /// Counts the requests that a drive has shed.
    pub(super) fn count_shed(&self, buffers: &mut WorkerBuffers) {
        if let Some(shed) = buffers.take_shed() {
            for (overload, requests) in shed {
                self.stats.add_shed(overload, requests);
            }
        }
    }

    /// Applies the result of a drive, and returns the connection if it is still ready.
    pub(super) fn apply_result(
        &self,
        mut task: Box<Task>,
        result: DriveResult,
    ) -> Option<(Box<Task>, WakeReason)> {
        match result {
            DriveResult::Close(reason) => self.close(task, reason),
            _ if self.phase() >= Phase::Forced => self.close(task, CloseReason::Forced),
            DriveResult::Park(pending) => return self.park(task, pending),
            DriveResult::Requeue => return Some((task, WakeReason::Ready)),
            // Only a worker lets a connection make calls, and it runs them first. Upgrades have run.
            DriveResult::Lend(_) | DriveResult::Upgrade => self.close(task, CloseReason::Panicked),
            DriveResult::Deregister => {
                self.deregister(&mut task);
                return Some((task, WakeReason::Deregistered));
            }
        }
        None
    }

    /// Parks a connection, and returns it if it is ready again.
    pub(super) fn park(
        &self,
        mut task: Box<Task>,
        pending: Pending,
    ) -> Option<(Box<Task>, WakeReason)> {
        let token = self.reserve(&mut task)?;
        match self.poller.park(token, task, pending) {
            Parked::Waiting => None,
            Parked::Ready(mut task, wake, replies) => {
                task.deliver(replies);
                Some((task, wake))
            }
            Parked::Failed(task, error) => {
                self.fail_to_watch(task, &error);
                None
            }
        }
    }

    /// Returns the connection's token, and reserves one first if it has none.
    pub(super) fn reserve(&self, task: &mut Task) -> Option<Token> {
        task.token = task.token.or_else(|| self.poller.reserve());
        if task.token.is_none() {
            error!("{}: closed: the poller is full", task.connection);
        }
        task.token
    }

    #[cold]
    pub(super) fn fail_to_watch(&self, task: Box<Task>, error: &io::Error) {
        error!("{}: epoll can't watch the socket: {error}", task.connection);
        self.close(task, CloseReason::Failed);
    }

    /// Stops polling a connection until it parks again.
    #[cold]
    pub(super) fn deregister(&self, task: &mut Task) {
        if let Some(token) = task.token.take() {
            self.poller.deregister(token, &task.connection);
        }
    }

    /// Closes a connection, and counts the requests that a drain aborts by that.
    pub(super) fn close(&self, task: Box<Task>, reason: CloseReason) {
        debug!("{}: closed: {reason}", task.connection);
        // If an `UpgradeGuard` has taken the guard, it counts the close, too.
        if task.connection_guard.is_some() {
            self.stats.add_close(reason);
        }
        let aborted = match reason {
            CloseReason::Forced => true,
            CloseReason::SlowReader | CloseReason::BufferLimit => self.phase() >= Phase::Draining,
            _ => false,
        };
        if aborted {
            self.stats.add_aborted(task.connection.unfinished());
        }
        task.connection.prepare_close();
        self.release(task);
    }

    /// Drops a connection. Its slot is released first, so that an event that arrives before the socket
    /// is closed finds no connection.
    fn release(&self, task: Box<Task>) {
        let release = || {
            if let Some(token) = task.token {
                self.poller.release(token);
            }
            drop(task);
        };
        // It may drop bodies and replies, which are a handler's.
        if catch_unwind(AssertUnwindSafe(release)).is_err() {
            error!("dropping a connection panicked");
        }
    }

    /// Closes a connection and aborts its open requests.
    pub(super) fn abort(&self, task: Box<Task>) {
        self.close(task, CloseReason::Forced);
    }

    pub(super) fn abort_parked(&self) {
        self.poller.recall(|_| true, |task| self.abort(task));
    }

    /// Makes the workers end.
    pub(super) fn stop(&self) {
        self.service.phase.advance(Phase::Stopped);
        self.idle_workers.wake_all();
    }
}

/// Runs a part of a drive, which closes the connection if it panics.
pub(super) fn guarded(
    buffers: &mut WorkerBuffers,
    drive: impl FnOnce(&mut WorkerBuffers) -> DriveResult,
) -> DriveResult {
    catch_unwind(AssertUnwindSafe(|| drive(buffers))).unwrap_or_else(|_| {
        error!("a connection was dropped because driving it panicked");
        buffers.replace();
        DriveResult::Close(CloseReason::Panicked)
    })
}
