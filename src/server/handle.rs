//! The handle that shuts a server down and reads its counters, and the report of a shutdown.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::queue_times::QueueTimeCounters;
use super::shutdown_callbacks::ShutdownCallbacks;
use super::stats::Stats;
use super::task::ReadyTask;
use super::waker::Waker;
use super::worker_activity::{WorkerActivity, is_in_turn};
use super::{QueueTimes, Server};
use crate::connection::Phase;
use crate::connection::phase::PhaseCell;
use crate::connection::{Budget, CloseReason};
#[cfg(feature = "http2")]
use crate::connection::{Http2Event, Http2Stats};
use crate::message::Overload;
use crate::sync::channel::Receiver;

/// Shuts a server down, from any thread and any number of times.
///
/// A handle keeps no socket open. After [`Server::run`](crate::Server::run) has returned, the handle
/// still returns the last counters, and shutting down has no effect.
///
/// ```
/// use httpool::{Phase, Request, Server};
///
/// let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// let handle = server.handle();
/// let running = std::thread::spawn(move || server.run(|_: Request| "hello"));
///
/// handle.shutdown();
/// let report = running.join().expect("the server thread panicked")?;
/// assert_eq!((report.answered, handle.phase()), (0, Phase::Stopped));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Handle {
    phase: Arc<PhaseCell>,
    max_connections: usize,
    stats: Arc<Stats>,
    activity: Arc<WorkerActivity>,
    queue_times: Arc<QueueTimeCounters>,
    #[cfg(feature = "http2")]
    http2_stats: Arc<Http2Stats>,
    budget: Arc<Budget>,
    queue: Weak<Receiver<ReadyTask>>,
    acceptor: Weak<Waker>,
    shutdown_callbacks: Arc<ShutdownCallbacks>,
}

/// A server's counters and gauges at one moment.
///
/// ```
/// use httpool::Handle;
///
/// fn is_overloaded(server: &Handle) -> bool {
///     let snapshot = server.snapshot();
///     snapshot.busy == snapshot.workers && snapshot.queued > 10 * snapshot.workers
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The server's phase.
    pub phase: Phase,
    /// Connections open now.
    pub open: usize,
    /// Limit of open connections: [`Builder::max_connections`](crate::Builder::max_connections), or
    /// less if the process's limit of descriptors is lower.
    pub max_connections: usize,
    /// How often that limit was reached. New clients then wait until a connection closes.
    pub limit_reached: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Responses sent so far: the kernel has accepted every byte of them. Requests rejected before
    /// the handler ran (for example with 400, 408 or 413) do not count; shed requests do.
    pub answered: u64,
    /// Responses with status 503 because the request had waited for a worker for longer than
    /// [`Builder::queue_timeout`](crate::Builder::queue_timeout).
    pub shed_late: u64,
    /// Responses with status 503 because the queue held more connections than
    /// [`Builder::queue_limit`](crate::Builder::queue_limit).
    pub shed_full: u64,
    /// Requests aborted by the shutdown so far ([`DrainReport::aborted`]).
    pub aborted: u64,
    /// Bytes that connections buffer of incomplete requests and of unsent responses
    /// ([`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory)).
    pub buffered: usize,
    /// Number of workers.
    pub workers: usize,
    /// Workers that are driving a connection; most of them run its handler.
    pub busy: usize,
    /// Ready connections that wait for a worker ([`Handle::queue_times`] reports the waiting times).
    pub queued: usize,
}

/// Counts of events on the HTTP/2 connections of a server so far.
///
/// ```
/// use httpool::Handle;
///
/// fn print_streams(server: &Handle) {
///     let counts = server.http2_counts();
///     println!("{} streams, {} refused", counts.streams, counts.refused);
/// }
/// ```
#[cfg(feature = "http2")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http2Counts {
    /// Streams that are open now. Streams that begin and end while a worker drives their connection
    /// do not count.
    pub streams: usize,
    /// Streams refused because the client had more open than
    /// [`Builder::max_streams`](crate::Builder::max_streams) allows.
    pub refused: u64,
    /// Streams that the client reset.
    pub reset_by_client: u64,
    /// Streams that the server reset. Refused ones do not count, and a stream whose response is
    /// complete does not either.
    pub reset_by_server: u64,
    /// Connections that another worker took while one of their handlers ran, so that their other
    /// requests did not wait for it.
    pub stolen: u64,
    /// Responses of handlers that returned after their connection was taken.
    pub posted: u64,
}

/// Shows a watchdog whether the server makes progress.
///
/// Compare it with an earlier one ([`moved_since`](Self::moved_since)).
///
/// ```
/// # use httpool::Server;
/// # let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// let handle = server.handle();
/// let earlier = handle.heartbeat();
/// assert!(!handle.heartbeat().moved_since(&earlier), "the server is not running");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    rounds: u64,
    turns: u64,
    is_any_free: bool,
    is_any_waiting: bool,
    /// Connections taken from the ready channel, by workers or by the load shedder.
    taken: u64,
}

