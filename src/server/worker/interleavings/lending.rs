//! Multiplexed connections: a worker lends the connection while a handler runs.

use super::*;
use crate::connection::scripted::StreamWaker;
use crate::sync::{Condvar, Mutex, ignore_poison};

/// Runs one connection on which `before` arrives before the workers start and `then` afterwards. The
/// handlers of `a` and `b` wait for each other.
fn with_two_handlers(pools: &[Pool], before: &'static str, then: &'static str) {
    for &starts in pools {
        explore_large(move || {
            let barrier = Barrier::new(2);
            let handler = move |request: Request| match request.uri().path() {
                "/a" | "/b" => barrier.wait(),
                _ => {}
            };
            let mut scenario = Scenario::new(2, handler);
            let client = scenario.park_scripted();
            if !before.is_empty() {
                sync::send(&client, before);
            }
            starts.into_iter().for_each(|start| scenario.start(start));
            sync::send(&client, then);
            scenario.serve();
            scenario.stop();
            assert_eq!(received_letters(&client), "AB");
        });
    }
}

#[test]
fn requests_of_one_connection_are_handled_concurrently() {
    with_two_handlers(&POOLS, "", "ab.");
}

#[test]
fn request_during_a_handler_of_its_connection_is_handled() {
    with_two_handlers(&POOLS, "a", "b.");
}

/// The client leaves while a handler runs, so that the reply may find no connection.
#[test]
fn reply_to_a_client_that_leaves_is_dropped() {
    for starts in POOLS {
        explore_large(move || {
            let mut scenario = Scenario::new(2, |_: Request| ());
            let client = scenario.park_scripted();
            starts.into_iter().for_each(|start| scenario.start(start));
            sync::send(&client, "a");
            sync::finish(&client);
            scenario.serve();
            scenario.stop();
        });
    }
}

/// All workers are in handlers, so the acceptor answers what needs none.
#[test]
fn acceptor_drives_the_connection_of_a_busy_worker() {
    explore(move || {
        let answered = Arc::new(Barrier::new(2));
        let end = Arc::clone(&answered);
        let mut scenario = Scenario::new(1, move |_: Request| end.wait());
        let client = scenario.park_scripted();
        sync::send(&client, "a?.");
        scenario.start(Start::Quick);
        let other = client.try_clone().expect("the system has descriptors");
        let waiting = loom::thread::spawn(move || answered.wait());
        scenario.serve();
        waiting.join().expect("the client receives an answer");
        scenario.stop();
        assert_eq!(received_letters(&other), "!A");
    });
}

/// Passes the wakers of requests to threads that call them.
#[derive(Default)]
struct Handover {
    wakers: Mutex<Vec<StreamWaker>>,
    given: Condvar,
}

impl Handover {
    fn give(&self, waker: &StreamWaker) {
        ignore_poison(self.wakers.lock()).push(waker.clone());
        self.given.notify_one();
    }

    fn take(&self) -> StreamWaker {
        let mut wakers = ignore_poison(self.wakers.lock());
        loop {
            match wakers.pop() {
                Some(waker) => return waker,
                None => wakers = ignore_poison(self.given.wait(wakers)),
            }
        }
    }
}

/// Runs one connection with these requests, each of which is answered by a thread outside the pool:
/// while its handler runs, while the connection is driven or parked, or in between.
fn answered_elsewhere(workers: usize, requests: &'static str, expected: &'static str) {
    explore_large(move || {
        let handover = Arc::new(Handover::default());
        let giver = Arc::clone(&handover);
        let handler = move |request: Request| {
            let waker = request.extensions().get();
            giver.give(waker.expect("the request has a waker"));
        };
        let mut scenario = Scenario::new(workers, handler);
        let client = scenario.park_scripted();
        (0..workers).for_each(|_| scenario.start(Start::Quick));
        let others = expected.chars().map(|_| {
            let handover = Arc::clone(&handover);
            loom::thread::spawn(move || handover.take().0.wake())
        });
        let others: Vec<_> = others.collect();
        sync::send(&client, requests);
        scenario.serve();
        for other in others {
            other.join().expect("the other thread succeeds");
        }
        scenario.stop();
        assert_eq!(received_letters(&client), expected);
    });
}

#[test]
fn response_of_another_thread_is_sent() {
    for workers in [1, 2] {
        answered_elsewhere(workers, "w.", "W");
    }
}

#[test]
fn responses_of_two_other_threads_are_sent() {
    answered_elsewhere(1, "vw.", "VW");
}

/// Aborts everything while a connection may be lent.
#[test]
fn lent_connection_is_handled_or_aborted() {
    for starts in POOLS {
        explore_large(move || {
            let mut scenario = Scenario::new(2, |_: Request| ());
            let client = scenario.park_scripted();
            starts.into_iter().for_each(|start| scenario.start(start));
            sync::send(&client, "a.");
            let aborted = scenario.force();
            assert!(received_letters(&client).len() + aborted <= 1);
        });
    }
}
