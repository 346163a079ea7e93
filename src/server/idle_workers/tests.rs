use std::cell::Cell;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn idle_workers(workers: usize, cores: usize) -> Arc<IdleWorkers> {
    let waker = || Waker::new().expect("the system has descriptors");
    let turns = Arc::new(WorkerActivity::new(workers));
    Arc::new(IdleWorkers::new(turns, cores, waker(), Arc::new(waker())))
}

/// Whether the bell has been rung since this was asked last.
fn rang(waker: &Waker) -> bool {
    let mut sources = [PollFd::new(waker, PollFlags::IN)];
    let ready = poll(&mut sources, Some(&Timespec::default()));
    waker.drain();
    ready.expect("an eventfd can be polled") == 1
}

#[track_caller]
fn expect_watch(idle_workers: &IdleWorkers) {
    assert_eq!(idle_workers.park(|| false), IdleAction::Poll);
}

/// Has as many workers sleep, and returns once they do. Each tells when it has woken.
fn sleepers(idle_workers: &Arc<IdleWorkers>, count: usize) -> Receiver<IdleAction> {
    let (woken, receiver) = mpsc::channel();
    for _ in 0..count {
        let (idle_workers, woken) = (Arc::clone(idle_workers), woken.clone());
        thread::spawn(move || woken.send(idle_workers.park(|| false)));
    }
    // Who counts as sleeping has let go of the lock, and so waits already.
    let deadline = Instant::now() + PATIENCE;
    while idle_workers.lock().sleeping < count {
        assert!(Instant::now() < deadline, "they do not fall asleep");
        thread::yield_now();
    }
    receiver
}

#[track_caller]
fn expect_woken(woken: &Receiver<IdleAction>) {
    assert_eq!(woken.recv_timeout(PATIENCE), Ok(IdleAction::Retry));
}

fn slow() -> TurnTime {
    TurnTime(2 * WORTHWHILE)
}

#[test]
fn one_watches_and_the_others_sleep() {
    let idle_workers = idle_workers(3, 3);
    expect_watch(&idle_workers);
    let woken = sleepers(&idle_workers, 2);
    assert_eq!(idle_workers.idle.load(Ordering::SeqCst), 3);
    idle_workers.wake_one();
    expect_woken(&woken);
}

#[test]
fn work_that_came_in_between_is_seen_before_resting() {
    let idle_workers = idle_workers(1, 1);
    let was_idle = Cell::new(false);
    let duty = idle_workers.park(|| {
        was_idle.set(idle_workers.has_idle());
        true
    });
    assert_eq!(duty, IdleAction::Retry);
    assert!(was_idle.get(), "who comes later with work must find it");
    assert!(!idle_workers.has_idle());
}

#[test]
fn a_call_wakes_a_sleeper_or_else_a_watcher_or_nobody() {
    let idle_workers = idle_workers(2, 1);
    idle_workers.wake_one();
    assert!(!rang(&idle_workers.waker), "nobody is idle");

    expect_watch(&idle_workers);
    let woken = sleepers(&idle_workers, 1);
    idle_workers.wake_one();
    expect_woken(&woken);
    assert!(!rang(&idle_workers.waker), "the sleeper is enough");

    idle_workers.wake_one();
    assert!(rang(&idle_workers.waker), "only a watcher is left");
}

#[test]
fn everyone_is_woken_at_the_end() {
    let idle_workers = idle_workers(4, 1);
    expect_watch(&idle_workers);
    let woken = sleepers(&idle_workers, 3);
    idle_workers.wake_all();
    for _ in 0..3 {
        expect_woken(&woken);
    }
    assert!(rang(&idle_workers.waker));
}

#[test]
fn the_watcher_has_a_sleeper_take_its_place_while_turns_are_slow() {
    let idle_workers = idle_workers(2, 1);
    expect_watch(&idle_workers);
    let woken = sleepers(&idle_workers, 1);
    idle_workers.stop_watching(&slow());
    expect_woken(&woken);
    assert!(!rang(&idle_workers.stall_detector));
}

#[test]
fn the_watcher_leaves_it_to_the_patrol_while_turns_are_quick() {
    let idle_workers = idle_workers(2, 1);
    expect_watch(&idle_workers);
    let woken = sleepers(&idle_workers, 1);
    idle_workers.stop_watching(&TurnTime::default());
    assert_eq!(idle_workers.lock().sleeping, 1);
    assert!(rang(&idle_workers.stall_detector));
    assert!(StallDetector::new(2).is_due(&idle_workers));

    // Once it walks it needs no further ring.
    expect_watch(&idle_workers);
    idle_workers.stop_watching(&TurnTime::default());
    assert!(!rang(&idle_workers.stall_detector));
    idle_workers.wake_one();
    expect_woken(&woken);
}

#[test]
fn the_last_one_to_leave_has_the_patrol_look_while_turns_are_long() {
    let idle_workers = idle_workers(1, 1);
    for (turn_time, is_detecting) in [(slow(), false), (TurnTime(2 * LONG), true)] {
        expect_watch(&idle_workers);
        idle_workers.stop_watching(&turn_time);
        assert_eq!(
            rang(&idle_workers.stall_detector),
            is_detecting,
            "{turn_time:?}"
        );
    }
}

#[test]
fn events_are_neglected_if_nobody_looks_or_watches() {
    let idle_workers = idle_workers(1, 1);
    assert!(idle_workers.is_neglected());
    idle_workers.note_poll();
    assert!(!idle_workers.is_neglected());
    assert!(idle_workers.is_neglected(), "that was before the last time");
    expect_watch(&idle_workers);
    assert!(!idle_workers.is_neglected());
    idle_workers.stop_watching(&TurnTime::default());
    assert!(idle_workers.is_neglected());
}

