//! How a drain ends connections that are idle, and connections that never stop sending.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Phase;
use super::{Connection, Service, WakeReason, WorkerBuffers};

/// The time in which a draining server still takes new requests. It runs from the last event after
/// which a client may be about to send one: the start of the drain, a new connection, the end of a
/// TLS handshake or of a proxy's header.
#[derive(Debug)]
pub(crate) struct Grace {
    length: Duration,
    epoch: Instant,
    /// Nanoseconds from the epoch to the last event.
    since: AtomicU64,
}

/// How much more a connection may receive. What had arrived when the limit was set is answered in
/// full. Beyond that, only the request that has begun is completed.
#[derive(Debug)]
pub(super) struct ReadLimit {
    /// Bytes received over the connection's life when the limit is reached.
    until: u64,
    /// Bytes received when the latest request was complete.
    received: u64,
}

impl Grace {
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            length,
            epoch: Instant::now(),
            since: AtomicU64::new(0),
        }
    }

    /// The time begins again, unless it has already begun later than that.
    pub(crate) fn begin(&self, now: Instant) {
        let since = now.saturating_duration_since(self.epoch).as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        // Most events are of a server that does not drain, and the first look is the cheaper one.
        if since > self.since.load(Ordering::SeqCst) {
            self.since.fetch_max(since, Ordering::SeqCst);
        }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let since = Duration::from_nanos(self.since.load(Ordering::SeqCst));
        now.saturating_duration_since(self.epoch) >= since + self.length
    }
}

impl ReadLimit {
    fn new(received: u64, unread: u64) -> Self {
        Self {
            until: received + unread,
            received,
        }
    }

    /// Whether the request that has just been completed is the last one, after so many bytes.
    fn is_last(&mut self, received: u64, is_more_here: bool) -> bool {
        let was_reached = self.received >= self.until;
        let needed_more = received > self.received;
        self.received = received;
        was_reached && needed_more || received >= self.until && !is_more_here
    }
}

impl Service {
    /// Whether the server drains and has waited long enough for requests that are not here.
    pub(super) fn takes_no_more(&self, now: Instant) -> bool {
        self.phase.get() >= Phase::Draining && self.grace.is_over(now)
    }

    /// A connection that is found to be idle now is closed as if it had been recalled.
    pub(super) fn recalling(&self, wake: WakeReason, now: Instant) -> WakeReason {
        match wake {
            WakeReason::Ready if self.takes_no_more(now) => WakeReason::Recalled,
            _ => wake,
        }
    }
}

impl Connection {
    /// Whether the request that has just been completed is the last one because the connection is
    /// read no further. A client that sends requests without end would never be answered the last
    /// one otherwise.
    pub(super) fn is_read_to_its_end(
        &mut self,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> bool {
        let received = self.socket.received();
        if self.read_limit.is_none() {
            let is_limited =
                self.socket.keys_near_limit() || service.takes_no_more(buffers.catch_up());
            if !is_limited {
                return false;
            }
            let unread = self.socket.unread() as u64;
            self.read_limit = Some(Box::new(ReadLimit::new(received, unread)));
        }
        let limit = self.read_limit.as_mut();
        limit.is_some_and(|limit| limit.is_last(received, !buffers.input.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_millis(100);

    #[test]
    fn grace_runs_from_the_last_event() {
        let grace = Grace::new(GRACE);
        let start = grace.epoch + Duration::from_secs(1);
        grace.begin(start);
        let late = start + Duration::from_secs(60);
        assert!(grace.is_over(late));
        grace.begin(late);
        assert!(!grace.is_over(late));
        assert!(!grace.is_over(late + GRACE - Duration::from_nanos(1)));
        assert!(grace.is_over(late + GRACE));
        // The clock of another thread may be behind.
        grace.begin(start);
        assert!(!grace.is_over(late));
    }

    #[test]
    fn all_that_had_arrived_is_within_the_limit() {
        let mut limit = ReadLimit::new(1_000, 500);
        assert!(!limit.is_last(1_000, true), "in the buffer before");
        assert!(!limit.is_last(1_000, false), "the buffer is empty");
        assert!(!limit.is_last(1_400, false), "100 bytes have not been read");
        assert!(limit.is_last(1_500, false));
    }

    #[test]
    fn one_request_is_completed_beyond_the_limit() {
        let mut limit = ReadLimit::new(1_000, 500);
        assert!(!limit.is_last(2_000, true), "a receive brings what follows");
        assert!(!limit.is_last(2_000, true), "which is answered, too");
        assert!(limit.is_last(2_100, true), "but nothing more is received");
        let mut limit = ReadLimit::new(1_000, 0);
        assert!(!limit.is_last(1_000, true));
        assert!(limit.is_last(1_000, false));
    }

    /// The client of a TLS 1.2 handshake sends its request only when it has heard of its end.
    #[cfg(feature = "_tls")]
    #[test]
    fn grace_begins_again_with_the_end_of_a_handshake() {
        use std::os::unix::net::UnixStream;

        use crate::connection::tests::{serve, tls};
        use crate::connection::{Admission, Connection, DriveResult, WaitFor};
        use crate::message::{PeerAddr, Request};
        use crate::net::ListenerProtocol;
        use crate::net::transport::Socket;

        let start = Instant::now();
        let (config, believing) = tls::parties();
        let mut client = tls::client(&believing);
        let (mut theirs, ours) = UnixStream::pair().expect("a pair of sockets can be made");
        for socket in [&theirs, &ours] {
            let set = socket.set_nonblocking(true);
            set.expect("a socket can be made non-blocking");
        }
        let service = serve(|_: Request| "yes");
        let ours = Socket::new(ours.into()).with_tls(config.config());
        let ours = ours.expect("the configuration is right");
        let opening = ListenerProtocol::default().over(config);
        let mut connection = Connection::new(ours, PeerAddr::UNIX, &opening, start, &service);
        service.phase.advance(Phase::Draining);
        let late = start + Duration::from_secs(5);
        let mut buffers = WorkerBuffers::new(0);
        let mut drive = |now| {
            let wake = service.recalling(WakeReason::Ready, now);
            connection.drive(wake, Admission::Handle, now, &mut buffers, &service)
        };
        let verdict = loop {
            // What there is no room or no byte for comes in the next round.
            while client.wants_write() && client.write_tls(&mut theirs).is_ok() {}
            let verdict = drive(late);
            while client.read_tls(&mut theirs).is_ok_and(|count| count > 0) {}
            client.process_new_packets().expect("the server speaks TLS");
            let is_over =
                matches!(verdict, DriveResult::Park(wait) if wait.what != WaitFor::Handshake);
            if is_over || matches!(verdict, DriveResult::Close(_)) {
                break verdict;
            }
        };
        let first = |verdict: &DriveResult| matches!(verdict, DriveResult::Park(wait) if wait.what == WaitFor::FirstRequest);
        assert!(first(&verdict), "{verdict:?}");
        assert!(!client.is_handshaking());
        let grace = service.config.drain_idle;
        let verdict = drive(late + grace - Duration::from_nanos(1));
        assert!(first(&verdict), "{verdict:?}");
        let verdict = drive(late + grace);
        assert!(matches!(verdict, DriveResult::Close(_)), "{verdict:?}");
    }
}
