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
    lot: Lot<UnixStream>,
    bell: Bell,
    events: Events,
}

impl Rig {
    fn new(capacity: usize) -> Self {
        let bell = Bell::new().expect("the system has descriptors");
        Self {
            lot: Lot::new(capacity, &bell).expect("the system has descriptors"),
            bell,
            events: Events::with_capacity(8),
        }
    }

    fn enter(&self) -> Ticket {
        self.lot.enter().expect("the lot has a free place")
    }

    /// Parks a new connection.
    fn settle(&mut self, what: What) -> (Ticket, UnixStream) {
        let (tenant, peer) = pair();
        let ticket = self.enter();
        self.expect_waits(ticket, tenant, what);
        assert_ne!(what, What::Room, "that one would be woken at once");
        self.expect_silence();
        (ticket, peer)
    }

    #[track_caller]
    fn expect_waits(&self, ticket: Ticket, tenant: UnixStream, what: What) {
        let parked = self.lot.park(ticket, tenant, until(what, HOUR));
        assert!(matches!(parked, Parked::Waits));
    }

    #[track_caller]
    fn expect_called(&self, ticket: Ticket, tenant: UnixStream, expected: Wake) -> UnixStream {
        match self
            .lot
            .park(ticket, tenant, until(What::NextRequest, HOUR))
        {
            Parked::Called(tenant, wake) => {
                assert_eq!(wake, expected);
                tenant
            }
            Parked::Waits => panic!("it waits, although something has come"),
            Parked::Failed(_, error) => panic!("it can't be watched: {error}"),
        }
    }

    #[track_caller]
    fn expect_next(&mut self, expected: Wake) -> UnixStream {
        let (tenant, wake) = self.next().expect("somebody is to be driven");
        assert_eq!(wake, expected);
        tenant
    }

    /// Who is to be driven by now. An event of a local socket is there when the peer's call
    /// returns, so there is nothing to wait for.
    fn next(&mut self) -> Option<(UnixStream, Wake)> {
        self.look();
        self.lot.claim(&mut self.events)
    }

    /// The system has nothing to tell.
    #[track_caller]
    fn expect_silence(&mut self) {
        self.look();
        assert!(self.events.received.is_empty());
    }

    /// The events received last wake nobody, however often they are claimed.
    #[track_caller]
    fn expect_stale(&mut self, when: &str) {
        assert!(!self.events.received.is_empty());
        self.events.claimed = 0;
        assert!(self.lot.claim(&mut self.events).is_none(), "{when}");
    }

    fn look(&mut self) {
        let looked = self.lot.wait(&mut self.events, Some(Duration::ZERO));
        looked.expect("the lot can be waited in");
    }
}

/// Both ends of a connection.
fn pair() -> (UnixStream, UnixStream) {
    let (tenant, peer) = UnixStream::pair().expect("the system has descriptors");
    tenant.set_nonblocking(true).expect("it is a socket");
    (tenant, peer)
}

fn until(what: What, patience: Duration) -> Wait {
    let deadline = Instant::now() + patience;
    Wait { what, deadline }
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
    rig.expect_waits(rig.enter(), tenant, What::FirstRequest);
    let tenant = rig.expect_next(Wake::Ready);
    assert_eq!(drain(&tenant), (1, true));
}

#[test]
fn an_event_that_comes_while_a_worker_has_the_connection_is_handed_over_at_parking() {
    let mut rig = Rig::new(1);
    let (ticket, peer) = rig.settle(What::NextRequest);
    send(&peer);
    let tenant = rig.expect_next(Wake::Ready);
    assert_eq!(drain(&tenant), (1, true));

    send(&peer);
    assert!(rig.next().is_none(), "a worker has it");
    let tenant = rig.expect_called(ticket, tenant, Wake::Ready);
    assert_eq!(drain(&tenant), (1, true));

    // It is handed over once.
    rig.expect_waits(ticket, tenant, What::NextRequest);
    assert!(rig.next().is_none());
    send(&peer);
    rig.expect_next(Wake::Ready);
}

#[test]
fn an_end_that_comes_while_a_worker_has_the_connection_is_not_taken_for_less() {
    let mut rig = Rig::new(1);
    let (ticket, peer) = rig.settle(What::NextRequest);
    send(&peer);
    let tenant = rig.expect_next(Wake::Ready);
    send(&peer);
    assert!(rig.next().is_none());
    drop(peer);
    assert!(rig.next().is_none());
    let tenant = rig.expect_called(ticket, tenant, Wake::HungUp);
    assert_eq!(drain(&tenant), (2, false));
}

