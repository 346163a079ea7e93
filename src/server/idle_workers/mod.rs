//! Tracks idle workers and decides which one to wake.
//!
//! Waking a thread costs about as much as answering a small request, so this module wakes as few as
//! possible. One idle worker *polls*: it waits in epoll, so that an event reaches it without
//! another thread in between, and it takes more events at a time under load. The others *sleep* on
//! a condition variable.
//!
//! How long a handler will take is unknown, so each worker uses the average of its recent turns
//! ([`TurnTime`]). A sleeping worker is woken in three cases:
//!
//! * Work waits, and a single turn takes longer than 100 µs on average.
//! * The waiting work takes longer than 100 µs in all, and fewer workers run than there are cores.
//! * A handler blocks, so its worker is stuck in a turn while work waits or no worker polls. This
//!   can't be predicted, so [`StallDetector`] checks for it once a millisecond.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool as StdAtomicBool;
use std::time::Duration;

use super::waker::Waker;
use super::worker_activity::{WorkerActivity, is_in_turn};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use crate::sync::{Condvar, Mutex, MutexGuard, ignore_poison};

/// Work that takes longer than this justifies a wake-up, which costs about a tenth of it.
const WORTHWHILE: Duration = Duration::from_micros(100);

/// How often the stall detector and the load shedder run. A connection may wait this long for an
/// idle worker if a handler blocks that was fast before.
pub(super) const DETECTOR_TICK: Duration = Duration::from_millis(1);

/// The moving average covers about this many turns.
const TURN_WINDOW: u32 = 64;

/// Ticks without work before the stall detector stops.
const QUIET_TICKS: u32 = 16;

/// The idle workers of one server.
#[derive(Debug)]
pub(super) struct IdleWorkers {
    /// How many workers can run at once.
    cores: usize,
    waker: Waker,
    /// Workers that poll or sleep and are not woken, readable without the lock.
    idle: AtomicUsize,
    state: Mutex<IdleState>,
    wakeup: Condvar,
    /// Whether a worker has polled for events since the last check. Accesses are relaxed, and loom
    /// does not model them: after a stale value the acceptor only polls once more than needed, or
    /// one check later.
    was_polled: StdAtomicBool,
    activity: Arc<WorkerActivity>,
    /// Whether the stall detector runs.
    is_detecting: AtomicBool,
    /// Wakes the acceptor, which runs the stall detector.
    acceptor_waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct IdleState {
    polling: Polling,
    /// Workers that sleep and are not woken.
    sleeping: usize,
    /// Workers that were woken and still have to notice it. Others need not wake them again: they look
    /// for work when they run.
    woken: usize,
}

/// Whether an idle worker waits in the poller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Polling {
    #[default]
    Nobody,
    /// A worker waits.
    Waiting,
    /// The waker was called for it.
    Woken,
}

/// A moving average of a worker's recent turn times.
#[derive(Debug, Default)]
pub(super) struct TurnTime(Duration);

/// Detects workers that are stuck in a turn.
#[derive(Debug)]
pub(super) struct StallDetector {
    seen: Box<[u64]>,
    quiet: u32,
}

/// The next step of an idle worker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IdleAction {
    /// Wait in the poller, and call [`IdleWorkers::stop_polling`] afterwards.
    Poll,
    /// Look for work again.
    Retry,
}

impl IdleWorkers {
    /// Creates the state for these workers, of which `cores` can run at once. `waker` wakes the
    /// polling worker, `acceptor_waker` the thread that calls [`StallDetector::tick`].
    pub(super) fn new(
        activity: Arc<WorkerActivity>,
        cores: usize,
        waker: Waker,
        acceptor_waker: Arc<Waker>,
    ) -> Self {
        Self {
            cores,
            waker,
            idle: AtomicUsize::new(0),
            state: Mutex::default(),
            wakeup: Condvar::new(),
            was_polled: StdAtomicBool::new(false),
            activity,
            is_detecting: AtomicBool::new(false),
            acceptor_waker,
        }
    }

