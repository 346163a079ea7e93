//! Who of the workers is idle, and who is woken when there is work.
//!
//! Idle workers wait in the parking lot itself, so that an event goes from the system to a worker
//! without another thread between. But every worker that waits there is one that the system wakes
//! for an event, and waking costs as much as answering: so only one *watches* the lot, and finds the
//! more events at a time the more there are. The others *sleep* until they are needed.
//!
//! They are needed when more work waits than a wake-up costs, and when a handler blocks, for then
//! its worker does not come back to the lot and to the ready channel. Nobody knows before how long
//! handlers will take; workers go by what their turns have taken lately ([`TurnTime`]). A sleeper is
//! woken where the work that waits will take long by that. Where it will not, nobody is woken who
//! would come too late to help; the *patrol* looks every millisecond whether a worker is stuck in
//! one turn, and then wakes another.

use std::sync::atomic::AtomicBool as Hint;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::waker::Waker;
use super::worker_activity::{WorkerActivity, is_within};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// Work that takes longer than this is worth a wake-up, which costs about a tenth.
const WORTHWHILE: Duration = Duration::from_micros(100);

/// Where turns take longer than this, a pool that is all busy leaves it to the patrol to look for
/// events: as long as the patrol takes between two rounds.
const LONG: Duration = Duration::from_millis(1);

/// The average is over about this many turns.
const PACE_WINDOW: u32 = 64;

/// Rounds of the patrol without anything to do before it ends.
const QUIET_ROUNDS: u32 = 16;

/// The idle workers of one server.
#[derive(Debug)]
pub(super) struct IdleWorkers {
    /// How many workers can run at once.
    cores: usize,
    waker: Waker,
    /// Who watches or sleeps, to be read without the lock.
    idle: AtomicUsize,
    shift: Mutex<IdleState>,
    wakeup: Condvar,
    /// Whether a worker has looked for events lately. What depends on it is when the acceptor looks
    /// for them, and not whether someone does.
    looked: Hint,
    turns: Arc<WorkerActivity>,
    /// Whether the patrol walks, and what starts it.
    patrolled: AtomicBool,
    stall_detector: Arc<Waker>,
}

#[derive(Debug, Default)]
struct IdleState {
    is_watched: bool,
    sleeping: usize,
}

/// What a worker's turns have taken lately.
#[derive(Debug, Default)]
pub(super) struct TurnTime(Duration);

/// Looks after workers that are stuck in a turn.
#[derive(Debug)]
pub(super) struct StallDetector {
    seen: Box<[u64]>,
    quiet: u32,
}

/// What an idle worker is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IdleAction {
    /// Wait in the lot, and report with [`IdleWorkers::stop_watching`] afterwards.
    Watch,
    /// Look again for work.
    Work,
}

impl IdleWorkers {
    /// For the workers that take these turns, of which so many can run at once. `waker` wakes the
    /// watcher, `stall_detector` the thread that [walks](StallDetector::tick).
    pub(super) fn new(
        turns: Arc<WorkerActivity>,
        cores: usize,
        waker: Waker,
        stall_detector: Arc<Waker>,
    ) -> Self {
        Self {
            cores,
            waker,
            idle: AtomicUsize::new(0),
            shift: Mutex::default(),
            wakeup: Condvar::new(),
            looked: Hint::new(false),
            turns,
            patrolled: AtomicBool::new(false),
            stall_detector,
        }
    }

    /// A worker has nothing to do: it sleeps until it is needed, or is told to watch.
    /// `has_work` is asked once it counts as idle, so that work which came in between is seen.
    pub(super) fn rest(&self, has_work: impl Fn() -> bool) -> IdleAction {
        let mut shift = self.lock();
        self.idle.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if has_work() {
            self.idle.fetch_sub(1, Ordering::SeqCst);
            return IdleAction::Work;
        }
        if !shift.is_watched {
            shift.is_watched = true;
            return IdleAction::Watch;
        }
        shift.sleeping += 1;
        shift = self
            .wakeup
            .wait(shift)
            .unwrap_or_else(PoisonError::into_inner);
        shift.sleeping = shift.sleeping.saturating_sub(1);
        self.idle.fetch_sub(1, Ordering::SeqCst);
        IdleAction::Work
    }

