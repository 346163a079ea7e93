//! A pool whose every step loom decides, and what scenes are made of.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::model;
use loom::thread::{self, JoinHandle};

use crate::connection::config::Config;
use crate::connection::phase::PhaseCell;
use crate::connection::{Budget, Connection, Grace, LogLimits, Pending, Service, WaitFor};
use crate::message::headers::default_headers::DefaultHeaders;
use crate::message::problem::pages::Pages;
use crate::message::record::Observers;
use crate::message::{Handler, PeerAddr};
use crate::net::ListenerProtocol;
use crate::net::transport::Socket;
use crate::server::idle_workers::{IdleWorkers, StallDetector};
use crate::server::load_shedder::LoadShedder;
use crate::server::poller::{Parked, Poller};
use crate::server::queue_times::QueueTimeCounters;
use crate::server::stats::Stats;
use crate::server::task::Task;
use crate::server::waker::Waker;
use crate::server::worker::*;
use crate::server::worker_activity::WorkerActivity;
use crate::sync;
use crate::sync::{Condvar, Mutex, channel, ignore_poison};

/// What a client sends that wants no more than one answer.
pub(super) const LAST: &str = "GET / HTTP/1.1\r\nHost: model\r\nConnection: close\r\n\r\n";

/// What a client sends that stays.
pub(super) const KEPT: &str = "GET /kept HTTP/1.1\r\nHost: model\r\n\r\n";

/// How often at most threads are interrupted in one order of steps, where `LOOM_MAX_PREEMPTIONS`
/// does not say otherwise. That another goes on because one waits is no interruption.
const INTERRUPTIONS: usize = 2;

/// Steps of one order; more would mean that somebody goes round in circles.
const STEPS: usize = 20_000;

/// Connections of a scene at most.
const CONNECTIONS: usize = 3;

const HOUR: Duration = Duration::from_secs(3600);

/// Words of a worker's stack: a connection is driven on it.
const STACK: usize = 0x8000;

/// The same for all scenes: the defaults ask the system how many cores there are.
static CONFIG: LazyLock<Config> = LazyLock::new(Config::default);

/// A server without listeners: the thread of the test is its acceptor.
pub(super) struct Scene {
    pub(super) shared: Arc<ServerState>,
    waker: Arc<Waker>,
    stall_detector: StallDetector,
    load_shedder: LoadShedder,
    workers: Vec<JoinHandle<()>>,
}

/// How a worker begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    /// It takes its turns for quick ones.
    Quick,
    /// It takes its turns for slow ones.
    Slow,
    /// It is quick, and looks for events before it does anything else.
    Looking,
}

/// Where threads wait until so many have come.
pub(super) struct Meeting {
    missing: Mutex<usize>,
    complete: Condvar,
}

/// Plays a scene of two workers in every order of steps.
pub(super) fn play(scene: impl Fn() + Send + Sync + 'static) {
    play_with(INTERRUPTIONS, scene);
}

/// Plays a larger scene in every order with fewer interruptions.
pub(super) fn play_large(scene: impl Fn() + Send + Sync + 'static) {
    play_with(INTERRUPTIONS - 1, scene);
}

fn play_with(interruptions: usize, scene: impl Fn() + Send + Sync + 'static) {
    let mut builder = model::Builder::new();
    builder.preemption_bound.get_or_insert(interruptions);
    builder.max_branches = STEPS;
    let orders = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&orders);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        scene();
    });
    let orders = orders.load(Ordering::Relaxed);
    println!("{orders} orders");
    assert!(orders > 50, "the threads of a scene meet");
}

impl Scene {
    /// A server that is to have so many workers, all of which can run at once.
    pub(super) fn new(workers: usize, handler: impl Handler) -> Self {
        let [waker, workers_bell] =
            [(); 2].map(|()| Waker::new().expect("the system has descriptors"));
        let waker = Arc::new(waker);
        let (ready_tx, ready_rx) = channel::bounded(CONNECTIONS);
        let turns = Arc::new(WorkerActivity::new(workers));
        let shared = ServerState {
            poller: Poller::new(CONNECTIONS, &workers_bell).expect("the system has descriptors"),
            service: Service {
                handler: Box::new(handler),
                config: CONFIG.clone(),
                phase: Arc::new(PhaseCell::new()),
                grace: Grace::new(CONFIG.drain_idle),
                budget: Arc::new(Budget::new(usize::MAX)),
                observers: Observers::default(),
                error_pages: Pages::default(),
                default_headers: DefaultHeaders::default(),
                log_limits: LogLimits::new(),
            },
            max_connections: CONNECTIONS,
            ready_tx,
            ready_rx: Arc::new(ready_rx),
            idle_workers: IdleWorkers::new(
                Arc::clone(&turns),
                workers,
                workers_bell,
                Arc::clone(&waker),
            ),
            turns,
            stats: Arc::new(Stats::new(workers, &waker)),
            queue_times: Arc::new(QueueTimeCounters::new(workers)),
        };
        Self {
            shared: Arc::new(shared),
            waker,
            stall_detector: StallDetector::new(workers),
            load_shedder: LoadShedder::new(workers),
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
                // It stays slow for more turns than a scene has.
                Start::Slow => worker.turn_time.note(Duration::from_secs(60)),
                Start::Looking => worker.drives = DRIVES_PER_POLL - 1,
            }
            worker.run();
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn(run);
        self.workers.push(thread.expect("there is room for it"));
    }