    /// Waits for work on a worker that has none: either it sleeps until it is woken, or it must
    /// poll. `has_work` is called after the worker counts as idle, so that work queued in between
    /// is seen.
    pub(super) fn wait_for_work(&self, has_work: impl Fn() -> bool) -> IdleAction {
        let mut state = self.lock();
        self.idle.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if has_work() {
            self.idle.fetch_sub(1, Ordering::SeqCst);
            return IdleAction::Retry;
        }
        if state.polling == Polling::Nobody {
            state.polling = Polling::Waiting;
            return IdleAction::Poll;
        }
        state.sleeping += 1;
        while state.woken == 0 {
            state = ignore_poison(self.wakeup.wait(state));
        }
        state.woken -= 1;
        IdleAction::Retry
    }

    /// Ends a worker's polling because it has work. A sleeping worker replaces it, at once or when
    /// the stall detector sees a need, so that the next event does not wait until a handler
    /// returns. If no worker sleeps, the event has to wait, and the stall detector sees that it
    /// does.
    pub(super) fn stop_polling(&self, turn_time: &TurnTime) {
        let mut state = self.lock();
        if mem::take(&mut state.polling) == Polling::Waiting {
            self.idle.fetch_sub(1, Ordering::SeqCst);
        }
        let has_sleeper = state.sleeping > 0;
        if has_sleeper && turn_time.justifies_wakeup() {
            self.wake_sleeper(state);
            return;
        }
        drop(state);
        if has_sleeper || turn_time.exceeds_tick() {
            self.start_detector();
        }
    }

    /// Records that a worker has polled for events.
    pub(super) fn note_poll(&self) {
        if !self.was_polled.load(Ordering::Relaxed) {
            self.was_polled.store(true, Ordering::Relaxed);
        }
    }

    /// Whether no worker has polled for events since the last call, and none polls now.
    pub(super) fn is_neglected(&self) -> bool {
        !self.was_polled.swap(false, Ordering::Relaxed) && !self.lock().is_polled()
    }

    /// Wakes an idle worker for the work that a busy worker leaves in the channel, if the work
    /// justifies a wake-up and no running worker would take it as soon. Otherwise starts the stall
    /// detector.
    pub(super) fn wake_if_worth(&self, queued: usize, turn_time: &TurnTime) {
        fence(Ordering::SeqCst);
        let idle = self.idle.load(Ordering::SeqCst);
        if idle == 0 || queued == 0 {
            return;
        }
        let has_core = || self.activity.workers() - idle < self.cores;
        if turn_time.justifies_wakeup() || turn_time.of(queued) > WORTHWHILE && has_core() {
            self.wake_one();
        } else {
            self.start_detector();
        }
    }

    /// Wakes an idle worker for work that many clients wait for, if a core is free for it. Otherwise
    /// starts the stall detector, in case that the running workers are stuck.
    pub(super) fn wake_if_core_is_free(&self) {
        if self.lock().is_waking() {
            // It looks for work when it runs, and then wakes another one if that is worth it.
            return;
        }
        fence(Ordering::SeqCst);
        let idle = self.idle.load(Ordering::SeqCst);
        if idle > 0 && self.activity.workers() - idle < self.cores {
            self.wake_one();
        } else {
            self.start_detector_for_lent();
        }
    }

    /// Wakes one idle worker, if there is one, for work that any worker may take. A worker that was
    /// woken and does not run yet is not woken again, so many calls in a row cost few system calls.
    pub(super) fn wake_one(&self) {
        if !self.has_idle() {
            return;
        }
        let mut state = self.lock();
        if state.sleeping > 0 {
            self.wake_sleeper(state);
        } else if state.polling == Polling::Waiting {
            state.polling = Polling::Woken;
            self.idle.fetch_sub(1, Ordering::SeqCst);
            drop(state);
            self.waker.wake();
        }
    }

    /// Wakes a worker that sleeps.
    fn wake_sleeper(&self, mut state: MutexGuard<'_, IdleState>) {
        state.sleeping -= 1;
        state.woken += 1;
        self.idle.fetch_sub(1, Ordering::SeqCst);
        // The lock is released first, because the woken worker takes it.
        drop(state);
        self.wakeup.notify_one();
    }

