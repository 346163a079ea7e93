//! Tests timers in every order of their steps, up to a length, against a list. Each step holds the lock
//! of the timers, so concurrent threads can only cause such orders.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

/// The length of the sequences.
const LENGTH: usize = 5;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A timer is set for this many milliseconds from now.
    Set(u64),
    /// The oldest of the timers is dropped, whether it was due or not.
    DropOldest,
    /// The newest of the timers is dropped, whether it was due or not.
    DropNewest,
    /// The acceptor looks at the timers after this many milliseconds.
    Fire(u64),
}

const STEPS: [Step; 7] = [
    Step::Set(0),
    Step::Set(10),
    Step::Set(20),
    Step::DropOldest,
    Step::DropNewest,
    Step::Fire(9),
    Step::Fire(10),
];

/// Counts the calls of one timer.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn is_draining(&self) -> bool {
        false
    }
}

struct Entry {
    due: u64,
    is_fired: bool,
    calls: Arc<Counter>,
    _alarm: Box<dyn Alarm>,
}

struct Model {
    timers: Arc<Timers>,
    waker: Arc<Waker>,
    now: u64,
    entries: Vec<Entry>,
}

impl Model {
    fn new(waker: &Arc<Waker>) -> Self {
        Self {
            timers: Arc::new(Timers::new(Arc::clone(waker))),
            waker: Arc::clone(waker),
            now: 0,
            entries: Vec::new(),
        }
    }

    fn at(&self, millis: u64) -> Instant {
        self.timers.epoch + Duration::from_millis(millis)
    }

    /// When the next timer is due.
    fn next(&self) -> Option<u64> {
        let open = self.entries.iter().filter(|entry| !entry.is_fired);
        open.map(|entry| entry.due).min()
    }

    /// Applies a step. Returns false if it is not possible now.
    fn apply(&mut self, step: Step) -> bool {
        let mut must_wake = false;
        match step {
            Step::Set(after) => {
                let (due, calls) = (self.now + after, Arc::<Counter>::default());
                must_wake = self.next().is_none_or(|next| due < next);
                let alarm = self.timers.set(self.at(due), calls.clone());
                self.entries.push(Entry {
                    due,
                    is_fired: false,
                    calls,
                    _alarm: alarm,
                });
            }
            Step::DropOldest | Step::DropNewest if self.entries.is_empty() => return false,
            Step::DropOldest => drop(self.entries.remove(0)),
            Step::DropNewest => drop(self.entries.pop()),
            Step::Fire(after) => {
                self.now += after;
                self.timers.fire(self.at(self.now));
                let now = self.now;
                let due = self.entries.iter_mut().filter(|entry| entry.due <= now);
                due.for_each(|entry| entry.is_fired = true);
            }
        }
        assert_eq!(self.has_woken(), must_wake, "an earlier timer is noticed");
        self.check();
        true
    }

    /// Checks that exactly the timers that were due have fired, each once, and when the acceptor wakes.
    fn check(&self) {
        for entry in &self.entries {
            let calls = entry.calls.0.load(Ordering::SeqCst);
            assert_eq!(calls, usize::from(entry.is_fired));
        }
        let until_next = self.timers.until_next(self.at(self.now));
        let expected = self.next().map(|next| next.saturating_sub(self.now));
        assert_eq!(until_next, expected.map(Duration::from_millis));
    }

    /// Whether the acceptor was woken since the last call.
    fn has_woken(&self) -> bool {
        let mut sources = [PollFd::new(&*self.waker, PollFlags::IN)];
        let ready = poll(&mut sources, Some(&Timespec::default()));
        self.waker.drain();
        ready.expect("the waker can be polled") > 0
    }
}

/// Runs all sequences that begin with `steps`.
fn explore(waker: &Arc<Waker>, steps: &mut Vec<Step>) {
    for step in STEPS {
        steps.push(step);
        let mut model = Model::new(waker);
        let is_possible = steps.iter().fold(true, |_, step| model.apply(*step));
        if is_possible && steps.len() < LENGTH {
            explore(waker, steps);
        }
        steps.pop();
    }
}

#[test]
fn timers_fire_once_in_any_order_of_steps() {
    let waker = Arc::new(Waker::new().expect("the system has descriptors"));
    explore(&waker, &mut Vec::new());
}
