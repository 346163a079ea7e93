//! The deadlines of a connection.

use std::time::{Duration, Instant};

use super::config::Config;
use super::write_queue::Backlog;
use super::{Pending, WaitFor};
use crate::sync::CENTURY;

/// How long a connection reads on after its last response. Otherwise bytes that the client still
/// sends would make the kernel reset the connection and discard the response (RFC 9112 section 9.6).
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// The current wait of a connection. One wait can last over many wake-ups.
#[derive(Debug)]
pub(super) struct Deadlines {
    pending: Option<Pending>,
    since: Instant,
}

impl Deadlines {
    /// The deadlines of a new connection, which waits for its first request from now on.
    pub(super) fn new(now: Instant, config: &Config) -> Self {
        Self::first(now, config.head_timeout)
    }

    /// The deadlines of a new connection that begins with a TLS handshake.
    #[cfg(feature = "_tls")]
    pub(super) fn before_handshake(now: Instant, config: &Config) -> Self {
        Self::first(now, config.handshake_timeout)
    }

    fn first(now: Instant, timeout: Duration) -> Self {
        Self {
            pending: Some(Pending {
                wait_for: WaitFor::FirstRequest,
                deadline: now + timeout,
            }),
            since: now,
        }
    }

    /// The current wait.
    pub(super) fn pending(&self) -> Option<Pending> {
        self.pending
    }

    /// The event that the connection waits for.
    pub(super) fn waits_for(&self) -> Option<WaitFor> {
        self.pending.map(|pending| pending.wait_for)
    }

    /// The event that the connection waits for, if its deadline has passed.
    pub(super) fn overdue(&self, now: Instant) -> Option<WaitFor> {
        let pending = self.pending.filter(|pending| pending.deadline <= now)?;
        Some(pending.wait_for)
    }

    /// When the request began to arrive, if it did not arrive at once.
    pub(super) fn arriving_since(&self) -> Option<Instant> {
        matches!(self.waits_for(), Some(WaitFor::Head | WaitFor::Body)).then_some(self.since)
    }

    /// Ends the current wait.
    pub(super) fn end(&mut self) {
        self.pending = None;
    }

    /// Waits for the next step of a TLS handshake. Its time runs from the start of the connection.
    #[cfg(feature = "_tls")]
    pub(super) fn for_handshake(&mut self, wait_for: WaitFor, config: &Config) -> Pending {
        let deadline = self.since + config.handshake_timeout;
        self.set(Pending { wait_for, deadline })
    }

    /// Waits for the first byte of a request.
    pub(super) fn for_first_byte(&mut self, now: Instant, config: &Config) -> Pending {
        let (wait_for, timeout) = match self.waits_for() {
            Some(wait_for @ WaitFor::FirstRequest) => (wait_for, config.head_timeout),
            _ => (WaitFor::NextRequest, config.idle_timeout),
        };
        let deadline = self.since(wait_for, now) + timeout;
        self.set(Pending { wait_for, deadline })
    }

    /// Waits for the rest of a request head, of which `received` bytes have arrived.
    pub(super) fn for_head(&mut self, received: usize, now: Instant, config: &Config) -> Pending {
        self.for_part(WaitFor::Head, received, config.head_timeout, now, config)
    }

    /// Waits for the rest of a request body, of which `received` bytes have arrived.
    pub(super) fn for_body(&mut self, received: usize, now: Instant, config: &Config) -> Pending {
        self.for_part(WaitFor::Body, received, config.body_timeout, now, config)
    }

    fn for_part(
        &mut self,
        wait_for: WaitFor,
        received: usize,
        timeout: Duration,
        now: Instant,
        config: &Config,
    ) -> Pending {
        let since = self.since(wait_for, now);
        let deadline = config.slowest(since, received as u64).min(since + timeout);
        self.set(Pending { wait_for, deadline })
    }

    /// Waits for room in the socket. The client has just read `progress` bytes of the response.
    pub(super) fn for_room(
        &mut self,
        progress: usize,
        backlog: Backlog,
        now: Instant,
        config: &Config,
    ) -> Pending {
        let wait_for = WaitFor::Room;
        let deadline = match self.pending {
            Some(pending) if pending.wait_for == wait_for && progress == 0 => pending.deadline,
            _ => config
                .slowest(backlog.since, backlog.taken)
                .min(now + config.write_timeout),
        };
        self.set(Pending { wait_for, deadline })
    }