#[test]
fn an_end_wakes_whoever_waits() {
    for what in [What::FirstRequest, What::Head, What::Body, What::Goodbye] {
        let mut rig = Rig::new(1);
        let (_, peer) = rig.settle(what);
        drop(peer);
        rig.expect_next(Wake::HungUp);
    }
}

#[test]
fn who_waits_for_bytes_is_not_told_of_room_to_send() {
    let mut rig = Rig::new(1);
    // The place of one that waited for room tells the next one nothing of it.
    let (tenant, _peer) = pair();
    let ticket = rig.enter();
    rig.expect_waits(ticket, tenant, What::Room);
    drop(rig.expect_next(Wake::Ready));
    rig.lot.leave(ticket);
    rig.settle(What::Body);
}

#[test]
fn room_that_has_come_before_parking_is_noticed() {
    let mut rig = Rig::new(1);
    let (ticket, peer) = rig.settle(What::NextRequest);
    send(&peer);
    let tenant = rig.expect_next(Wake::Ready);
    rig.expect_waits(ticket, tenant, What::Room);
    rig.expect_next(Wake::Ready);
}

#[test]
fn room_to_send_wakes_who_waits_for_it_as_often_as_it_comes() {
    let mut rig = Rig::new(1);
    let (ticket, peer) = rig.settle(What::NextRequest);
    peer.set_nonblocking(true).expect("it is a socket");
    send(&peer);
    let mut tenant = rig.expect_next(Wake::Ready);
    drain(&tenant);
    for _ in 0..3 {
        fill(&tenant);
        rig.expect_waits(ticket, tenant, What::Room);
        rig.expect_silence();
        drain(&peer);
        tenant = rig.expect_next(Wake::Ready);
    }
}

#[test]
fn a_stale_event_never_wakes_the_next_holder_of_the_place() {
    let mut rig = Rig::new(1);
    let (old, peer) = rig.settle(What::NextRequest);
    send(&peer);
    rig.look();
    // Before the event is claimed, its connection leaves and another takes its place.
    let mut gone = Vec::new();
    rig.lot.recall(|_| true, |tenant| gone.push(tenant));
    assert_eq!(gone.len(), 1);
    rig.lot.leave(old);
    let new = rig.enter();
    assert_eq!(new.place, old.place);
    assert_ne!(new.generation, old.generation);

    let (tenant, _peer) = pair();
    rig.expect_stale("the new one has never parked");
    rig.expect_waits(new, tenant, What::NextRequest);
    rig.expect_stale("the new one is parked");
    rig.lot.recall(|_| true, |tenant| gone.push(tenant));
    assert_eq!(gone.len(), 2, "it was still parked");
    rig.expect_stale("the new one is with a worker");
    let tenant = gone.pop().expect("there are two");
    rig.expect_waits(new, tenant, What::NextRequest);
}

#[test]
fn nobody_is_told_of_who_is_expelled_until_he_parks_again() {
    for (leaves, wake) in [(false, Wake::Ready), (true, Wake::HungUp)] {
        let mut rig = Rig::new(1);
        let (ticket, peer) = rig.settle(What::NextRequest);
        send(&peer);
        let tenant = rig.expect_next(Wake::Ready);
        send(&peer);
        assert!(rig.next().is_none(), "a worker has it");
        rig.lot.expel(ticket, &tenant);
        send(&peer);
        let peer = (!leaves).then_some(peer);
        rig.expect_silence();

        let again = rig.enter();
        assert_eq!(again.place, ticket.place, "the place was given back");
        rig.expect_waits(again, tenant, What::NextRequest);
        let tenant = rig.expect_next(wake);
        assert_eq!(drain(&tenant), (3, !leaves));
        drop(peer);
    }
}

#[test]
fn who_has_never_parked_can_be_expelled() {
    let rig = Rig::new(1);
    let ticket = rig.enter();
    let (tenant, _peer) = pair();
    rig.lot.expel(ticket, &tenant);
    rig.expect_waits(rig.enter(), tenant, What::FirstRequest);
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
        let wait = Wait {
            what: What::Head,
            deadline: now + patience,
        };
        let parked = rig.lot.park(rig.enter(), tenant, wait);
        assert!(matches!(parked, Parked::Waits));
        mark
    };
    let first = park(Duration::from_secs(1));
    let second = park(Duration::from_secs(2));
    let third = park(HOUR);
    let never_parked = rig.enter();

    let expired = |after| {
        let mut marks = Vec::new();
        rig.lot
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
    rig.lot.leave(never_parked);
}

