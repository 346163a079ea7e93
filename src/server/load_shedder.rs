//! What the acceptor does for clients while all workers are busy: it sees who waits, and answers 503
//! to those who have waited too long, or are too many. Handlers run on workers only.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ServerState;
use super::poller::Events;
use super::task::ReadyTask;
use crate::connection::Phase;
use crate::connection::{Admission, WorkerBuffers};
use crate::message::Overload;

/// Events taken from the system at a time: more than come between two rounds.
const EVENTS: usize = 1024;

/// Connections turned away in one round, for the acceptor has more to do: some milliseconds' worth.
const TURNED_AWAY: u64 = 256;

/// Marks in the time after which requests are shed: it is what their 503 may be late by.
const MARKS: u32 = 16;

/// Stands in for workers.
pub(super) struct LoadShedder {
    events: Events,
    desk: WorkerBuffers,
    /// Connections that were taken from the ready channel and put back behind the others.
    returned: u64,
    /// The [end](Self::end) of those that the last round has left.
    latest: u64,
    /// The end of those that are known to have waited for too long.
    late: u64,
    /// Now and then one of a round, the oldest first, as long as somebody who waited then may wait
    /// still.
    marks: VecDeque<Mark>,
}

/// The ready channel as it was at one moment. Nobody can look at the connection that has been in it
/// for longest without taking it, but they leave in the order in which they came.
struct Mark {
    at: Instant,
    end: u64,
}

impl LoadShedder {
    /// For a server with so many workers; it counts as one more.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            events: Events::with_capacity(EVENTS),
            desk: WorkerBuffers::new(workers),
            returned: 0,
            latest: 0,
            late: 0,
            marks: VecDeque::new(),
        }
    }

    /// Goes round once, about each millisecond while the patrol walks.
    pub(super) fn tick(&mut self, shared: &ServerState) {
        if shared.idle_workers.is_neglected() {
            self.gather(shared);
        }
        // In a drain nobody else comes, and who is told to come again finds nobody.
        if shared.phase() < Phase::Draining {
            self.shed(shared, Instant::now());
        }
    }

    /// Puts what the system has events for where any worker finds it, and who waits is seen.
    fn gather(&mut self, shared: &ServerState) {
        shared.look(&mut self.events, Some(Duration::ZERO));
        if shared.enqueue_all(&mut self.events) || self.events.waker_fired() {
            shared.idle_workers.call();
        }
    }

    /// Turns away whoever waits for too long, and the oldest of too many.
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
            self.late = mark.end;
            self.marks.pop_front();
        }
        let count = self.late.saturating_sub(taken);
        let is_late = |job: &ReadyTask| shared.is_late(job.since, now);
        self.turn_away(shared, count, Overload::Late, now, is_late);

        let gap = shared.service.config.queue_timeout / MARKS;
        let is_due = |mark: &Mark| now.saturating_duration_since(mark.at) >= gap;
        if !shared.jobs.is_empty() && self.marks.back().is_none_or(is_due) {
            let end = self.end(shared);
            // After all that it counts have come.
            let at = Instant::now();
            self.marks.push_back(Mark { at, end });
        }
    }

    /// Those that have come since the last round may be taken in a moment, and don't count.
    fn shed_excess(&mut self, shared: &ServerState, now: Instant) {
        let limit = shared.service.config.queue_limit;
        let standing = self.latest.saturating_sub(self.taken(shared));
        let excess = standing.saturating_sub(limit as u64);
        let is_excess = |_: &ReadyTask| shared.jobs.len() >= limit;
        self.turn_away(shared, excess, Overload::Full, now, is_excess);
        self.latest = self.end(shared);
    }

    /// Turns away so many of those who have waited for longest, as long as it is right.
    fn turn_away(
        &mut self,
        shared: &ServerState,
        count: u64,
        why: Overload,
        now: Instant,
        is_right: impl Fn(&ReadyTask) -> bool,
    ) {
        for _ in 0..count.min(TURNED_AWAY) {
            let Ok(job) = shared.jobs.try_recv() else {
                return;
            };
            // A worker may have taken one that was meant.
            let is_right = is_right(&job);
            // An answer that is under way may come from a handler's reader.
            if is_right && !job.client.connection.owes() {
                self.drive(shared, job, why, now);
                continue;
            }
            shared.hand_over(job);
            self.returned += 1;
            if !is_right {
                return;
            }
        }
    }

    fn drive(&mut self, shared: &ServerState, job: ReadyTask, why: Overload, now: Instant) {
        let ReadyTask {
            mut client,
            wake,
            since,
        } = job;
        let index = shared.turns.workers();
        let waited = since.map(|since| now.saturating_duration_since(since));
        shared.waits.note(index, waited);
        let treatment = Admission::Shed(why);
        let verdict = shared.turn(&mut self.desk, &mut client, wake, treatment, now);
        shared.stats.set_answered(index, self.desk.answered());
        if let Some((client, wake)) = shared.follow(client, verdict) {
            shared.hand_over(ReadyTask {
                client,
                wake,
                since: Some(now),
            });
        }
    }

    /// How many connections have been taken from the ready channel.
    fn taken(&self, shared: &ServerState) -> u64 {
        shared.waits.taken() + self.returned
    }

    /// How many will have been when all that are there now are gone.
    fn end(&self, shared: &ServerState) -> u64 {
        self.taken(shared) + shared.jobs.len() as u64
    }
}