/// The totals of a server's run and the result of its shutdown.
///
/// ```
/// use std::process::ExitCode;
///
/// use httpool::{Request, Server};
///
/// fn serve(server: Server) -> std::io::Result<ExitCode> {
///     let report = server.run(|_: Request| "hello")?;
///     eprintln!("{report}");
///     let is_whole = report.aborted == 0 && report.abandoned_workers == 0;
///     Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(3) })
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections accepted over the server's life.
    pub accepted: u64,
    /// Responses sent over the server's life, counted as in [`Snapshot::answered`].
    pub answered: u64,
    /// Requests that were in progress at the end and got no complete response.
    pub aborted: u64,
    /// Workers whose handler had not returned at the end. Their requests count as aborted.
    pub abandoned_workers: usize,
    /// Time from the start of closing the listeners to the end.
    pub duration: Duration,
}

impl Handle {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            phase: Arc::clone(&server.phase),
            max_connections: server.max_connections,
            stats: Arc::clone(&server.stats),
            activity: Arc::clone(&server.activity),
            queue_times: Arc::clone(&server.queue_times),
            #[cfg(feature = "http2")]
            http2_stats: Arc::clone(&server.http2_stats),
            budget: Arc::clone(&server.budget),
            queue: Arc::downgrade(&server.ready_rx),
            acceptor: Arc::downgrade(&server.waker),
            shutdown_callbacks: Arc::clone(&server.shutdown_callbacks),
        }
    }

    /// Begins the drain. It returns at once; [`Server::run`](crate::Server::run) returns when the
    /// drain has ended.
    pub fn shutdown(&self) {
        self.advance(Phase::Announcing);
    }

    /// Stops the server now. Open requests are aborted and counted.
    pub fn shutdown_now(&self) {
        self.advance(Phase::Forced);
    }

    /// Calls `f` once when the server begins to shut down, or at once if it has begun already. This is
    /// for responses that would let the shutdown wait until its deadline: those that come
    /// [later](crate::Later), and bodies that are [sent by other threads](crate::Body::channel).
    ///
    /// It runs on the thread that runs the server, which does nothing else meanwhile, so it must be quick
    /// and must not block. A panic is logged.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// use httpool::{Request, Server};
    ///
    /// let server = Server::builder().listen("127.0.0.1:0").bind()?;
    /// let handle = server.handle();
    /// let is_ending = Arc::new(AtomicBool::new(false));
    /// handle.on_shutdown({
    ///     let is_ending = Arc::clone(&is_ending);
    ///     move || is_ending.store(true, Ordering::Relaxed)
    /// });
    /// handle.shutdown();
    /// server.run(|_: Request| "hello")?;
    /// assert!(is_ending.load(Ordering::Relaxed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_shutdown(&self, f: impl FnOnce() + Send + 'static) {
        self.shutdown_callbacks.add(&self.phase, f);
    }

    /// Returns the server's phase.
    ///
    /// This is one atomic load, so a long response can check regularly whether a drain has begun.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Returns the current counters and gauges.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase: self.phase.get(),
            open: self.stats.open(),
            max_connections: self.max_connections,
            limit_reached: self.stats.limit_reached(),
            accepted: self.stats.accepted(),
            answered: self.stats.answered(),
            shed_late: self.stats.shed(Overload::Late),
            shed_full: self.stats.shed(Overload::Full),
            aborted: self.stats.aborted(),
            buffered: self.budget.held(),
            workers: self.activity.workers(),
            busy: self
                .activity
                .counts()
                .filter(|turns| is_in_turn(*turns))
                .count(),
            queued: self.queued(),
        }
    }

    /// Returns how many connections have closed so far, for each [`CloseReason`].
    ///
    /// ```
    /// use httpool::Handle;
    ///
    /// fn print_endings(server: &Handle) {
    ///     for (reason, count) in server.close_counts().filter(|(_, count)| *count > 0) {
    ///         println!("{reason}: {count}");
    ///     }
    /// }
    /// ```
    pub fn close_counts(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        self.stats.close_counts().into_iter()
    }

    /// Returns how long ready connections have waited for a worker so far.
    #[must_use]
    pub fn queue_times(&self) -> QueueTimes {
        self.queue_times.times()
    }

    /// Returns the counters and gauges of HTTP/2.
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn http2_counts(&self) -> Http2Counts {
        let stats = &self.http2_stats;
        Http2Counts {
            streams: stats.streams(),
            refused: stats.count(Http2Event::Refused),
            reset_by_client: stats.count(Http2Event::ClientReset),
            reset_by_server: stats.count(Http2Event::ServerReset),
            stolen: stats.count(Http2Event::Stolen),
            posted: stats.count(Http2Event::Posted),
        }
    }

    /// Returns how many GOAWAYs were sent so far, for each reason: an error code (RFC 9113 section
    /// 7), which is `NO_ERROR` for an orderly end.
    ///
    /// ```
    /// use httpool::Handle;
    ///
    /// fn print_goaways(server: &Handle) {
    ///     for (reason, count) in server.goaway_counts().filter(|(_, count)| *count > 0) {
    ///         println!("{reason}: {count}");
    ///     }
    /// }
    /// ```
    #[cfg(feature = "http2")]
    pub fn goaway_counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.http2_stats.goaways()
    }

    /// Returns how many connections ended because their clients caused too much useless work, for each
    /// kind of work: for example `resets` or `pings`. These clients got a GOAWAY with
    /// `ENHANCE_YOUR_CALM`.
    ///
    /// ```
    /// use httpool::Handle;
    ///
    /// fn abused(server: &Handle) -> u64 {
    ///     server.abuse_counts().map(|(_, count)| count).sum()
    /// }
    /// ```
    #[cfg(feature = "http2")]
    pub fn abuse_counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.http2_stats.abuse()
    }

    /// Returns a heartbeat that shows whether the server makes progress.
    ///
    /// The call wakes the acceptor, which sleeps while idle, so that the next heartbeat shows its
    /// progress. Leave some time between two calls.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        // A worker begins a turn before it counts the connection that it has taken.
        let taken = self.queue_times.taken();
        let heartbeat = Heartbeat {
            rounds: self.stats.rounds(),
            turns: self.activity.counts().sum(),
            is_any_free: self.activity.counts().any(|turns| !is_in_turn(turns)),
            is_any_waiting: self.queued() > 0,
            taken,
        };
        self.wake_acceptor();
        heartbeat
    }

    fn queued(&self) -> usize {
        self.queue.upgrade().map_or(0, |queue| queue.len())
    }

    fn advance(&self, phase: Phase) {
        self.phase.advance(phase);
        self.wake_acceptor();
    }

    fn wake_acceptor(&self) {
        if let Some(waker) = self.acceptor.upgrade() {
            waker.wake();
        }
    }
}

