//! Tests of driven protocols without a server.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::connection::budget::Budget;
use crate::connection::tests::{Rig, assert_closed, parked};
use crate::connection::waker::{ConnectionWaker, WakerSource};
use crate::connection::{Admission, CloseReason, DriveResult, Pending, Phase, WaitFor, WakeReason};
use crate::message::waker::Wake;
use crate::message::{
    DrivenProtocol, DrivenStream, DrivenWaker, NextStep, Overload, Request, Upgrade,
};
use crate::sync::Mutex;

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n";

/// What a protocol does in one call.
type Call = Box<dyn FnMut(&mut DrivenStream<'_>) -> NextStep + Send>;

/// A protocol that a test scripts. It counts its drop.
struct Scripted(Call, Arc<AtomicUsize>);

impl DrivenProtocol for Scripted {
    fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep {
        (self.0)(stream)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// A protocol that keeps as much memory as a test says.
struct Holding(Arc<AtomicUsize>);

impl DrivenProtocol for Holding {
    fn ready(&mut self, _: &mut DrivenStream<'_>) -> NextStep {
        NextStep::Wait
    }

    fn held(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts its wakes.
struct CountingWaker(Arc<AtomicUsize>);

impl Wake for CountingWaker {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        false
    }
}

impl ConnectionWaker for CountingWaker {
    fn hand_over(&self) {}
}

impl WakerSource for CountingWaker {
    fn waker(&self, _: &mut Option<u64>) -> Option<Arc<dyn ConnectionWaker>> {
        Some(Arc::new(Self(Arc::clone(&self.0))))
    }
}

/// A connection whose client has asked for an upgrade to a scripted protocol.
struct Fixture {
    rig: Rig,
    start: Instant,
    wakes: Arc<AtomicUsize>,
    drops: Arc<AtomicUsize>,
}

impl Fixture {
    fn new(call: impl FnMut(&mut DrivenStream<'_>) -> NextStep + Send + 'static) -> Self {
        Self::with_maker(move |_| Box::new(call))
    }

    fn with_maker(make: impl FnOnce(DrivenWaker) -> Call + Send + 'static) -> Self {
        let (wakes, drops) = (Arc::default(), Arc::<AtomicUsize>::default());
        let (start, dropped) = (Instant::now(), Arc::clone(&drops));
        let make = Mutex::new(Some(make));
        let mut rig = Rig::new(start, move |_: Request| {
            let make = make.lock().expect("nothing panics").take();
            let (make, dropped) = (make.expect("one request arrives"), Arc::clone(&dropped));
            Upgrade::driven("test", move |waker| Scripted(make(waker), dropped))
        });
        let source = CountingWaker(Arc::clone(&wakes));
        rig.buffers.set_waker_source(Arc::new(source));
        rig.send(ASK);
        Self {
            rig,
            start,
            wakes,
            drops,
        }
    }

    fn drive(&mut self) -> DriveResult {
        self.rig.drive(WakeReason::Ready, self.start)
    }

    fn drive_after(&mut self, time: Duration) -> DriveResult {
        self.rig.drive(WakeReason::Expired, self.start + time)
    }

    /// Drives it, and returns what it waits for.
    #[track_caller]
    fn park(&mut self) -> Pending {
        parked(self.drive())
    }

    /// Reads the response head and what the protocol has sent.
    fn expect_upgraded(&mut self, rest: &[u8]) {
        let received = self.rig.received();
        assert!(received.starts_with(b"HTTP/1.1 101 "), "{received:?}");
        assert!(
            received.ends_with(&[b"\r\n\r\n", rest].concat()),
            "{received:?}"
        );
    }

    fn dropped(&self) -> usize {
        self.drops.load(Ordering::Relaxed)
    }
}

/// Gives back what arrives.
fn echo(stream: &mut DrivenStream<'_>) -> NextStep {
    let mut buffer = [0; 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return NextStep::Close,
            Ok(count) => stream.write_all(&buffer[..count]).expect("there is room"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return NextStep::Wait,
            Err(_) => return NextStep::Close,
        }
    }
}

/// Writes until the client takes no more.
fn flood(stream: &mut DrivenStream<'_>) -> NextStep {
    loop {
        match stream.write(&[b'x'; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return NextStep::Wait,
            Err(_) => return NextStep::Close,
        }
    }
}

#[test]
fn bytes_behind_the_request_come_first() {
    let mut fixture = Fixture::new(echo);
    fixture.rig.send(b"behind");
    let pending = fixture.park();
    assert_eq!(pending.wait_for, WaitFor::Upgraded);
    fixture.expect_upgraded(b"behind");
    fixture.rig.send(b"later");
    fixture.park();
    assert_eq!(fixture.rig.received(), b"later");
    assert_eq!(fixture.rig.connection.unfinished(), 1);
    assert!(!fixture.rig.connection.has_unsent());
}

#[test]
fn closing_lingers_and_drops_the_protocol() {
    let mut fixture = Fixture::new(echo);
    fixture.park();
    fixture.expect_upgraded(b"");
    let closed = fixture.rig.client.shutdown(std::net::Shutdown::Write);
    closed.expect("a client can close its side");
    let result = fixture.rig.drive(WakeReason::HungUp, fixture.start);
    assert_closed(result, CloseReason::Upgraded);
    assert_eq!(fixture.dropped(), 1);

    let mut fixture = Fixture::new(|stream| {
        stream.write_all(b"bye").expect("there is room");
        NextStep::Close
    });
    assert_eq!(fixture.park().wait_for, WaitFor::PeerClose);
    assert_eq!(fixture.dropped(), 1, "before the client has closed");
    assert_eq!(fixture.rig.connection.unfinished(), 0);
    fixture.expect_upgraded(b"bye");
    assert_eq!(fixture.rig.client.read(&mut [0]).expect("the end"), 0);
}

#[test]
fn wait_has_the_deadline_of_the_protocol() {
    let minute = Duration::from_secs(60);
    let start = Instant::now();
    let mut fixture = Fixture::new(move |stream| {
        assert!(stream.now() >= start);
        NextStep::WaitUntil(start + minute)
    });
    let pending = fixture.park();
    assert_eq!(pending.deadline, start + minute);
    assert_eq!(parked(fixture.drive_after(minute)).deadline, start + minute);
}

#[test]
fn full_socket_is_waited_for() {
    let mut fixture = Fixture::new(flood);
    let pending = fixture.park();
    assert_eq!(pending.wait_for, WaitFor::UpgradedOrRoom);
    let timeout = fixture.rig.service.config.write_timeout;
    assert!(pending.deadline <= Instant::now() + timeout);
    // Bytes from the client do not change that.
    fixture.rig.send(b"x");
    let again = fixture.park();
    assert_eq!(
        (again.wait_for, again.deadline),
        (pending.wait_for, pending.deadline)
    );
    // Room does.
    while fixture.rig.received().len() == 1024 && parked(fixture.drive()) == pending {}
    assert_closed(fixture.drive_after(2 * timeout), CloseReason::SlowReader);
    assert_eq!(fixture.dropped(), 1);
}

#[test]
fn output_that_is_given_up_is_not_waited_for() {
    let mut calls = 0;
    let mut fixture = Fixture::new(move |stream| {
        calls += 1;
        match calls {
            1 => flood(stream),
            _ => NextStep::Wait,
        }
    });
    assert_eq!(fixture.park().wait_for, WaitFor::UpgradedOrRoom);
    assert_eq!(
        fixture.park().wait_for,
        WaitFor::UpgradedOrRoom,
        "it is full"
    );
    let nonblocking = fixture.rig.client.set_nonblocking(true);
    nonblocking.expect("a socket can be non-blocking");
    while fixture.rig.client.read(&mut [0; 4096]).is_ok() {}
    assert_eq!(fixture.park().wait_for, WaitFor::Upgraded);
}

#[test]
fn protocol_lets_others_have_their_turn() {
    let mut fixture = Fixture::new(|_| NextStep::Yield);
    let result = fixture.drive();
    assert!(matches!(result, DriveResult::Requeue), "{result:?}");
}

#[test]
fn wakers_reach_their_connection() {
    let mut fixture = Fixture::with_maker(|waker| {
        Box::new(move |_| {
            waker.clone().wake();
            NextStep::Wait
        })
    });
    fixture.park();
    assert_eq!(fixture.wakes.load(Ordering::Relaxed), 1);
}

#[test]
fn panic_closes_the_connection() {
    let mut fixture = Fixture::new(|_| panic!("a test asked for this"));
    assert_closed(fixture.drive(), CloseReason::Upgraded);
    assert_eq!(fixture.dropped(), 1);
    let mut fixture = Fixture::with_maker(|_| panic!("a test asked for this"));
    assert_closed(fixture.drive(), CloseReason::Upgraded);
}

#[test]
fn panic_while_dropping_is_contained() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a test asked for this");
        }
    }
    let bomb = Bomb;
    let mut fixture = Fixture::new(move |_| {
        let _ = &bomb;
        NextStep::Close
    });
    assert_eq!(fixture.park().wait_for, WaitFor::PeerClose);
}

#[test]
fn only_workers_call_the_protocol() {
    let mut calls = 0;
    let mut fixture = Fixture::new(move |_| {
        calls += 1;
        assert_eq!(calls, 1, "it is called once");
        NextStep::Wait
    });
    fixture.park();
    assert!(!fixture.rig.connection.may_be_shed());
    for admission in [Admission::Protocol, Admission::Shed(Overload::Late)] {
        let result = (fixture.rig).drive_with(WakeReason::Ready, admission, fixture.start);
        assert!(matches!(result, DriveResult::Requeue), "{result:?}");
    }
}

#[test]
fn drain_that_begins_within_a_call_is_told() {
    let (told, phase) = (Arc::<AtomicUsize>::default(), Arc::new(Mutex::new(None)));
    let (seen, shared) = (Arc::clone(&told), Arc::clone(&phase));
    let mut fixture = Fixture::new(move |stream| {
        seen.fetch_add(usize::from(stream.is_draining()), Ordering::Relaxed);
        let phase: Option<Arc<crate::connection::phase::PhaseCell>> =
            shared.lock().expect("nothing panics").clone();
        phase.expect("it is set").advance(Phase::Draining);
        NextStep::Wait
    });
    *phase.lock().expect("nothing panics") = Some(Arc::clone(&fixture.rig.service.phase));
    let result = fixture.drive();
    assert!(matches!(result, DriveResult::Requeue), "{result:?}");
    fixture.park();
    assert_eq!(told.load(Ordering::Relaxed), 1);
    fixture.rig.service.phase.advance(Phase::Forced);
    assert_closed(fixture.drive(), CloseReason::Forced);
    assert_eq!(fixture.rig.connection.unfinished(), 1);
}

#[test]
fn unread_input_counts_against_the_budget() {
    let mut fixture = Fixture::new(|_| NextStep::Wait);
    fixture.rig.send(b"unread");
    let budget = Arc::clone(&fixture.rig.service.budget);
    fixture.park();
    assert_eq!(budget.held(), b"unread".len());

    let mut fixture = Fixture::new(|_| NextStep::Wait);
    let budget = Arc::new(Budget::new(0));
    fixture.rig.connection.io.share = crate::connection::budget::Share::new(&budget);
    fixture.rig.send(b"unread");
    assert_closed(fixture.drive(), CloseReason::BufferLimit);
}

#[test]
fn memory_of_the_protocol_counts() {
    let held = Arc::<AtomicUsize>::default();
    let kept = Arc::clone(&held);
    let start = Instant::now();
    let mut rig = Rig::new(start, move |_: Request| {
        let kept = Arc::clone(&kept);
        Upgrade::driven("test", move |_| Holding(kept))
    });
    rig.buffers
        .set_waker_source(Arc::new(CountingWaker(Arc::default())));
    let budget = Arc::new(Budget::new(1000));
    rig.connection.io.share = crate::connection::budget::Share::new(&budget);
    rig.send(ASK);
    for (now, expected) in [(0, 0), (900, 900), (400, 400)] {
        held.store(now, Ordering::Relaxed);
        parked(rig.drive(WakeReason::Ready, start));
        assert_eq!(budget.held(), expected);
    }
    // It counts for as long as the protocol is there, whatever the connection is driven for.
    let overload = Admission::Shed(Overload::Late);
    rig.drive_with(WakeReason::Ready, overload, start);
    assert_eq!(budget.held(), 400);
    held.store(1001, Ordering::Relaxed);
    assert_closed(
        rig.drive(WakeReason::Ready, start),
        CloseReason::BufferLimit,
    );
}
