use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A lot, and the thread of the test as its only worker.
struct Rig {
    poller: Poller<UnixStream>,
    waker: Waker,
    events: Events,
}

impl Rig {
    fn new(capacity: usize) -> Self {
        let waker = Waker::new().expect("the system has descriptors");
        Self {
            poller: Poller::new(capacity, &waker).expect("the system has descriptors"),
            waker,
            events: Events::with_capacity(8),
        }
    }

    fn reserve(&self) -> Token {
        self.poller.reserve().expect("the lot has a free place")
    }

    /// Parks a new connection.
    fn settle(&mut self, what: WaitFor) -> (Token, UnixStream) {
        let (tenant, peer) = pair();
        let token = self.reserve();
        self.expect_waits(token, tenant, what);
        assert_ne!(what, WaitFor::Room, "that one would be woken at once");
        self.expect_silence();
        (token, peer)
    }

    #[track_caller]
    fn expect_waits(&self, token: Token, tenant: UnixStream, what: WaitFor) {
        let parked = self.poller.park(token, tenant, until(what, HOUR));
        assert!(matches!(parked, Parked::Waiting));
    }

    #[track_caller]
    fn expect_called(&self, token: Token, tenant: UnixStream, expected: WakeReason) -> UnixStream {
        match self
            .poller
            .park(token, tenant, until(WaitFor::NextRequest, HOUR))
        {
            Parked::Called(tenant, wake) => {
                assert_eq!(wake, expected);
                tenant
            }
            Parked::Waiting => panic!("it waits, although something has come"),
            Parked::Failed(_, error) => panic!("it can't be watched: {error}"),
        }
    }

    #[track_caller]
    fn expect_next(&mut self, expected: WakeReason) -> UnixStream {
        let (tenant, wake) = self.next().expect("somebody is to be driven");
        assert_eq!(wake, expected);
        tenant
    }

    /// Who is to be driven by now. An event of a local socket is there when the peer's call
    /// returns, so there is nothing to wait for.
    fn next(&mut self) -> Option<(UnixStream, WakeReason)> {
        self.poll();
        self.poller.next_ready(&mut self.events)
    }

    /// The system has nothing to tell.
    #[track_caller]
    fn expect_silence(&mut self) {
        self.poll();
        assert!(self.events.received.is_empty());
    }

    /// The events received last wake nobody, however often they are claimed.
    #[track_caller]
    fn expect_stale(&mut self, when: &str) {
        assert!(!self.events.received.is_empty());
        self.events.taken = 0;
        assert!(self.poller.next_ready(&mut self.events).is_none(), "{when}");
    }

    fn poll(&mut self) {
        let looked = self.poller.wait(&mut self.events, Some(Duration::ZERO));
        looked.expect("the lot can be waited in");
    }
}

/// Both ends of a connection.
fn pair() -> (UnixStream, UnixStream) {
    let (tenant, peer) = UnixStream::pair().expect("the system has descriptors");
    tenant.set_nonblocking(true).expect("it is a socket");
    (tenant, peer)
}

fn until(what: WaitFor, patience: Duration) -> Pending {
    let deadline = Instant::now() + patience;
    Pending { what, deadline }
}

fn send(mut peer: &UnixStream) {
    peer.write_all(b"x").expect("a byte fits");
}

/// Sends until there is no room.
fn fill(mut tenant: &UnixStream) {
    while tenant.write(&[0; 4096]).is_ok() {}
}

/// How many bytes are there, and whether more can come.
fn drain(mut tenant: &UnixStream) -> (usize, bool) {
    let mut total = 0;
    loop {
        match tenant.read(&mut [0; 64]) {
            Ok(0) => return (total, false),
            Ok(count) => total += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (total, true),
            Err(error) => panic!("receiving failed: {error}"),
        }
    }
}

#[test]
fn what_was_there_before_parking_is_noticed() {
    let mut rig = Rig::new(1);
    let (tenant, peer) = pair();
    send(&peer);
    rig.expect_waits(rig.reserve(), tenant, WaitFor::FirstRequest);
    let tenant = rig.expect_next(WakeReason::Ready);
    assert_eq!(drain(&tenant), (1, true));
}

