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
#[cfg(test)]
mod test_state;
mod timers;
mod woken_channel;
mod worker;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{debug, error};

use self::acceptor::Acceptor;
pub use self::builder::Builder;
#[cfg(feature = "http2")]
pub use self::handle::Http2Counts;
pub use self::handle::{DrainReport, Handle, Heartbeat, Snapshot};
use self::idle_workers::IdleWorkers;
use self::poller::{Events, Parked, Poller, Token};
use self::queue_times::QueueTimeCounters;
pub use self::queue_times::QueueTimes;
use self::shutdown_callbacks::ShutdownCallbacks;
use self::stats::Stats;
use self::task::{ReadyTask, Task};
use self::timers::Timers;
use self::waker::Waker;
use self::woken_channel::WokenChannel;
use self::worker::Worker;
use self::worker_activity::WorkerActivity;
#[cfg(feature = "http2")]
use crate::connection::Http2Stats;
pub(crate) use crate::connection::Phase;
use crate::connection::call::Reply;
use crate::connection::config::Config;
use crate::connection::phase::PhaseCell;
use crate::connection::{
    Admission, Budget, CloseReason, Connection, DriveResult, Grace, LogLimits, Pending, Service,
    WakeReason, WorkerBuffers,
};
use crate::message::headers::default_headers::DefaultHeaders;
use crate::message::problem::error_pages::CustomErrorPages;
use crate::message::record::Observers;
use crate::message::{Handler, Overload};
pub(crate) use crate::net::ListenAddr;
use crate::net::listener::Listener;
use crate::sync;
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

/// The state shared by the threads of one server.
struct ServerState {
    service: Service,
    max_connections: usize,
    poller: Poller<Box<Task>, Reply>,
    ready_tx: Sender<ReadyTask>,
    ready_rx: Arc<Receiver<ReadyTask>>,
    woken: WokenChannel,
    idle_workers: IdleWorkers,
    stats: Arc<Stats>,
    activity: Arc<WorkerActivity>,
    queue_times: Arc<QueueTimeCounters>,
    timers: Arc<Timers>,
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
        let config = self.config;
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

impl ServerState {
    fn phase(&self) -> Phase {
        self.service.phase.get()
    }

    /// Queues a task for any worker.
    fn enqueue(&self, ready: ReadyTask) {
        let sent = self.ready_tx.send(ready);
        debug_assert!(sent.is_ok(), "the receiver lives as long as the sender");
    }

    /// Queues a task for any worker, and wakes an idle one.
    fn hand_over(&self, ready: ReadyTask) {
        self.enqueue(ready);
        self.idle_workers.wake_one();
    }

    /// Takes a connection from a channel.
    fn take_queued(&self, is_woken_first: bool) -> Option<ReadyTask> {
        let take_ready = || self.ready_rx.try_recv().ok();
        match is_woken_first {
            true => self.woken.take().or_else(take_ready),
            false => take_ready().or_else(|| self.woken.take()),
        }
    }

    /// Connections in both channels.
    fn queued(&self) -> usize {
        self.ready_rx.len() + self.woken.len()
    }

    fn has_queued(&self) -> bool {
        !self.ready_rx.is_empty() || !self.woken.is_empty()
    }

    fn poll(&self, events: &mut Events, timeout: Option<Duration>) {
        if let Err(error) = self.poller.wait(events, timeout) {
            error!("waiting for connections failed: {error}");
        }
    }

    /// Queues the connections of all these events for any worker. Returns whether there were any.
    fn enqueue_all(&self, events: &mut Events) -> bool {
        self.enqueue_some(events, Some)
    }

    /// Queues the connections of all these events that `select` returns.
    fn enqueue_some(
        &self,
        events: &mut Events,
        mut select: impl FnMut(ReadyTask) -> Option<ReadyTask>,
    ) -> bool {
        let (mut now, mut is_any_queued) = (None, false);
        while let Some((task, wake)) = self.poller.next_ready(events) {
            // The clock is read once for all of them.
            let since = Some(*now.get_or_insert_with(sync::now));
            if let Some(ready) = select(ReadyTask { task, wake, since }) {
                self.enqueue(ready);
                is_any_queued = true;
            }
        }
        self.attend_lent(events);
        is_any_queued
    }

    /// Whether a connection that has been ready since then has waited too long.
    fn is_late(&self, since: Option<Instant>, now: Instant) -> bool {
        since.is_some_and(|since| {
            now.saturating_duration_since(since) > self.service.config.queue_timeout
        })
    }

    /// How a connection is driven that has waited too long for a worker. A multiplexed connection
    /// knows how long each of its requests has waited, and some may have arrived just now.
    fn admission_when_late(connection: &Connection, otherwise: Admission) -> Admission {
        match connection.is_multiplexed() || connection.is_driven() {
            true => otherwise,
            false => Admission::Shed(Overload::Late),
        }
    }

