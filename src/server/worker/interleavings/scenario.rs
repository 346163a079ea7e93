//! A pool whose steps loom schedules, and the steps of the scenarios.

use std::io::Read;
use std::os::unix::net::UnixStream;

use loom::thread::{self, JoinHandle};

use crate::connection::waker::WakerSource as _;
use crate::connection::{Pending, WaitFor};
use crate::message::Handler;
use crate::message::waker::Wake;
use crate::server::idle_workers::StallDetector;
use crate::server::load_shedder::LoadShedder;
use crate::server::poller::{Parked, Token};
use crate::server::test_state::{connect, connect_scripted, server_state};
use crate::server::waker::Waker;
use crate::server::worker::*;
use crate::sync;
use crate::sync::{Condvar, Mutex, ignore_poison};

/// A request after whose response the connection closes.
pub(super) const CLOSING_REQUEST: &str =
    "GET / HTTP/1.1\r\nHost: model\r\nConnection: close\r\n\r\n";

/// A request after whose response the connection stays open.
pub(super) const KEEP_ALIVE_REQUEST: &str = "GET /kept HTTP/1.1\r\nHost: model\r\n\r\n";

const HOUR: Duration = Duration::from_secs(3600);

/// The stack of a worker in words. A connection is driven on it.
const STACK_WORDS: usize = 0x8000;

/// A server without listeners. The thread of the test is its acceptor.
pub(super) struct Scenario {
    pub(super) shared: Arc<ServerState>,
    waker: Arc<Waker>,
    stall_detector: StallDetector,
    load_shedder: LoadShedder,
    workers: Vec<JoinHandle<()>>,
}

/// The state in which a worker begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    /// It considers its turns fast.
    Quick,
    /// It considers its turns slow.
    Slow,
    /// It considers its turns fast, and polls for events first.
    Looking,
}

/// Blocks threads until a number of them have arrived.
pub(super) struct Barrier {
    missing: Mutex<usize>,
    complete: Condvar,
}

impl Scenario {
    /// Creates a server for this many workers, all of which can run at once.
    pub(super) fn new(workers: usize, handler: impl Handler) -> Self {
        let (shared, waker) = server_state(workers, handler);
        Self {
            waker,
            stall_detector: StallDetector::new(workers),
            load_shedder: LoadShedder::new(&shared),
            shared,
            workers: Vec::new(),
        }
    }

    /// Starts one worker.
    pub(super) fn start(&mut self, start: Start) {
        let (shared, index) = (Arc::clone(&self.shared), self.workers.len());
        let run = move || {
            let mut worker = Worker::new(shared, index);
            match start {
                Start::Quick => {}
                // The average stays slow for more turns than a scenario has.
                Start::Slow => worker.turn_time.note(Duration::from_secs(60)),
                Start::Looking => worker.drives = DRIVES_PER_POLL - 1,
            }
            worker.run();
        };
        let thread = thread::Builder::new().stack_size(STACK_WORDS).spawn(run);
        self.workers
            .push(thread.expect("the model allows another thread"));
    }

    /// Connects clients that send `bytes`, and queues the connections together, as the acceptor
    /// does.
    pub(super) fn admit<const COUNT: usize>(&self, bytes: &str) -> [UnixStream; COUNT] {
        let peers = [(); COUNT].map(|()| {
            let (task, peer) = connect(&self.shared);
            sync::send(&peer, bytes);
            self.shared.enqueue(ready(task, WakeReason::Ready));
            peer
        });
        if !self.shared.ready_rx.is_empty() {
            self.shared.idle_workers.wake_one();
        }
        peers
    }

    /// Connects a client that sends nothing, and parks the connection.
    pub(super) fn park_new(&self) -> UnixStream {
        self.park(connect(&self.shared))
    }

    /// The same for a multiplexed connection, on which each byte is a request.
    pub(super) fn park_scripted(&self) -> UnixStream {
        self.park(connect_scripted(&self.shared))
    }

    /// Connects a client that sends `bytes`, and parks the connection until it is woken.
    pub(super) fn park_waiting(&self, bytes: &str) -> (UnixStream, Arc<dyn Wake>) {
        let (mut task, peer) = connect(&self.shared);
        sync::send(&peer, bytes);
        let mut number = None;
        let waker = ServerWakerSource::new(&self.shared).waker(&mut number);
        let token = number.and_then(Token::from_number);
        let token = token.expect("the waker has reserved a slot");
        task.token = Some(token);
        let pending = Pending {
            wait_for: WaitFor::Waker,
            deadline: sync::now() + HOUR,
        };
        let parked = self.shared.poller.park(token, task, pending);
        assert!(matches!(parked, Parked::Waiting));
        (peer, waker.expect("the poller has a free slot"))
    }