#[test]
fn an_event_that_comes_while_a_worker_has_the_connection_is_handed_over_at_parking() {
    let mut rig = Rig::new(1);
    let (token, peer) = rig.settle(WaitFor::NextRequest);
    send(&peer);
    let tenant = rig.expect_next(WakeReason::Ready);
    assert_eq!(drain(&tenant), (1, true));

    send(&peer);
    assert!(rig.next().is_none(), "a worker has it");
    let tenant = rig.expect_called(token, tenant, WakeReason::Ready);
    assert_eq!(drain(&tenant), (1, true));

    // It is handed over once.
    rig.expect_waits(token, tenant, WaitFor::NextRequest);
    assert!(rig.next().is_none());
    send(&peer);
    rig.expect_next(WakeReason::Ready);
}

#[test]
fn an_end_that_comes_while_a_worker_has_the_connection_is_not_taken_for_less() {
    let mut rig = Rig::new(1);
    let (token, peer) = rig.settle(WaitFor::NextRequest);
    send(&peer);
    let tenant = rig.expect_next(WakeReason::Ready);
    send(&peer);
    assert!(rig.next().is_none());
    drop(peer);
    assert!(rig.next().is_none());
    let tenant = rig.expect_called(token, tenant, WakeReason::HungUp);
    assert_eq!(drain(&tenant), (2, false));
}

#[test]
fn an_end_wakes_whoever_waits() {
    for what in [
        WaitFor::FirstRequest,
        WaitFor::Head,
        WaitFor::Body,
        WaitFor::PeerClose,
    ] {
        let mut rig = Rig::new(1);
        let (_, peer) = rig.settle(what);
        drop(peer);
        rig.expect_next(WakeReason::HungUp);
    }
}

#[test]
fn who_waits_for_bytes_is_not_told_of_room_to_send() {
    let mut rig = Rig::new(1);
    // The place of one that waited for room tells the next one nothing of it.
    let (tenant, _peer) = pair();
    let token = rig.reserve();
    rig.expect_waits(token, tenant, WaitFor::Room);
    drop(rig.expect_next(WakeReason::Ready));
    rig.poller.release(token);
    rig.settle(WaitFor::Body);
}

#[test]
fn room_that_has_come_before_parking_is_noticed() {
    let mut rig = Rig::new(1);
    let (token, peer) = rig.settle(WaitFor::NextRequest);
    send(&peer);
    let tenant = rig.expect_next(WakeReason::Ready);
    rig.expect_waits(token, tenant, WaitFor::Room);
    rig.expect_next(WakeReason::Ready);
}

#[test]
fn room_to_send_wakes_who_waits_for_it_as_often_as_it_comes() {
    let mut rig = Rig::new(1);
    let (token, peer) = rig.settle(WaitFor::NextRequest);
    peer.set_nonblocking(true).expect("it is a socket");
    send(&peer);
    let mut tenant = rig.expect_next(WakeReason::Ready);
    drain(&tenant);
    for _ in 0..3 {
        fill(&tenant);
        rig.expect_waits(token, tenant, WaitFor::Room);
        rig.expect_silence();
        drain(&peer);
        tenant = rig.expect_next(WakeReason::Ready);
    }
}

#[test]
fn a_stale_event_never_wakes_the_next_holder_of_the_place() {
    let mut rig = Rig::new(1);
    let (old, peer) = rig.settle(WaitFor::NextRequest);
    send(&peer);
    rig.poll();
    // Before the event is claimed, its connection leaves and another takes its place.
    let mut gone = Vec::new();
    rig.poller.recall(|_| true, |tenant| gone.push(tenant));
    assert_eq!(gone.len(), 1);
    rig.poller.release(old);
    let new = rig.reserve();
    assert_eq!(new.slot, old.slot);
    assert_ne!(new.generation, old.generation);

    let (tenant, _peer) = pair();
    rig.expect_stale("the new one has never parked");
    rig.expect_waits(new, tenant, WaitFor::NextRequest);
    rig.expect_stale("the new one is parked");
    rig.poller.recall(|_| true, |tenant| gone.push(tenant));
    assert_eq!(gone.len(), 2, "it was still parked");
    rig.expect_stale("the new one is with a worker");
    let tenant = gone.pop().expect("there are two");
    rig.expect_waits(new, tenant, WaitFor::NextRequest);
}

