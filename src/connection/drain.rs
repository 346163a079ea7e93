//! The time in which a drain still takes new requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Phase;
use super::{Service, WakeReason};
use crate::sync;

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

impl Grace {
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            length,
            epoch: sync::now(),
            since: AtomicU64::new(0),
        }
    }

    /// Restarts the time, unless a later event has already restarted it.
    pub(crate) fn begin(&self, now: Instant) {
        let since = now.saturating_duration_since(self.epoch).as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        // Loading first is cheaper: most events find a value that is up to date.
        if since > self.since.load(Ordering::SeqCst) {
            self.since.fetch_max(since, Ordering::SeqCst);
        }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let since = Duration::from_nanos(self.since.load(Ordering::SeqCst));
        now.saturating_duration_since(self.epoch) >= since + self.length
    }
}

impl Service {
    /// Whether the server drains and no longer waits for requests that have not arrived.
    pub(super) fn takes_no_more(&self, now: Instant) -> bool {
        self.phase.get() >= Phase::Draining && self.grace.is_over(now)
    }

    /// Turns a wake-up into a recall once the server takes no more requests, so that a connection that
    /// is idle closes.
    pub(super) fn recalling(&self, wake: WakeReason, now: Instant) -> WakeReason {
        match wake {
            WakeReason::Ready | WakeReason::Woken if self.takes_no_more(now) => {
                WakeReason::Recalled
            }
            _ => wake,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_millis(100);

    #[test]
    fn grace_starts_at_the_last_event() {
        let grace = Grace::new(GRACE);
        let start = grace.epoch + Duration::from_secs(1);
        grace.begin(start);
        let late = start + Duration::from_secs(60);
        assert!(grace.is_over(late));
        grace.begin(late);
        assert!(!grace.is_over(late));
        assert!(!grace.is_over(late + GRACE - Duration::from_nanos(1)));
        assert!(grace.is_over(late + GRACE));
        // Another thread may have read the clock earlier.
        grace.begin(start);
        assert!(!grace.is_over(late));
    }

    /// A TLS 1.2 client sends its request only after the server's last handshake message.
    #[cfg(feature = "_tls")]
    #[test]
    fn grace_restarts_after_a_tls_handshake() {
        use std::os::unix::net::UnixStream;

        use crate::connection::tests::{serve, tls};
        use crate::connection::{Admission, Connection, DriveResult, WaitFor, WorkerBuffers};
        use crate::message::{PeerAddr, Request};
        use crate::net::transport::Socket;
        use crate::net::{Alpn, ListenerProtocol};

        let start = Instant::now();
        let (config, client_config) = tls::parties();
        let mut client = tls::client(&client_config);
        let (mut theirs, ours) = UnixStream::pair().expect("a pair of sockets can be made");
        for socket in [&theirs, &ours] {
            let set = socket.set_nonblocking(true);
            set.expect("a socket can be made non-blocking");
        }
        let service = serve(|_: Request| "yes");
        let ours = Socket::new(ours.into()).with_tls(config.config(Alpn::Http1));
        let ours = ours.expect("the configuration is right");
        let opening = ListenerProtocol::default().with_tls(config);
        let mut connection = Connection::new(ours, PeerAddr::UNIX, &opening, start, &service);
        service.phase.advance(Phase::Draining);
        let late = start + Duration::from_secs(5);
        let mut buffers = WorkerBuffers::new(0);
        let mut drive = |now| {
            let wake = service.recalling(WakeReason::Ready, now);
            connection.drive(wake, Admission::Handle, now, &mut buffers, &service)
        };
        let result = loop {
            // Bytes without room or not yet there follow in the next round.
            while client.wants_write() && client.write_tls(&mut theirs).is_ok() {}
            let result = drive(late);
            while client.read_tls(&mut theirs).is_ok_and(|count| count > 0) {}
            client.process_new_packets().expect("the server speaks TLS");
            let is_over =
                matches!(result, DriveResult::Park(wait) if wait.wait_for != WaitFor::Handshake);
            if is_over || matches!(result, DriveResult::Close(_)) {
                break result;
            }
        };
        let first = |result: &DriveResult| matches!(result, DriveResult::Park(wait) if wait.wait_for == WaitFor::FirstRequest);
        assert!(first(&result), "{result:?}");
        assert!(!client.is_handshaking());
        let grace = service.config.drain_idle;
        let result = drive(late + grace - Duration::from_nanos(1));
        assert!(first(&result), "{result:?}");
        let result = drive(late + grace);
        assert!(matches!(result, DriveResult::Close(_)), "{result:?}");
    }
}