impl Heartbeat {
    /// Returns whether the acceptor and the workers have made progress since `earlier`.
    ///
    /// Workers have if one has begun or ended a turn with a connection, or if one is free and no
    /// connection waits. Workers have not if all are in handlers that take longer than the interval.
    #[must_use]
    pub fn moved_since(&self, earlier: &Self) -> bool {
        let workers =
            self.turns != earlier.turns || self.is_any_free && !self.is_neglecting_since(earlier);
        self.acceptor_moved_since(earlier) && workers
    }

    /// Returns whether a connection has waited during the whole interval, or was shed because it had
    /// waited too long, provided that no worker has moved. Parked connections count once their
    /// deadline has passed.
    fn is_neglecting_since(&self, earlier: &Self) -> bool {
        let is_waiting_since = self.is_any_waiting && earlier.is_any_waiting;
        is_waiting_since || self.taken != earlier.taken
    }

    /// Returns whether the acceptor has made progress since `earlier`, independent of handlers.
    #[must_use]
    pub fn acceptor_moved_since(&self, earlier: &Self) -> bool {
        self.rounds != earlier.rounds
    }
}

/// Formats the report as one log line.
impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "shutdown complete in {} ms: {} connections, {} responses, {} aborted",
            self.duration.as_millis(),
            self.accepted,
            self.answered,
            self.aborted
        )?;
        if self.abandoned_workers > 0 {
            write!(f, " ({} in handlers)", self.abandoned_workers)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Heartbeat;

    const IDLE: Heartbeat = Heartbeat {
        rounds: 1,
        turns: 10,
        is_any_free: true,
        is_any_waiting: false,
        taken: 5,
    };

    /// Whether `later` shows progress if the acceptor has made a round in between.
    fn moves(earlier: Heartbeat, later: Heartbeat) -> bool {
        let rounds = earlier.rounds + 1;
        Heartbeat { rounds, ..later }.moved_since(&earlier)
    }

    #[test]
    fn waiting_connection_beside_a_free_worker_is_a_stall() {
        let waiting = Heartbeat {
            is_any_waiting: true,
            ..IDLE
        };
        assert!(moves(IDLE, IDLE));
        assert!(!IDLE.moved_since(&IDLE), "the acceptor has not");
        // A connection that has just become ready may be about to be taken.
        assert!(moves(IDLE, waiting) && moves(waiting, IDLE));
        assert!(!moves(waiting, waiting));
        assert!(moves(
            waiting,
            Heartbeat {
                turns: 11,
                ..waiting
            }
        ));
    }

    #[test]
    fn shed_connection_beside_a_free_worker_is_a_stall() {
        assert!(!moves(IDLE, Heartbeat { taken: 6, ..IDLE }));
        let turns = 12;
        assert!(moves(
            IDLE,
            Heartbeat {
                taken: 6,
                turns,
                ..IDLE
            }
        ));
    }
}
