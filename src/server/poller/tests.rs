use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use super::*;

pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// A poller whose only worker is the thread of the test.
struct Fixture {
    poller: Poller<UnixStream>,
    waker: Waker,
    events: Events,
}

impl Fixture {
    fn new(capacity: usize) -> Self {
        let waker = Waker::new().expect("the system has descriptors");
        Self {
            poller: Poller::new(capacity, &waker).expect("the system has descriptors"),
            waker,
            events: Events::with_capacity(8),
        }
    }

    fn reserve(&self) -> Token {
        self.poller.reserve().expect("the poller has a free slot")
    }

    /// Parks a new connection.
    fn park_new(&mut self, wait_for: WaitFor) -> (Token, UnixStream) {
        let (connection, peer) = pair();
        let token = self.reserve();
        self.expect_parked(token, connection, wait_for);
        assert_ne!(
            wait_for,
            WaitFor::Room,
            "a writable socket is ready at once"
        );
        self.expect_no_event();
        (token, peer)
    }

    #[track_caller]
    fn expect_parked(&self, token: Token, connection: UnixStream, wait_for: WaitFor) {
        let parked = self.poller.park(token, connection, until(wait_for, HOUR));
        assert!(matches!(parked, Parked::Waiting));
    }

    #[track_caller]
    fn expect_ready(
        &self,
        token: Token,
        connection: UnixStream,
        expected: WakeReason,
    ) -> UnixStream {
        match self
            .poller
            .park(token, connection, until(WaitFor::NextRequest, HOUR))
        {
            Parked::Ready(connection, wake, _) => {
                assert_eq!(wake, expected);
                connection
            }
            Parked::Waiting => panic!("the connection parked despite a pending event"),
            Parked::Failed(_, error) => panic!("the connection can't be registered: {error}"),
        }
    }

    #[track_caller]
    fn expect_next(&mut self, expected: WakeReason) -> UnixStream {
        let (connection, wake) = self.next().expect("a connection is ready");
        assert_eq!(wake, expected);
        connection
    }

    /// Returns the next ready connection. An event of a local socket is pending when the peer's
    /// call returns, so nothing is waited for.
    fn next(&mut self) -> Option<(UnixStream, WakeReason)> {
        self.poll();
        self.poller.next_ready(&mut self.events)
    }

    /// Asserts that epoll reports no event.
    #[track_caller]
    fn expect_no_event(&mut self) {
        self.poll();
        assert!(self.events.received.is_empty());
    }

    /// Asserts that the events received last wake no connection, even if they are processed again.
    #[track_caller]
    fn expect_stale(&mut self, when: &str) {
        assert!(!self.events.received.is_empty());
        self.events.taken = 0;
        assert!(self.poller.next_ready(&mut self.events).is_none(), "{when}");
    }

    fn poll(&mut self) {
        let looked = self.poller.wait(&mut self.events, Some(Duration::ZERO));
        looked.expect("epoll can be waited for");
    }
}

/// Creates both ends of a connection.
pub(super) fn pair() -> (UnixStream, UnixStream) {
    let (connection, peer) = UnixStream::pair().expect("the system has descriptors");
    connection
        .set_nonblocking(true)
        .expect("a socket can be non-blocking");
    (connection, peer)
}

pub(super) fn until(wait_for: WaitFor, timeout: Duration) -> Pending {
    let deadline = Instant::now() + timeout;
    Pending { wait_for, deadline }
}

pub(super) fn send(mut peer: &UnixStream) {
    peer.write_all(b"x").expect("a byte fits");
}

/// Sends until the send buffer is full.
fn fill(mut connection: &UnixStream) {
    while connection.write(&[0; 4096]).is_ok() {}
}

/// Reads all available bytes. Returns their count and whether the peer may send more.
pub(super) fn drain(mut connection: &UnixStream) -> (usize, bool) {
    let mut total = 0;
    loop {
        match connection.read(&mut [0; 64]) {
            Ok(0) => return (total, false),
            Ok(count) => total += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (total, true),
            Err(error) => panic!("receiving failed: {error}"),
        }
    }
}

#[test]
fn input_before_parking_is_reported() {
    let mut fixture = Fixture::new(1);
    let (connection, peer) = pair();
    send(&peer);
    fixture.expect_parked(fixture.reserve(), connection, WaitFor::FirstRequest);
    let connection = fixture.expect_next(WakeReason::Ready);
    assert_eq!(drain(&connection), (1, true));
}