    /// Clients connect, send this, and are handed to the workers together, as the acceptor does it.
    pub(super) fn admit<const COUNT: usize>(&self, bytes: &str) -> [UnixStream; COUNT] {
        let peers = [(); COUNT].map(|()| {
            let (client, peer) = self.connect();
            sync::send(&peer, bytes);
            self.shared.enqueue(waiting(client, WakeReason::Ready));
            peer
        });
        if !self.shared.ready_rx.is_empty() {
            self.shared.idle_workers.wake_one();
        }
        peers
    }

    /// A client has connected, and nothing has come of it yet: it is parked.
    pub(super) fn settle(&self) -> UnixStream {
        let (mut client, peer) = self.connect();
        let poller = &self.shared.poller;
        let token = poller.reserve().expect("the lot has room");
        client.token = Some(token);
        let wait = Pending {
            what: WaitFor::FirstRequest,
            deadline: Instant::now() + HOUR,
        };
        assert!(matches!(poller.park(token, client, wait), Parked::Waiting));
        peer
    }

    /// Has the patrol walk until it ends with its next round, if nobody needs it then.
    pub(super) fn tire_detector(&mut self) {
        // Workers look for events themselves, so what has come is not the patrol's.
        let round = |scene: &mut Self| {
            scene.shared.idle_workers.note_poll();
            scene.tick();
        };
        let mut rounds = 0;
        self.call_detector();
        while self.stall_detector.is_due(&self.shared.idle_workers) {
            round(self);
            rounds += 1;
        }
        self.call_detector();
        (1..rounds).for_each(|_| round(self));
        assert!(self.stall_detector.is_due(&self.shared.idle_workers));
    }

    /// What the acceptor does until all connections have ended.
    pub(super) fn serve(&mut self) {
        self.shared.stats.wake_below(1);
        while self.shared.stats.open() > 0 {
            if self.stall_detector.is_due(&self.shared.idle_workers) {
                sync::tick();
                self.tick();
            } else {
                sync::hear(&*self.waker);
            }
        }
    }

    /// Deadlines are swept, and all have passed.
    pub(super) fn sweep(&self) {
        let late = Instant::now() + 2 * HOUR;
        self.shared.poller.expired(late, |client| {
            self.shared.hand_over(waiting(client, WakeReason::Expired));
        });
    }

    /// Idle connections are recalled.
    pub(super) fn recall(&self) {
        self.shared.poller.recall(WaitFor::is_idle, |client| {
            self.shared.hand_over(waiting(client, WakeReason::Recalled));
        });
    }

    /// Ends the workers.
    pub(super) fn stop(mut self) {
        self.shared.stop();
        self.join();
    }

    /// Ends the workers and cuts what is left, as the acceptor does it at the deadline. Returns how
    /// many requests were cut.
    pub(super) fn force(mut self) -> usize {
        let shared = Arc::clone(&self.shared);
        shared.service.phase.advance(Phase::Forced);
        shared.abort_parked();
        shared.stop();
        self.join();
        while let Ok(job) = shared.ready_rx.try_recv() {
            shared.abort(*job.client);
        }
        shared.abort_parked();
        assert_eq!(shared.stats.open(), 0, "a connection was lost");
        usize::try_from(shared.stats.aborted()).expect("they were few")
    }

    fn tick(&mut self) {
        self.load_shedder.tick(&self.shared);
        let (idle_workers, ready_rx) = (&self.shared.idle_workers, &self.shared.ready_rx);
        self.stall_detector
            .tick(idle_workers, || !ready_rx.is_empty());
    }

    /// A worker shares work while another is idle.
    fn call_detector(&self) {
        let idle_workers = &self.shared.idle_workers;
        assert_eq!(idle_workers.park(|| false), IdleAction::Poll);
        idle_workers.wake_if_worth(1, &TurnTime::default());
        idle_workers.stop_watching(&TurnTime::default());
    }

    fn join(&mut self) {
        for worker in self.workers.drain(..) {
            worker.join().expect("a worker does not panic");
        }
    }

    fn connect(&self) -> (Box<Task>, UnixStream) {
        let (peer, ours) = UnixStream::pair().expect("the system has descriptors");
        ours.set_nonblocking(true).expect("it is a socket");
        let service = &self.shared.service;
        let connection = Connection::new(
            Socket::new(ours.into()),
            PeerAddr::UNIX,
            &ListenerProtocol::default(),
            Instant::now(),
            service,
        );
        let connection_guard = self.shared.stats.accept();
        (Box::new(Task::new(connection, connection_guard)), peer)
    }
}

impl Meeting {
    pub(super) fn of(count: usize) -> Self {
        Self {
            missing: Mutex::new(count),
            complete: Condvar::new(),
        }
    }

    /// Comes, and waits for the others.
    pub(super) fn attend(&self) {
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

fn waiting(client: Box<Task>, wake: WakeReason) -> ReadyTask {
    ReadyTask {
        client,
        wake,
        since: Some(Instant::now()),
    }
}

/// How many whole answers a client has got; it gets no more.
pub(super) fn answers(mut peer: &UnixStream) -> usize {
    let mut received = String::new();
    // What it has not sent when the server closes may come as an error after the bytes.
    let _ = peer.read_to_string(&mut received);
    received.matches("HTTP/1.1 200 OK\r\n").count()
}
