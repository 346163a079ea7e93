//! Shutting a server down from outside, and what came of it.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::QueueTimes;
use super::Server;
use super::queue_times::QueueTimeCounters;
use super::stats::Stats;
use super::task::ReadyTask;
use super::waker::Waker;
use super::worker_activity::{WorkerActivity, is_within};
use crate::connection::Phase;
use crate::connection::phase::PhaseCell;
use crate::connection::{Budget, CloseReason};
use crate::message::Overload;
use crate::sync::channel::Receiver;

/// Shuts a server down, from any thread and any number of times.
///
/// A handle keeps nothing open: when [`Server::run`](crate::Server::run) has returned it still
/// tells the last figures, and shutting down does nothing.
///
/// ```
/// use httpool::{Phase, Request, Server};
///
/// let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// let handle = server.handle();
/// let running = std::thread::spawn(move || server.run(|_: Request| "hello"));
///
/// handle.shutdown();
/// let report = running.join().expect("it does not panic")?;
/// assert_eq!((report.answered, handle.phase()), (0, Phase::Stopped));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Handle {
    phase: Arc<PhaseCell>,
    max_connections: usize,
    stats: Arc<Stats>,
    turns: Arc<WorkerActivity>,
    waits: Arc<QueueTimeCounters>,
    budget: Arc<Budget>,
    queue: Weak<Receiver<ReadyTask>>,
    acceptor: Weak<Waker>,
}

/// The figures of one moment.
///
/// ```
/// use httpool::Handle;
///
/// fn is_overloaded(server: &Handle) -> bool {
///     let progress = server.progress();
///     progress.busy == progress.workers && progress.queued > 10 * progress.workers
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Where the server's life stands.
    pub phase: Phase,
    /// Connections open now.
    pub open: usize,
    /// Connections that may be open: [`Builder::max_connections`](crate::Builder::max_connections),
    /// or fewer if the process may not have as many descriptors.
    pub max_connections: usize,
    /// How often that limit was reached: new clients then wait until a connection ends.
    pub limit_reached: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Requests answered so far: every byte of the answer is with the system. One that was refused
    /// before a handler had it, as with 400, 408 or 413, is none of them; one that was shed is.
    pub answered: u64,
    /// Those of them that were answered 503 because they had waited for a worker for longer than
    /// [`Builder::queue_timeout`](crate::Builder::queue_timeout).
    pub shed_late: u64,
    /// Those that were answered 503 because more waited than
    /// [`Builder::queue_limit`](crate::Builder::queue_limit).
    pub shed_full: u64,
    /// Requests that the end of the server has cut so far ([`DrainReport::aborted`]).
    pub aborted: u64,
    /// Bytes that connections keep of requests that are not complete and of answers that are not
    /// sent ([`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory)).
    pub buffered: usize,
    /// Workers there are.
    pub workers: usize,
    /// Workers that have a connection in hand, most of them in its handler.
    pub busy: usize,
    /// Connections that can go on and wait for a worker ([`Handle::waits`] has for how long).
    pub queued: usize,
}

/// What shows whether a server moves, for a watchdog. One alone says nothing: compare it with an
/// earlier one.
///
/// ```
/// # use httpool::Server;
/// # let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// let handle = server.handle();
/// let earlier = handle.vitals();
/// assert!(!handle.vitals().moved_since(&earlier), "it does not run yet");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    rounds: u64,
    turns: u64,
    is_any_free: bool,
    is_any_waiting: bool,
    /// Connections taken from those that wait, by workers or by who stands in for them.
    taken: u64,
}

/// What a server's life and its end came to.
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
    /// Requests answered over the server's life: every byte of the answer is with the system. Which
    /// count, [`Snapshot::answered`] says.
    pub answered: u64,
    /// Requests that were under way at the end and got no whole answer.
    pub aborted: u64,
    /// Workers whose handler had not returned at the end. Their requests count as cut.
    pub abandoned_workers: usize,
    /// From the moment that the listeners began to close to the end.
    pub duration: Duration,
}