#[test]
fn who_is_claimed_does_not_expire() {
    let mut rig = Rig::new(1);
    let (ticket, peer) = rig.settle(What::NextRequest);
    send(&peer);
    let tenant = rig.expect_next(Wake::Ready);
    let far = Instant::now() + 2 * HOUR;
    rig.lot
        .expired(far, |_| panic!("a worker has the connection"));
    rig.expect_waits(ticket, tenant, What::NextRequest);
    let mut expired = 0;
    rig.lot.expired(far, |_| expired += 1);
    assert_eq!(expired, 1);
}

#[test]
fn recall_takes_what_waits_for_that_kind() {
    let mut rig = Rig::new(8);
    let kinds = [
        What::FirstRequest,
        What::Head,
        What::NextRequest,
        What::Body,
        What::Goodbye,
    ];
    let _peers: Vec<_> = kinds.map(|what| rig.settle(what)).into();
    let recall = |kind: fn(What) -> bool| {
        let mut count = 0;
        rig.lot.recall(kind, |_| count += 1);
        count
    };
    assert_eq!(recall(What::is_idle), 2);
    assert_eq!(recall(What::is_idle), 0);
    assert_eq!(recall(|_| true), 3);
    assert_eq!(recall(|_| true), 0);
}

#[test]
fn places_are_reused() {
    let rig = Rig::new(1);
    let tickets: Vec<_> = std::iter::from_fn(|| rig.lot.enter()).collect();
    assert_eq!(tickets.len(), BLOCK_PLACES, "capacity comes in blocks");
    let places: HashSet<_> = tickets.iter().map(|ticket| ticket.place).collect();
    assert_eq!(places.len(), tickets.len());

    rig.lot.leave(tickets[7]);
    let again = rig.enter();
    assert_eq!(again.place, tickets[7].place);
    assert_ne!(again, tickets[7]);
    assert!(rig.lot.enter().is_none());
}

#[test]
fn the_bell_wakes_and_is_no_connection() {
    let mut rig = Rig::new(1);
    rig.bell.ring();
    assert!(rig.next().is_none());
    assert!(rig.events.bell_rang());
    rig.look();
    assert!(rig.lot.claim(&mut rig.events).is_none());
    assert!(!rig.events.bell_rang(), "it is heard once a ring");
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
        ticket: Ticket,
        seen: Sender<usize>,
    }

    impl AsFd for Tenant {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.stream.as_fd()
        }
    }

    fn drive(lot: &Lot<Tenant>, mut tenant: Tenant) {
        loop {
            let (count, is_open) = drain(&tenant.stream);
            for _ in 0..count {
                // Once the test has failed nobody listens.
                let _ = tenant.seen.send(tenant.peer);
            }
            if !is_open {
                return lot.leave(tenant.ticket);
            }
            match lot.park(tenant.ticket, tenant, until(What::NextRequest, HOUR)) {
                Parked::Waits => return,
                Parked::Called(called, _) => tenant = called,
                Parked::Failed(_, error) => panic!("it can't be watched: {error}"),
            }
        }
    }

    fn work(lot: &Lot<Tenant>, is_over: &AtomicBool) {
        let mut events = Events::with_capacity(3);
        while !is_over.load(Ordering::Relaxed) {
            // Looking again brings no event back that was lost: they are edge-triggered.
            lot.wait(&mut events, Some(Duration::from_millis(10)))
                .expect("the lot can be waited in");
            while let Some((tenant, _)) = lot.claim(&mut events) {
                drive(lot, tenant);
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

    let bell = Bell::new().expect("the system has descriptors");
    let lot = Lot::new(PEERS, &bell).expect("the system has descriptors");
    let (seen, sightings) = mpsc::channel();
    let peers: Vec<_> = (0..PEERS)
        .map(|peer| {
            let (stream, other) = pair();
            let ticket = lot.enter().expect("the lot has a free place");
            let seen = seen.clone();
            let tenant = Tenant {
                stream,
                peer,
                ticket,
                seen,
            };
            drive(&lot, tenant);
            other
        })
        .collect();
    drop(seen);

    let is_over = AtomicBool::new(false);
    let (played, left) = thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| work(&lot, &is_over));
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
