//! The server: its threads, polling, deadlines and shutdown.

pub(crate) mod idle_workers;
pub(crate) mod load_shedder;
pub(crate) mod poller;
pub(crate) mod queue_times;
pub(crate) mod stats;
pub(crate) mod task;
pub(crate) mod upgrade_guard;
pub(crate) mod waker;
pub(crate) mod worker_activity;

mod acceptor;
mod builder;
#[cfg_attr(
    not(feature = "http2"),
    allow(dead_code, reason = "HTTP/1.1 makes no calls")
)]
mod connection_waker;
mod handle;
#[cfg_attr(
    not(feature = "http2"),
    allow(unreachable_code, unused_variables, reason = "HTTP/1.1 makes no calls")
)]
mod lend;
mod probe;
mod shutdown_callbacks;
#[cfg(feature = "signals")]
mod signals;
mod state;
#[cfg(test)]
mod test_state;
mod timers;
mod woken_channel;
mod worker;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use self::acceptor::Acceptor;
pub use self::builder::Builder;
#[cfg(feature = "http2")]
pub use self::handle::Http2Counts;
pub use self::handle::{DrainReport, Handle, Heartbeat, Snapshot};
use self::idle_workers::IdleWorkers;
use self::poller::Poller;
use self::queue_times::QueueTimeCounters;
pub use self::queue_times::QueueTimes;
use self::shutdown_callbacks::ShutdownCallbacks;
use self::state::ServerState;
use self::stats::Stats;
use self::task::ReadyTask;
use self::timers::Timers;
use self::waker::Waker;
use self::woken_channel::WokenChannel;
use self::worker::Worker;
use self::worker_activity::WorkerActivity;
#[cfg(feature = "http2")]
use crate::connection::Http2Stats;
#[cfg(feature = "metrics")]
pub(crate) use crate::connection::Phase;
use crate::connection::config::Config;
use crate::connection::phase::PhaseCell;
use crate::connection::{Budget, Grace, LogLimits, Service};
use crate::message::Handler;
use crate::message::headers::default_headers::DefaultHeaders;
use crate::message::problem::error_pages::CustomErrorPages;
use crate::message::record::Observers;
pub(crate) use crate::net::ListenAddr;
use crate::net::listener::Listener;
use crate::sync::atomic::AtomicUsize;
use crate::sync::channel::{Receiver, Sender};

/// A bound server: clients can connect, and get responses once it [runs](Self::run).
///
/// ```
/// use httpool::Server;
///
/// let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// println!("listening on {}", server.local_addrs()[0]);
///
/// let handle = server.handle();
/// std::thread::spawn(move || handle.shutdown());
/// let report = server.run(|_request: httpool::Request| "hello")?;
/// assert_eq!(report.aborted, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    config: Config,
    max_connections: usize,
    /// Limit of connections including those in the listeners' backlogs.
    capacity: usize,
    listeners: Vec<Listener>,
    addresses: Vec<ListenAddr>,
    observers: Observers,
    error_pages: CustomErrorPages,
    default_headers: DefaultHeaders,
    phase: Arc<PhaseCell>,
    budget: Arc<Budget>,
    stats: Arc<Stats>,
    activity: Arc<WorkerActivity>,
    queue_times: Arc<QueueTimeCounters>,
    #[cfg(feature = "http2")]
    http2_stats: Arc<Http2Stats>,
    ready_tx: Sender<ReadyTask>,
    ready_rx: Arc<Receiver<ReadyTask>>,
    /// Wakes the acceptor.
    waker: Arc<Waker>,
    shutdown_callbacks: Arc<ShutdownCallbacks>,
}

impl Server {
    /// Creates a builder with every [default](crate::defaults).
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the addresses on which the server listens, with the actual ports in place of port 0.
    #[must_use]
    pub fn local_addrs(&self) -> &[ListenAddr] {
        &self.addresses
    }

    /// Returns the [addresses](Self::local_addrs) that serve TLS.
    #[cfg(feature = "_tls")]
    pub fn tls_addrs(&self) -> impl Iterator<Item = &ListenAddr> {
        let listeners = self.listeners.iter().filter(|listener| listener.is_tls());
        listeners.map(Listener::address)
    }

    /// Returns the number of workers.
    ///
    /// At most this many handlers run at once, so a resource pool of this size never makes a handler
    /// wait:
    ///
    /// ```
    /// use httpool::Server;
    ///
    /// let server = Server::builder().listen("127.0.0.1:0").bind()?;
    /// let connect = || "a connection to the database";
    /// let pool: Vec<_> = (0..server.workers()).map(|_| connect()).collect();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn workers(&self) -> usize {
        self.config.workers
    }

    /// Returns a handle that shuts the server down from any thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self)
    }

    /// Serves until a [`Handle`] shuts the server down, then drains.
    ///
    /// Requests already received get their responses, and the addresses are free when this returns.
    ///
    /// The calling thread accepts connections; [`Builder::workers`] more threads handle them. All
    /// of them have ended and every descriptor is closed when this returns, but for workers whose
    /// handler has not returned by the [drain's deadline](Builder::drain_timeout): Rust can't end
    /// a thread from outside. The report counts them; they end when their handler returns.
    ///
    /// # Errors
    ///
    /// If the system has no threads or descriptors for the server, or the handler
    /// [can't handle requests](Handler::check).
    pub fn run(self, handler: impl Handler) -> io::Result<DrainReport> {
        handler.check()?;
        let config = self.config.for_handler(&handler);
        let workers = config.workers;
        let workers_waker = Waker::new()?;
        let shared = Arc::new(ServerState {
            poller: Poller::new(self.capacity, &workers_waker)?,
            service: Service {
                handler: Box::new(handler),
                grace: Grace::new(config.drain_idle),
                config,
                phase: self.phase,
                budget: self.budget,
                observers: self.observers,
                error_pages: self.error_pages,
                default_headers: self.default_headers,
                log_limits: LogLimits::new(),
                streaming: AtomicUsize::new(0),
                #[cfg(feature = "http2")]
                http2_stats: self.http2_stats,
            },
            max_connections: self.max_connections,
            ready_tx: self.ready_tx,
            ready_rx: self.ready_rx,
            woken: WokenChannel::new(),
            idle_workers: IdleWorkers::new(
                Arc::clone(&self.activity),
                thread::available_parallelism().map_or(1, usize::from),
                workers_waker,
                Arc::clone(&self.waker),
            ),
            stats: self.stats,
            activity: self.activity,
            queue_times: self.queue_times,
            timers: Arc::new(Timers::new(Arc::clone(&self.waker))),
            shutdown_callbacks: self.shutdown_callbacks,
        });
        let (done, workers_done) = crossbeam_channel::bounded(0);
        let mut threads = Vec::with_capacity(workers);
        for index in 0..workers {
            match spawn(&shared, index, done.clone()) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    shared.stop();
                    // These workers have handled no connection, so their results are ignored.
                    threads.into_iter().for_each(|thread| drop(thread.join()));
                    return Err(error);
                }
            }
        }
        drop(done);
        Acceptor::new(shared, self.listeners, self.waker, threads, workers_done).run()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Formats a count with its noun, for example `2 workers`.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Starts a worker that drops `done` when it ends.
fn spawn(
    shared: &Arc<ServerState>,
    index: usize,
    done: impl Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name(format!("httpool-{index}"))
        .spawn(move || {
            Worker::new(shared, index).run();
            drop(done);
        })
}
