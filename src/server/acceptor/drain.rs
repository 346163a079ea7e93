//! The drain: accepts the clients that have connected, waits for open requests, ends the workers.

use std::io;
use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use log::{debug, error};

use super::{ACCEPTS_PER_TURN, Acceptor, DETECTOR_TICK, Queue};
use crate::connection::{Phase, WaitFor, WakeReason};
use crate::net::listener::Listener;
use crate::server::task::ReadyTask;
use crate::server::worker_activity::{WorkerActivity, is_in_turn};

/// The longest interval between two checks of the drain.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// How long a listener stays open for handshakes that are in progress, while it lets no new one begin:
/// the round-trip time of most clients.
const HANDSHAKE_GRACE: Duration = Duration::from_millis(100);

/// How many times to try to empty and close a queue that new connections keep entering.
const CLOSE_TRIES: usize = 100;

/// How long a stopped worker may stay in its turn. After that, its handler counts as stuck.
const STOP_GRACE: Duration = Duration::from_millis(250);

/// How often stopped workers are checked.
const STOP_TICK: Duration = Duration::from_millis(5);

impl Acceptor {
    /// Keeps new handshakes out of the listeners' queues.
    fn stop_handshakes(&mut self) {
        for listener in &mut self.listeners {
            if let Err(error) = listener.refuse_new() {
                debug!("cannot keep new handshakes out of a listener: {error}");
            }
        }
    }

    /// Accepts the clients that have connected, and closes the listeners. A listener stays open if no
    /// descriptors are free for the clients in its queue, or if `handshakes` may still complete.
    fn close_listeners(&mut self, handshakes: bool) {
        let mut listeners = mem::take(&mut self.listeners);
        listeners.retain(|listener| {
            let has_handshakes = handshakes && listener.completes_handshakes();
            listener.is_owned() && (self.accept_all(listener) == Queue::Blocked || has_handshakes)
        });
        self.listeners = listeners;
    }

    /// Accepts the clients in the queue until it is empty and lets no further client in.
    fn accept_all(&mut self, listener: &Listener) -> Queue {
        for _ in 0..CLOSE_TRIES {
            let mut queue = Queue::Unknown;
            while queue == Queue::Unknown {
                queue = self.accept(listener, ACCEPTS_PER_TURN);
            }
            if queue == Queue::Blocked || listener.close_queue() {
                return queue;
            }
        }
        Queue::Empty
    }

    /// Waits until every connection has closed or the deadline has passed.
    pub(super) fn drain(&mut self, started: Instant) -> io::Result<()> {
        self.stop_handshakes();
        let shared = Arc::clone(&self.shared);
        let config = &shared.service.config;
        let deadline = started + config.drain_timeout;
        let handshakes_until = if self.listeners.iter().any(Listener::completes_handshakes) {
            started + config.drain_idle.min(HANDSHAKE_GRACE)
        } else {
            started
        };
        shared.service.grace.begin(handshakes_until);
        self.close_listeners(Instant::now() < handshakes_until);
        shared.stats.wake_below(1);
        // They tell their clients, and again once the drain takes no more requests.
        self.announce_drain();
        let mut is_grace_over = false;
        while shared.phase() < Phase::Forced {
            let is_anything_open = shared.stats.open() > 0 || !self.listeners.is_empty();
            // A worker may still be in the turn that closed the last connection.
            let tick = match is_anything_open {
                true => DRAIN_TICK,
                false if shared.activity.counts().any(is_in_turn) => DETECTOR_TICK,
                false => break,
            };
            shared.stats.add_round();
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            let timer = shared.timers.until_next(now);
            let wait = tick.min(deadline - now);
            self.wait(false, Some(timer.map_or(wait, |timer| timer.min(wait))))?;
            self.close_listeners(now < handshakes_until);
            self.check_deadlines(DRAIN_TICK);
            self.tick();
            let now = Instant::now();
            shared.timers.fire(now);
            if shared.service.grace.is_over(now) {
                if !mem::replace(&mut is_grace_over, true) {
                    self.announce_drain();
                }
                shared.poller.recall(WaitFor::is_idle, |task| {
                    shared.hand_over(ReadyTask {
                        task,
                        wake: WakeReason::Recalled,
                        since: Some(now),
                    });
                });
            }
        }
        self.listeners.clear();
        Ok(())
    }

    /// Has every parked connection driven that does something when a drain begins. A connection that is
    /// lent or with a worker is driven by its owner.
    fn announce_drain(&self) {
        let now = Instant::now();
        self.shared
            .poller
            .recall(WaitFor::is_told_of_drain, |task| {
                self.shared.hand_over(ReadyTask {
                    task,
                    wake: WakeReason::Ready,
                    since: Some(now),
                });
            });
    }

    /// Ends the workers, aborts what is left open, and returns how many workers are stuck in a handler.
    pub(super) fn stop(&mut self) -> usize {
        let shared = &self.shared;
        shared.service.phase.advance(Phase::Forced);
        shared.abort_parked();
        shared.service.phase.advance(Phase::Stopped);
        shared.idle_workers.wake_all();
        let workers = mem::take(&mut self.workers);
        let stuck = join_workers(workers, &shared.activity, &self.workers_done, STOP_GRACE);
        while let Some(ready) = shared.take_queued(false) {
            shared.abort(ready.task);
        }
        shared.abort_parked();
        // The remaining connections are with stuck handlers, or with code that holds an upgraded stream.
        shared.stats.add_aborted(shared.stats.open() as u64);
        stuck
    }
}

/// Waits for stopped workers and returns how many are stuck in a handler: those still in a turn after
/// `grace`. A worker between turns begins no other turn, and runs no handler code until it ends, so it
/// is waited for, even if it gets no processor for a long time.
fn join_workers(
    workers: Vec<JoinHandle<()>>,
    activity: &WorkerActivity,
    done: &Receiver<()>,
    grace: Duration,
) -> usize {
    let deadline = Instant::now() + grace;
    // Workers send nothing; the last one to end disconnects the channel.
    let mut have_ended = false;
    while !have_ended {
        let needs_no_wait = |(worker, count): (&JoinHandle<()>, u64)| {
            worker.is_finished() || Instant::now() >= deadline && is_in_turn(count)
        };
        if workers.iter().zip(activity.counts()).all(needs_no_wait) {
            break;
        }
        have_ended = done.recv_timeout(STOP_TICK) == Err(RecvTimeoutError::Disconnected);
    }
    let (ended, stuck): (Vec<_>, Vec<_>) = workers
        .into_iter()
        .partition(|worker| have_ended || worker.is_finished());
    for worker in ended {
        if worker.join().is_err() {
            error!("a worker panicked");
        }
    }
    stuck.len()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Returns how many workers count as stuck, of one that has marked its activity `marks` times and
    /// runs `work` until it ends.
    fn stuck(marks: u32, work: impl FnOnce() + Send + 'static) -> usize {
        let activity = WorkerActivity::new(1);
        (0..marks).for_each(|_| activity.mark(0));
        let (done, all_done) = crossbeam_channel::bounded(0);
        let worker = thread::spawn(move || {
            work();
            drop(done);
        });
        join_workers(vec![worker], &activity, &all_done, Duration::ZERO)
    }

    #[test]
    fn worker_between_turns_is_waited_for() {
        // Time is the subject: it is in no handler, however long it takes.
        assert_eq!(stuck(2, || thread::sleep(10 * STOP_TICK)), 0);
    }

    #[test]
    fn worker_in_a_turn_counts_as_stuck() {
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let wait = move || {
            let _ = released.recv();
        };
        assert_eq!(stuck(1, wait), 1);
        drop(release);
    }
}