#[test]
fn nobody_is_told_of_who_is_expelled_until_he_parks_again() {
    for (leaves, wake) in [(false, WakeReason::Ready), (true, WakeReason::HungUp)] {
        let mut rig = Rig::new(1);
        let (token, peer) = rig.settle(WaitFor::NextRequest);
        send(&peer);
        let tenant = rig.expect_next(WakeReason::Ready);
        send(&peer);
        assert!(rig.next().is_none(), "a worker has it");
        rig.poller.deregister(token, &tenant);
        send(&peer);
        let peer = (!leaves).then_some(peer);
        rig.expect_silence();

        let again = rig.reserve();
        assert_eq!(again.slot, token.slot, "the place was given back");
        rig.expect_waits(again, tenant, WaitFor::NextRequest);
        let tenant = rig.expect_next(wake);
        assert_eq!(drain(&tenant), (3, !leaves));
        drop(peer);
    }
}

#[test]
fn who_has_never_parked_can_be_expelled() {
    let rig = Rig::new(1);
    let token = rig.reserve();
    let (tenant, _peer) = pair();
    rig.poller.deregister(token, &tenant);
    rig.expect_waits(rig.reserve(), tenant, WaitFor::FirstRequest);
}

#[test]
fn expired_takes_only_what_is_due() {
    let rig = Rig::new(4);
    let now = Instant::now();
    let mut peers = Vec::new();
    let mut park = |patience| {
        let (tenant, peer) = pair();
        let mark = tenant.as_raw_fd();
        peers.push(peer);
        let wait = Pending {
            what: WaitFor::Head,
            deadline: now + patience,
        };
        let parked = rig.poller.park(rig.reserve(), tenant, wait);
        assert!(matches!(parked, Parked::Waiting));
        mark
    };
    let first = park(Duration::from_secs(1));
    let second = park(Duration::from_secs(2));
    let third = park(HOUR);
    let never_parked = rig.reserve();

    let expired = |after| {
        let mut marks = Vec::new();
        rig.poller
            .expired(now + after, |tenant| marks.push(tenant.as_raw_fd()));
        marks
    };
    assert!(expired(Duration::from_millis(900)).is_empty());
    assert_eq!(expired(Duration::from_secs(1)), [first]);
    assert!(
        expired(Duration::from_secs(1)).is_empty(),
        "it is taken once"
    );
    assert_eq!(expired(2 * HOUR), [second, third]);
    assert!(expired(3 * HOUR).is_empty());
    rig.poller.release(never_parked);
}

#[test]
fn who_is_claimed_does_not_expire() {
    let mut rig = Rig::new(1);
    let (token, peer) = rig.settle(WaitFor::NextRequest);
    send(&peer);
    let tenant = rig.expect_next(WakeReason::Ready);
    let far = Instant::now() + 2 * HOUR;
    rig.poller
        .expired(far, |_| panic!("a worker has the connection"));
    rig.expect_waits(token, tenant, WaitFor::NextRequest);
    let mut expired = 0;
    rig.poller.expired(far, |_| expired += 1);
    assert_eq!(expired, 1);
}

#[test]
fn recall_takes_what_waits_for_that_kind() {
    let mut rig = Rig::new(8);
    let kinds = [
        WaitFor::FirstRequest,
        WaitFor::Head,
        WaitFor::NextRequest,
        WaitFor::Body,
        WaitFor::PeerClose,
    ];
    let _peers: Vec<_> = kinds.map(|what| rig.settle(what)).into();
    let recall = |kind: fn(WaitFor) -> bool| {
        let mut count = 0;
        rig.poller.recall(kind, |_| count += 1);
        count
    };
    assert_eq!(recall(WaitFor::is_idle), 2);
    assert_eq!(recall(WaitFor::is_idle), 0);
    assert_eq!(recall(|_| true), 3);
    assert_eq!(recall(|_| true), 0);
}