    /// Notes that a thread which has other work received the event that was to wake the polling worker.
    /// The polling worker may not have noticed, so it counts as idle again; wake a worker if work
    /// waits.
    pub(super) fn return_wakeup(&self) {
        let mut state = self.lock();
        if state.polling == Polling::Woken {
            state.polling = Polling::Waiting;
            self.idle.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Wakes all idle workers.
    pub(super) fn wake_all(&self) {
        let mut state = self.lock();
        let sleeping = mem::take(&mut state.sleeping);
        state.woken += sleeping;
        self.idle.fetch_sub(sleeping, Ordering::SeqCst);
        self.wakeup.notify_all();
        if state.polling == Polling::Waiting {
            state.polling = Polling::Woken;
            self.idle.fetch_sub(1, Ordering::SeqCst);
        }
        self.waker.wake();
    }

    /// Whether a worker is idle. Work that this thread has published before is visible to every
    /// worker that becomes idle later.
    pub(super) fn has_idle(&self) -> bool {
        fence(Ordering::SeqCst);
        self.idle.load(Ordering::SeqCst) > 0
    }

    /// Whether no worker polls although one sleeps, or because all are within turns.
    fn is_unpolled(&self) -> bool {
        let state = self.lock();
        !state.is_polled() && (state.sleeping > 0 || self.activity.counts().all(is_in_turn))
    }

    /// Starts the stall detector unless it runs.
    pub(super) fn start_detector(&self) {
        if !self.is_detecting.load(Ordering::Relaxed)
            && !self.is_detecting.swap(true, Ordering::SeqCst)
        {
            self.acceptor_waker.wake();
        }
    }

    /// Starts the stall detector for a lent connection that is ready.
    pub(super) fn start_detector_for_lent(&self) {
        // Either this thread sees that the detector has stopped, or the detector sees the connection.
        fence(Ordering::SeqCst);
        self.start_detector();
    }

    fn lock(&self) -> MutexGuard<'_, IdleState> {
        ignore_poison(self.state.lock())
    }
}

impl IdleState {
    fn is_polled(&self) -> bool {
        self.polling != Polling::Nobody
    }

    /// Whether a worker was woken that has not noticed it.
    fn is_waking(&self) -> bool {
        self.woken > 0 || self.polling == Polling::Woken
    }
}

impl TurnTime {
    /// Adds one turn to the average.
    pub(super) fn note(&mut self, turn: Duration) {
        self.0 = self.0 - self.0 / TURN_WINDOW + turn / TURN_WINDOW;
    }

    /// Whether a single turn takes so long that a worker is woken for it.
    fn justifies_wakeup(&self) -> bool {
        self.0 > WORTHWHILE
    }

    /// Whether a turn takes longer than [`DETECTOR_TICK`], so that another thread should poll for
    /// events meanwhile.
    fn exceeds_tick(&self) -> bool {
        self.0 > DETECTOR_TICK
    }

    /// The estimated time of this many turns.
    fn of(&self, turns: usize) -> Duration {
        self.0
            .saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX))
    }
}

impl StallDetector {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            seen: vec![0; workers].into(),
            quiet: 0,
        }
    }

    /// Whether [`tick`](Self::tick) is to be called again in about a millisecond.
    pub(super) fn is_due(&self, idle_workers: &IdleWorkers) -> bool {
        idle_workers.is_detecting.load(Ordering::SeqCst)
    }

    /// Checks every worker. If one has been in the same turn since the last tick, and work waits or
    /// no worker polls, it wakes an idle worker. The detector stops after some ticks without need.
    pub(super) fn tick(&mut self, idle_workers: &IdleWorkers, work_waits: impl Fn() -> bool) {
        let mut stuck = false;
        for (seen, turns) in self.seen.iter_mut().zip(idle_workers.activity.counts()) {
            stuck |= is_in_turn(turns) && turns == *seen;
            *seen = turns;
        }
        let is_needed = || work_waits() || idle_workers.is_unpolled();
        if is_needed() {
            self.quiet = 0;
            if stuck {
                idle_workers.wake_one();
            }
            return;
        }
        self.quiet += 1;
        if self.quiet > QUIET_TICKS {
            self.quiet = 0;
            idle_workers.is_detecting.store(false, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            // A thread that needed the detector just now may have found it still running.
            if is_needed() {
                idle_workers.is_detecting.store(true, Ordering::SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests;
