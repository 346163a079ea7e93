//! What a connection waits for, since when, and until when.

use std::time::{Duration, Instant};

use super::config::Config;
use super::write_queue::Backlog;
use super::{Pending, WaitFor};
use crate::http1::Progress;

/// How long to go on reading after the last answer, so that what the client still sends does not
/// make the system destroy the answer on its way (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(1);

/// A wait for something goes on over many wake-ups, until that something has come.
#[derive(Debug)]
pub(super) struct Deadlines {
    wait: Option<Pending>,
    since: Instant,
}

impl Deadlines {
    /// A connection's first moment: a request is waited for from now on.
    pub(super) fn new(now: Instant, config: &Config) -> Self {
        Self::first(now, config.head_timeout)
    }

    /// The same for a client that has to agree on TLS before.
    #[cfg(feature = "_tls")]
    pub(super) fn before_handshake(now: Instant, config: &Config) -> Self {
        Self::first(now, config.handshake_timeout)
    }

    fn first(now: Instant, deadlines: Duration) -> Self {
        Self {
            wait: Some(Pending {
                what: WaitFor::FirstRequest,
                deadline: now + deadlines,
            }),
            since: now,
        }
    }

    /// The wait that goes on.
    pub(super) fn wait(&self) -> Option<Pending> {
        self.wait
    }

    /// What is waited for.
    pub(super) fn waits_for(&self) -> Option<WaitFor> {
        self.wait.map(|wait| wait.what)
    }

    /// What is waited for although its deadline has passed.
    pub(super) fn overdue(&self, now: Instant) -> Option<WaitFor> {
        let wait = self.wait.filter(|wait| wait.deadline <= now)?;
        Some(wait.what)
    }

    /// Since when the request that is here, or a part of it, has been coming in parts.
    pub(super) fn arriving_since(&self) -> Option<Instant> {
        matches!(self.waits_for(), Some(WaitFor::Head | WaitFor::Body)).then_some(self.since)
    }

    /// What was waited for has come.
    pub(super) fn end(&mut self) {
        self.wait = None;
    }

    /// Waits for the next step of a handshake, whose time runs from the connection's first moment.
    #[cfg(feature = "_tls")]
    pub(super) fn for_handshake(&mut self, what: WaitFor, config: &Config) -> Pending {
        let deadline = self.since + config.handshake_timeout;
        self.until(Pending { what, deadline })
    }

    /// Waits for more of a request that has come this far, and of whose head or body this much
    /// is here.
    pub(super) fn for_request(
        &mut self,
        progress: Progress,
        received: usize,
        now: Instant,
        config: &Config,
    ) -> Pending {
        let what = match progress {
            Progress::Nothing if self.waits_for() == Some(WaitFor::FirstRequest) => {
                WaitFor::FirstRequest
            }
            Progress::Nothing => WaitFor::NextRequest,
            Progress::Head => WaitFor::Head,
            Progress::Body => WaitFor::Body,
        };
        let since = self.since(what, now);
        let deadline = match what {
            WaitFor::FirstRequest => since + config.head_timeout,
            WaitFor::Head => config
                .slowest(since, received as u64)
                .min(since + config.head_timeout),
            WaitFor::Body => config
                .slowest(since, received as u64)
                .min(since + config.body_timeout),
            _ => since + config.idle_timeout,
        };
        self.until(Pending { what, deadline })
    }

    /// Waits for the client to take more of its answer, of which it has just taken this much.
    pub(super) fn for_room(
        &mut self,
        progress: usize,
        owed: Backlog,
        now: Instant,
        config: &Config,
    ) -> Pending {
        let what = WaitFor::Room;
        let deadline = match self.wait {
            Some(wait) if wait.what == what && progress == 0 => wait.deadline,
            _ => config
                .slowest(owed.since, owed.taken)
                .min(now + config.write_timeout),
        };
        self.until(Pending { what, deadline })
    }

    /// Waits for the client's own end.
    pub(super) fn for_goodbye(&mut self, now: Instant) -> Pending {
        let what = WaitFor::Goodbye;
        let deadline = self.since(what, now) + LINGER;
        self.until(Pending { what, deadline })
    }

    fn until(&mut self, wait: Pending) -> Pending {
        *self.wait.insert(wait)
    }

