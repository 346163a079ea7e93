//! Real threads drive multiplexed connections whose handlers block.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::*;
use crate::connection::scripted::StreamWaker;
use crate::connection::waker::ConnectionWaker;
use crate::message::Request;
use crate::server::acceptor::Acceptor;
use crate::server::task::ReadyTask;
use crate::server::test_state::{connect_scripted, server_state};
use crate::server::waker::Waker;
use crate::server::{DrainReport, spawn};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A server with its acceptor, and the channel that ends the handlers of `a` to `f`.
struct Running {
    shared: Arc<ServerState>,
    acceptor: JoinHandle<DrainReport>,
    /// Wakes the acceptor, as its listeners and a handle do.
    waker: Arc<Waker>,
    /// Receives a message when such a handler begins.
    begun: Receiver<()>,
    release: Sender<()>,
    /// Receives the wakers of `v` and `w`.
    wakers: Receiver<StreamWaker>,
}

impl Running {
    /// Starts a server with this many workers.
    fn new(workers: usize) -> Self {
        let (begin, begun) = bounded(10);
        let (release, released) = bounded::<()>(10);
        let (give, wakers) = bounded(10);
        let handler = move |request: Request| {
            if matches!(request.uri().path(), "/a" | "/b" | "/c") {
                let waker = request.extensions().get::<Arc<dyn ConnectionWaker>>();
                begin.send(()).expect("the test waits");
                if request.uri().path() == "/c" {
                    waker.expect("the connection has a waker").hand_over();
                }
                let _ = released.recv_timeout(TIMEOUT);
            }
            if let Some(waker) = request.extensions().get::<StreamWaker>() {
                give.send(waker.clone()).expect("the test waits");
            }
        };
        let (shared, waker) = server_state(workers, handler);
        let (done, workers_done) = bounded(0);
        let spawn = |index| spawn(&shared, index, done.clone()).expect("a thread can start");
        let threads = (0..workers).map(spawn).collect();
        drop(done);
        let (state, acceptor_waker) = (Arc::clone(&shared), Arc::clone(&waker));
        let acceptor = thread::spawn(move || {
            let acceptor = Acceptor::new(state, Vec::new(), acceptor_waker, threads, workers_done);
            acceptor.run().expect("the server runs")
        });
        Self {
            shared,
            acceptor,
            waker,
            begun,
            release,
            wakers,
        }
    }

    fn connect(&self) -> UnixStream {
        let (task, client) = connect_scripted(&self.shared);
        let timeout = client.set_read_timeout(Some(TIMEOUT));
        timeout.expect("a socket can have a timeout");
        self.shared.hand_over(ReadyTask {
            task,
            wake: WakeReason::Ready,
            since: Some(sync::now()),
        });
        self.waker.wake();
        client
    }

    fn await_handlers(&self, count: usize) {
        for _ in 0..count {
            let begun = self.begun.recv_timeout(TIMEOUT);
            begun.expect("a handler begins");
        }
    }

    fn wake_stream(&self) {
        let waker = self.wakers.recv_timeout(TIMEOUT);
        waker.expect("a handler passes a waker").0.wake();
    }

    fn release(&self, count: usize) {
        (0..count).for_each(|_| self.release.send(()).expect("the handlers live"));
    }

    fn advance(&self, phase: Phase) {
        self.shared.service.phase.advance(phase);
        self.waker.wake();
    }

    fn shut_down(self, phase: Phase) -> DrainReport {
        self.advance(phase);
        self.acceptor.join().expect("the acceptor succeeds")
    }
}

fn send(mut client: &UnixStream, bytes: &str) {
    let sent = client.write_all(bytes.as_bytes());
    sent.expect("the socket has room");
}

/// Reads as many bytes as expected, and compares them.
#[track_caller]
fn assert_receives(mut client: &UnixStream, expected: &str) {
    let mut received = vec![0; expected.len()];
    let read = client.read_exact(&mut received);
    read.expect("the response arrives");
    assert_eq!(String::from_utf8_lossy(&received), expected);
}

#[test]
fn quick_request_behind_a_blocked_one_is_answered() {
    let server = Running::new(2);
    let client = server.connect();
    send(&client, "ax");
    server.await_handlers(1);
    assert_receives(&client, "X");
    send(&client, "y");
    assert_receives(&client, "Y");
    server.release(1);
    assert_receives(&client, "A");
    assert_eq!(server.shut_down(Phase::Announcing).aborted, 0);
}

#[test]
fn two_requests_of_a_connection_run_at_a_time() {
    let server = Running::new(2);
    let client = server.connect();
    send(&client, "a");
    server.await_handlers(1);
    send(&client, "b");
    server.await_handlers(1);
    send(&client, "?");
    assert_receives(&client, "!");
    server.release(2);
    let mut received = [0; 2];
    let read = (&client).read_exact(&mut received);
    read.expect("both responses arrive");
    received.sort_unstable();
    assert_eq!(&received, b"AB");
    assert_eq!(server.shut_down(Phase::Announcing).aborted, 0);
}

