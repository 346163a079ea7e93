//! What a server is told: where to listen, and the limit of everything.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

#[cfg(feature = "proxy")]
use crate::proxy::Trust;

/// Seconds longer than any server runs, and short enough that no sum of times overflows.
pub(crate) const CENTURY: u64 = 100 * 365 * 24 * 60 * 60;

/// The limits and times of one server, as the builder has bounded them.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) workers: usize,
    pub(crate) max_connections: usize,
    pub(crate) descriptors_per_connection: usize,
    pub(crate) max_head: usize,
    pub(crate) max_body: usize,
    pub(crate) max_buffered: usize,
    #[cfg(feature = "tls")]
    pub(crate) handshake_timeout: Duration,
    pub(crate) head_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) min_rate: usize,
    pub(crate) rate_grace: Duration,
    pub(crate) shed_after: Duration,
    pub(crate) queue_limit: usize,
    pub(crate) drain_timeout: Duration,
    pub(crate) drain_delay: Duration,
    pub(crate) drain_idle: Duration,
    pub(crate) request_ids: bool,
    pub(crate) server_timing: bool,
    #[cfg(feature = "proxy")]
    pub(crate) trust: Trust,
}

/// What a [`Builder`](crate::Builder) starts from, and why.
///
/// ```
/// use httpool::{Server, defaults};
///
/// let builder = Server::builder()
///     .workers(2 * defaults::workers())
///     .max_body(10 * defaults::MAX_BODY);
/// ```
pub mod defaults {
    use std::thread;
    use std::time::Duration;

    /// Workers for each core the process may use.
    ///
    /// Handlers block: on a disk, a database, another service. A worker that waits needs no core, so
    /// there are more workers than cores; four times as many keep the cores busy while three
    /// quarters of each handler's time is waiting. A program whose handlers wait longer wants more, one whose
    /// handlers only compute wants one for each core.
    pub const WORKERS_PER_CORE: usize = 4;

    /// Most connections open at once. Each costs [descriptors](DESCRIPTORS_PER_CONNECTION) and, idle,
    /// a few hundred bytes; the default suits a descriptor limit of 33,000 and up, and
    /// [`Builder::bind`](crate::Builder::bind) lowers it to what the process may open.
    pub const MAX_CONNECTIONS: usize = 16_384;

    /// Descriptors that a connection may need: its socket, and the file that it is sent. All clients
    /// may ask for a file and take their time, and a server that had let in more of them than it has
    /// descriptors for could then open nothing and let nobody in.
    pub const DESCRIPTORS_PER_CONNECTION: usize = 2;

    /// Longest request head, request line and fields together. Most servers allow between 8 and
    /// 64 KiB; cookies and tokens of real clients stay under 16.
    pub const MAX_HEAD: usize = 16 * 1024;

    /// Largest request body. It is buffered whole, so a few clients that send slowly could fill the
    /// memory; [`MAX_BUFFERED`] bounds what all of them together keep.
    pub const MAX_BODY: usize = 10 * 1024 * 1024;

    /// Largest request body that a handler [streams](crate::Intake::Stream), unless it says
    /// otherwise. Nothing of it is kept in memory, but handlers put it somewhere, and a disk has an
    /// end, too.
    pub const MAX_STREAMED_BODY: u64 = 1024 * 1024 * 1024;

    /// Most bytes that all connections together keep of requests that are not complete and of
    /// answers that are not sent. Two dozen of the largest bodies at a time, and little enough for
    /// a machine with a gigabyte.
    pub const MAX_BUFFERED: usize = 256 * 1024 * 1024;

    /// From a connection's first moment to the end of its TLS handshake. It takes two round trips and
    /// a millisecond, and a client that needs much longer for it would need as long for each request.
    #[cfg(feature = "tls")]
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// From a connection's first moment, or a later request's first byte, to the end of its head.
    pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

    /// From the end of the head to the end of the body. The largest body passes in this time at
    /// 35 KiB/s; who sends much slower meets [`MIN_RATE`] long before. For a body that is
    /// [streamed](crate::Intake::Stream) it is the longest silence: a gibibyte may take longer.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(300);

    /// From the end of an answer to the first byte of the next request. Longer than the 60 s of
    /// common load balancers, so that they close first and never send into a closing connection.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

    /// Longest time in which a client takes no byte of its answer; every byte taken restarts it.
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

    /// Slowest average, in bytes a second, at which a head or body may come and an answer may be
    /// taken, once [`RATE_GRACE`] has passed. A modem is ten times as fast; a client that sends a
    /// byte now and then to keep its connection is not.
    pub const MIN_RATE: usize = 500;

    /// How long nobody asks how fast a client is: long enough for a bad network to recover, and as
    /// long as [`HEAD_TIMEOUT`], which is all that most heads need.
    pub const RATE_GRACE: Duration = Duration::from_secs(10);

    /// Longest wait for a worker. Who waits for ten seconds and sees nothing of an answer is about to
    /// go, or his proxy is, and a handler that works for him then works for nobody.
    pub const SHED_AFTER: Duration = Duration::from_secs(10);

    /// Most connections that wait for a worker: all that may be open by default, so that only time
    /// counts. A limit of a few handlers' time for each worker sheds sooner.
    pub const QUEUE_LIMIT: usize = MAX_CONNECTIONS;

    /// From the moment the listeners close to the cut.
    pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

    /// How long to go on accepting after the announcement, so that a load balancer can turn away.
    pub const DRAIN_DELAY: Duration = Duration::ZERO;

