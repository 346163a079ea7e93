//! Sheds load on the acceptor's thread while all workers are busy: it queues ready connections and
//! responds 503 to those that have waited too long or exceed the queue limit. It also drives
//! multiplexed connections without their handlers ([`protocol`]). Handlers run on workers only.

mod protocol;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::protocol::LendWatch;
use super::ServerState;
use super::connection_waker::ServerWakerSource;
use super::poller::Events;
use super::task::ReadyTask;
use crate::connection::{Admission, Phase, WorkerBuffers};
use crate::message::Overload;
use crate::sync;
use crate::sync::atomic::Ordering;

/// Events taken from epoll at a time: more than arrive between two rounds.
const EVENTS: usize = 1024;

/// Connections shed in one round: a few milliseconds' work, because the acceptor has other tasks.
const MAX_SHED_PER_ROUND: u64 = 256;

/// The scans of the ready channel take at most one part in this many of the time, unless a handler
/// waits for content: the channel may be long.
const SCAN_SHARE: u32 = 10;

/// Marks per queue timeout: a 503 may be late by the timeout divided by this number.
const MARKS: u32 = 16;

/// Queues and sheds ready connections in place of busy workers.
pub(super) struct LoadShedder {
    events: Events,
    buffers: WorkerBuffers,
    lend_watch: LendWatch,
    /// Connections that were taken from the ready channel and not counted as waits: most were put back
    /// behind the others.
    requeued: u64,
    /// The channel's [end](Self::end) after the last round.
    last_end: u64,
    /// The end of the connections known to have waited too long.
    late_end: u64,
    /// Marks of earlier rounds, the oldest first, kept while a connection that waited then may still
    /// be waiting.
    marks: VecDeque<Mark>,
    /// When the ready channel is next scanned for multiplexed connections.
    next_scan: Instant,
    /// The workers' turns in all at the last round.
    turns: u64,
}

/// The state of the ready channel at one moment. The oldest connection can't be inspected without
/// taking it, but connections leave the channel in the order of their arrival.
struct Mark {
    at: Instant,
    end: u64,
}

impl LoadShedder {
    /// Creates the load shedder of a server. Its index is the one behind the workers'.
    pub(super) fn new(shared: &Arc<ServerState>) -> Self {
        let workers = shared.activity.workers();
        let mut buffers = WorkerBuffers::new(workers);
        buffers.set_waker_source(Arc::new(ServerWakerSource::new(shared)));
        Self {
            events: Events::with_capacity(EVENTS),
            buffers,
            lend_watch: LendWatch::new(workers),
            requeued: 0,
            last_end: 0,
            late_end: 0,
            marks: VecDeque::new(),
            next_scan: sync::now(),
            turns: 0,
        }
    }

    /// Makes one round, about once a millisecond while the stall detector runs.
    pub(super) fn tick(&mut self, shared: &ServerState) {
        let turns = shared.activity.counts().fold(0, u64::wrapping_add);
        // While workers take connections from the channel, those in it wait for their turn there.
        let are_stuck = mem::replace(&mut self.turns, turns) == turns;
        if shared.idle_workers.is_neglected() {
            self.queue_events(shared, are_stuck);
        }
        self.take_overdue(shared);
        let now = sync::now();
        let is_scan_due = are_stuck && now >= self.next_scan;
        if is_scan_due || shared.service.streaming.load(Ordering::Relaxed) > 0 {
            self.drive_queued(shared);
            self.next_scan = sync::now() + sync::elapsed(now) * SCAN_SHARE;
        }
        // The queue of a draining server shrinks by itself, and a client that retries would find no
        // server.
        if shared.phase() < Phase::Draining {
            self.shed(shared, sync::now());
        }
    }

    /// Moves connections with pending events into the ready channel, where their waiting is counted.
    /// If all workers are stuck, multiplexed connections are driven first.
    fn queue_events(&mut self, shared: &ServerState, are_stuck: bool) {
        let Self {
            events, buffers, ..
        } = self;
        shared.poll(events, Some(Duration::ZERO));
        let is_any_queued = shared.enqueue_some(events, |ready| {
            match are_stuck && ready.task.connection.is_multiplexed() {
                true => shared.drive_protocol(buffers, ready),
                false => Some(ready),
            }
        });
        if self.events.waker_fired() {
            shared.idle_workers.return_wakeup();
        }
        if is_any_queued || self.events.waker_fired() {
            shared.idle_workers.wake_one();
        }
    }

