use std::cell::Cell;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(20);

fn idle_workers(workers: usize, cores: usize) -> Arc<IdleWorkers> {
    let waker = || Waker::new().expect("the system has descriptors");
    let turns = Arc::new(WorkerActivity::new(workers));
    Arc::new(IdleWorkers::new(turns, cores, waker(), Arc::new(waker())))
}

/// Returns whether the waker has fired since the last call.
fn fired(waker: &Waker) -> bool {
    let mut sources = [PollFd::new(waker, PollFlags::IN)];
    let ready = poll(&mut sources, Some(&Timespec::default()));
    waker.drain();
    ready.expect("an eventfd can be polled") == 1
}

#[track_caller]
fn expect_poll(idle_workers: &IdleWorkers) {
    assert_eq!(idle_workers.wait_for_work(|| false), IdleAction::Poll);
}

/// The polling worker was woken, has no work, and polls again.
#[track_caller]
fn poll_again(idle_workers: &IdleWorkers) {
    idle_workers.stop_polling(&TurnTime::default());
    expect_poll(idle_workers);
}

/// Lets this many workers wait and returns once they sleep. Each worker reports its wake-up.
fn sleepers(idle_workers: &Arc<IdleWorkers>, count: usize) -> Receiver<IdleAction> {
    let (woken, receiver) = mpsc::channel();
    for _ in 0..count {
        let (idle_workers, woken) = (Arc::clone(idle_workers), woken.clone());
        thread::spawn(move || woken.send(idle_workers.wait_for_work(|| false)));
    }
    // A worker that counts as sleeping has released the lock, so it waits on the condition
    // variable.
    let deadline = Instant::now() + TIMEOUT;
    while idle_workers.lock().sleeping < count {
        assert!(Instant::now() < deadline, "the workers do not sleep");
        thread::yield_now();
    }
    receiver
}

#[track_caller]
fn expect_woken(woken: &Receiver<IdleAction>) {
    assert_eq!(woken.recv_timeout(TIMEOUT), Ok(IdleAction::Retry));
}

fn slow() -> TurnTime {
    TurnTime(2 * WORTHWHILE)
}

#[test]
fn one_worker_polls_and_the_others_sleep() {
    let idle_workers = idle_workers(3, 3);
    expect_poll(&idle_workers);
    let woken = sleepers(&idle_workers, 2);
    assert_eq!(idle_workers.idle.load(Ordering::SeqCst), 3);
    idle_workers.wake_one();
    expect_woken(&woken);
}

#[test]
fn work_queued_in_between_is_seen_before_waiting() {
    let idle_workers = idle_workers(1, 1);
    let was_idle = Cell::new(false);
    let action = idle_workers.wait_for_work(|| {
        was_idle.set(idle_workers.has_idle());
        true
    });
    assert_eq!(action, IdleAction::Retry);
    assert!(
        was_idle.get(),
        "a thread that queues work later must see the idle worker"
    );
    assert!(!idle_workers.has_idle());
}

#[test]
fn wake_one_prefers_a_sleeping_worker() {
    let idle_workers = idle_workers(2, 1);
    idle_workers.wake_one();
    assert!(!fired(&idle_workers.waker), "no worker is idle");

    expect_poll(&idle_workers);
    let woken = sleepers(&idle_workers, 1);
    idle_workers.wake_one();
    expect_woken(&woken);
    assert!(
        !fired(&idle_workers.waker),
        "waking the sleeping worker is enough"
    );

    idle_workers.wake_one();
    assert!(
        fired(&idle_workers.waker),
        "only the polling worker is left"
    );
}

#[test]
fn woken_workers_are_not_woken_again() {
    let idle_workers = idle_workers(3, 3);
    expect_poll(&idle_workers);
    let woken = sleepers(&idle_workers, 2);
    (0..3).for_each(|_| idle_workers.wake_one());
    assert!(!idle_workers.has_idle());
    assert!(fired(&idle_workers.waker));
    (0..100).for_each(|_| idle_workers.wake_one());
    assert!(!fired(&idle_workers.waker));
    (0..2).for_each(|_| expect_woken(&woken));
    poll_again(&idle_workers);
    idle_workers.wake_one();
    assert!(fired(&idle_workers.waker));
}

#[test]
fn returned_wake_up_leaves_the_worker_idle() {
    let idle_workers = idle_workers(1, 1);
    idle_workers.return_wakeup();
    assert!(!idle_workers.has_idle(), "no worker was woken");
    expect_poll(&idle_workers);
    idle_workers.wake_one();
    assert!(fired(&idle_workers.waker));
    idle_workers.return_wakeup();
    assert!(idle_workers.has_idle());
    idle_workers.wake_one();
    assert!(fired(&idle_workers.waker), "it is woken again");
    // The worker notices the second wake-up before the first one is returned.
    idle_workers.stop_polling(&TurnTime::default());
    idle_workers.return_wakeup();
    assert!(!idle_workers.has_idle());
}

