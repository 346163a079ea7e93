//! The acceptor thread: accepts connections, checks deadlines, and drains the server.

mod drain;

use std::io;
use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
#[cfg(feature = "_tls")]
use log::error;
use log::{debug, info, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::idle_workers::{DETECTOR_TICK, StallDetector};
use super::load_shedder::LoadShedder;
use super::task::{ReadyTask, Task};
use super::waker::Waker;
use super::{DrainReport, ServerState, counted};
#[cfg(feature = "proxy")]
use crate::connection::log_limited;
use crate::connection::{Connection, Phase, WakeReason};
use crate::message::PeerAddr;
use crate::net::ListenerProtocol;
use crate::net::listener::Listener;
use crate::net::transport::Socket;

/// How often deadlines are checked while connections are open, and so how late a timeout may be.
/// Checking ten thousand connections takes about ten microseconds.
const DEADLINE_INTERVAL: Duration = Duration::from_millis(100);

/// How long accepting pauses when the system has no descriptors or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long to collect connections after a round that accepted several. Under a flood of
/// connections, one round for several of them saves a tenth of the cost of a request on its own
/// connection. A single connection is not delayed.
const BATCH_DELAY: Duration = Duration::from_micros(50);

/// Connections accepted from one listener before the next listener.
const ACCEPTS_PER_TURN: usize = 64;

/// Runs on the thread that called `Server::run`.
pub(super) struct Acceptor {
    shared: Arc<ServerState>,
    listeners: Vec<Listener>,
    waker: Arc<Waker>,
    workers: Vec<JoinHandle<()>>,
    /// Disconnected when the last worker has ended.
    workers_done: Receiver<()>,
    next_deadline_check: Instant,
    stall_detector: StallDetector,
    load_shedder: LoadShedder,
    /// Whether the last round accepted several connections from one listener.
    is_crowded: bool,
    /// When to try again, after accepting failed (usually because no descriptor was free).
    paused_until: Option<Instant>,
    /// Whether the limit of connections was reached at the last check.
    was_full: bool,
}

/// The state of a listener's queue after an attempt to accept from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Queue {
    /// It holds no connection.
    Empty,
    /// It may hold more connections.
    Unknown,
    /// It may hold more connections, but accepting is paused.
    Blocked,
}

impl Acceptor {
    pub(super) fn new(
        shared: Arc<ServerState>,
        listeners: Vec<Listener>,
        waker: Arc<Waker>,
        workers: Vec<JoinHandle<()>>,
        workers_done: Receiver<()>,
    ) -> Self {
        Self {
            stall_detector: StallDetector::new(workers.len()),
            load_shedder: LoadShedder::new(&shared),
            shared,
            listeners,
            waker,
            workers,
            workers_done,
            next_deadline_check: Instant::now(),
            is_crowded: false,
            paused_until: None,
            was_full: false,
        }
    }

    /// Serves until the server is shut down, then drains it.
    pub(super) fn run(mut self) -> io::Result<DrainReport> {
        let served = self.serve();
        if self.shared.phase() > Phase::Running {
            self.shared.shutdown_callbacks.run();
        }
        let started = Instant::now();
        let drained = served.and_then(|()| self.drain(started));
        let abandoned_workers = self.stop();
        drained?;
        let stats = &self.shared.stats;
        Ok(DrainReport {
            accepted: stats.accepted(),
            answered: stats.answered(),
            aborted: stats.aborted(),
            abandoned_workers,
            duration: started.elapsed(),
        })
    }

    /// Accepts until the drain begins.
    fn serve(&mut self) -> io::Result<()> {
        let mut announced_at = None;
        loop {
            self.shared.stats.add_round();
            let now = Instant::now();
            let until_drain = match self.shared.phase() {
                Phase::Running => None,
                Phase::Announcing => {
                    self.shared.shutdown_callbacks.run();
                    let since = *announced_at.get_or_insert(now);
                    let left = (since + self.shared.service.config.drain_delay)
                        .saturating_duration_since(now);
                    if left.is_zero() {
                        // The grace begins first: a connection that sees the drain phase also sees
                        // the grace.
                        self.shared.service.grace.begin(now);
                        self.shared.service.phase.advance(Phase::Draining);
                        return Ok(());
                    }
                    Some(left)
                }
                Phase::Draining | Phase::Forced | Phase::Stopped => return Ok(()),
            };
            if mem::take(&mut self.is_crowded) {
                self.wait(false, Some(BATCH_DELAY))?;
                continue;
            }
            let deadline_check = (self.shared.stats.open() > 0).then_some(DEADLINE_INTERVAL);
            // A pause that is over sets no timeout. The next accepted connection ends it.
            let pause = self
                .paused_until
                .map(|until| until.saturating_duration_since(now))
                .filter(|left| !left.is_zero());
            let detector = self
                .stall_detector
                .is_due(&self.shared.idle_workers)
                .then_some(DETECTOR_TICK);
            let timer = self.shared.timers.until_next(now);
            let timeout = [until_drain, deadline_check, pause, detector, timer]
                .into_iter()
                .flatten()
                .min();
            let accepting = !self.is_full() && pause.is_none();
            let queues = self.wait(accepting, timeout)?;
            if queues == Queue::Unknown {
                let listeners = mem::take(&mut self.listeners);
                for listener in &listeners {
                    let room = self
                        .shared
                        .max_connections
                        .saturating_sub(self.shared.stats.open());
                    self.accept(listener, room.min(ACCEPTS_PER_TURN));
                }
                self.listeners = listeners;
            }
            self.check_deadlines(DEADLINE_INTERVAL);
            self.shared.timers.fire(Instant::now());
            self.tick();
        }
    }