    /// Waits for another thread, which has the response or more of its content. It has no timeout but
    /// its own.
    pub(super) fn for_waker(&mut self, until: Option<Instant>, now: Instant) -> Pending {
        let wait_for = WaitFor::Waker;
        let deadline = until.unwrap_or_else(|| never(now));
        self.set(Pending { wait_for, deadline })
    }

    /// Waits for this event, with a deadline that its protocol has chosen.
    pub(super) fn wait(&mut self, wait_for: WaitFor, deadline: Instant) -> Pending {
        self.set(Pending { wait_for, deadline })
    }

    /// Waits for the client to close the connection.
    pub(super) fn for_peer_close(&mut self, now: Instant) -> Pending {
        let wait_for = WaitFor::PeerClose;
        let deadline = self.since(wait_for, now) + LINGER;
        self.set(Pending { wait_for, deadline })
    }

    fn set(&mut self, pending: Pending) -> Pending {
        *self.pending.insert(pending)
    }

    /// When the wait for this event began. The time for a first request's head runs from the start of
    /// the connection.
    fn since(&mut self, wait_for: WaitFor, now: Instant) -> Instant {
        let continues = match self.waits_for() {
            Some(WaitFor::FirstRequest) => {
                matches!(wait_for, WaitFor::FirstRequest | WaitFor::Head)
            }
            former => former == Some(wait_for),
        };
        if !continues {
            self.since = now;
        }
        self.since
    }
}

/// A moment that no connection lives to see.
pub(super) fn never(now: Instant) -> Instant {
    now + Duration::from_secs(CENTURY)
}

/// The deadline for the next part of a streamed body, after `waited` for `received` bytes. It bounds
/// the rate and the pause, not the whole time, because that would bound the size.
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
    fn head_deadline_follows_rate_up_to_the_timeout() {
        let (config, start) = (config(), Instant::now());
        let mut deadlines = Deadlines::new(start, &config);
        let mut after = |seconds: u32, received: usize| {
            let now = start + seconds * SECOND;
            let pending = deadlines.for_head(received, now, &config);
            assert_eq!(pending.wait_for, WaitFor::Head);
            pending.deadline - start
        };
        assert_eq!(after(0, 0), 5 * SECOND);
        assert_eq!(after(2, 30), 8 * SECOND);
        assert_eq!(after(3, 10_000), 100 * SECOND);
    }

    #[test]
    fn body_deadline_starts_after_the_head() {
        let (config, start) = (config(), Instant::now());
        let mut deadlines = Deadlines::new(start, &config);
        deadlines.for_head(10, start, &config);
        let now = start + 4 * SECOND;
        let pending = deadlines.for_body(0, now, &config);
        assert_eq!(pending.deadline, now + 5 * SECOND);
        let later = now + 3 * SECOND;
        let pending = deadlines.for_body(20, later, &config);
        assert_eq!(pending.deadline, now + 7 * SECOND);
        let pending = deadlines.for_body(5_000, later, &config);
        assert_eq!(pending.deadline, now + 200 * SECOND);
    }

    #[test]
    fn streamed_body_deadline_follows_rate() {
        let (config, now) = (config(), Instant::now());
        let left = |waited: u32, received: u64| {
            part_deadline(now, waited * SECOND, received, &config) - now
        };
        assert_eq!(left(0, 0), 5 * SECOND);
        assert_eq!(left(3, 20), 4 * SECOND);
        // Longer than the timeout of a buffered body.
        assert_eq!(left(1_000, 10_000), 5 * SECOND);
        assert_eq!(left(1_000, 1_000_000), 200 * SECOND);
    }

    #[test]
    fn no_minimum_rate_leaves_only_the_timeout() {
        let config = Config {
            min_rate: 0,
            ..config()
        };
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, &config);
        let pending = deadlines.for_head(1, start, &config);
        assert_eq!(pending.deadline, start + 100 * SECOND);
    }

    #[test]
    fn write_deadline_follows_progress_and_rate() {
        let (config, start) = (config(), Instant::now());
        let mut deadlines = Deadlines::new(start, &config);
        let mut after = |seconds: u32, progress: usize, taken: u64| {
            let backlog = Backlog {
                since: start,
                taken,
            };
            let now = start + seconds * SECOND;
            deadlines.for_room(progress, backlog, now, &config).deadline - start
        };
        assert_eq!(after(0, 0, 0), 5 * SECOND);
        assert_eq!(after(1, 20, 20), 7 * SECOND);
        assert_eq!(after(6, 0, 20), 7 * SECOND, "no progress");
        assert_eq!(after(6, 9_980, 10_000), 56 * SECOND);
    }
}
