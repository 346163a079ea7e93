//! Timers that wake connections, more precisely than the check of deadlines does.
//!
//! The acceptor waits until the earliest of them, in a drain too. A timer that becomes the earliest wakes
//! the acceptor, so none is late because it was set while the acceptor slept.
//!
//! A timer is never early, and one is late by
//!
//! * less than a millisecond, because times are rounded up to full ones;
//! * the rest of a round of the acceptor: it accepts at most 64 connections of each listener, checks the
//!   deadlines and may shed 256 requests, which takes a few milliseconds in all.
//!
//! The connection that it wakes then waits for a worker and a core.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::waker::Waker;
use crate::message::waker::{Alarm, Wake, wake_all};
use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// The timers of a server.
pub(super) struct Timers {
    entries: Mutex<Entries>,
    epoch: Instant,
    /// Wakes the acceptor.
    waker: Arc<Waker>,
}

#[derive(Default)]
struct Entries {
    by_time: BTreeMap<Key, Arc<dyn Wake>>,
    /// Timers so far, so that each has a key of its own.
    count: u64,
}

/// Milliseconds since the epoch, and the number of the timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u64, u64);

/// Removes a timer when it is dropped.
struct Timer {
    timers: Arc<Timers>,
    key: Key,
}

impl Alarm for Timer {}

impl Timers {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            entries: Mutex::default(),
            epoch: Instant::now(),
            waker,
        }
    }

    /// Calls the waker at this moment, unless the result is dropped before.
    pub(super) fn set(self: &Arc<Self>, at: Instant, waker: Arc<dyn Wake>) -> Box<dyn Alarm> {
        let mut entries = self.lock();
        let key = Key(self.millis_at(at), entries.count);
        entries.count += 1;
        let is_first = (entries.by_time.first_key_value()).is_none_or(|(first, _)| key < *first);
        entries.by_time.insert(key, waker);
        drop(entries);
        if is_first {
            self.waker.wake();
        }
        Box::new(Timer {
            timers: Arc::clone(self),
            key,
        })
    }

    /// The time until the earliest timer is due.
    pub(super) fn until_next(&self, now: Instant) -> Option<Duration> {
        let (&Key(millis, _), _) = self.lock().by_time.first_key_value()?;
        let at = self.epoch + Duration::from_millis(millis);
        Some(at.saturating_duration_since(now))
    }

    /// Calls the wakers of all timers that are due.
    pub(super) fn fire(&self, now: Instant) {
        let passed = now.saturating_duration_since(self.epoch).as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let mut entries = self.lock();
        if (entries.by_time.first_key_value()).is_none_or(|(key, _)| key.0 > passed) {
            return;
        }
        let left = entries.by_time.split_off(&Key(passed.saturating_add(1), 0));
        let due = std::mem::replace(&mut entries.by_time, left);
        // A waker takes other locks, and may drop the last share of something.
        drop(entries);
        wake_all(due.into_values());
    }

    /// The number of timers.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().by_time.len()
    }

    /// The first full millisecond at or after this moment: a timer is never early.
    fn millis_at(&self, at: Instant) -> u64 {
        let after = at.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(after.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        ignore_poison(self.entries.lock())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let removed = self.timers.lock().by_time.remove(&self.key);
        // It may be the last share of something that takes other locks, so it is dropped without this one.
        drop(removed);
    }
}