    /// Whether the limit of open connections is reached. If so, the waker fires when one closes.
    fn is_full(&mut self) -> bool {
        let (stats, limit) = (&self.shared.stats, self.shared.max_connections);
        stats.wake_below(0);
        let is_full = stats.open() >= limit && {
            stats.wake_below(limit);
            stats.open() >= limit
        };
        if mem::replace(&mut self.was_full, is_full) || !is_full {
            return is_full;
        }
        stats.add_limit_reached();
        if let Some(suppressed) = self.shared.service.log_limits.full.allow(Instant::now()) {
            let connections = counted(limit, "connection");
            warn!("limit of {connections} reached; new clients wait until one closes{suppressed}");
        }
        true
    }

    /// Waits for the waker and, if `accepting`, for connections, for at most `timeout`. Returns
    /// `Unknown` if a connection may have arrived.
    fn wait(&self, accepting: bool, timeout: Option<Duration>) -> io::Result<Queue> {
        let mut sources = Vec::with_capacity(1 + self.listeners.len());
        sources.push(PollFd::new(&*self.waker, PollFlags::IN));
        if accepting {
            let listeners = self.listeners.iter();
            sources.extend(listeners.map(|listener| PollFd::new(listener, PollFlags::IN)));
        }
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Queue::Empty),
            Err(error) => return Err(error.into()),
        }
        let is_ready = |source: &PollFd<'_>| !source.revents().is_empty();
        if is_ready(&sources[0]) {
            self.waker.drain();
        }
        Ok(if sources[1..].iter().any(is_ready) {
            Queue::Unknown
        } else {
            Queue::Empty
        })
    }

    /// Accepts up to `most` connections and wakes one worker for those that can be driven at once.
    /// That worker wakes another one if needed: a wake-up for each would cost more than responding
    /// to it.
    fn accept(&mut self, listener: &Listener, most: usize) -> Queue {
        let before = self.shared.stats.accepted();
        let queue = self.accept_up_to(listener, most);
        self.is_crowded |= self.shared.stats.accepted() - before > 1;
        if !self.shared.ready_rx.is_empty() {
            self.shared.idle_workers.wake_one();
        }
        queue
    }

    fn accept_up_to(&mut self, listener: &Listener, most: usize) -> Queue {
        for _ in 0..most {
            match listener.accept() {
                Ok(Some((socket, peer))) => {
                    self.resume();
                    self.admit(socket, peer, listener.protocol());
                }
                // If no descriptor is free, accept fails even on an empty queue. So one is free
                // now.
                Ok(None) => {
                    self.resume();
                    return Queue::Empty;
                }
                Err(error) if is_connection_error(&error) => {
                    debug!("accepting one connection failed: {error}");
                }
                Err(error) => return self.pause(&error),
            }
        }
        Queue::Unknown
    }

    /// Pauses accepting: the system has no resources for a connection, or the listener failed.
    fn pause(&mut self, error: &io::Error) -> Queue {
        if self.paused_until.is_none() {
            warn!("accepting paused: {error}");
        }
        self.paused_until = Some(Instant::now() + ACCEPT_PAUSE);
        Queue::Blocked
    }

    fn resume(&mut self) {
        if self.paused_until.take().is_some() {
            info!("accepting resumed");
        }
    }

    fn admit(&self, socket: Socket, peer: PeerAddr, protocol: &ListenerProtocol) {
        let shared = &self.shared;
        #[cfg(feature = "proxy")]
        if protocol.expects_proxy_header && !shared.service.config.trusted_proxies.contains(&peer) {
            let limit = &shared.service.log_limits.untrusted_proxies;
            let line = format_args!("connection refused: the peer is not a trusted proxy");
            return log_limited(limit, Instant::now(), &peer, line);
        }
        #[cfg(feature = "_tls")]
        let socket = match &protocol.tls {
            Some(tls) => {
                let config = tls.config(shared.service.config.newest_protocol());
                match socket.with_tls(config) {
                    Ok(socket) => socket,
                    Err(error) => return error!("{peer}: connection refused: {error}"),
                }
            }
            None => socket,
        };
        let connection_guard = shared.stats.accept();
        let now = Instant::now();
        let connection = Connection::new(socket, peer, protocol, now, &shared.service);
        let task = Box::new(Task::new(connection, connection_guard));
        let ready = match task.connection.first_wait() {
            Some(pending) => shared.park(task, pending),
            None => Some((task, WakeReason::Ready)),
        };
        if let Some((task, wake)) = ready {
            shared.enqueue(ReadyTask {
                task,
                wake,
                since: Some(now),
            });
        }
    }

    /// Wakes the parked connections whose deadline has passed.
    fn check_deadlines(&mut self, interval: Duration) {
        let now = Instant::now();
        if now < self.next_deadline_check {
            return;
        }
        self.next_deadline_check = now + interval;
        let shared = &self.shared;
        shared.poller.expired(now, |task| {
            shared.hand_over(ReadyTask {
                task,
                wake: WakeReason::Expired,
                since: Some(now),
            });
        });
        // Handlers that were fast may all have begun to block at once.
        if shared.idle_workers.is_neglected() {
            shared.idle_workers.start_detector();
        }
    }

    fn tick(&mut self) {
        let shared = &self.shared;
        if self.stall_detector.is_due(&shared.idle_workers) {
            self.load_shedder.tick(shared);
            self.stall_detector
                .tick(&shared.idle_workers, || shared.has_waiting_work());
        }
    }
}

/// Stops the workers even if this thread panics.
impl Drop for Acceptor {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// Whether one connection failed before it was accepted, and the listener works (accept(2)).
fn is_connection_error(error: &io::Error) -> bool {
    [
        Errno::CONNABORTED,
        Errno::INTR,
        Errno::PERM,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
    ]
    .iter()
    .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