#[test]
fn work_is_worth_a_call_if_it_takes_long() {
    let idle_workers = idle_workers(3, 2);
    let quick = TurnTime(WORTHWHILE / 10);
    #[track_caller]
    fn check(
        idle_workers: &IdleWorkers,
        queued: usize,
        turn_time: &TurnTime,
        called: bool,
        is_detecting: bool,
    ) {
        idle_workers.wake_if_worth(queued, turn_time);
        assert_eq!(rang(&idle_workers.waker), called);
        assert_eq!(rang(&idle_workers.stall_detector), is_detecting);
        idle_workers.is_detecting.store(false, Ordering::SeqCst);
    }
    // All three work.
    check(&idle_workers, 9, &slow(), false, false);
    check(&idle_workers, 90, &quick, false, false);
    // Two work, as many as can run.
    expect_watch(&idle_workers);
    check(&idle_workers, 1, &slow(), true, false);
    check(&idle_workers, 90, &quick, false, true);
    // One works.
    idle_workers.idle.fetch_add(1, Ordering::SeqCst);
    check(&idle_workers, 9, &quick, false, true);
    check(&idle_workers, 11, &quick, true, false);
    check(&idle_workers, 0, &slow(), false, false);
}

#[test]
fn the_patrol_wakes_someone_if_a_worker_is_stuck_and_work_waits() {
    let idle_workers = idle_workers(2, 1);
    let mut stall_detector = StallDetector::new(2);
    expect_watch(&idle_workers);

    idle_workers.activity.mark(0);
    stall_detector.tick(&idle_workers, || true);
    assert!(!rang(&idle_workers.waker), "it may have begun just now");
    stall_detector.tick(&idle_workers, || false);
    assert!(
        !rang(&idle_workers.waker),
        "no work waits, and someone watches"
    );
    stall_detector.tick(&idle_workers, || true);
    assert!(rang(&idle_workers.waker));

    // A worker that goes from turn to turn is not stuck, however it looks at each moment.
    for _ in 0..5 {
        idle_workers.activity.mark(0);
        idle_workers.activity.mark(0);
        stall_detector.tick(&idle_workers, || true);
        assert!(!rang(&idle_workers.waker));
    }
    idle_workers.activity.mark(0);
    stall_detector.tick(&idle_workers, || true);
    stall_detector.tick(&idle_workers, || true);
    assert!(
        !rang(&idle_workers.waker),
        "whoever is between turns takes the work"
    );
}

#[test]
fn the_patrol_sees_to_it_that_someone_watches() {
    let idle_workers = idle_workers(2, 1);
    let mut stall_detector = StallDetector::new(2);
    expect_watch(&idle_workers);
    let woken = sleepers(&idle_workers, 1);
    idle_workers.stop_watching(&TurnTime::default());
    idle_workers.activity.mark(0);
    stall_detector.tick(&idle_workers, || false);
    assert_eq!(idle_workers.lock().sleeping, 1);
    stall_detector.tick(&idle_workers, || false);
    expect_woken(&woken);
}

#[test]
fn the_patrol_walks_while_all_are_within_turns() {
    let idle_workers = idle_workers(2, 1);
    let mut stall_detector = StallDetector::new(2);
    let still_walks = |stall_detector: &mut StallDetector| {
        idle_workers.start_detector();
        (0..=QUIET_TICKS).for_each(|_| stall_detector.tick(&idle_workers, || false));
        stall_detector.is_due(&idle_workers)
    };
    (0..2).for_each(|worker| idle_workers.activity.mark(worker));
    assert!(still_walks(&mut stall_detector));
    idle_workers.activity.mark(1);
    assert!(!still_walks(&mut stall_detector));
}

#[test]
fn the_patrol_ends_when_it_has_not_been_needed_for_a_while() {
    let idle_workers = idle_workers(1, 1);
    let mut stall_detector = StallDetector::new(1);
    let tick = |stall_detector: &mut StallDetector, rounds, work_waits: bool| {
        (0..rounds).for_each(|_| stall_detector.tick(&idle_workers, || work_waits));
        stall_detector.is_due(&idle_workers)
    };
    assert!(!stall_detector.is_due(&idle_workers));
    idle_workers.start_detector();
    assert!(rang(&idle_workers.stall_detector));
    assert!(tick(&mut stall_detector, QUIET_TICKS, false));
    assert!(
        tick(&mut stall_detector, 1, true),
        "work starts the count again"
    );
    assert!(tick(&mut stall_detector, QUIET_TICKS, false));
    assert!(!tick(&mut stall_detector, 1, false));

    idle_workers.start_detector();
    assert!(
        rang(&idle_workers.stall_detector),
        "it can be started again"
    );
}

#[test]
fn work_that_comes_as_the_patrol_ends_keeps_it_walking() {
    let idle_workers = idle_workers(1, 1);
    let mut stall_detector = StallDetector::new(1);
    idle_workers.start_detector();
    (0..QUIET_TICKS).for_each(|_| stall_detector.tick(&idle_workers, || false));
    let looks = Cell::new(0);
    stall_detector.tick(&idle_workers, || looks.replace(looks.get() + 1) > 0);
    assert_eq!(looks.get(), 2);
    assert!(stall_detector.is_due(&idle_workers));
}

#[test]
fn a_pace_follows_the_turns() {
    let mut turn_time = TurnTime::default();
    turn_time.note(10 * WORTHWHILE);
    assert!(!turn_time.is_slow(), "one slow turn is not a slow pace");
    (0..TURN_WINDOW).for_each(|_| turn_time.note(10 * WORTHWHILE));
    assert!(turn_time.is_slow());
    (0..10 * TURN_WINDOW).for_each(|_| turn_time.note(WORTHWHILE / 10));
    assert!(!turn_time.is_slow());
}