    fn park(&self, (mut task, peer): (Box<Task>, UnixStream)) -> UnixStream {
        let poller = &self.shared.poller;
        let token = poller.reserve().expect("the poller has a free slot");
        task.token = Some(token);
        let pending = Pending {
            wait_for: WaitFor::FirstRequest,
            deadline: sync::now() + HOUR,
        };
        assert!(matches!(poller.park(token, task, pending), Parked::Waiting));
        peer
    }

    /// Runs the stall detector until its next tick without need stops it.
    pub(super) fn wear_out_detector(&mut self) {
        // Workers poll for events themselves, so the detector has no events to take.
        let round = |scenario: &mut Self| {
            scenario.shared.idle_workers.note_poll();
            scenario.tick();
        };
        let mut rounds = 0;
        self.start_detector();
        while self.stall_detector.is_due(&self.shared.idle_workers) {
            round(self);
            rounds += 1;
        }
        self.start_detector();
        (1..rounds).for_each(|_| round(self));
        assert!(self.stall_detector.is_due(&self.shared.idle_workers));
    }

    /// Takes the acceptor's steps until all connections have closed.
    pub(super) fn serve(&mut self) {
        self.shared.stats.wake_below(1);
        while self.shared.stats.open() > 0 {
            if self.stall_detector.is_due(&self.shared.idle_workers) {
                sync::yield_now();
                self.tick();
            } else {
                sync::wait_for_waker(&*self.waker);
            }
        }
    }

    /// Checks the deadlines, all of which have passed.
    pub(super) fn check_deadlines(&self) {
        let late = sync::now() + 2 * HOUR;
        self.shared.poller.expired(late, |task| {
            self.shared.hand_over(ready(task, WakeReason::Expired));
        });
    }

    /// Recalls the idle connections.
    pub(super) fn recall(&self) {
        self.shared.poller.recall(WaitFor::is_idle, |task| {
            self.shared.hand_over(ready(task, WakeReason::Recalled));
        });
    }

    /// Ends the workers.
    pub(super) fn stop(mut self) {
        self.shared.stop();
        self.join();
    }

    /// Ends the workers and aborts open requests, as the acceptor does at the drain's deadline.
    /// Returns how many requests were aborted.
    pub(super) fn force(mut self) -> usize {
        let shared = Arc::clone(&self.shared);
        shared.service.phase.advance(Phase::Forced);
        shared.abort_parked();
        shared.stop();
        self.join();
        while let Some(ready) = shared.take_queued(false) {
            shared.abort(ready.task);
        }
        shared.abort_parked();
        assert_eq!(shared.stats.open(), 0, "a connection was lost");
        usize::try_from(shared.stats.aborted()).expect("the count is small")
    }

    fn tick(&mut self) {
        self.load_shedder.tick(&self.shared);
        let shared = &self.shared;
        self.stall_detector
            .tick(&shared.idle_workers, || shared.has_waiting_work());
    }

    /// Starts the stall detector: a worker queues work while another one is idle.
    fn start_detector(&self) {
        let idle_workers = &self.shared.idle_workers;
        assert_eq!(idle_workers.wait_for_work(|| false), IdleAction::Poll);
        idle_workers.wake_if_worth(1, &TurnTime::default());
        idle_workers.stop_polling(&TurnTime::default());
    }

    fn join(&mut self) {
        for worker in self.workers.drain(..) {
            worker.join().expect("a worker panicked");
        }
    }
}

impl Barrier {
    pub(super) fn new(count: usize) -> Self {
        Self {
            missing: Mutex::new(count),
            complete: Condvar::new(),
        }
    }

    /// Waits until all threads have arrived.
    pub(super) fn wait(&self) {
        let mut missing = ignore_poison(self.missing.lock());
        *missing -= 1;
        if *missing == 0 {
            self.complete.notify_all();
        }
        while *missing > 0 {
            missing = ignore_poison(self.complete.wait(missing));
        }
    }
}

fn ready(task: Box<Task>, wake: WakeReason) -> ReadyTask {
    ReadyTask {
        task,
        wake,
        since: Some(sync::now()),
    }
}

/// Returns how many complete responses a client has received, after its connection has closed.
pub(super) fn responses(mut peer: &UnixStream) -> usize {
    let mut received = String::new();
    // If the client has unsent bytes when the server closes, an error may follow the received
    // bytes.
    let _ = peer.read_to_string(&mut received);
    received.matches("HTTP/1.1 200 OK\r\n").count()
}

/// Returns the bytes that a client has received, sorted, after its connection has closed.
pub(super) fn received_letters(mut peer: &UnixStream) -> String {
    let mut received = String::new();
    // If the client has unsent bytes when the server closes, an error may follow.
    let _ = peer.read_to_string(&mut received);
    let mut letters: Vec<char> = received.chars().collect();
    letters.sort_unstable();
    letters.into_iter().collect()
}