#[test]
fn batch_wakes_a_worker_only_for_a_free_core() {
    let idle_workers = idle_workers(3, 2);
    expect_poll(&idle_workers);
    idle_workers.wake_if_core_is_free();
    assert!(!fired(&idle_workers.waker), "two workers run");
    assert!(fired(&idle_workers.acceptor_waker), "they may be stuck");
    let woken = sleepers(&idle_workers, 1);
    idle_workers.wake_if_core_is_free();
    expect_woken(&woken);
    assert!(!fired(&idle_workers.waker));
}

#[test]
fn batch_wakes_nobody_while_a_woken_worker_is_on_its_way() {
    let idle_workers = idle_workers(2, 2);
    expect_poll(&idle_workers);
    idle_workers.wake_if_core_is_free();
    assert!(fired(&idle_workers.waker));
    idle_workers.wake_if_core_is_free();
    assert!(!fired(&idle_workers.waker));
    assert!(!fired(&idle_workers.acceptor_waker));
    // It has noticed, and may be stuck in its turn.
    idle_workers.stop_polling(&TurnTime::default());
    idle_workers.wake_if_core_is_free();
    assert!(fired(&idle_workers.acceptor_waker));
}

#[test]
fn wake_all_wakes_every_worker() {
    let idle_workers = idle_workers(4, 1);
    expect_poll(&idle_workers);
    let woken = sleepers(&idle_workers, 3);
    idle_workers.wake_all();
    for _ in 0..3 {
        expect_woken(&woken);
    }
    assert!(fired(&idle_workers.waker));
}

#[test]
fn sleeping_worker_replaces_the_polling_one_if_turns_are_slow() {
    let idle_workers = idle_workers(2, 1);
    expect_poll(&idle_workers);
    let woken = sleepers(&idle_workers, 1);
    idle_workers.stop_polling(&slow());
    expect_woken(&woken);
    assert!(!fired(&idle_workers.acceptor_waker));
}

#[test]
fn polling_worker_starts_the_stall_detector_if_turns_are_fast() {
    let idle_workers = idle_workers(2, 1);
    expect_poll(&idle_workers);
    let woken = sleepers(&idle_workers, 1);
    idle_workers.stop_polling(&TurnTime::default());
    assert_eq!(idle_workers.lock().sleeping, 1);
    assert!(fired(&idle_workers.acceptor_waker));
    assert!(StallDetector::new(2).is_due(&idle_workers));

    // A running detector needs no wake-up.
    expect_poll(&idle_workers);
    idle_workers.stop_polling(&TurnTime::default());
    assert!(!fired(&idle_workers.acceptor_waker));
    idle_workers.wake_one();
    expect_woken(&woken);
}

#[test]
fn last_idle_worker_starts_the_detector_if_turns_are_long() {
    let idle_workers = idle_workers(1, 1);
    for (turn_time, is_detecting) in [(slow(), false), (TurnTime(2 * DETECTOR_TICK), true)] {
        expect_poll(&idle_workers);
        idle_workers.stop_polling(&turn_time);
        assert_eq!(
            fired(&idle_workers.acceptor_waker),
            is_detecting,
            "{turn_time:?}"
        );
    }
}

#[test]
fn events_are_neglected_if_no_worker_polls() {
    let idle_workers = idle_workers(1, 1);
    assert!(idle_workers.is_neglected());
    idle_workers.note_poll();
    assert!(!idle_workers.is_neglected());
    assert!(
        idle_workers.is_neglected(),
        "the poll came before the last call"
    );
    expect_poll(&idle_workers);
    assert!(!idle_workers.is_neglected());
    idle_workers.stop_polling(&TurnTime::default());
    assert!(idle_workers.is_neglected());
}

#[test]
fn long_work_is_worth_a_wake_up() {
    let idle_workers = idle_workers(3, 2);
    let quick = TurnTime(WORTHWHILE / 10);
    #[track_caller]
    fn check(
        idle_workers: &IdleWorkers,
        queued: usize,
        turn_time: &TurnTime,
        woken: bool,
        is_detecting: bool,
    ) {
        idle_workers.wake_if_worth(queued, turn_time);
        assert_eq!(fired(&idle_workers.waker), woken);
        assert_eq!(fired(&idle_workers.acceptor_waker), is_detecting);
        idle_workers.is_detecting.store(false, Ordering::SeqCst);
    }
    // All three workers are busy.
    check(&idle_workers, 9, &slow(), false, false);
    check(&idle_workers, 90, &quick, false, false);
    // Two workers are busy, as many as can run.
    expect_poll(&idle_workers);
    check(&idle_workers, 1, &slow(), true, false);
    poll_again(&idle_workers);
    check(&idle_workers, 90, &quick, false, true);
    // One worker is busy.
    idle_workers.idle.fetch_add(1, Ordering::SeqCst);
    check(&idle_workers, 9, &quick, false, true);
    check(&idle_workers, 11, &quick, true, false);
    check(&idle_workers, 0, &slow(), false, false);
}