    /// The watcher has something to do. A sleeper takes its place, at once or when the patrol finds
    /// that it is needed: what comes next must not wait until a handler returns. Where nobody sleeps,
    /// it has to, but the patrol sees that it waits.
    pub(super) fn stop_watching(&self, turn_time: &TurnTime) {
        let mut shift = self.lock();
        shift.is_watched = false;
        self.idle.fetch_sub(1, Ordering::SeqCst);
        let has_sleeper = shift.sleeping > 0;
        drop(shift);
        if has_sleeper && turn_time.is_slow() {
            self.wakeup.notify_one();
        } else if has_sleeper || turn_time.is_long() {
            self.start_detector();
        }
    }

    /// A worker has looked for events.
    pub(super) fn note_look(&self) {
        if !self.looked.load(Ordering::Relaxed) {
            self.looked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether no worker has looked for events since this was asked last, and none waits for them.
    pub(super) fn is_neglected(&self) -> bool {
        !self.looked.swap(false, Ordering::Relaxed) && !self.lock().is_watched
    }

    /// A worker that has something to do leaves so many `jobs` to whoever is free. One who is idle
    /// is woken if they are worth it and someone who is awake does not come to them as soon.
    pub(super) fn wake_if_worth(&self, jobs: usize, turn_time: &TurnTime) {
        fence(Ordering::SeqCst);
        let idle = self.idle.load(Ordering::SeqCst);
        if idle == 0 || jobs == 0 {
            return;
        }
        let has_core = || self.turns.workers() - idle < self.cores;
        if turn_time.is_slow() || turn_time.of(jobs) > WORTHWHILE && has_core() {
            self.call();
        } else {
            self.start_detector();
        }
    }

    /// There is work that anyone may take: one idle worker is woken, if there is one.
    pub(super) fn call(&self) {
        if !self.has_idle() {
            return;
        }
        // Let go of the lock first: whoever wakes wants it.
        let IdleState {
            is_watched,
            sleeping,
        } = *self.lock();
        if sleeping > 0 {
            self.wakeup.notify_one();
        } else if is_watched {
            self.waker.wake();
        }
    }

    /// Wakes everyone.
    pub(super) fn call_all(&self) {
        let _shift = self.lock();
        self.wakeup.notify_all();
        self.waker.wake();
    }

    /// Whether anyone is idle, as of all work that this thread has made known before.
    fn has_idle(&self) -> bool {
        fence(Ordering::SeqCst);
        self.idle.load(Ordering::SeqCst) > 0
    }

    /// Whether nobody watches although someone could, or because all are within turns.
    fn is_unwatched(&self) -> bool {
        let shift = self.lock();
        !shift.is_watched && (shift.sleeping > 0 || self.turns.counts().all(is_within))
    }

    /// Has the patrol walk, if it does not.
    pub(super) fn start_detector(&self) {
        if !self.patrolled.load(Ordering::Relaxed) && !self.patrolled.swap(true, Ordering::SeqCst) {
            self.stall_detector.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, IdleState> {
        self.shift.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnTime {
    /// Takes one turn into account.
    pub(super) fn note(&mut self, turn: Duration) {
        self.0 = self.0 - self.0 / PACE_WINDOW + turn / PACE_WINDOW;
    }

    /// Whether a single turn takes long.
    fn is_slow(&self) -> bool {
        self.0 > WORTHWHILE
    }

    /// Whether a turn takes so long that somebody else should look for events meanwhile.
    fn is_long(&self) -> bool {
        self.0 > LONG
    }

    /// What so many turns will take.
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

    /// Whether it is to [walk](Self::tick) again in a millisecond or so.
    pub(super) fn is_due(&self, idle_workers: &IdleWorkers) -> bool {
        idle_workers.patrolled.load(Ordering::SeqCst)
    }

    /// Looks at every worker: if one has been in the same turn since the last time, and work waits
    /// or nobody watches for it, an idle worker is woken. Where it is not needed for a while, the
    /// patrol ends.
    pub(super) fn tick(&mut self, idle_workers: &IdleWorkers, work_waits: impl Fn() -> bool) {
        let mut stuck = false;
        for (seen, turns) in self.seen.iter_mut().zip(idle_workers.turns.counts()) {
            stuck |= is_within(turns) && turns == *seen;
            *seen = turns;
        }
        let is_needed = || work_waits() || idle_workers.is_unwatched();
        if is_needed() {
            self.quiet = 0;
            if stuck {
                idle_workers.call();
            }
            return;
        }
        self.quiet += 1;
        if self.quiet > QUIET_ROUNDS {
            self.quiet = 0;
            idle_workers.patrolled.store(false, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            // Who needed it just now may have found it still walking.
            if is_needed() {
                idle_workers.patrolled.store(true, Ordering::SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests;