    /// Sheds connections that have waited too long, and the oldest beyond the queue limit.
    fn shed(&mut self, shared: &ServerState, now: Instant) {
        self.shed_late(shared, now);
        self.shed_excess(shared, now);
    }

    fn shed_late(&mut self, shared: &ServerState, now: Instant) {
        let taken = self.taken(shared);
        while self.marks.front().is_some_and(|mark| mark.end <= taken) {
            self.marks.pop_front();
        }
        while let Some(mark) = self.marks.front()
            && shared.is_late(Some(mark.at), now)
        {
            self.late_end = mark.end;
            self.marks.pop_front();
        }
        let count = self.late_end.saturating_sub(taken);
        let is_late = |ready: &ReadyTask| shared.is_late(ready.since, now);
        self.shed_oldest(shared, count, Overload::Late, now, is_late);

        let gap = shared.service.config.queue_timeout / MARKS;
        let is_due = |mark: &Mark| now.saturating_duration_since(mark.at) >= gap;
        if !shared.ready_rx.is_empty() && self.marks.back().is_none_or(is_due) {
            let end = self.end(shared);
            // The time is read after all counted connections have arrived.
            let at = sync::now();
            self.marks.push_back(Mark { at, end });
        }
    }

    /// Sheds beyond the queue limit. Connections queued since the last round do not count, because a
    /// worker may be about to take them.
    fn shed_excess(&mut self, shared: &ServerState, now: Instant) {
        let limit = shared.service.config.queue_limit;
        let standing = self.last_end.saturating_sub(self.taken(shared));
        let excess = standing.saturating_sub(limit as u64);
        let is_excess = |_: &ReadyTask| shared.ready_rx.len() >= limit;
        self.shed_oldest(shared, excess, Overload::Full, now, is_excess);
        self.last_end = self.end(shared);
    }

    /// Sheds up to `count` of the oldest connections, while `must_shed` holds.
    fn shed_oldest(
        &mut self,
        shared: &ServerState,
        count: u64,
        reason: Overload,
        now: Instant,
        must_shed: impl Fn(&ReadyTask) -> bool,
    ) {
        for _ in 0..count.min(MAX_SHED_PER_ROUND) {
            let Ok(ready) = shared.ready_rx.try_recv() else {
                return;
            };
            // A worker may have taken the intended connection.
            let must_shed = must_shed(&ready);
            if must_shed && ready.task.connection.may_be_shed() {
                self.drive(shared, ready, reason, now);
                continue;
            }
            shared.hand_over(ready);
            self.requeued += 1;
            if !must_shed {
                return;
            }
        }
    }

    fn drive(&mut self, shared: &ServerState, ready: ReadyTask, reason: Overload, now: Instant) {
        let ReadyTask {
            mut task,
            wake,
            since,
        } = ready;
        let index = shared.activity.workers();
        let waited = since.map(|since| now.saturating_duration_since(since));
        shared.queue_times.note(index, waited);
        let admission = match reason {
            Overload::Late => {
                ServerState::admission_when_late(&task.connection, Admission::Protocol)
            }
            Overload::Full => Admission::Shed(reason),
        };
        let result = shared.drive(&mut self.buffers, &mut task, wake, admission, now);
        shared.stats.set_answered(index, self.buffers.answered());
        if let Some((task, wake)) = shared.apply_result(task, result) {
            shared.hand_over(ReadyTask {
                task,
                wake,
                since: Some(now),
            });
        }
    }

    /// Connections taken from the ready channel so far.
    fn taken(&self, shared: &ServerState) -> u64 {
        shared.queue_times.taken() + self.requeued
    }

    /// The value of [`taken`](Self::taken) once all connections now in the channel are gone.
    fn end(&self, shared: &ServerState) -> u64 {
        self.taken(shared) + shared.ready_rx.len() as u64
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
