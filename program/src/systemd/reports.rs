//! What the manager hears while the server runs: how it is, and that it moves.

use std::fmt;
use std::time::{Duration, Instant};

use httpool::{Handle, Heartbeat, Phase, Snapshot};
use sd_notify::NotifyState;

use super::notify::{self, notify};

/// How often the manager hears how the server is.
const PULSE: Duration = Duration::from_secs(1);

/// The same for a watchdog that is in a hurry.
const MOMENT: Duration = Duration::from_millis(10);

/// How long the manager is asked to be patient, each time it hears that the drain goes on. Several
/// pulses long, so that a machine under load may miss some.
const PATIENCE: Duration = Duration::from_secs(15);

/// How much longer than its drain the program may take to end: what is left of logs is written, and the
/// servers beside it stop.
const LEAVING: Duration = Duration::from_secs(5);

/// What the manager hears while the server runs.
#[derive(Debug)]
pub(crate) struct Reports {
    /// The manager restarts what it has not heard from for so long.
    watchdog: Option<Duration>,
    /// How long the end takes if all goes well.
    longest_end: Duration,
    end_began: Option<Instant>,
    seen: Heartbeat,
    answered: u64,
    standstill: Option<Standstill>,
    status: String,
}

/// Where the server stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Serving,
    /// It has a deadline for this, and handlers may use all of it.
    Draining,
    /// That deadline has passed.
    Overdue,
}

/// What has not moved since the last look, though it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standstill {
    Acceptor,
    Workers,
}

impl Reports {
    /// Reports on this server, which drains for so long at most.
    pub(crate) fn new(handle: &Handle, longest_drain: Duration) -> Self {
        Self {
            watchdog: notify::watchdog(),
            longest_end: longest_drain.saturating_add(LEAVING),
            end_began: None,
            seen: handle.heartbeat(),
            answered: 0,
            standstill: None,
            status: String::new(),
        }
    }

    /// How often the manager is to hear, if there is one. The watchdog hears three times before it
    /// would act, so that one late look is no restart.
    pub(crate) fn interval(&self) -> Option<Duration> {
        notify::socket()?;
        let watchdog = self.watchdog.map(|patience| patience / 3);
        Some(watchdog.map_or(PULSE, |interval| interval.clamp(MOMENT, PULSE)))
    }

    /// Tells how the server is, and that it moves, if it does.
    pub(crate) fn tell(&mut self, handle: &Handle) {
        let (progress, heartbeat) = (handle.snapshot(), handle.heartbeat());
        let course = self.course(progress.phase);
        let drains = course != Course::Serving;
        let acceptor_moves = heartbeat.acceptor_moved_since(&self.seen);
        let work_moves = match course {
            Course::Serving => heartbeat.moved_since(&self.seen),
            Course::Draining | Course::Overdue => progress.answered > self.answered,
        };
        let standstill = standstill(course, acceptor_moves, work_moves);
        let status = status(&progress);
        let mut states = Vec::new();
        if drains {
            states.push(NotifyState::Stopping);
        }
        if drains && standstill.is_none() {
            let patience = PATIENCE.as_micros().try_into().unwrap_or(u32::MAX);
            states.push(NotifyState::ExtendTimeoutUsec(patience));
        }
        if drains || status != self.status {
            states.push(NotifyState::Status(&status));
        }
        if self.watchdog.is_some() && standstill.is_none() {
            states.push(NotifyState::Watchdog);
        }
        notify(&states);
        // Handlers that take long are no news where nobody acts on it, nor is that a drain has time.
        let is_news = match course {
            Course::Serving => self.watchdog.is_some(),
            Course::Draining | Course::Overdue => standstill.is_some(),
        };
        if is_news {
            self.note(standstill);
        }
        self.seen = heartbeat;
        self.answered = progress.answered;
        self.status = status;
    }

    fn course(&mut self, phase: Phase) -> Course {
        if phase == Phase::Running {
            return Course::Serving;
        }
        let began = self.end_began.get_or_insert_with(Instant::now);
        if began.elapsed() < self.longest_end {
            Course::Draining
        } else {
            Course::Overdue
        }
    }

    /// Says it once, however long it lasts.
    fn note(&mut self, standstill: Option<Standstill>) {
        if standstill == self.standstill {
            return;
        }
        match standstill {
            Some(standstill) => log::warn!("{standstill}"),
            None => log::info!("the server makes progress again"),
        }
        self.standstill = standstill;
    }
}

fn standstill(course: Course, acceptor_moves: bool, work_moves: bool) -> Option<Standstill> {
    match course {
        Course::Serving if !acceptor_moves => Some(Standstill::Acceptor),
        Course::Serving if !work_moves => Some(Standstill::Workers),
        Course::Overdue if !acceptor_moves && !work_moves => Some(Standstill::Acceptor),
        Course::Serving | Course::Draining | Course::Overdue => None,
    }
}

fn status(progress: &Snapshot) -> String {
    let Snapshot {
        open,
        answered,
        busy,
        workers,
        ..
    } = progress;
    let word = if progress.phase > Phase::Running {
        "draining"
    } else {
        "serving"
    };
    format!(
        "{word}: {open} connections open, {busy} of {workers} workers busy, \
         {answered} requests answered"
    )
}

impl fmt::Display for Standstill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acceptor => "the acceptor has made no progress since the last check",
            Self::Workers => "the workers have made no progress since the last check",
        })
    }
}

#[cfg(test)]
mod tests {
    use httpool::Server;

    use super::*;

    #[test]
    fn what_should_move_and_does_not_stands_still() {
        use Course::{Draining, Overdue, Serving};
        use Standstill::{Acceptor, Workers};
        #[track_caller]
        fn check(course: Course, acceptor: bool, work: bool, expected: Option<Standstill>) {
            assert_eq!(standstill(course, acceptor, work), expected);
        }
        check(Serving, true, true, None);
        check(Serving, true, false, Some(Workers));
        check(Serving, false, false, Some(Acceptor));
        check(Draining, true, false, None);
        check(Draining, false, false, None);
        check(Overdue, true, false, None);
        check(Overdue, false, true, None);
        check(Overdue, false, false, Some(Acceptor));
    }

    #[test]
    fn an_end_is_overdue_when_its_own_time_is_over() {
        #[track_caller]
        fn check(longest_drain: Duration, since: Duration, expected: Course) {
            let server = Server::builder().listen("127.0.0.1:0").bind();
            let handle = server.expect("loopback has a free port").handle();
            let mut reports = Reports::new(&handle, longest_drain);
            assert_eq!(reports.course(Phase::Running), Course::Serving);
            assert_eq!(reports.course(Phase::Announcing), Course::Draining);
            reports.end_began = Instant::now().checked_sub(since);
            assert_eq!(reports.course(Phase::Draining), expected);
            assert_eq!(reports.course(Phase::Stopped), expected);
        }
        let second = Duration::from_secs(1);
        check(second, second, Course::Draining);
        check(second, second + LEAVING, Course::Overdue);
        check(Duration::MAX, second + LEAVING, Course::Draining);
    }
}
