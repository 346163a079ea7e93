//! Rounds of the load shedder, one by one. The test is the only thread, so it decides whether workers
//! make progress.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::*;
use crate::connection::WakeReason;
use crate::server::test_state::{connect_scripted, server_state};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

/// A server with one worker, which runs no turn unless the test says so, and one multiplexed connection.
struct Rounds {
    shared: Arc<ServerState>,
    shedder: LoadShedder,
    client: UnixStream,
}

impl Rounds {
    /// The connection has received this, and waits in the ready channel.
    fn new(received: &str) -> Self {
        let (mut shared, _) = server_state(1, |_| "");
        let state = Arc::get_mut(&mut shared).expect("the server has no thread");
        state.service.config.queue_timeout = NEVER;
        let (task, client) = connect_scripted(&shared);
        let blocking = client.set_nonblocking(true);
        blocking.expect("a socket can be non-blocking");
        let shedder = LoadShedder::new(&shared);
        let mut rounds = Self {
            shared,
            shedder,
            client,
        };
        rounds.send(received);
        rounds.shared.hand_over(ReadyTask {
            task,
            wake: WakeReason::Ready,
            since: Some(sync::now()),
        });
        rounds
    }

    fn send(&mut self, bytes: &str) {
        let sent = self.client.write_all(bytes.as_bytes());
        sent.expect("the socket has room");
    }

    /// A round before which a worker has begun or ended a turn.
    fn tick_after_progress(&mut self) {
        self.shared.activity.mark(0);
        self.shedder.tick(&self.shared);
    }

    fn tick(&mut self) {
        self.shedder.tick(&self.shared);
    }

    /// Expects what the client has received since the last call, and the length of the ready channel.
    #[track_caller]
    fn expect(&mut self, received: &str, queued: usize) {
        let mut buffer = [0; 16];
        let count = match self.client.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            result => result.expect("the connection is open"),
        };
        assert_eq!(buffer[..count], *received.as_bytes());
        assert_eq!(self.shared.ready_rx.len(), queued);
    }
}

#[test]
fn queued_connection_is_driven_while_no_worker_makes_progress() {
    let mut rounds = Rounds::new("?");
    rounds.tick_after_progress();
    rounds.expect("", 1);
    rounds.tick_after_progress();
    rounds.expect("", 1);
    rounds.tick();
    rounds.expect("!", 0);
}

#[test]
fn events_are_handled_while_no_worker_makes_progress() {
    let mut rounds = Rounds::new("?");
    rounds.tick();
    rounds.expect("!", 0);
    rounds.send("?");
    rounds.tick();
    rounds.expect("!", 0);
    // A worker that makes progress takes it from the channel.
    rounds.send("?");
    rounds.tick_after_progress();
    rounds.expect("", 1);
}

#[test]
fn events_are_left_to_a_worker_that_polls() {
    let mut rounds = Rounds::new("?");
    rounds.tick();
    rounds.expect("!", 0);
    rounds.send("?");
    rounds.shared.idle_workers.note_poll();
    rounds.tick();
    rounds.expect("", 0);
    rounds.tick();
    rounds.expect("!", 0);
}

#[test]
fn request_for_a_handler_waits_for_a_worker() {
    let mut rounds = Rounds::new("?a");
    rounds.tick();
    rounds.expect("!", 1);
    rounds.tick();
    rounds.expect("", 1);
}

#[test]
fn channel_is_scanned_early_only_for_a_handler_that_waits() {
    let mut rounds = Rounds::new("?");
    rounds.shedder.next_scan = sync::now() + NEVER;
    rounds.tick();
    rounds.expect("", 1);
    rounds.shared.service.streaming.store(1, Ordering::Relaxed);
    rounds.tick_after_progress();
    rounds.expect("!", 0);
}
