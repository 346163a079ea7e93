//! The acceptor: it owns the listeners, and with them the first and the last minute of a server's
//! life. It also keeps the time: deadlines are swept here, and the drain goes its steps here.

use std::io;
use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use log::{debug, error, info, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::idle_workers::StallDetector;
use super::load_shedder::LoadShedder;
use super::task::{ReadyTask, Task};
use super::waker::Waker;
use super::worker_activity::{WorkerActivity, is_within};
use super::{DrainReport, ServerState, counted};
use crate::connection::Phase;
#[cfg(feature = "proxy")]
use crate::connection::log_limited;
use crate::connection::{Connection, WaitFor, WakeReason};
use crate::message::PeerAddr;
use crate::net::ListenerProtocol;
use crate::net::listener::Listener;
use crate::net::transport::Socket;

/// How often deadlines are looked at while there are connections. It is what a deadline may be
/// late by, and a sweep of ten thousand connections takes some ten microseconds.
const TICK: Duration = Duration::from_millis(100);

/// How often the patrol walks: about what a connection may wait for a worker that has nothing to
/// do, if a handler that was quick before blocks.
const PATROL_TICK: Duration = Duration::from_millis(1);

/// The same while draining, when people wait for it.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// How long to leave a full system alone before accepting again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long clients are left to gather once several have come at the same time: where many connect,
/// a round for several of them saves a tenth of what a request on its own connection costs. Who
/// comes alone does not wait.
const GATHERING: Duration = Duration::from_micros(50);

/// Connections accepted from one listener before the others get their turn.
const ACCEPTS_PER_TURN: usize = 64;

/// How long a listener stays that lets nobody else in, for clients whose handshakes are under way: a
/// round trip to most of them.
const HANDSHAKE: Duration = Duration::from_millis(100);

/// How often to try to close a queue into which clients keep coming.
const SEALING_TRIES: usize = 100;

/// How long a worker that has been told to stop may stay within its turn. One that has not left it
/// by then is held by its handler.
const FAREWELL: Duration = Duration::from_millis(250);

/// How often to look whether workers that were told to stop are within their turns.
const FAREWELL_TICK: Duration = Duration::from_millis(5);

/// Accepts, keeps the time, and ends the server.
pub(super) struct Acceptor {
    shared: Arc<ServerState>,
    listeners: Vec<Listener>,
    waker: Arc<Waker>,
    workers: Vec<JoinHandle<()>>,
    /// Disconnected when the last worker has ended.
    workers_done: Receiver<()>,
    next_sweep: Instant,
    stall_detector: StallDetector,
    load_shedder: LoadShedder,
    /// The last round has admitted several at once.
    is_crowded: bool,
    /// Accepting has failed, most likely for want of descriptors, and goes on at this time.
    paused_until: Option<Instant>,
    /// As many connections were open as may be when it was last looked.
    was_full: bool,
}

/// What is known of a listener's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Queue {
    /// Nobody waits in it.
    Empty,
    /// There may be more.
    Unknown,
    /// There may be more, and they can't be accepted now.
    Stuck,
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
            load_shedder: LoadShedder::new(workers.len()),
            shared,
            listeners,
            waker,
            workers,
            workers_done,
            next_sweep: Instant::now(),
            is_crowded: false,
            paused_until: None,
            was_full: false,
        }
    }

    /// Serves until the server is shut down, then drains it.
    pub(super) fn run(mut self) -> io::Result<DrainReport> {
        let served = self.serve();
        let started = Instant::now();
        let finished = served.and_then(|()| self.finish(started));
        let abandoned_workers = self.force();
        finished?;
        let stats = &self.shared.stats;
        Ok(DrainReport {
            accepted: stats.accepted(),
            answered: stats.answered(),
            aborted: stats.aborted(),
            abandoned_workers,
            duration: started.elapsed(),
        })
    }

    /// Accepts until it is time to drain.
    fn serve(&mut self) -> io::Result<()> {
        let mut announced = None;
        loop {
            self.shared.stats.add_round();
            let now = Instant::now();
            let until_drain = match self.shared.phase() {
                Phase::Running => None,
                Phase::Announcing => {
                    let since = *announced.get_or_insert(now);
                    let left = (since + self.shared.service.config.drain_delay)
                        .saturating_duration_since(now);
                    if left.is_zero() {
                        // A connection that finds the drain begun must find its grace begun, too.
                        self.shared.service.grace.begin(now);
                        self.shared.service.phase.advance(Phase::Draining);
                        return Ok(());
                    }
                    Some(left)
                }
                Phase::Draining | Phase::Forced | Phase::Stopped => return Ok(()),
            };
            if mem::take(&mut self.is_crowded) {
                self.wait(false, Some(GATHERING))?;
                continue;
            }
            let tick = (self.shared.stats.open() > 0).then_some(TICK);
            // A pause that is over waits for nothing; the next client shows whether accepting goes on.
            let paused = self
                .paused_until
                .map(|until| until.saturating_duration_since(now))
                .filter(|left| !left.is_zero());
            let stall_detector = self
                .stall_detector
                .is_due(&self.shared.idle_workers)
                .then_some(PATROL_TICK);
            let patience = [until_drain, tick, paused, stall_detector]
                .into_iter()
                .flatten()
                .min();
            let accepting = !self.is_full() && paused.is_none();
            let queues = self.wait(accepting, patience)?;
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
            self.sweep(TICK);
            self.tick();
        }
    }

    /// Whether as many connections are open as may be. If so the bell rings when one ends.
    fn is_full(&mut self) -> bool {
        let (stats, most) = (&self.shared.stats, self.shared.max_connections);
        stats.wake_below(0);
        let is_full = stats.open() >= most && {
            stats.wake_below(most);
            stats.open() >= most
        };
        if mem::replace(&mut self.was_full, is_full) || !is_full {
            return is_full;
        }
        stats.add_full();
        if let Some(suppressed) = self.shared.service.log_limits.full.allow(Instant::now()) {
            let connections = counted(most, "connection");
            warn!("limit of {connections} reached; new clients wait until one ends{suppressed}");
        }
        true
    }

    /// Waits for a connection, if `accepting`, or for the bell, at most this long, and says
    /// whether there may be a connection.
    fn wait(&self, accepting: bool, patience: Option<Duration>) -> io::Result<Queue> {
        let mut sources = Vec::with_capacity(1 + self.listeners.len());
        sources.push(PollFd::new(&*self.waker, PollFlags::IN));
        if accepting {
            let listeners = self.listeners.iter();
            sources.extend(listeners.map(|listener| PollFd::new(listener, PollFlags::IN)));
        }
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
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

    /// Accepts at most this many connections, and wakes a worker for those that can go on. That one
    /// wakes another if there are too many for it: a wake-up for each would cost more than answering
    /// it.
    fn accept(&mut self, listener: &Listener, most: usize) -> Queue {
        let before = self.shared.stats.accepted();
        let queue = self.admit_from(listener, most);
        self.is_crowded |= self.shared.stats.accepted() - before > 1;
        if !self.shared.jobs.is_empty() {
            self.shared.idle_workers.call();
        }
        queue
    }

    fn admit_from(&mut self, listener: &Listener, most: usize) -> Queue {
        for _ in 0..most {
            match listener.accept() {
                Ok(Some((socket, peer))) => {
                    self.go_on();
                    self.admit(socket, peer, listener.protocol());
                }
                // Without a free descriptor even an empty queue is an error, so there is one.
                Ok(None) => {
                    self.go_on();
                    return Queue::Empty;
                }
                Err(error) if is_of_one_client(&error) => {
                    debug!("a connection could not be accepted: {error}");
                }
                Err(error) => return self.pause(&error),
            }
        }
        Queue::Unknown
    }

    /// The system has no room for another connection, or the listener is in trouble.
    fn pause(&mut self, error: &io::Error) -> Queue {
        if self.paused_until.is_none() {
            warn!("accepting pauses: {error}");
        }
        self.paused_until = Some(Instant::now() + PAUSE);
        Queue::Stuck
    }

    fn go_on(&mut self) {
        if self.paused_until.take().is_some() {
            info!("accepting goes on");
        }
    }

    fn admit(&self, socket: Socket, peer: PeerAddr, opening: &ListenerProtocol) {
        let shared = &self.shared;
        #[cfg(feature = "proxy")]
        if opening.expects_proxy_header && !shared.service.config.trusted_proxies.contains(&peer) {
            let limit = &shared.service.log_limits.untrusted_proxies;
            let line = format_args!("connection refused: the peer is not a trusted proxy");
            return log_limited(limit, Instant::now(), &peer, line);
        }
        #[cfg(feature = "_tls")]
        let socket = match &opening.tls {
            Some(tls) => match socket.with_tls(tls.config()) {
                Ok(socket) => socket,
                Err(error) => return error!("{peer}: refused: {error}"),
            },
            None => socket,
        };
        let connection_guard = shared.stats.accept();
        let now = Instant::now();
        let connection = Connection::new(socket, peer, opening, now, &shared.service);
        let client = Box::new(Task::new(connection, connection_guard));
        let ready = match client.connection.first_wait() {
            Some(wait) => shared.park(client, wait),
            None => Some((client, WakeReason::Ready)),
        };
        if let Some((client, wake)) = ready {
            shared.enqueue(ReadyTask {
                client,
                wake,
                since: Some(now),
            });
        }
    }

    /// Wakes what has waited longer than it may.
    fn sweep(&mut self, interval: Duration) {
        let now = Instant::now();
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + interval;
        let shared = &self.shared;
        shared.poller.expired(now, |client| {
            shared.hand_over(ReadyTask {
                client,
                wake: WakeReason::Expired,
                since: Some(now),
            });
        });
        // Handlers that have been quick may have begun to block, all at once.
        if shared.idle_workers.is_neglected() {
            shared.idle_workers.start_detector();
        }
    }

    fn tick(&mut self) {
        let shared = &self.shared;
        if self.stall_detector.is_due(&shared.idle_workers) {
            self.load_shedder.tick(shared);
            self.stall_detector
                .tick(&shared.idle_workers, || !shared.jobs.is_empty());
        }
    }

    /// Lets nobody else into the listeners' queues.
    fn shut(&mut self) {
        for listener in &mut self.listeners {
            if let Err(error) = listener.refuse_new() {
                debug!("a listener could not be shut: {error}");
            }
        }
    }

    /// Admits who has connected by now, and releases the addresses. A listener stays if there are
    /// no descriptors for those who wait in its queue, and as long as `handshakes` may end.
    fn release(&mut self, handshakes: bool) {
        let mut listeners = mem::take(&mut self.listeners);
        listeners.retain(|listener| {
            let waits = handshakes && listener.completes_handshakes();
            listener.is_owned() && (self.empty(listener) == Queue::Stuck || waits)
        });
        self.listeners = listeners;
    }

    fn empty(&mut self, listener: &Listener) -> Queue {
        for _ in 0..SEALING_TRIES {
            let mut queue = Queue::Unknown;
            while queue == Queue::Unknown {
                queue = self.accept(listener, ACCEPTS_PER_TURN);
            }
            if queue == Queue::Stuck || listener.close_queue() {
                return queue;
            }
        }
        Queue::Empty
    }

    /// Waits until every connection has ended or the deadline has passed.
    fn finish(&mut self, started: Instant) -> io::Result<()> {
        self.shut();
        let shared = Arc::clone(&self.shared);
        let config = &shared.service.config;
        let deadline = started + config.drain_timeout;
        let handshakes_until = if self.listeners.iter().any(Listener::completes_handshakes) {
            started + config.drain_idle.min(HANDSHAKE)
        } else {
            started
        };
        shared.service.grace.begin(handshakes_until);
        self.release(Instant::now() < handshakes_until);
        shared.stats.wake_below(1);
        while shared.phase() < Phase::Forced {
            let is_anything_open = shared.stats.open() > 0 || !self.listeners.is_empty();
            // A worker may still be ending the last connection, and want for a processor.
            let tick = match is_anything_open {
                true => DRAIN_TICK,
                false if shared.turns.counts().any(is_within) => PATROL_TICK,
                false => break,
            };
            shared.stats.add_round();
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            self.wait(false, Some(tick.min(deadline - now)))?;
            self.release(now < handshakes_until);
            self.sweep(DRAIN_TICK);
            self.tick();
            let now = Instant::now();
            if shared.service.grace.is_over(now) {
                shared.poller.recall(WaitFor::is_idle, |client| {
                    shared.hand_over(ReadyTask {
                        client,
                        wake: WakeReason::Recalled,
                        since: Some(now),
                    });
                });
            }
        }
        self.listeners.clear();
        Ok(())
    }

    /// Ends the workers, cuts what is left, and returns how many workers are held by a handler.
    fn force(&mut self) -> usize {
        let shared = &self.shared;
        shared.service.phase.advance(Phase::Forced);
        shared.abort_parked();
        shared.service.phase.advance(Phase::Stopped);
        shared.idle_workers.call_all();
        let workers = mem::take(&mut self.workers);
        let held = join_workers(workers, &shared.turns, &self.workers_done, FAREWELL);
        while let Ok(job) = shared.jobs.try_recv() {
            shared.abort(*job.client);
        }
        shared.abort_parked();
        // Handlers hold the others, and whoever has been given a stream.
        shared.stats.add_aborted(shared.stats.open() as u64);
        held
    }
}