#[cfg(all(test, not(loom)))]
mod exploration;

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

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

    struct Rig {
        timers: Arc<Timers>,
        waker: Arc<Waker>,
        calls: Arc<Counter>,
    }

    impl Rig {
        fn new() -> Self {
            let waker = Arc::new(Waker::new().expect("the system has descriptors"));
            Self {
                timers: Arc::new(Timers::new(Arc::clone(&waker))),
                waker,
                calls: Arc::default(),
            }
        }

        fn at(&self, millis: u64) -> Instant {
            self.timers.epoch + Duration::from_millis(millis)
        }

        fn set(&self, millis: u64) -> Box<dyn Alarm> {
            let waker: Arc<dyn Wake> = self.calls.clone();
            self.timers.set(self.at(millis), waker)
        }

        fn fire(&self, millis: u64) -> usize {
            self.timers.fire(self.at(millis));
            self.calls.0.load(Ordering::SeqCst)
        }

        /// Whether the acceptor was woken since the last call.
        fn has_woken(&self) -> bool {
            let mut sources = [PollFd::new(&*self.waker, PollFlags::IN)];
            let ready = poll(&mut sources, Some(&Timespec::default()));
            self.waker.drain();
            ready.expect("the waker can be polled") > 0
        }
    }

    #[test]
    fn timers_fire_in_time_and_once() {
        let rig = Rig::new();
        let _alarms = [30, 10, 20, 10].map(|millis| rig.set(millis));
        assert_eq!(rig.fire(9), 0);
        assert_eq!(
            rig.timers.until_next(rig.at(4)),
            Some(Duration::from_millis(6))
        );
        assert_eq!(rig.fire(10), 2);
        assert_eq!(rig.timers.until_next(rig.at(50)), Some(Duration::ZERO));
        assert_eq!(rig.fire(50), 4);
        assert_eq!(rig.fire(100), 4);
        assert_eq!(rig.timers.until_next(rig.at(50)), None);
    }

    #[test]
    fn timer_is_never_early() {
        let rig = Rig::new();
        let at = rig.at(10) + Duration::from_nanos(1);
        let _alarm = rig.timers.set(at, rig.calls.clone());
        assert_eq!(rig.fire(10), 0);
        assert_eq!(rig.fire(11), 1);
    }

    #[test]
    fn only_an_earlier_timer_wakes_the_acceptor() {
        let rig = Rig::new();
        let _first = rig.set(100);
        assert!(rig.has_woken());
        let _later = rig.set(200);
        let _same = rig.set(100);
        assert!(!rig.has_woken());
        let _earlier = rig.set(50);
        assert!(rig.has_woken());
    }

    #[test]
    fn dropped_timer_is_removed() {
        let rig = Rig::new();
        let (one, other) = (rig.set(10), rig.set(10));
        drop(one);
        assert_eq!(rig.timers.len(), 1);
        assert_eq!(rig.fire(10), 1);
        drop(other);
        let many: Vec<_> = (0..10_000).map(|millis| rig.set(millis)).collect();
        drop(many);
        assert_eq!((rig.timers.len(), rig.fire(20_000)), (0, 1));
        assert_eq!(Arc::strong_count(&rig.calls), 1);
    }

    #[test]
    fn timer_that_never_comes_is_kept() {
        let rig = Rig::new();
        let century = Duration::from_secs(crate::sync::CENTURY);
        let _never = rig
            .timers
            .set(rig.timers.epoch + century, rig.calls.clone());
        assert!(rig.timers.until_next(rig.at(0)) > Some(Duration::from_secs(3600)));
        assert_eq!(rig.fire(1000), 0);
    }
}

/// Tests in all interleavings that the acceptor never sleeps beyond a timer.
#[cfg(all(test, loom))]
mod interleavings {
    use loom::thread;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::sync::explore_small;

    struct Ignored;

    impl Wake for Ignored {
        fn wake(&self) {}

        fn is_draining(&self) -> bool {
            false
        }
    }

    #[test]
    fn interleavings_of_timers_and_an_acceptor_that_sleeps() {
        explore_small(|| {
            let waker = Arc::new(Waker::new().expect("the system has descriptors"));
            let timers = Arc::new(Timers::new(Arc::clone(&waker)));
            let start = timers.epoch;
            let setters = [30, 10].map(|millis| {
                let timers = Arc::clone(&timers);
                let at = start + Duration::from_millis(millis);
                thread::spawn(move || {
                    let kept = timers.set(at, Arc::new(Ignored));
                    // A timer that is removed meanwhile makes no other one late.
                    drop(timers.set(start, Arc::new(Ignored)));
                    kept
                })
            });
            let sleep = timers.until_next(start);
            let _kept = setters.map(|setter| setter.join().expect("a setter succeeds"));
            let mut sources = [PollFd::new(&*waker, PollFlags::IN)];
            let ready = poll(&mut sources, Some(&Timespec::default()));
            let is_woken = ready.expect("the waker can be polled") > 0;
            let is_early_enough = sleep.is_some_and(|sleep| sleep <= Duration::from_millis(10));
            assert!(is_woken || is_early_enough, "{sleep:?}");
        });
    }
}
