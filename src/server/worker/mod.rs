//! A worker thread: it takes a ready connection, drives it until it parks or closes, and takes the
//! next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ServerState;
use super::connection_waker::ServerWakerSource;
use super::idle_workers::{IdleAction, TurnTime};
use super::lend::Driven;
use super::poller::Events;
use super::task::{ReadyTask, Task};
use crate::connection::{Admission, DriveResult, Phase, WakeReason, WorkerBuffers};
use crate::sync;

/// Events taken from epoll at a time. A worker queues the events that it takes for other workers,
/// so this is not more than a few rounds of the pool.
const EVENTS: usize = 64;

/// How many connections a worker drives between two polls while work waits. Without these polls,
/// the ready channel would starve epoll.
const DRIVES_PER_POLL: u32 = 61;

/// How often a worker drives one connection in a row, while events arrive for it, before it drives
/// others.
const DRIVES_IN_A_ROW: u32 = 16;

/// One thread of the pool.
pub(super) struct Worker {
    shared: Arc<ServerState>,
    index: usize,
    buffers: WorkerBuffers,
    events: Events,
    drives: u32,
    turn_time: TurnTime,
}

impl Worker {
    pub(super) fn new(shared: Arc<ServerState>, index: usize) -> Self {
        let mut buffers = WorkerBuffers::new(index);
        buffers.set_waker_source(Arc::new(ServerWakerSource::new(&shared)));
        Self {
            shared,
            index,
            buffers,
            events: Events::with_capacity(EVENTS),
            drives: 0,
            turn_time: TurnTime::default(),
        }
    }

    /// Runs until the server has stopped.
    pub(super) fn run(mut self) {
        while let Some(ready) = self.next() {
            self.drive(ready);
        }
        // A wake-up of the poller wakes only one worker, and the next one must end, too.
        self.shared.idle_workers.wake_all();
    }

    /// Returns the next connection to drive; `None` once the server has stopped.
    fn next(&mut self) -> Option<ReadyTask> {
        self.drives = self.drives.wrapping_add(1);
        if self.drives.is_multiple_of(DRIVES_PER_POLL) {
            self.poll(Some(Duration::ZERO));
            self.share();
        }
        let mut was_idle = false;
        loop {
            if self.shared.phase() == Phase::Stopped {
                return None;
            }
            // Neither requests nor connections that other threads have woken wait for all of the others.
            let is_woken_first = self.drives.is_multiple_of(2);
            if let Some(ready) = self.shared.take_queued(is_woken_first) {
                if was_idle {
                    self.wake_if_worth();
                }
                return Some(ready);
            }
            let shared = &self.shared;
            let has_work = || shared.has_queued() || shared.phase() == Phase::Stopped;
            was_idle = true;
            if shared.idle_workers.wait_for_work(has_work) == IdleAction::Retry {
                continue;
            }
            self.poll(None);
            self.shared.idle_workers.stop_polling(&self.turn_time);
            if let Some((task, wake)) = self.shared.poller.next_ready(&mut self.events) {
                self.share();
                return Some(ReadyTask {
                    task,
                    wake,
                    since: None,
                });
            }
            self.shared.attend_lent(&self.events);
        }
    }

    fn poll(&mut self, timeout: Option<Duration>) {
        self.shared.poll(&mut self.events, timeout);
        self.shared.idle_workers.note_poll();
    }

    /// Puts all received events into the ready channel for other workers.
    fn share(&mut self) {
        if self.shared.enqueue_all(&mut self.events) {
            self.wake_if_worth();
        }
        // The waker fired for work in the channel, but it woke this worker, which has other work.
        if self.events.waker_fired() {
            self.shared.idle_workers.return_wakeup();
            if self.shared.has_queued() {
                self.shared.idle_workers.wake_one();
            }
        }
    }

    /// Wakes an idle worker for the work in the channel if that is worth a wake-up.
    fn wake_if_worth(&self) {
        let (shared, turn_time) = (&self.shared, &self.turn_time);
        shared
            .idle_workers
            .wake_if_worth(shared.queued(), turn_time);
    }

    fn drive(&mut self, ready: ReadyTask) {
        let ReadyTask {
            mut task,
            mut wake,
            mut since,
        } = ready;
        for _ in 0..DRIVES_IN_A_ROW {
            // Dropping a connection may also run a handler's code.
            self.shared.activity.mark(self.index);
            let driven = self.drive_once(task, wake, since.take());
            let is_others_turn = matches!(driven, Some((_, DriveResult::Requeue)));
            let next = driven.and_then(|(task, result)| self.shared.apply_result(task, result));
            self.shared.activity.mark(self.index);
            match next {
                Some(ready) => (task, wake) = ready,
                None => return,
            }
            if is_others_turn {
                break;
            }
        }
        // Connections with pending events go before this one.
        self.poll(Some(Duration::ZERO));
        self.share();
        self.shared.hand_over(ReadyTask {
            task,
            wake,
            since: Some(sync::now()),
        });
    }

    /// Drives a connection and runs its calls. Returns nothing if another thread has it afterwards, or
    /// if it is closed.
    fn drive_once(
        &mut self,
        mut task: Box<Task>,
        wake: WakeReason,
        since: Option<Instant>,
    ) -> Option<Driven> {
        let (buffers, shared) = (&mut self.buffers, &self.shared);
        let began = sync::now();
        let waited = since.map(|since| began.saturating_duration_since(since));
        shared.queue_times.note(self.index, waited);
        buffers.set_waited(waited);
        // A drain handles every request already received, however long it has waited.
        let admission = if shared.is_late(since, began) && shared.phase() < Phase::Draining {
            ServerState::admission_when_late(&task.connection, Admission::Handle)
        } else {
            Admission::Handle
        };
        let driven = match shared.drive(buffers, &mut task, wake, admission, began) {
            DriveResult::Lend(lending) => shared.run_calls(self.index, buffers, task, lending),
            result => Some((task, result)),
        };
        self.turn_time.note(sync::elapsed(began));
        let answered = self.buffers.answered();
        shared.stats.set_answered(self.index, answered);
        driven
    }
}

#[cfg(all(test, loom))]
mod interleavings;
