//! The pool's threads against each other, in every order.
//!
//! loom plays each scene again and again: in every order of what its threads do at locks, atomics,
//! the ready channel and the system, and with every value that the memory model lets a load
//! return. What plays is the code of the server: workers, roster, patrol, lot, bells and
//! connections, on sockets and an epoll instance of the system (`sync/model.rs` has the stand-ins
//! and what they model). The thread of the test is the acceptor and goes the acceptor's steps.
//!
//! A wake-up that is lost leaves all threads waiting for each other, which loom tells as a
//! deadlock. The acceptor is no way out: it waits for its bell without a timeout, and walks the
//! patrol only while the patrol is due. So these scenes show that the patrol is started where it
//! is needed, too.
//!
//! The limits of it: two workers or three, one or two connections, and orders in which threads are
//! interrupted twice at most (once where there are three workers); that one goes on because
//! another waits is no interruption. No time passes, so turns are quick or slow from the start.
//! Condition variables do not wake without reason, and the counters of the census are not played.
//!
//! ```sh
//! RUSTFLAGS='--cfg loom' cargo test --no-default-features --profile loom --lib interleavings
//! ```
//!
//! `LOOM_MAX_PREEMPTIONS=3` allows three interruptions, and takes thirty times as long.

mod scene;

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use self::scene::{KEPT, LAST, Meeting, Scene, Start, answers, play, play_large};
use crate::message::Request;
use crate::sync;

/// How the workers begin.
type Pool = [Start; 2];

const POOLS: [Pool; 3] = [
    [Start::Quick, Start::Quick],
    [Start::Slow, Start::Slow],
    [Start::Looking, Start::Quick],
];

/// The one that leaves it to the patrol.
const QUICK_POOL: [Pool; 1] = [[Start::Quick, Start::Quick]];

/// Two requests whose handlers wait for each other, and two workers: where work is left lying
/// while a worker is idle, nothing goes on any more. Some of it happens `before` the workers
/// start.
fn side_by_side(
    pools: &[Pool],
    before: fn(&mut Scene) -> Vec<UnixStream>,
    then: fn(&Scene, &mut Vec<UnixStream>),
) {
    for &starts in pools {
        play(move || {
            let meeting = Meeting::of(2);
            let mut scene = Scene::new(2, move |_: Request| meeting.attend());
            let mut clients = before(&mut scene);
            starts.into_iter().for_each(|start| scene.start(start));
            then(&scene, &mut clients);
            scene.serve();
            scene.stop();
            assert_eq!(clients.len(), 2);
            for client in &clients {
                assert_eq!(answers(client), 1);
            }
        });
    }
}

fn send_all(clients: &[UnixStream]) {
    for client in clients {
        sync::send(client, LAST);
    }
}

#[test]
fn new_connections_are_handled_side_by_side() {
    side_by_side(
        &POOLS,
        |_| Vec::new(),
        |scene, clients| {
            clients.extend(scene.admit::<1>(LAST));
            clients.extend(scene.admit::<1>(LAST));
        },
    );
}

#[test]
fn connections_that_come_together_are_handled_side_by_side() {
    side_by_side(
        &POOLS,
        |_| Vec::new(),
        |scene, clients| clients.extend(scene.admit::<2>(LAST)),
    );
}

#[test]
fn parked_connections_are_handled_side_by_side() {
    side_by_side(
        &POOLS,
        |scene| vec![scene.settle(), scene.settle()],
        |_, clients| send_all(clients),
    );
}

#[test]
fn a_parked_and_a_new_connection_are_handled_side_by_side() {
    side_by_side(
        &POOLS,
        |scene| vec![scene.settle()],
        |scene, clients| {
            send_all(clients);
            clients.extend(scene.admit::<1>(LAST));
        },
    );
}

#[test]
fn what_one_worker_receives_at_once_is_handled_side_by_side() {
    side_by_side(
        &POOLS,
        |scene| {
            let clients = vec![scene.settle(), scene.settle()];
            send_all(&clients);
            clients
        },
        |_, _| {},
    );
}

#[test]
fn what_comes_as_the_patrol_ends_is_handled_side_by_side() {
    side_by_side(
        &QUICK_POOL,
        |scene| {
            let clients = vec![scene.settle(), scene.settle()];
            send_all(&clients);
            scene.tire_detector();
            clients
        },
        |_, _| {},
    );
}

#[test]
fn a_third_worker_makes_no_difference() {
    play_large(move || {
        let meeting = Meeting::of(2);
        let mut scene = Scene::new(3, move |_: Request| meeting.attend());
        let clients = [scene.settle(), scene.settle()];
        (0..3).for_each(|_| scene.start(Start::Quick));
        send_all(&clients);
        scene.serve();
        scene.stop();
        assert_eq!(clients.each_ref().map(answers), [1, 1]);
    });
}

