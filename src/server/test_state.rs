//! A server without listeners, for tests of its threads.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};

use super::ServerState;
use super::idle_workers::IdleWorkers;
use super::poller::Poller;
use super::queue_times::QueueTimeCounters;
use super::stats::Stats;
use super::task::Task;
use super::timers::Timers;
use super::waker::Waker;
use super::woken_channel::WokenChannel;
use super::worker_activity::WorkerActivity;
use crate::connection::config::Config;
use crate::connection::phase::PhaseCell;
use crate::connection::{Budget, Connection, Grace, LogLimits, Service};
use crate::message::headers::default_headers::DefaultHeaders;
use crate::message::problem::error_pages::CustomErrorPages;
use crate::message::record::Observers;
use crate::message::{Handler, PeerAddr};
use crate::net::ListenerProtocol;
use crate::net::transport::Socket;
use crate::sync;
use crate::sync::atomic::AtomicUsize;
use crate::sync::channel;

/// The most connections of a test.
const MAX_CONNECTIONS: usize = 3;

/// Shared by all tests, because the defaults ask the system for the number of cores.
static CONFIG: LazyLock<Config> = LazyLock::new(Config::default);

/// Creates the state of a server for this many workers, all of which can run at once, and the
/// acceptor's waker.
pub(super) fn server_state(
    workers: usize,
    handler: impl Handler,
) -> (Arc<ServerState>, Arc<Waker>) {
    let [waker, workers_waker] =
        [(); 2].map(|()| Waker::new().expect("the system has descriptors"));
    let waker = Arc::new(waker);
    let (ready_tx, ready_rx) = channel::bounded(MAX_CONNECTIONS);
    let activity = Arc::new(WorkerActivity::new(workers));
    let shared = ServerState {
        poller: Poller::new(MAX_CONNECTIONS, &workers_waker).expect("the system has descriptors"),
        service: Service {
            handler: Box::new(handler),
            config: CONFIG.clone(),
            phase: Arc::new(PhaseCell::new()),
            grace: Grace::new(CONFIG.drain_idle),
            budget: Arc::new(Budget::new(usize::MAX)),
            observers: Observers::default(),
            error_pages: CustomErrorPages::default(),
            default_headers: DefaultHeaders::default(),
            log_limits: LogLimits::new(),
            streaming: AtomicUsize::new(0),
            #[cfg(feature = "http2")]
            http2_stats: Arc::default(),
        },
        max_connections: MAX_CONNECTIONS,
        ready_tx,
        ready_rx: Arc::new(ready_rx),
        woken: WokenChannel::new(),
        idle_workers: IdleWorkers::new(
            Arc::clone(&activity),
            workers,
            workers_waker,
            Arc::clone(&waker),
        ),
        activity,
        stats: Arc::new(Stats::new(workers, &waker)),
        queue_times: Arc::new(QueueTimeCounters::new(workers)),
        timers: Arc::new(Timers::new(Arc::clone(&waker))),
        shutdown_callbacks: Arc::default(),
    };
    (Arc::new(shared), waker)
}

/// Creates a connection, and its client.
pub(super) fn connect(shared: &ServerState) -> (Box<Task>, UnixStream) {
    let (peer, ours) = UnixStream::pair().expect("the system has descriptors");
    ours.set_nonblocking(true)
        .expect("a socket can be non-blocking");
    let connection = Connection::new(
        Socket::new(ours.into()),
        PeerAddr::UNIX,
        &ListenerProtocol::default(),
        sync::now(),
        &shared.service,
    );
    let connection_guard = shared.stats.accept();
    (Box::new(Task::new(connection, connection_guard)), peer)
}

/// Creates a multiplexed connection that speaks the protocol for tests, and its client.
pub(super) fn connect_scripted(shared: &ServerState) -> (Box<Task>, UnixStream) {
    let (task, peer) = connect(shared);
    let Task {
        connection,
        connection_guard,
        token,
    } = *task;
    let task = Task {
        connection: connection.scripted(),
        connection_guard,
        token,
    };
    (Box::new(task), peer)
}
