//! Tests in all interleavings that work returns to a connection: no message and no call is lost, and a
//! connection has one owner.
//!
//! Run them together with the [pool's](crate::server::worker).

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use loom::thread;

use super::lending::{Lent, Posted};
use super::*;
use crate::sync;
use crate::sync::atomic::AtomicBool;
use crate::sync::explore_small;

/// A connection without a descriptor. Its owner appends to it, which needs no lock.
#[derive(Debug, Default)]
struct Connection {
    responses: Vec<u32>,
    has_seen_flag: bool,
}

impl Source for Box<Connection> {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// A poller with one connection, and a flag that another thread sets before it wakes the connection.
struct Scenario {
    poller: Poller<Box<Connection>, u32>,
    token: Token,
    flag: AtomicBool,
    _waker: Waker,
}

impl Scenario {
    fn new() -> Arc<Self> {
        let waker = Waker::new().expect("the system has descriptors");
        let poller = Poller::new(1, &waker).expect("the system has descriptors");
        Arc::new(Self {
            token: poller.reserve().expect("the poller has a free slot"),
            poller,
            flag: AtomicBool::new(false),
            _waker: waker,
        })
    }

    fn parked() -> Arc<Self> {
        let scenario = Self::new();
        scenario.park(Box::default());
        scenario
    }

    /// Drives the connection until it parks.
    fn park(&self, mut connection: Box<Connection>) {
        loop {
            connection.has_seen_flag |= self.flag.load(Ordering::SeqCst);
            let deadline = sync::now() + Duration::from_secs(3600);
            let pending = Pending {
                wait_for: WaitFor::NextRequest,
                deadline,
            };
            match self.poller.park(self.token, connection, pending) {
                Parked::Waiting => return,
                Parked::Ready(ready, _, messages) => {
                    connection = ready;
                    connection.responses.extend(messages);
                }
                Parked::Failed(_, error) => panic!("{error}"),
            }
        }
    }

    /// Lends the connection, and drives it with messages that come first.
    fn lend(&self, mut connection: Box<Connection>) {
        loop {
            match self.poller.lend(self.token, connection, None, true) {
                Lent::Waiting => return,
                Lent::Messages(ready, messages) => {
                    connection = ready;
                    connection.responses.extend(messages);
                }
                Lent::Failed(_, error) => panic!("{error}"),
            }
        }
    }

    /// Returns the response of a handler for which the connection was lent.
    fn respond(&self, response: u32) {
        if let Some(mut connection) = self.poller.reclaim(self.token) {
            connection.responses.push(response);
            self.park(connection);
        } else {
            self.post(response);
        }
    }

    fn post(&self, response: u32) {
        match self.poller.post(self.token, response) {
            Posted::Left => {}
            Posted::Taken(mut connection, response) => {
                connection.responses.push(response);
                self.park(connection);
            }
            Posted::Closed(_) => panic!("the connection is open"),
        }
    }

    /// Sets the flag and wakes the connection.
    fn call(&self) {
        self.flag.store(true, Ordering::SeqCst);
        if let Delivery::Taken(connection, _) = self.poller.wake(self.token) {
            self.park(connection);
        }
    }

    /// Checks that the connection is parked and has these responses, in any order.
    #[track_caller]
    fn assert_responses(&self, expected: &[u32]) -> Box<Connection> {
        let mut parked = Vec::new();
        self.poller.recall(WaitFor::is_idle, |one| parked.push(one));
        let connection = parked.pop().expect("the connection is parked");
        let mut responses = connection.responses.clone();
        responses.sort_unstable();
        assert_eq!(responses, expected);
        connection
    }
}

#[test]
fn interleavings_of_a_handler_and_a_thread_that_takes_its_connection() {
    explore_small(|| {
        let scenario = Scenario::new();
        scenario.lend(Box::default());
        let other = Arc::clone(&scenario);
        let other = thread::spawn(move || {
            other.call();
            if let Some(connection) = other.poller.take_lent(other.token) {
                // It runs another request's handler.
                other.lend(connection);
                other.respond(2);
            } else {
                other.post(2);
            }
        });
        scenario.respond(1);
        other.join().expect("the other thread succeeds");
        let connection = scenario.assert_responses(&[1, 2]);
        assert!(connection.has_seen_flag, "a call is never lost");
    });
}

#[test]
fn interleavings_of_two_messages_and_a_worker_that_parks() {
    explore_small(|| {
        let scenario = Scenario::new();
        let posters = [1, 2].map(|response| {
            let scenario = Arc::clone(&scenario);
            thread::spawn(move || scenario.post(response))
        });
        scenario.park(Box::default());
        for poster in posters {
            poster.join().expect("a poster succeeds");
        }
        scenario.assert_responses(&[1, 2]);
    });
}

#[test]
fn interleavings_of_a_call_and_a_worker_that_lends_and_parks() {
    explore_small(|| {
        let scenario = Scenario::parked();
        let caller = Arc::clone(&scenario);
        let caller = thread::spawn(move || caller.call());
        // A worker has received an event.
        if let Delivery::Taken(connection, _) = scenario.poller.wake(scenario.token) {
            scenario.lend(connection);
            scenario.respond(1);
        } else {
            scenario.post(1);
        }
        caller.join().expect("the caller succeeds");
        let connection = scenario.assert_responses(&[1]);
        assert!(connection.has_seen_flag, "a call is never lost");
    });
}