    /// How long idle connections are kept once draining, for a request that was already on its way.
    pub const DRAIN_IDLE: Duration = Duration::from_millis(100);

    /// [`WORKERS_PER_CORE`] for each core that this process may use.
    #[must_use]
    pub fn workers() -> usize {
        thread::available_parallelism().map_or(1, usize::from) * WORKERS_PER_CORE
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: defaults::workers(),
            max_connections: defaults::MAX_CONNECTIONS,
            descriptors_per_connection: defaults::DESCRIPTORS_PER_CONNECTION,
            max_head: defaults::MAX_HEAD,
            max_body: defaults::MAX_BODY,
            max_buffered: defaults::MAX_BUFFERED,
            #[cfg(feature = "tls")]
            handshake_timeout: defaults::HANDSHAKE_TIMEOUT,
            head_timeout: defaults::HEAD_TIMEOUT,
            body_timeout: defaults::BODY_TIMEOUT,
            idle_timeout: defaults::IDLE_TIMEOUT,
            write_timeout: defaults::WRITE_TIMEOUT,
            min_rate: defaults::MIN_RATE,
            rate_grace: defaults::RATE_GRACE,
            shed_after: defaults::SHED_AFTER,
            queue_limit: defaults::QUEUE_LIMIT,
            drain_timeout: defaults::DRAIN_TIMEOUT,
            drain_delay: defaults::DRAIN_DELAY,
            drain_idle: defaults::DRAIN_IDLE,
            request_ids: false,
            server_timing: false,
            #[cfg(feature = "proxy")]
            trust: Trust::default(),
        }
    }
}

impl Config {
    /// Until when at least more than these bytes must have moved, if they are all since then.
    pub(crate) fn slowest(&self, since: Instant, moved: u64) -> Instant {
        match moved.checked_div(self.min_rate as u64) {
            // A century of seconds is no deadline, and no sum of it and others overflows.
            Some(seconds) => since + self.rate_grace + Duration::from_secs(seconds.min(CENTURY)),
            None => since + Duration::from_secs(CENTURY),
        }
    }
}

/// Where to listen.
///
/// ```
/// use httpool::ListenAddr;
///
/// let address: ListenAddr = "localhost:4000".parse()?;
/// assert_eq!(address.to_string(), "localhost:4000");
/// assert!("[::1]:0".parse::<ListenAddr>().is_ok());
/// assert!("unix:/run/httpool.sock".parse::<ListenAddr>().is_ok());
/// assert!("localhost".parse::<ListenAddr>().is_err());
/// # Ok::<(), httpool::ListenAddrError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenAddr {
    /// A host name or address, and a port; `localhost` is both loopback addresses. Port 0 lets
    /// the system choose.
    Tcp {
        /// A name, an IPv4 address, or an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket at this path.
    Unix(PathBuf),
}

impl From<SocketAddr> for ListenAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl From<&Path> for ListenAddr {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl TryFrom<&str> for ListenAddr {
    type Error = ListenAddrError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for ListenAddr {
    type Error = ListenAddrError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for ListenAddr {
    type Err = ListenAddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err(ListenAddrError::NoPath)
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or(ListenAddrError::NoPort)?;
        let port = port.parse().map_err(|_| ListenAddrError::BadPort)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .filter(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok())
                .ok_or(ListenAddrError::BadHost)?,
            None if host.contains(':') => return Err(ListenAddrError::Unbracketed),
            None => host,
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(ListenAddrError::BadHost);
        }
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a text is no [`ListenAddr`].
///
/// ```
/// use httpool::ListenAddr;
///
/// let error = "localhost".parse::<ListenAddr>().expect_err("there is no port");
/// println!("localhost is no address: {error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddrError {
    /// There is no `:` with a port behind it.
    NoPort,
    /// What stands behind the last `:` is no number from 0 to 65535.
    BadPort,
    /// The host is empty, has spaces, or its brackets hold no IPv6 address.
    BadHost,
    /// An IPv6 address needs brackets before a port can follow.
    Unbracketed,
    /// `unix:` without a path.
    NoPath,
}

impl fmt::Display for ListenAddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPort => "no port: write host:port, [::1]:port or unix:/path",
            Self::BadPort => "the port is not a number from 0 to 65535",
            Self::BadHost => "the host is not a name, an IPv4 address or an [IPv6 address]",
            Self::Unbracketed => "an IPv6 address needs brackets, as in [::1]:4000",
            Self::NoPath => "unix: needs a path, as in unix:/run/httpool.sock",
        })
    }
}

impl std::error::Error for ListenAddrError {}

/// What is an address already is none that is wrong.
impl From<Infallible> for ListenAddrError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were_written() {
        for text in [
            "localhost:4000",
            "127.0.0.1:0",
            "[::1]:80",
            "unix:/a/b.sock",
        ] {
            assert_eq!(
                text.parse::<ListenAddr>().map(|a| a.to_string()),
                Ok(text.into())
            );
        }
    }

    #[test]
    fn wrong_addresses_say_what_is_wrong() {
        #[track_caller]
        fn check(text: &str, why: ListenAddrError) {
            assert_eq!(text.parse::<ListenAddr>(), Err(why), "{text}");
        }
        check("4000", ListenAddrError::NoPort);
        check("localhost:", ListenAddrError::BadPort);
        check("localhost:65536", ListenAddrError::BadPort);
        check(":4000", ListenAddrError::BadHost);
        check("[localhost]:4000", ListenAddrError::BadHost);
        check("::1:4000", ListenAddrError::Unbracketed);
        check("unix:", ListenAddrError::NoPath);
    }
}