impl Handle {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            phase: Arc::clone(&server.phase),
            max_connections: server.max_connections,
            stats: Arc::clone(&server.stats),
            turns: Arc::clone(&server.turns),
            waits: Arc::clone(&server.waits),
            budget: Arc::clone(&server.budget),
            queue: Arc::downgrade(&server.jobs),
            acceptor: Arc::downgrade(&server.waker),
        }
    }

    /// Begins the drain. It returns at once; [`Server::run`](crate::Server::run) returns when the
    /// drain has ended.
    pub fn shutdown(&self) {
        self.advance(Phase::Announcing);
    }

    /// Ends the server now: what is under way is cut and counted.
    pub fn shutdown_now(&self) {
        self.advance(Phase::Forced);
    }

    /// Where the server's life stands. It costs no more than a look, so a long answer can ask now
    /// and then whether a drain has begun.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// The figures of this moment.
    #[must_use]
    pub fn progress(&self) -> Snapshot {
        Snapshot {
            phase: self.phase.get(),
            open: self.stats.open(),
            max_connections: self.max_connections,
            limit_reached: self.stats.full(),
            accepted: self.stats.accepted(),
            answered: self.stats.answered(),
            shed_late: self.stats.shed(Overload::Late),
            shed_full: self.stats.shed(Overload::Full),
            aborted: self.stats.aborted(),
            buffered: self.budget.held(),
            workers: self.turns.workers(),
            busy: self
                .turns
                .counts()
                .filter(|turns| is_within(*turns))
                .count(),
            queued: self.queued(),
        }
    }

    /// Counts the connections closed so far, for each [`CloseReason`].
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
        self.stats.ended().into_iter()
    }

    /// How long connections have waited for a worker so far.
    #[must_use]
    pub fn waits(&self) -> QueueTimes {
        self.waits.waits()
    }

    /// What shows whether the server moves. The acceptor, which waits while there is nothing to do,
    /// is woken to show itself in the next ones; give it a moment.
    #[must_use]
    pub fn vitals(&self) -> Heartbeat {
        // A worker begins a turn before it counts whom it has taken.
        let taken = self.waits.taken();
        let vitals = Heartbeat {
            rounds: self.stats.rounds(),
            turns: self.turns.counts().sum(),
            is_any_free: self.turns.counts().any(|turns| !is_within(turns)),
            is_any_waiting: self.queued() > 0,
            taken,
        };
        self.wake_acceptor();
        vitals
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
    /// Whether the acceptor has gone round since, and a worker has begun or ended a turn with a
    /// connection, or is free and leaves nobody waiting. No worker has if all are in handlers that
    /// take longer than that.
    #[must_use]
    pub fn moved_since(&self, earlier: &Self) -> bool {
        let workers =
            self.turns != earlier.turns || self.is_any_free && !self.is_neglecting_since(earlier);
        self.acceptor_moved_since(earlier) && workers
    }

    /// Whether somebody has waited all the time, or for so long that he was turned away, as far as no
    /// worker has moved. Who waits in the lot is among them when his deadline has passed.
    fn is_neglecting_since(&self, earlier: &Self) -> bool {
        let is_waiting_since = self.is_any_waiting && earlier.is_any_waiting;
        is_waiting_since || self.taken != earlier.taken
    }

    /// Whether the acceptor has, whatever handlers do.
    #[must_use]
    pub fn acceptor_moved_since(&self, earlier: &Self) -> bool {
        self.rounds != earlier.rounds
    }
}

/// One line for the log.
impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "connections accepted: {}, requests answered: {}, cut: {}",
            self.accepted, self.answered, self.aborted
        )?;
        if self.abandoned_workers > 0 {
            write!(f, " ({} in handlers)", self.abandoned_workers)?;
        }
        write!(f, ", drained in {} ms", self.duration.as_millis())
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

    /// Whether this shows movement when a round has been made since.
    fn moves(earlier: Heartbeat, later: Heartbeat) -> bool {
        let rounds = earlier.rounds + 1;
        Heartbeat { rounds, ..later }.moved_since(&earlier)
    }

    #[test]
    fn who_waits_while_a_free_worker_does_not_move_shows_that_it_stands() {
        let waiting = Heartbeat {
            is_any_waiting: true,
            ..IDLE
        };
        assert!(moves(IDLE, IDLE));
        assert!(!IDLE.moved_since(&IDLE), "the acceptor has not");
        // Who has come only now may be about to be taken.
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
    fn who_is_turned_away_while_a_free_worker_does_not_move_shows_that_it_stands() {
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