#[test]
fn event_while_with_a_worker_is_reported_at_parking() {
    let mut fixture = Fixture::new(1);
    let (token, peer) = fixture.park_new(WaitFor::NextRequest);
    send(&peer);
    let connection = fixture.expect_next(WakeReason::Ready);
    assert_eq!(drain(&connection), (1, true));

    send(&peer);
    assert!(fixture.next().is_none(), "a worker has the connection");
    let connection = fixture.expect_ready(token, connection, WakeReason::Ready);
    assert_eq!(drain(&connection), (1, true));

    // The event is reported once.
    fixture.expect_parked(token, connection, WaitFor::NextRequest);
    assert!(fixture.next().is_none());
    send(&peer);
    fixture.expect_next(WakeReason::Ready);
}

#[test]
fn hang_up_while_with_a_worker_is_reported_as_hang_up() {
    let mut fixture = Fixture::new(1);
    let (token, peer) = fixture.park_new(WaitFor::NextRequest);
    send(&peer);
    let connection = fixture.expect_next(WakeReason::Ready);
    send(&peer);
    assert!(fixture.next().is_none());
    drop(peer);
    assert!(fixture.next().is_none());
    let connection = fixture.expect_ready(token, connection, WakeReason::HungUp);
    assert_eq!(drain(&connection), (2, false));
}

#[test]
fn hang_up_wakes_every_parked_connection() {
    for wait_for in [
        WaitFor::FirstRequest,
        WaitFor::Head,
        WaitFor::Body,
        WaitFor::Upgraded,
        WaitFor::PeerClose,
    ] {
        let mut fixture = Fixture::new(1);
        let (_, peer) = fixture.park_new(wait_for);
        drop(peer);
        fixture.expect_next(WakeReason::HungUp);
    }
}

#[test]
fn writable_socket_wakes_no_connection_that_waits_for_input() {
    let mut fixture = Fixture::new(1);
    // The slot of a connection that waited for output keeps no registration for output.
    let (connection, _peer) = pair();
    let token = fixture.reserve();
    fixture.expect_parked(token, connection, WaitFor::Room);
    drop(fixture.expect_next(WakeReason::Ready));
    fixture.poller.release(token);
    fixture.park_new(WaitFor::Body);
}

#[test]
fn room_to_send_before_parking_is_reported() {
    let mut fixture = Fixture::new(1);
    let (token, peer) = fixture.park_new(WaitFor::NextRequest);
    send(&peer);
    let connection = fixture.expect_next(WakeReason::Ready);
    fixture.expect_parked(token, connection, WaitFor::Room);
    fixture.expect_next(WakeReason::Ready);
}

#[test]
fn room_to_send_is_reported_every_time() {
    let mut fixture = Fixture::new(1);
    let (token, peer) = fixture.park_new(WaitFor::NextRequest);
    peer.set_nonblocking(true)
        .expect("a socket can be non-blocking");
    send(&peer);
    let mut connection = fixture.expect_next(WakeReason::Ready);
    drain(&connection);
    for _ in 0..3 {
        fill(&connection);
        fixture.expect_parked(token, connection, WaitFor::Room);
        fixture.expect_no_event();
        drain(&peer);
        connection = fixture.expect_next(WakeReason::Ready);
    }
}

#[test]
fn stale_event_wakes_no_later_connection_of_the_slot() {
    let mut fixture = Fixture::new(1);
    let (old, peer) = fixture.park_new(WaitFor::NextRequest);
    send(&peer);
    fixture.poll();
    // Before the event is processed, its connection is released and another one reserves the slot.
    let mut gone = Vec::new();
    fixture
        .poller
        .recall(|_| true, |connection| gone.push(connection));
    assert_eq!(gone.len(), 1);
    fixture.poller.release(old);
    let new = fixture.reserve();
    assert_eq!(new.slot, old.slot);
    assert_ne!(new.generation, old.generation);

    let (connection, _peer) = pair();
    fixture.expect_stale("the new connection has never parked");
    fixture.expect_parked(new, connection, WaitFor::NextRequest);
    fixture.expect_stale("the new connection is parked");
    fixture
        .poller
        .recall(|_| true, |connection| gone.push(connection));
    assert_eq!(gone.len(), 2, "the connection was still parked");
    fixture.expect_stale("the new connection is with a worker");
    let connection = gone.pop().expect("two connections were recalled");
    fixture.expect_parked(new, connection, WaitFor::NextRequest);
}

#[test]
fn deregistered_connection_has_no_events_until_it_parks() {
    for (leaves, wake) in [(false, WakeReason::Ready), (true, WakeReason::HungUp)] {
        let mut fixture = Fixture::new(1);
        let (token, peer) = fixture.park_new(WaitFor::NextRequest);
        send(&peer);
        let connection = fixture.expect_next(WakeReason::Ready);
        send(&peer);
        assert!(fixture.next().is_none(), "a worker has the connection");
        fixture.poller.deregister(token, &connection);
        send(&peer);
        let peer = (!leaves).then_some(peer);
        fixture.expect_no_event();

        let again = fixture.reserve();
        assert_eq!(again.slot, token.slot, "the slot was released");
        fixture.expect_parked(again, connection, WaitFor::NextRequest);
        let connection = fixture.expect_next(wake);
        assert_eq!(drain(&connection), (3, !leaves));
        drop(peer);
    }
}