#[test]
fn detector_wakes_a_worker_if_another_is_stuck_and_work_waits() {
    let idle_workers = idle_workers(2, 1);
    let mut stall_detector = StallDetector::new(2);
    expect_poll(&idle_workers);

    idle_workers.activity.mark(0);
    stall_detector.tick(&idle_workers, || true);
    assert!(
        !fired(&idle_workers.waker),
        "the turn may have begun just now"
    );
    stall_detector.tick(&idle_workers, || false);
    assert!(
        !fired(&idle_workers.waker),
        "no work waits, and a worker polls"
    );
    stall_detector.tick(&idle_workers, || true);
    assert!(fired(&idle_workers.waker));
    poll_again(&idle_workers);

    // A worker that begins turn after turn is not stuck, although every check finds it in a turn.
    for _ in 0..5 {
        idle_workers.activity.mark(0);
        idle_workers.activity.mark(0);
        stall_detector.tick(&idle_workers, || true);
        assert!(!fired(&idle_workers.waker));
    }
    idle_workers.activity.mark(0);
    stall_detector.tick(&idle_workers, || true);
    stall_detector.tick(&idle_workers, || true);
    assert!(
        !fired(&idle_workers.waker),
        "the worker between turns takes the work"
    );
}

#[test]
fn detector_wakes_a_worker_if_none_polls() {
    let idle_workers = idle_workers(2, 1);
    let mut stall_detector = StallDetector::new(2);
    expect_poll(&idle_workers);
    let woken = sleepers(&idle_workers, 1);
    idle_workers.stop_polling(&TurnTime::default());
    idle_workers.activity.mark(0);
    stall_detector.tick(&idle_workers, || false);
    assert_eq!(idle_workers.lock().sleeping, 1);
    stall_detector.tick(&idle_workers, || false);
    expect_woken(&woken);
}

#[test]
fn detector_runs_while_all_workers_are_in_turns() {
    let idle_workers = idle_workers(2, 1);
    let mut stall_detector = StallDetector::new(2);
    let still_runs = |stall_detector: &mut StallDetector| {
        idle_workers.start_detector();
        (0..=QUIET_TICKS).for_each(|_| stall_detector.tick(&idle_workers, || false));
        stall_detector.is_due(&idle_workers)
    };
    (0..2).for_each(|worker| idle_workers.activity.mark(worker));
    assert!(still_runs(&mut stall_detector));
    idle_workers.activity.mark(1);
    assert!(!still_runs(&mut stall_detector));
}

#[test]
fn detector_stops_after_quiet_ticks() {
    let idle_workers = idle_workers(1, 1);
    let mut stall_detector = StallDetector::new(1);
    let tick = |stall_detector: &mut StallDetector, rounds, work_waits: bool| {
        (0..rounds).for_each(|_| stall_detector.tick(&idle_workers, || work_waits));
        stall_detector.is_due(&idle_workers)
    };
    assert!(!stall_detector.is_due(&idle_workers));
    idle_workers.start_detector();
    assert!(fired(&idle_workers.acceptor_waker));
    assert!(tick(&mut stall_detector, QUIET_TICKS, false));
    assert!(
        tick(&mut stall_detector, 1, true),
        "work resets the count of quiet ticks"
    );
    assert!(tick(&mut stall_detector, QUIET_TICKS, false));
    assert!(!tick(&mut stall_detector, 1, false));

    idle_workers.start_detector();
    assert!(
        fired(&idle_workers.acceptor_waker),
        "the detector can be started again"
    );
}

#[test]
fn work_queued_as_the_detector_stops_keeps_it_running() {
    let idle_workers = idle_workers(1, 1);
    let mut stall_detector = StallDetector::new(1);
    idle_workers.start_detector();
    (0..QUIET_TICKS).for_each(|_| stall_detector.tick(&idle_workers, || false));
    let checks = Cell::new(0);
    stall_detector.tick(&idle_workers, || checks.replace(checks.get() + 1) > 0);
    assert_eq!(checks.get(), 2);
    assert!(stall_detector.is_due(&idle_workers));
}

#[test]
fn average_follows_the_turns() {
    let mut turn_time = TurnTime::default();
    turn_time.note(10 * WORTHWHILE);
    assert!(
        !turn_time.justifies_wakeup(),
        "one slow turn does not make the average slow"
    );
    (0..TURN_WINDOW).for_each(|_| turn_time.note(10 * WORTHWHILE));
    assert!(turn_time.justifies_wakeup());
    (0..10 * TURN_WINDOW).for_each(|_| turn_time.note(WORTHWHILE / 10));
    assert!(!turn_time.justifies_wakeup());
}
