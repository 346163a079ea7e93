use std::cell::Cell;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn roster(workers: usize, cores: usize) -> Arc<Roster> {
    let bell = || Bell::new().expect("the system has descriptors");
    let turns = Arc::new(Turns::new(workers));
    Arc::new(Roster::new(turns, cores, bell(), Arc::new(bell())))
}

/// Whether the bell has been rung since this was asked last.
fn rang(bell: &Bell) -> bool {
    let mut sources = [PollFd::new(bell, PollFlags::IN)];
    let ready = poll(&mut sources, Some(&Timespec::default()));
    bell.silence();
    ready.expect("an eventfd can be polled") == 1
}

#[track_caller]
fn expect_watch(roster: &Roster) {
    assert_eq!(roster.rest(|| false), Duty::Watch);
}

/// Has as many workers sleep, and returns once they do. Each tells when it has woken.
fn sleepers(roster: &Arc<Roster>, count: usize) -> Receiver<Duty> {
    let (woken, receiver) = mpsc::channel();
    for _ in 0..count {
        let (roster, woken) = (Arc::clone(roster), woken.clone());
        thread::spawn(move || woken.send(roster.rest(|| false)));
    }
    // Who counts as sleeping has let go of the lock, and so waits already.
    let deadline = Instant::now() + PATIENCE;
    while roster.lock().sleeping < count {
        assert!(Instant::now() < deadline, "they do not fall asleep");
        thread::yield_now();
    }
    receiver
}

#[track_caller]
fn expect_woken(woken: &Receiver<Duty>) {
    assert_eq!(woken.recv_timeout(PATIENCE), Ok(Duty::Work));
}

fn slow() -> Pace {
    Pace(2 * WORTHWHILE)
}

#[test]
fn one_watches_and_the_others_sleep() {
    let roster = roster(3, 3);
    expect_watch(&roster);
    let woken = sleepers(&roster, 2);
    assert_eq!(roster.idle.load(Ordering::SeqCst), 3);
    roster.call();
    expect_woken(&woken);
}

#[test]
fn work_that_came_in_between_is_seen_before_resting() {
    let roster = roster(1, 1);
    let was_idle = Cell::new(false);
    let duty = roster.rest(|| {
        was_idle.set(roster.has_idle());
        true
    });
    assert_eq!(duty, Duty::Work);
    assert!(was_idle.get(), "who comes later with work must find it");
    assert!(!roster.has_idle());
}

#[test]
fn a_call_wakes_a_sleeper_or_else_a_watcher_or_nobody() {
    let roster = roster(2, 1);
    roster.call();
    assert!(!rang(&roster.bell), "nobody is idle");

    expect_watch(&roster);
    let woken = sleepers(&roster, 1);
    roster.call();
    expect_woken(&woken);
    assert!(!rang(&roster.bell), "the sleeper is enough");

    roster.call();
    assert!(rang(&roster.bell), "only a watcher is left");
}

#[test]
fn everyone_is_woken_at_the_end() {
    let roster = roster(4, 1);
    expect_watch(&roster);
    let woken = sleepers(&roster, 3);
    roster.call_all();
    for _ in 0..3 {
        expect_woken(&woken);
    }
    assert!(rang(&roster.bell));
}

#[test]
fn the_watcher_has_a_sleeper_take_its_place_while_turns_are_slow() {
    let roster = roster(2, 1);
    expect_watch(&roster);
    let woken = sleepers(&roster, 1);
    roster.relieve(&slow());
    expect_woken(&woken);
    assert!(!rang(&roster.patrol));
}

#[test]
fn the_watcher_leaves_it_to_the_patrol_while_turns_are_quick() {
    let roster = roster(2, 1);
    expect_watch(&roster);
    let woken = sleepers(&roster, 1);
    roster.relieve(&Pace::default());
    assert_eq!(roster.lock().sleeping, 1);
    assert!(rang(&roster.patrol));
    assert!(Patrol::new(2).is_due(&roster));

    // Once it walks it needs no further ring.
    expect_watch(&roster);
    roster.relieve(&Pace::default());
    assert!(!rang(&roster.patrol));
    roster.call();
    expect_woken(&woken);
}

#[test]
fn the_last_one_to_leave_has_the_patrol_look_while_turns_are_long() {
    let roster = roster(1, 1);
    for (pace, patrolled) in [(slow(), false), (Pace(2 * LONG), true)] {
        expect_watch(&roster);
        roster.relieve(&pace);
        assert_eq!(rang(&roster.patrol), patrolled, "{pace:?}");
    }
}

#[test]
fn events_are_neglected_if_nobody_looks_or_watches() {
    let roster = roster(1, 1);
    assert!(roster.is_neglected());
    roster.note_look();
    assert!(!roster.is_neglected());
    assert!(roster.is_neglected(), "that was before the last time");
    expect_watch(&roster);
    assert!(!roster.is_neglected());
    roster.relieve(&Pace::default());
    assert!(roster.is_neglected());
}