#[test]
fn connection_that_never_parked_can_be_deregistered() {
    let fixture = Fixture::new(1);
    let token = fixture.reserve();
    let (connection, _peer) = pair();
    fixture.poller.deregister(token, &connection);
    fixture.expect_parked(fixture.reserve(), connection, WaitFor::FirstRequest);
}

#[test]
fn only_expired_connections_are_removed() {
    let fixture = Fixture::new(4);
    let now = Instant::now();
    let mut peers = Vec::new();
    let mut park = |timeout| {
        let (connection, peer) = pair();
        let mark = connection.as_raw_fd();
        peers.push(peer);
        let pending = Pending {
            wait_for: WaitFor::Head,
            deadline: now + timeout,
        };
        let parked = fixture.poller.park(fixture.reserve(), connection, pending);
        assert!(matches!(parked, Parked::Waiting));
        mark
    };
    let first = park(Duration::from_secs(1));
    let second = park(Duration::from_secs(2));
    let third = park(HOUR);
    let never_parked = fixture.reserve();

    let expired = |after| {
        let mut marks = Vec::new();
        fixture
            .poller
            .expired(now + after, |connection| marks.push(connection.as_raw_fd()));
        marks
    };
    assert!(expired(Duration::from_millis(900)).is_empty());
    assert_eq!(expired(Duration::from_secs(1)), [first]);
    assert!(
        expired(Duration::from_secs(1)).is_empty(),
        "a connection expires once"
    );
    assert_eq!(expired(2 * HOUR), [second, third]);
    assert!(expired(3 * HOUR).is_empty());
    fixture.poller.release(never_parked);
}

#[test]
fn connection_with_a_worker_does_not_expire() {
    let mut fixture = Fixture::new(1);
    let (token, peer) = fixture.park_new(WaitFor::NextRequest);
    send(&peer);
    let connection = fixture.expect_next(WakeReason::Ready);
    let far = Instant::now() + 2 * HOUR;
    fixture
        .poller
        .expired(far, |_| panic!("a worker has the connection"));
    fixture.expect_parked(token, connection, WaitFor::NextRequest);
    let mut expired = 0;
    fixture.poller.expired(far, |_| expired += 1);
    assert_eq!(expired, 1);
}

#[test]
fn recall_removes_matching_connections() {
    let mut fixture = Fixture::new(8);
    let kinds = [
        WaitFor::FirstRequest,
        WaitFor::Head,
        WaitFor::NextRequest,
        WaitFor::Body,
        WaitFor::Upgraded,
        WaitFor::Streams,
        WaitFor::PeerClose,
    ];
    let _peers: Vec<_> = kinds.map(|wait_for| fixture.park_new(wait_for)).into();
    let recall = |kind: fn(WaitFor) -> bool| {
        let mut count = 0;
        fixture.poller.recall(kind, |_| count += 1);
        count
    };
    assert_eq!(recall(WaitFor::is_idle), 2);
    assert_eq!(recall(WaitFor::is_idle), 0);
    assert_eq!(recall(WaitFor::is_told_of_drain), 2);
    assert_eq!(recall(|_| true), 3);
    assert_eq!(recall(|_| true), 0);
}

#[test]
fn slots_are_reused() {
    let fixture = Fixture::new(1);
    let tokens: Vec<_> = std::iter::from_fn(|| fixture.poller.reserve()).collect();
    assert_eq!(tokens.len(), BLOCK_SLOTS, "capacity comes in blocks");
    let slots: HashSet<_> = tokens.iter().map(|token| token.slot).collect();
    assert_eq!(slots.len(), tokens.len());

    fixture.poller.release(tokens[7]);
    let again = fixture.reserve();
    assert_eq!(again.slot, tokens[7].slot);
    assert_ne!(again, tokens[7]);
    assert!(fixture.poller.reserve().is_none());
}

#[test]
fn waker_fires_and_is_no_connection() {
    let mut fixture = Fixture::new(1);
    fixture.waker.wake();
    assert!(fixture.next().is_none());
    assert!(fixture.events.waker_fired());
    fixture.poll();
    assert!(fixture.poller.next_ready(&mut fixture.events).is_none());
    assert!(
        !fixture.events.waker_fired(),
        "one wake-up is reported once"
    );
}