    /// Drives a connection once.
    fn drive(
        &self,
        buffers: &mut WorkerBuffers,
        task: &mut Task,
        wake: WakeReason,
        admission: Admission,
        now: Instant,
    ) -> DriveResult {
        let connection = &mut task.connection;
        buffers.set_token(task.token.map(Token::number));
        let result = guarded(buffers, |buffers| {
            connection.drive(wake, admission, now, buffers, &self.service)
        });
        task.token = buffers.token().and_then(Token::from_number);
        self.count_shed(buffers);
        match result {
            DriveResult::Upgrade => {
                self.run_upgrade(task);
                DriveResult::Close(CloseReason::Upgraded)
            }
            result => result,
        }
    }

    /// Counts the requests that a drive has shed.
    fn count_shed(&self, buffers: &mut WorkerBuffers) {
        for (overload, requests) in buffers.take_shed().into_iter().flatten() {
            self.stats.add_shed(overload, requests);
        }
    }

    /// Applies the result of a drive, and returns the connection if it is still ready.
    fn apply_result(
        &self,
        mut task: Box<Task>,
        result: DriveResult,
    ) -> Option<(Box<Task>, WakeReason)> {
        match result {
            DriveResult::Close(reason) => self.close(task, reason),
            _ if self.phase() >= Phase::Forced => self.close(task, CloseReason::Forced),
            DriveResult::Park(pending) => return self.park(task, pending),
            DriveResult::Requeue => return Some((task, WakeReason::Ready)),
            // Only a worker lets a connection make calls, and it runs them first. Upgrades have run.
            DriveResult::Lend(_) | DriveResult::Upgrade => self.close(task, CloseReason::Panicked),
            DriveResult::Deregister => {
                self.deregister(&mut task);
                return Some((task, WakeReason::Deregistered));
            }
        }
        None
    }

    /// Parks a connection, and returns it if it is ready again.
    fn park(&self, mut task: Box<Task>, pending: Pending) -> Option<(Box<Task>, WakeReason)> {
        let token = self.reserve(&mut task)?;
        match self.poller.park(token, task, pending) {
            Parked::Waiting => None,
            Parked::Ready(mut task, wake, replies) => {
                task.deliver(replies);
                Some((task, wake))
            }
            Parked::Failed(task, error) => {
                self.fail_to_watch(task, &error);
                None
            }
        }
    }

    /// Returns the connection's token, and reserves one first if it has none.
    fn reserve(&self, task: &mut Task) -> Option<Token> {
        task.token = task.token.or_else(|| self.poller.reserve());
        if task.token.is_none() {
            error!("{}: closed: the poller is full", task.connection);
        }
        task.token
    }

    #[cold]
    fn fail_to_watch(&self, task: Box<Task>, error: &io::Error) {
        error!("{}: epoll can't watch the socket: {error}", task.connection);
        self.close(task, CloseReason::Failed);
    }

    /// Stops polling a connection until it parks again.
    #[cold]
    fn deregister(&self, task: &mut Task) {
        if let Some(token) = task.token.take() {
            self.poller.deregister(token, &task.connection);
        }
    }

    /// Closes a connection, and counts the requests that a drain aborts by that.
    fn close(&self, task: Box<Task>, reason: CloseReason) {
        debug!("{}: closed: {reason}", task.connection);
        // If an `UpgradeGuard` has taken the guard, it counts the close, too.
        if task.connection_guard.is_some() {
            self.stats.add_close(reason);
        }
        let aborted = match reason {
            CloseReason::Forced => true,
            CloseReason::SlowReader | CloseReason::BufferLimit => self.phase() >= Phase::Draining,
            _ => false,
        };
        if aborted {
            self.stats.add_aborted(task.connection.unfinished());
        }
        task.connection.prepare_close();
        self.release(task);
    }

    /// Drops a connection. Its slot is released first, so that an event that arrives before the socket
    /// is closed finds no connection.
    fn release(&self, task: Box<Task>) {
        let release = || {
            if let Some(token) = task.token {
                self.poller.release(token);
            }
            drop(task);
        };
        // It may drop bodies and replies, which are a handler's.
        if catch_unwind(AssertUnwindSafe(release)).is_err() {
            error!("dropping a connection panicked");
        }
    }

    /// Closes a connection and aborts its open requests.
    fn abort(&self, task: Box<Task>) {
        self.close(task, CloseReason::Forced);
    }

    fn abort_parked(&self) {
        self.poller.recall(|_| true, |task| self.abort(task));
    }

    /// Makes the workers end.
    fn stop(&self) {
        self.service.phase.advance(Phase::Stopped);
        self.idle_workers.wake_all();
    }
}

/// Runs a part of a drive, which closes the connection if it panics.
fn guarded(
    buffers: &mut WorkerBuffers,
    drive: impl FnOnce(&mut WorkerBuffers) -> DriveResult,
) -> DriveResult {
    catch_unwind(AssertUnwindSafe(|| drive(buffers))).unwrap_or_else(|_| {
        error!("a connection was dropped because driving it panicked");
        buffers.replace();
        DriveResult::Close(CloseReason::Panicked)
    })
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
