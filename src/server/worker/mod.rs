//! A worker: takes a connection, drives it as far as it goes, takes the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ServerState;
use super::idle_workers::{IdleAction, TurnTime};
use super::poller::Events;
use super::task::{ReadyTask, Task};
use crate::connection::Phase;
use crate::connection::{Admission, DriveResult, WakeReason, WorkerBuffers};
use crate::message::Overload;
use crate::sync::elapsed;

/// Events taken from the system at a time. What a worker takes it must hand to others, so this is
/// no more than a few rounds of the pool.
const EVENTS: usize = 64;

/// Connections driven before looking for events even though work waits: what comes over the
/// channel must not starve what comes from the system.
const DRIVES_PER_LOOK: u32 = 61;

/// Drives of one connection in a row, if events keep coming for it, before others get their turn.
const DRIVES_IN_A_ROW: u32 = 16;

/// One thread of the pool.
pub(super) struct Worker {
    shared: Arc<ServerState>,
    index: usize,
    desk: WorkerBuffers,
    events: Events,
    drives: u32,
    turn_time: TurnTime,
}

impl Worker {
    pub(super) fn new(shared: Arc<ServerState>, index: usize) -> Self {
        Self {
            shared,
            index,
            desk: WorkerBuffers::new(index),
            events: Events::with_capacity(EVENTS),
            drives: 0,
            turn_time: TurnTime::default(),
        }
    }

    /// Works until the server has stopped.
    pub(super) fn run(mut self) {
        while let Some(job) = self.next() {
            self.drive(job);
        }
        // One ring wakes one watcher, and the next one must know too.
        self.shared.idle_workers.call_all();
    }

    /// The next connection to drive; `None` once the server has stopped.
    fn next(&mut self) -> Option<ReadyTask> {
        self.drives = self.drives.wrapping_add(1);
        if self.drives.is_multiple_of(DRIVES_PER_LOOK) {
            self.look(Some(Duration::ZERO));
            self.share();
        }
        let mut was_idle = false;
        loop {
            if self.shared.phase() == Phase::Stopped {
                return None;
            }
            if let Ok(job) = self.shared.jobs.try_recv() {
                if was_idle {
                    self.wake_if_worth();
                }
                return Some(job);
            }
            let shared = &self.shared;
            let has_work = || !shared.jobs.is_empty() || shared.phase() == Phase::Stopped;
            was_idle = true;
            if shared.idle_workers.rest(has_work) == IdleAction::Work {
                continue;
            }
            self.look(None);
            self.shared.idle_workers.stop_watching(&self.turn_time);
            if let Some((client, wake)) = self.shared.poller.next_ready(&mut self.events) {
                self.share();
                return Some(ReadyTask {
                    client,
                    wake,
                    since: None,
                });
            }
        }
    }

    fn look(&mut self, patience: Option<Duration>) {
        self.shared.look(&mut self.events, patience);
        self.shared.idle_workers.note_look();
    }

    /// Hands all received events to whoever is free.
    fn share(&mut self) {
        if self.shared.enqueue_all(&mut self.events) {
            self.wake_if_worth();
        }
        // The bell rang for what waits in the channel, and it was heard by a worker that has
        // something else to do.
        if self.events.waker_fired() && !self.shared.jobs.is_empty() {
            self.shared.idle_workers.call();
        }
    }

    /// Leaves what waits in the channel to whoever is free.
    fn wake_if_worth(&self) {
        let ServerState {
            jobs, idle_workers, ..
        } = &*self.shared;
        idle_workers.wake_if_worth(jobs.len(), &self.turn_time);
    }

    fn drive(&mut self, job: ReadyTask) {
        let ReadyTask {
            mut client,
            mut wake,
            mut since,
        } = job;
        for _ in 0..DRIVES_IN_A_ROW {
            // To drop a connection may run a handler's code, too.
            self.shared.turns.count(self.index);
            let verdict = self.turn(&mut client, wake, since.take());
            let is_others_turn = matches!(verdict, DriveResult::Requeue);
            let followed = self.shared.follow(client, verdict);
            self.shared.turns.count(self.index);
            match followed {
                Some(called) => (client, wake) = called,
                None => return,
            }
            if is_others_turn {
                break;
            }
        }
        // Whoever has been waiting in the system goes before it.
        self.look(Some(Duration::ZERO));
        self.share();
        self.shared.hand_over(ReadyTask {
            client,
            wake,
            since: Some(Instant::now()),
        });
    }

    fn turn(&mut self, client: &mut Task, wake: WakeReason, since: Option<Instant>) -> DriveResult {
        let (desk, shared) = (&mut self.desk, &self.shared);
        let began = Instant::now();
        let waited = since.map(|since| began.saturating_duration_since(since));
        shared.waits.note(self.index, waited);
        // In a drain nobody else comes, and what has come is handled.
        let treatment = if shared.is_late(since, began) && shared.phase() < Phase::Draining {
            Admission::Shed(Overload::Late)
        } else {
            Admission::Handle
        };
        let verdict = shared.turn(desk, client, wake, treatment, began);
        self.turn_time.note(elapsed(began));
        let answered = self.desk.answered();
        shared.stats.set_answered(self.index, answered);
        verdict
    }
}

#[cfg(all(test, loom))]
mod interleavings;