#[test]
fn places_are_reused() {
    let rig = Rig::new(1);
    let tickets: Vec<_> = std::iter::from_fn(|| rig.poller.reserve()).collect();
    assert_eq!(tickets.len(), BLOCK_SLOTS, "capacity comes in blocks");
    let places: HashSet<_> = tickets.iter().map(|token| token.slot).collect();
    assert_eq!(places.len(), tickets.len());

    rig.poller.release(tickets[7]);
    let again = rig.reserve();
    assert_eq!(again.slot, tickets[7].slot);
    assert_ne!(again, tickets[7]);
    assert!(rig.poller.reserve().is_none());
}

#[test]
fn the_bell_wakes_and_is_no_connection() {
    let mut rig = Rig::new(1);
    rig.waker.wake();
    assert!(rig.next().is_none());
    assert!(rig.events.waker_fired());
    rig.poll();
    assert!(rig.poller.next_ready(&mut rig.events).is_none());
    assert!(!rig.events.waker_fired(), "it is heard once a ring");
}

/// Workers that race for events and for parking, and peers each of whom sends its next byte
/// as soon as the one before is seen, which is just when its connection is being parked. One
/// wake-up that is lost stops its peer for good.
#[test]
fn no_wake_up_is_lost() {
    const WORKERS: usize = 4;
    const PEERS: usize = 8;
    const BYTES: usize = 500;
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A connection whose every byte is told to the peer that sent it.
    struct Tenant {
        stream: UnixStream,
        peer: usize,
        token: Token,
        seen: Sender<usize>,
    }

    impl AsFd for Tenant {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.stream.as_fd()
        }
    }

    fn drive(poller: &Poller<Tenant>, mut tenant: Tenant) {
        loop {
            let (count, is_open) = drain(&tenant.stream);
            for _ in 0..count {
                // Once the test has failed nobody listens.
                let _ = tenant.seen.send(tenant.peer);
            }
            if !is_open {
                return poller.release(tenant.token);
            }
            match poller.park(tenant.token, tenant, until(WaitFor::NextRequest, HOUR)) {
                Parked::Waiting => return,
                Parked::Called(called, _) => tenant = called,
                Parked::Failed(_, error) => panic!("it can't be watched: {error}"),
            }
        }
    }

    fn work(poller: &Poller<Tenant>, is_over: &AtomicBool) {
        let mut events = Events::with_capacity(3);
        while !is_over.load(Ordering::Relaxed) {
            // Looking again brings no event back that was lost: they are edge-triggered.
            poller
                .wait(&mut events, Some(Duration::from_millis(10)))
                .expect("the lot can be waited in");
            while let Some((tenant, _)) = poller.next_ready(&mut events) {
                drive(poller, tenant);
            }
        }
    }

    fn play(peers: &[UnixStream], seen: &Receiver<usize>) -> Result<(), mpsc::RecvTimeoutError> {
        let mut left = [BYTES; PEERS];
        peers.iter().for_each(send);
        for _ in 0..PEERS * BYTES {
            let peer = seen.recv_timeout(PATIENCE)?;
            left[peer] -= 1;
            if left[peer] > 0 {
                send(&peers[peer]);
            }
        }
        Ok(())
    }

    let waker = Waker::new().expect("the system has descriptors");
    let poller = Poller::new(PEERS, &waker).expect("the system has descriptors");
    let (seen, sightings) = mpsc::channel();
    let peers: Vec<_> = (0..PEERS)
        .map(|peer| {
            let (stream, other) = pair();
            let token = poller.reserve().expect("the lot has a free place");
            let seen = seen.clone();
            let tenant = Tenant {
                stream,
                peer,
                token,
                seen,
            };
            drive(&poller, tenant);
            other
        })
        .collect();
    drop(seen);

    let is_over = AtomicBool::new(false);
    let (played, left) = thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| work(&poller, &is_over));
        }
        let played = play(&peers, &sightings);
        drop(peers);
        // Every connection sees its peer's end and lets go of its sender.
        let left = sightings.recv_timeout(PATIENCE);
        is_over.store(true, Ordering::Relaxed);
        (played, left)
    });
    assert_eq!(played, Ok(()));
    assert_eq!(left, Err(mpsc::RecvTimeoutError::Disconnected));
}
