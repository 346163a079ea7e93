//! Rate limits for log lines that any client can cause.

use std::fmt::{Arguments, Display};
use std::time::{Duration, Instant};

use log::{debug, info};

use super::connection_io::ConnectionIo;
use crate::logging::LogLimit;

/// Lines of one kind per interval: enough to see whether one client fails or all do.
const LINES: u32 = 5;
const INTERVAL: Duration = Duration::from_secs(60);

/// One limit for each kind of line.
#[derive(Debug)]
pub(crate) struct LogLimits {
    pub(crate) full: LogLimit,
    #[cfg(feature = "_tls")]
    pub(crate) tls_handshakes: LogLimit,
    #[cfg(feature = "proxy")]
    pub(crate) proxy_headers: LogLimit,
    #[cfg(feature = "proxy")]
    pub(crate) untrusted_proxies: LogLimit,
}

impl LogLimits {
    pub(crate) const fn new() -> Self {
        Self {
            full: LogLimit::new(1, INTERVAL),
            #[cfg(feature = "_tls")]
            tls_handshakes: LogLimit::new(LINES, INTERVAL),
            #[cfg(feature = "proxy")]
            proxy_headers: LogLimit::new(LINES, INTERVAL),
            #[cfg(feature = "proxy")]
            untrusted_proxies: LogLimit::new(LINES, INTERVAL),
        }
    }
}

/// Writes a line about a peer at `info`, or at `debug` if the limit suppresses it.
pub(crate) fn log_limited(limit: &LogLimit, now: Instant, peer: &dyn Display, line: Arguments<'_>) {
    match limit.allow(now) {
        Some(suppressed) => info!("{peer}: {line}{suppressed}"),
        None => debug!("{peer}: {line}"),
    }
}

impl ConnectionIo {
    pub(super) fn log_limited(&self, limit: &LogLimit, now: Instant, line: Arguments<'_>) {
        log_limited(limit, now, self, line);
    }
}
