//! Tests the threads of the pool against each other in all interleavings.
//!
//! Loom runs each scenario in every order of the threads' steps (at locks, atomics, the ready
//! channel and system calls) and with every value that the memory model lets a load return. The
//! code under test is the server's own: workers, idle workers, stall detector, poller, wakers and
//! connections, on sockets and an epoll instance of the system. `sync/model/mod.rs` has the models
//! of the primitives. The thread of the test takes the acceptor's steps.
//!
//! After a lost wake-up all threads wait for each other, and loom reports a deadlock. The acceptor
//! can't resolve it: it waits for its waker without a timeout and ticks the stall detector only
//! while the detector is due. So these scenarios also show that the detector is started where it is
//! needed.
//!
//! Limits: two or three workers, one or two connections, and at most two preemptions per
//! interleaving (one with three workers); a switch away from a thread that blocks is not a
//! preemption. No time passes ([`sync::now`]), so turns are fast or slow from the start. Condition variables do not
//! wake spuriously, and the counters of `Stats` are not modelled.
//!
//! ```sh
//! RUSTFLAGS='--cfg loom' cargo test --no-default-features --profile loom --lib interleavings
//! ```
//!
//! `LOOM_MAX_PREEMPTIONS=3` allows three preemptions and takes thirty times as long.

mod lending;
mod scenario;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use self::scenario::{
    Barrier, CLOSING_REQUEST, KEEP_ALIVE_REQUEST, Scenario, Start, received_letters, responses,
};
use crate::connection::defaults;
use crate::message::Request;
use crate::message::waker::wake_all;
use crate::sync;
use crate::sync::{explore, explore_large};

/// How the workers begin.
type Pool = [Start; 2];

const POOLS: [Pool; 3] = [
    [Start::Quick, Start::Quick],
    [Start::Slow, Start::Slow],
    [Start::Looking, Start::Quick],
];

/// The pool that leaves work to the stall detector.
const QUICK_POOL: [Pool; 1] = [[Start::Quick, Start::Quick]];

/// Runs two workers and two requests whose handlers wait for each other, so that the scenario
/// deadlocks if a request is not handled while a worker is idle. The steps of `before` come before
/// the workers start.
fn handled_concurrently(
    pools: &[Pool],
    before: fn(&mut Scenario) -> Vec<UnixStream>,
    then: fn(&Scenario, &mut Vec<UnixStream>),
) {
    for &starts in pools {
        explore(move || {
            let barrier = Barrier::new(2);
            let mut scenario = Scenario::new(2, move |_: Request| barrier.wait());
            let mut clients = before(&mut scenario);
            starts.into_iter().for_each(|start| scenario.start(start));
            then(&scenario, &mut clients);
            scenario.serve();
            scenario.stop();
            assert_eq!(clients.len(), 2);
            for client in &clients {
                assert_eq!(responses(client), 1);
            }
        });
    }
}

fn send_all(clients: &[UnixStream]) {
    for client in clients {
        sync::send(client, CLOSING_REQUEST);
    }
}

#[test]
fn new_connections_are_handled_concurrently() {
    handled_concurrently(
        &POOLS,
        |_| Vec::new(),
        |scenario, clients| {
            clients.extend(scenario.admit::<1>(CLOSING_REQUEST));
            clients.extend(scenario.admit::<1>(CLOSING_REQUEST));
        },
    );
}

#[test]
fn batch_of_new_connections_is_handled_concurrently() {
    handled_concurrently(
        &POOLS,
        |_| Vec::new(),
        |scenario, clients| clients.extend(scenario.admit::<2>(CLOSING_REQUEST)),
    );
}

#[test]
fn parked_connections_are_handled_concurrently() {
    handled_concurrently(
        &POOLS,
        |scenario| vec![scenario.park_new(), scenario.park_new()],
        |_, clients| send_all(clients),
    );
}

#[test]
fn parked_and_new_connections_are_handled_concurrently() {
    handled_concurrently(
        &POOLS,
        |scenario| vec![scenario.park_new()],
        |scenario, clients| {
            send_all(clients);
            clients.extend(scenario.admit::<1>(CLOSING_REQUEST));
        },
    );
}

#[test]
fn events_received_together_are_handled_concurrently() {
    handled_concurrently(
        &POOLS,
        |scenario| {
            let clients = vec![scenario.park_new(), scenario.park_new()];
            send_all(&clients);
            clients
        },
        |_, _| {},
    );
}

#[test]
fn events_as_the_stall_detector_stops_are_handled_concurrently() {
    handled_concurrently(
        &QUICK_POOL,
        |scenario| {
            let clients = vec![scenario.park_new(), scenario.park_new()];
            send_all(&clients);
            scenario.wear_out_detector();
            clients
        },
        |_, _| {},
    );
}

#[test]
fn connections_woken_together_are_handled_concurrently() {
    for starts in POOLS {
        explore(move || {
            let barrier = Barrier::new(2);
            let mut scenario = Scenario::new(2, move |_: Request| barrier.wait());
            let waiting = [(); 2].map(|()| scenario.park_waiting(CLOSING_REQUEST));
            starts.into_iter().for_each(|start| scenario.start(start));
            let (clients, wakers): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            wake_all(wakers);
            scenario.serve();
            scenario.stop();
            assert!(clients.iter().all(|client| responses(client) == 1));
        });
    }
}