    /// Since when this is waited for. A first request's time runs from the connection's first
    /// moment.
    fn since(&mut self, what: WaitFor, now: Instant) -> Instant {
        let goes_on = match self.waits_for() {
            Some(WaitFor::FirstRequest) => matches!(what, WaitFor::FirstRequest | WaitFor::Head),
            former => former == Some(what),
        };
        if !goes_on {
            self.since = now;
        }
        self.since
    }
}

/// Until when the next part of a body must be here that its handler reads, after waiting this long
/// for this much. A whole time would be a limit of its size.
pub(super) fn part_deadline(
    now: Instant,
    waited: Duration,
    received: u64,
    config: &Config,
) -> Instant {
    config
        .slowest(now - waited, received)
        .min(now + config.body_timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn config() -> Config {
        Config {
            head_timeout: 100 * SECOND,
            body_timeout: 200 * SECOND,
            idle_timeout: 300 * SECOND,
            write_timeout: 50 * SECOND,
            min_rate: 10,
            min_rate_grace: 5 * SECOND,
            ..Config::default()
        }
    }

    #[test]
    fn a_head_has_the_time_that_its_rate_gives_it_and_no_more_than_the_whole() {
        let (config, start) = (config(), Instant::now());
        let mut deadlines = Deadlines::new(start, &config);
        let mut after = |seconds: u32, received: usize| {
            let now = start + seconds * SECOND;
            let wait = deadlines.for_request(Progress::Head, received, now, &config);
            assert_eq!(wait.what, WaitFor::Head);
            wait.deadline - start
        };
        assert_eq!(after(0, 0), 5 * SECOND);
        assert_eq!(after(2, 30), 8 * SECOND);
        assert_eq!(after(3, 10_000), 100 * SECOND);
    }

    #[test]
    fn a_body_has_a_time_of_its_own() {
        let (config, start) = (config(), Instant::now());
        let mut deadlines = Deadlines::new(start, &config);
        deadlines.for_request(Progress::Head, 10, start, &config);
        let now = start + 4 * SECOND;
        let wait = deadlines.for_request(Progress::Body, 0, now, &config);
        assert_eq!(wait.deadline, now + 5 * SECOND);
        let later = now + 3 * SECOND;
        let wait = deadlines.for_request(Progress::Body, 20, later, &config);
        assert_eq!(wait.deadline, now + 7 * SECOND);
        let wait = deadlines.for_request(Progress::Body, 5_000, later, &config);
        assert_eq!(wait.deadline, now + 200 * SECOND);
    }

    #[test]
    fn a_body_that_is_read_while_it_comes_has_the_time_that_its_rate_gives_it() {
        let (config, now) = (config(), Instant::now());
        let left = |waited: u32, received: u64| {
            part_deadline(now, waited * SECOND, received, &config) - now
        };
        assert_eq!(left(0, 0), 5 * SECOND);
        assert_eq!(left(3, 20), 4 * SECOND);
        // Longer than a whole body may take.
        assert_eq!(left(1_000, 10_000), 5 * SECOND);
        assert_eq!(left(1_000, 1_000_000), 200 * SECOND);
    }

    #[test]
    fn without_a_rate_only_the_whole_time_counts() {
        let config = Config {
            min_rate: 0,
            ..config()
        };
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, &config);
        let wait = deadlines.for_request(Progress::Head, 1, start, &config);
        assert_eq!(wait.deadline, start + 100 * SECOND);
    }

    #[test]
    fn an_answer_must_be_taken_byte_by_byte_and_as_a_whole() {
        let (config, start) = (config(), Instant::now());
        let mut deadlines = Deadlines::new(start, &config);
        let mut after = |seconds: u32, progress: usize, taken: u64| {
            let owed = Backlog {
                since: start,
                taken,
            };
            let now = start + seconds * SECOND;
            deadlines.for_room(progress, owed, now, &config).deadline - start
        };
        assert_eq!(after(0, 0, 0), 5 * SECOND);
        assert_eq!(after(1, 20, 20), 7 * SECOND);
        assert_eq!(after(6, 0, 20), 7 * SECOND, "nothing was taken");
        assert_eq!(after(6, 9_980, 10_000), 56 * SECOND);
    }
}