#[test]
fn a_request_that_comes_while_its_connection_is_first_parked_is_answered() {
    for starts in POOLS {
        play(move || {
            let mut scene = Scene::new(2, |_: Request| ());
            starts.into_iter().for_each(|start| scene.start(start));
            let [client] = scene.admit("");
            sync::send(&client, LAST);
            scene.serve();
            scene.stop();
            assert_eq!(answers(&client), 1);
        });
    }
}

/// One connection, which sends `more` while a worker goes from its first answer to parking it.
fn while_it_is_being_parked(more: fn(&UnixStream), expected: usize) {
    for workers in [1, 2] {
        play(move || {
            let answering = Arc::new(Meeting::of(2));
            let first = Arc::clone(&answering);
            let handler = move |request: Request| match request.uri().path() {
                "/kept" => first.attend(),
                _ => {}
            };
            let mut scene = Scene::new(workers, handler);
            let client = scene.settle();
            (0..workers).for_each(|_| scene.start(Start::Quick));
            sync::send(&client, KEPT);
            answering.attend();
            more(&client);
            scene.serve();
            scene.stop();
            assert_eq!(answers(&client), expected);
        });
    }
}

#[test]
fn a_request_that_comes_while_its_connection_is_being_parked_is_answered() {
    while_it_is_being_parked(|client| sync::send(client, LAST), 2);
}

#[test]
fn an_end_that_comes_while_its_connection_is_being_parked_is_heard() {
    while_it_is_being_parked(sync::finish, 1);
}

#[test]
fn an_end_that_comes_with_a_request_is_heard() {
    for starts in POOLS {
        play(move || {
            let mut scene = Scene::new(2, |_: Request| ());
            let client = scene.settle();
            starts.into_iter().for_each(|start| scene.start(start));
            sync::send(&client, KEPT);
            sync::finish(&client);
            scene.serve();
            scene.stop();
            assert_eq!(answers(&client), 1);
        });
    }
}

/// A connection is taken out of the lot for another reason, while workers hear of its request.
fn beside_an_event(take: fn(&Scene)) {
    for starts in POOLS {
        play(move || {
            let mut scene = Scene::new(2, |_: Request| ());
            let client = scene.settle();
            starts.into_iter().for_each(|start| scene.start(start));
            sync::send(&client, LAST);
            take(&scene);
            scene.serve();
            scene.stop();
            assert_eq!(answers(&client), 1);
        });
    }
}

#[test]
fn a_sweep_takes_no_connection_from_a_worker() {
    beside_an_event(Scene::sweep);
}

#[test]
fn a_recall_takes_no_connection_from_a_worker() {
    beside_an_event(Scene::recall);
}

#[test]
fn idle_workers_leave_when_the_server_has_stopped() {
    for starts in POOLS {
        play(move || {
            let mut scene = Scene::new(2, |_: Request| ());
            starts.into_iter().for_each(|start| scene.start(start));
            scene.stop();
        });
    }
    play_large(move || {
        let mut scene = Scene::new(3, |_: Request| ());
        (0..3).for_each(|_| scene.start(Start::Quick));
        scene.stop();
    });
}

/// Requests are under way when the server is forced to its end.
fn at_the_end(before: fn(&Scene) -> Vec<UnixStream>, then: fn(&Scene, &mut Vec<UnixStream>)) {
    for starts in POOLS {
        play(move || {
            let mut scene = Scene::new(2, |_: Request| ());
            let mut clients = before(&scene);
            starts.into_iter().for_each(|start| scene.start(start));
            then(&scene, &mut clients);
            let aborted = scene.force();
            let answered: usize = clients.iter().map(answers).sum();
            assert_eq!(answered + aborted, clients.len());
        });
    }
}

#[test]
fn a_new_connection_is_answered_or_cut_at_the_end() {
    at_the_end(
        |_| Vec::new(),
        |scene, clients| clients.extend(scene.admit::<1>(LAST)),
    );
}

#[test]
fn a_connection_that_stays_is_answered_or_cut_at_the_end() {
    at_the_end(
        |_| Vec::new(),
        |scene, clients| clients.extend(scene.admit::<1>(KEPT)),
    );
}

#[test]
fn a_parked_connection_is_answered_or_cut_at_the_end() {
    at_the_end(|scene| vec![scene.settle()], |_, clients| send_all(clients));
}

#[test]
fn what_one_worker_received_at_once_is_answered_or_cut_at_the_end() {
    at_the_end(
        |scene| {
            let clients = vec![scene.settle(), scene.settle()];
            send_all(&clients);
            clients
        },
        |_, _| {},
    );
}