#[test]
fn three_workers_handle_requests_concurrently() {
    explore_large(move || {
        let barrier = Barrier::new(2);
        let mut scenario = Scenario::new(3, move |_: Request| barrier.wait());
        let clients = [scenario.park_new(), scenario.park_new()];
        (0..3).for_each(|_| scenario.start(Start::Quick));
        send_all(&clients);
        scenario.serve();
        scenario.stop();
        assert_eq!(clients.each_ref().map(responses), [1, 1]);
    });
}

#[test]
fn request_during_the_first_parking_is_handled() {
    for starts in POOLS {
        explore(move || {
            let mut scenario = Scenario::new(2, |_: Request| ());
            starts.into_iter().for_each(|start| scenario.start(start));
            let [client] = scenario.admit("");
            sync::send(&client, CLOSING_REQUEST);
            scenario.serve();
            scenario.stop();
            assert_eq!(responses(&client), 1);
        });
    }
}

/// Runs one connection, which sends `more` while a worker sends its first response and parks it.
fn while_parking(more: fn(&UnixStream), expected: usize) {
    for workers in [1, 2] {
        explore(move || {
            let responding = Arc::new(Barrier::new(2));
            let first = Arc::clone(&responding);
            let handler = move |request: Request| match request.uri().path() {
                "/kept" => first.wait(),
                _ => {}
            };
            let mut scenario = Scenario::new(workers, handler);
            let client = scenario.park_new();
            (0..workers).for_each(|_| scenario.start(Start::Quick));
            sync::send(&client, KEEP_ALIVE_REQUEST);
            responding.wait();
            more(&client);
            scenario.serve();
            scenario.stop();
            assert_eq!(responses(&client), expected);
        });
    }
}

#[test]
fn request_during_a_later_parking_is_handled() {
    while_parking(|client| sync::send(client, CLOSING_REQUEST), 2);
}

#[test]
fn close_during_parking_is_noticed() {
    while_parking(sync::finish, 1);
}

#[test]
fn close_right_after_a_request_is_noticed() {
    for starts in POOLS {
        explore(move || {
            let mut scenario = Scenario::new(2, |_: Request| ());
            let client = scenario.park_new();
            starts.into_iter().for_each(|start| scenario.start(start));
            sync::send(&client, KEEP_ALIVE_REQUEST);
            sync::finish(&client);
            scenario.serve();
            scenario.stop();
            assert_eq!(responses(&client), 1);
        });
    }
}

/// Takes a connection out of the poller for another reason while workers receive the event of its
/// request.
fn during_an_event(take: fn(&Scenario)) {
    for starts in POOLS {
        explore(move || {
            let mut scenario = Scenario::new(2, |_: Request| ());
            let client = scenario.park_new();
            starts.into_iter().for_each(|start| scenario.start(start));
            sync::send(&client, CLOSING_REQUEST);
            take(&scenario);
            scenario.serve();
            scenario.stop();
            assert_eq!(responses(&client), 1);
        });
    }
}

#[test]
fn deadline_check_takes_no_connection_from_a_worker() {
    during_an_event(Scenario::check_deadlines);
}

#[test]
fn recall_takes_no_connection_from_a_worker() {
    during_an_event(Scenario::recall);
}

#[test]
fn idle_workers_end_when_the_server_stops() {
    for starts in POOLS {
        explore(move || {
            let mut scenario = Scenario::new(2, |_: Request| ());
            starts.into_iter().for_each(|start| scenario.start(start));
            scenario.stop();
        });
    }
    explore_large(move || {
        let mut scenario = Scenario::new(3, |_: Request| ());
        (0..3).for_each(|_| scenario.start(Start::Quick));
        scenario.stop();
    });
}

/// Forces the server to stop while requests are in progress.
fn while_forced(
    before: fn(&Scenario) -> Vec<UnixStream>,
    then: fn(&Scenario, &mut Vec<UnixStream>),
) {
    for starts in POOLS {
        explore(move || {
            let mut scenario = Scenario::new(2, |_: Request| ());
            let mut clients = before(&scenario);
            starts.into_iter().for_each(|start| scenario.start(start));
            then(&scenario, &mut clients);
            let aborted = scenario.force();
            let responded: usize = clients.iter().map(responses).sum();
            assert_eq!(responded + aborted, clients.len());
        });
    }
}

#[test]
fn new_connection_is_handled_or_aborted() {
    while_forced(
        |_| Vec::new(),
        |scenario, clients| clients.extend(scenario.admit::<1>(CLOSING_REQUEST)),
    );
}

#[test]
fn kept_connection_is_handled_or_aborted() {
    while_forced(
        |_| Vec::new(),
        |scenario, clients| clients.extend(scenario.admit::<1>(KEEP_ALIVE_REQUEST)),
    );
}

/// The machine may run the threads of a model late. Here it does so in some interleavings, for longer
/// than the idle grace of a drain.
#[test]
fn kept_connection_is_handled_or_aborted_on_a_machine_that_stalls() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    while_forced(
        |_| Vec::new(),
        |scenario, clients| {
            clients.extend(scenario.admit::<1>(KEEP_ALIVE_REQUEST));
            if RUNS.fetch_add(1, Ordering::Relaxed).is_multiple_of(500) {
                std::thread::sleep(defaults::DRAIN_IDLE + Duration::from_millis(1));
            }
        },
    );
}

#[test]
fn parked_connection_is_handled_or_aborted() {
    while_forced(
        |scenario| vec![scenario.park_new()],
        |_, clients| send_all(clients),
    );
}

#[test]
fn events_received_together_are_handled_or_aborted() {
    while_forced(
        |scenario| {
            let clients = vec![scenario.park_new(), scenario.park_new()];
            send_all(&clients);
            clients
        },
        |_, _| {},
    );
}