/// A thread that unwinds must not leave its workers behind.
impl Drop for Acceptor {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// Waits for workers that have been told to stop, and returns how many a handler holds: those that
/// are within a turn after `patience`. A worker outside a turn begins no other, and runs no code
/// but ours until it ends. It may be kept from the processor for any time, which holds no request.
fn join_workers(
    workers: Vec<JoinHandle<()>>,
    turns: &WorkerActivity,
    done: &Receiver<()>,
    patience: Duration,
) -> usize {
    let deadline = Instant::now() + patience;
    // A worker sends nothing, and disconnects the channel when it is the last one.
    let mut have_ended = false;
    while !have_ended {
        let is_held = |(worker, turns): (&JoinHandle<()>, u64)| {
            worker.is_finished() || Instant::now() >= deadline && is_within(turns)
        };
        if workers.iter().zip(turns.counts()).all(is_held) {
            break;
        }
        have_ended = done.recv_timeout(FAREWELL_TICK) == Err(RecvTimeoutError::Disconnected);
    }
    let (ended, held): (Vec<_>, Vec<_>) = workers
        .into_iter()
        .partition(|worker| have_ended || worker.is_finished());
    for worker in ended {
        if worker.join().is_err() {
            error!("a worker had panicked");
        }
    }
    held.len()
}

/// Whether the connection failed before it was accepted, and not the listener (accept(2)).
fn is_of_one_client(error: &io::Error) -> bool {
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// How many of one worker are held, if it has begun so many turns and halves of turns and does
    /// this until it ends.
    fn held(turns: u32, work: impl FnOnce() + Send + 'static) -> usize {
        let counts = WorkerActivity::new(1);
        (0..turns).for_each(|_| counts.count(0));
        let (done, all_done) = crossbeam_channel::bounded(0);
        let worker = thread::spawn(move || {
            work();
            drop(done);
        });
        join_workers(vec![worker], &counts, &all_done, Duration::ZERO)
    }

    #[test]
    fn a_worker_without_a_processor_is_waited_for() {
        // However long it takes, it is in no handler.
        assert_eq!(held(2, || thread::sleep(10 * FAREWELL_TICK)), 0);
    }

    #[test]
    fn a_worker_within_a_turn_is_held() {
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let wait = move || {
            let _ = released.recv();
        };
        assert_eq!(held(1, wait), 1);
        drop(release);
    }
}
