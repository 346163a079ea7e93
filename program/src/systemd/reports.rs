//! Regular reports to the service manager: a status line, and watchdog messages while the server
//! makes progress.

use std::fmt;
use std::time::{Duration, Instant};

use httpool::{Handle, Heartbeat, Phase, Snapshot};
use sd_notify::NotifyState;

use super::notify::{self, notify};

/// Time between two reports.
const INTERVAL: Duration = Duration::from_secs(1);

/// Shortest time between two reports, for a watchdog with a very short timeout.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// The extension of the stop timeout that each report of a drain asks for. It lasts several
/// intervals, so that a machine under load may miss some reports.
const STOP_EXTENSION: Duration = Duration::from_secs(15);

/// Time that the program may need after the drain, to write the rest of the logs and to stop the
/// side servers.
const EXIT_TIME: Duration = Duration::from_secs(5);

/// Reports to the manager while the server runs.
#[derive(Debug)]
pub(crate) struct Reports {
    /// The manager restarts the service after this time without a watchdog message.
    watchdog: Option<Duration>,
    /// Longest time from the signal to the end of the program, if there is no fault.
    longest_shutdown: Duration,
    shutdown_began: Option<Instant>,
    /// The heartbeat, responses, stall and status line of the last report.
    last: Heartbeat,
    answered: u64,
    stall: Option<Stall>,
    status: String,
}

/// The phase of the server, as the reports distinguish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportPhase {
    Serving,
    /// Handlers may use all the time until the deadline of the drain.
    Draining,
    /// The deadline of the drain has passed.
    Overdue,
}

/// A part of the server that has made no progress since the last report, although it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stall {
    Acceptor,
    Workers,
}

impl Reports {
    /// Reports for this server, whose drain takes at most `longest_drain`.
    pub(crate) fn new(handle: &Handle, longest_drain: Duration) -> Self {
        Self {
            watchdog: notify::watchdog(),
            longest_shutdown: longest_drain.saturating_add(EXIT_TIME),
            shutdown_began: None,
            last: handle.heartbeat(),
            answered: 0,
            stall: None,
            status: String::new(),
        }
    }

    /// Time between two reports; `None` if there is no manager. Three reports fit into the timeout
    /// of the watchdog, so that one late report causes no restart.
    pub(crate) fn interval(&self) -> Option<Duration> {
        notify::socket()?;
        let watchdog = self.watchdog.map(|timeout| timeout / 3);
        Some(watchdog.map_or(INTERVAL, |interval| interval.clamp(MIN_INTERVAL, INTERVAL)))
    }

    /// Sends a report, with a watchdog message if the server makes progress.
    pub(crate) fn send(&mut self, handle: &Handle) {
        let (snapshot, heartbeat) = (handle.snapshot(), handle.heartbeat());
        let phase = self.phase(snapshot.phase);
        let drains = phase != ReportPhase::Serving;
        let acceptor_moves = heartbeat.acceptor_moved_since(&self.last);
        let work_moves = match phase {
            ReportPhase::Serving => heartbeat.moved_since(&self.last),
            ReportPhase::Draining | ReportPhase::Overdue => snapshot.answered > self.answered,
        };
        let stall = stall(phase, acceptor_moves, work_moves);
        let status = status(&snapshot);
        let mut states = Vec::new();
        if drains {
            states.push(NotifyState::Stopping);
        }
        if drains && stall.is_none() {
            let timeout = STOP_EXTENSION.as_micros().try_into().unwrap_or(u32::MAX);
            states.push(NotifyState::ExtendTimeoutUsec(timeout));
        }
        if drains || status != self.status {
            states.push(NotifyState::Status(&status));
        }
        if self.watchdog.is_some() && stall.is_none() {
            states.push(NotifyState::Watchdog);
        }
        notify(&states);
        // Log a stall only if it has a consequence. While serving, that is if there is a watchdog;
        // during a drain, after its deadline.
        let is_relevant = match phase {
            ReportPhase::Serving => self.watchdog.is_some(),
            ReportPhase::Draining | ReportPhase::Overdue => stall.is_some(),
        };
        if is_relevant {
            self.log_change(stall);
        }
        self.last = heartbeat;
        self.answered = snapshot.answered;
        self.status = status;
    }

    fn phase(&mut self, phase: Phase) -> ReportPhase {
        if phase == Phase::Running {
            return ReportPhase::Serving;
        }
        let began = self.shutdown_began.get_or_insert_with(Instant::now);
        if began.elapsed() < self.longest_shutdown {
            ReportPhase::Draining
        } else {
            ReportPhase::Overdue
        }
    }

    /// Logs each change once, however long it lasts.
    fn log_change(&mut self, stall: Option<Stall>) {
        if stall == self.stall {
            return;
        }
        match stall {
            Some(stall) => log::warn!("{stall}"),
            None => log::info!("the server makes progress again"),
        }
        self.stall = stall;
    }
}

fn stall(phase: ReportPhase, acceptor_moves: bool, work_moves: bool) -> Option<Stall> {
    match phase {
        ReportPhase::Serving if !acceptor_moves => Some(Stall::Acceptor),
        ReportPhase::Serving if !work_moves => Some(Stall::Workers),
        ReportPhase::Overdue if !acceptor_moves && !work_moves => Some(Stall::Acceptor),
        ReportPhase::Serving | ReportPhase::Draining | ReportPhase::Overdue => None,
    }
}

fn status(snapshot: &Snapshot) -> String {
    let Snapshot {
        open,
        answered,
        busy,
        workers,
        ..
    } = snapshot;
    let word = if snapshot.phase > Phase::Running {
        "draining"
    } else {
        "serving"
    };
    format!("{word}: {open} connections, {busy} of {workers} workers busy, {answered} responses")
}

impl fmt::Display for Stall {
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
    fn missing_progress_is_a_stall_where_it_is_due() {
        use ReportPhase::{Draining, Overdue, Serving};
        use Stall::{Acceptor, Workers};
        #[track_caller]
        fn check(phase: ReportPhase, acceptor: bool, work: bool, expected: Option<Stall>) {
            assert_eq!(stall(phase, acceptor, work), expected);
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
    fn shutdown_is_overdue_after_its_longest_time() {
        #[track_caller]
        fn check(longest_drain: Duration, since: Duration, expected: ReportPhase) {
            let server = Server::builder().listen("127.0.0.1:0").bind();
            let handle = server.expect("loopback has a free port").handle();
            let mut reports = Reports::new(&handle, longest_drain);
            assert_eq!(reports.phase(Phase::Running), ReportPhase::Serving);
            assert_eq!(reports.phase(Phase::Announcing), ReportPhase::Draining);
            reports.shutdown_began = Instant::now().checked_sub(since);
            assert_eq!(reports.phase(Phase::Draining), expected);
            assert_eq!(reports.phase(Phase::Stopped), expected);
        }
        let second = Duration::from_secs(1);
        check(second, second, ReportPhase::Draining);
        check(second, second + EXIT_TIME, ReportPhase::Overdue);
        check(Duration::MAX, second + EXIT_TIME, ReportPhase::Draining);
    }
}