#[test]
fn frames_are_answered_while_the_only_worker_blocks() {
    let server = Running::new(1);
    let client = server.connect();
    send(&client, "a");
    server.await_handlers(1);
    for _ in 0..3 {
        send(&client, "?");
        assert_receives(&client, "!");
    }
    server.release(1);
    assert_receives(&client, "A");
    assert_eq!(server.shut_down(Phase::Announcing).aborted, 0);
}

/// The connection has a request for a worker, so it lies in the ready channel.
#[test]
fn handlers_that_wait_for_a_body_block_no_connection() {
    for workers in [1, 2] {
        let server = Running::new(workers);
        server.shared.service.streaming.store(1, Ordering::SeqCst);
        let clients: Vec<_> = (0..workers).map(|_| server.connect()).collect();
        clients.iter().for_each(|client| send(client, "c"));
        server.await_handlers(workers);
        for client in &clients {
            send(client, "x?");
            assert_receives(client, "!");
            send(client, "?");
            assert_receives(client, "!");
        }
        server.release(workers);
        for client in &clients {
            let mut received = [0; 2];
            let read = (&*client).read_exact(&mut received);
            read.expect("both responses arrive");
            received.sort_unstable();
            assert_eq!(&received, b"CX");
        }
        assert_eq!(server.shut_down(Phase::Announcing).aborted, 0);
    }
}

/// Requests that wait for another thread hold no worker, and the connection continues.
#[test]
fn another_thread_answers_requests_of_a_parked_connection() {
    let server = Running::new(1);
    let client = server.connect();
    send(&client, "vw?");
    assert_receives(&client, "!");
    send(&client, "xy");
    assert_receives(&client, "XY");
    server.wake_stream();
    assert_receives(&client, "V");
    server.wake_stream();
    assert_receives(&client, "W");
    assert_eq!(server.shut_down(Phase::Announcing).aborted, 0);
}

#[test]
fn another_thread_answers_while_the_only_worker_blocks() {
    let server = Running::new(1);
    let (client, other) = (server.connect(), server.connect());
    send(&client, "w");
    let waker = server.wakers.recv_timeout(TIMEOUT);
    let waker = waker.expect("a handler passes a waker");
    send(&other, "a");
    server.await_handlers(1);
    waker.0.wake();
    assert_receives(&client, "W");
    server.release(1);
    assert_receives(&other, "A");
    assert_eq!(server.shut_down(Phase::Announcing).aborted, 0);
}

#[test]
fn another_thread_answers_while_its_connection_is_lent() {
    for workers in [1, 2] {
        let server = Running::new(workers);
        let client = server.connect();
        send(&client, "wa");
        server.await_handlers(1);
        server.wake_stream();
        assert_receives(&client, "W");
        server.release(1);
        assert_receives(&client, "A");
        assert_eq!(server.shut_down(Phase::Announcing).aborted, 0);
    }
}

#[test]
fn drain_waits_for_another_thread_and_counts_it_at_its_end() {
    let server = Running::new(1);
    let client = server.connect();
    send(&client, "vw?");
    assert_receives(&client, "!");
    server.advance(Phase::Draining);
    assert_receives(&client, "~");
    server.wake_stream();
    assert_receives(&client, "V");
    let report = server.shut_down(Phase::Forced);
    assert_eq!((report.aborted, report.abandoned_workers), (1, 0));
}

#[test]
fn drain_wakes_multiplexed_connections_at_its_start() {
    let server = Running::new(2);
    let (idle, busy) = (server.connect(), server.connect());
    send(&busy, "a");
    server.await_handlers(1);
    // It parks while the handler runs.
    send(&busy, "?");
    assert_receives(&busy, "!");
    server.advance(Phase::Announcing);
    assert_receives(&idle, "~");
    assert_receives(&busy, "~");
    server.release(1);
    assert_receives(&busy, "A");
    let report = server.shut_down(Phase::Announcing);
    assert_eq!((report.aborted, report.abandoned_workers), (0, 0));
}

#[test]
fn forced_end_aborts_a_lent_connection() {
    let server = Running::new(1);
    let client = server.connect();
    send(&client, "a");
    server.await_handlers(1);
    let (release, shared) = (server.release.clone(), Arc::clone(&server.shared));
    let report = server.shut_down(Phase::Forced);
    assert_eq!((report.aborted, report.abandoned_workers), (1, 1));
    assert_eq!(shared.stats.open(), 0);
    release.send(()).expect("the handler waits");
    let mut rest = Vec::new();
    // The socket may have been reset.
    let _ = (&client).read_to_end(&mut rest);
    assert_eq!(rest, b"");
}