#[test]
fn work_is_worth_a_call_if_it_takes_long() {
    let roster = roster(3, 2);
    let quick = Pace(WORTHWHILE / 10);
    #[track_caller]
    fn check(roster: &Roster, jobs: usize, pace: &Pace, called: bool, patrolled: bool) {
        roster.offer(jobs, pace);
        assert_eq!(rang(&roster.bell), called);
        assert_eq!(rang(&roster.patrol), patrolled);
        roster.patrolled.store(false, Ordering::SeqCst);
    }
    // All three work.
    check(&roster, 9, &slow(), false, false);
    check(&roster, 90, &quick, false, false);
    // Two work, as many as can run.
    expect_watch(&roster);
    check(&roster, 1, &slow(), true, false);
    check(&roster, 90, &quick, false, true);
    // One works.
    roster.idle.fetch_add(1, Ordering::SeqCst);
    check(&roster, 9, &quick, false, true);
    check(&roster, 11, &quick, true, false);
    check(&roster, 0, &slow(), false, false);
}

#[test]
fn the_patrol_wakes_someone_if_a_worker_is_stuck_and_work_waits() {
    let roster = roster(2, 1);
    let mut patrol = Patrol::new(2);
    expect_watch(&roster);

    roster.turns.count(0);
    patrol.walk(&roster, || true);
    assert!(!rang(&roster.bell), "it may have begun just now");
    patrol.walk(&roster, || false);
    assert!(!rang(&roster.bell), "no work waits, and someone watches");
    patrol.walk(&roster, || true);
    assert!(rang(&roster.bell));

    // A worker that goes from turn to turn is not stuck, however it looks at each moment.
    for _ in 0..5 {
        roster.turns.count(0);
        roster.turns.count(0);
        patrol.walk(&roster, || true);
        assert!(!rang(&roster.bell));
    }
    roster.turns.count(0);
    patrol.walk(&roster, || true);
    patrol.walk(&roster, || true);
    assert!(
        !rang(&roster.bell),
        "whoever is between turns takes the work"
    );
}

#[test]
fn the_patrol_sees_to_it_that_someone_watches() {
    let roster = roster(2, 1);
    let mut patrol = Patrol::new(2);
    expect_watch(&roster);
    let woken = sleepers(&roster, 1);
    roster.relieve(&Pace::default());
    roster.turns.count(0);
    patrol.walk(&roster, || false);
    assert_eq!(roster.lock().sleeping, 1);
    patrol.walk(&roster, || false);
    expect_woken(&woken);
}

#[test]
fn the_patrol_walks_while_all_are_within_turns() {
    let roster = roster(2, 1);
    let mut patrol = Patrol::new(2);
    let still_walks = |patrol: &mut Patrol| {
        roster.start_patrol();
        (0..=QUIET_ROUNDS).for_each(|_| patrol.walk(&roster, || false));
        patrol.is_due(&roster)
    };
    (0..2).for_each(|worker| roster.turns.count(worker));
    assert!(still_walks(&mut patrol));
    roster.turns.count(1);
    assert!(!still_walks(&mut patrol));
}

#[test]
fn the_patrol_ends_when_it_has_not_been_needed_for_a_while() {
    let roster = roster(1, 1);
    let mut patrol = Patrol::new(1);
    let walk = |patrol: &mut Patrol, rounds, work_waits: bool| {
        (0..rounds).for_each(|_| patrol.walk(&roster, || work_waits));
        patrol.is_due(&roster)
    };
    assert!(!patrol.is_due(&roster));
    roster.start_patrol();
    assert!(rang(&roster.patrol));
    assert!(walk(&mut patrol, QUIET_ROUNDS, false));
    assert!(walk(&mut patrol, 1, true), "work starts the count again");
    assert!(walk(&mut patrol, QUIET_ROUNDS, false));
    assert!(!walk(&mut patrol, 1, false));

    roster.start_patrol();
    assert!(rang(&roster.patrol), "it can be started again");
}

#[test]
fn work_that_comes_as_the_patrol_ends_keeps_it_walking() {
    let roster = roster(1, 1);
    let mut patrol = Patrol::new(1);
    roster.start_patrol();
    (0..QUIET_ROUNDS).for_each(|_| patrol.walk(&roster, || false));
    let looks = Cell::new(0);
    patrol.walk(&roster, || looks.replace(looks.get() + 1) > 0);
    assert_eq!(looks.get(), 2);
    assert!(patrol.is_due(&roster));
}

#[test]
fn a_pace_follows_the_turns() {
    let mut pace = Pace::default();
    pace.note(10 * WORTHWHILE);
    assert!(!pace.is_slow(), "one slow turn is not a slow pace");
    (0..PACE_WINDOW).for_each(|_| pace.note(10 * WORTHWHILE));
    assert!(pace.is_slow());
    (0..10 * PACE_WINDOW).for_each(|_| pace.note(WORTHWHILE / 10));
    assert!(!pace.is_slow());
}
