//! The limits and times of a server.

mod conflict;

use std::time::{Duration, Instant};

pub use self::conflict::Conflict;
#[cfg(feature = "proxy")]
use crate::net::proxy::Trust;
use crate::sync::CENTURY;

/// The limits and times of one server, as the builder has bounded them.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) workers: usize,
    pub(crate) max_connections: usize,
    pub(crate) descriptors_per_connection: usize,
    pub(crate) max_header_size: usize,
    pub(crate) max_body: usize,
    pub(crate) max_buffered_memory: usize,
    #[cfg(feature = "_tls")]
    pub(crate) handshake_timeout: Duration,
    pub(crate) head_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) min_rate: usize,
    pub(crate) min_rate_grace: Duration,
    pub(crate) queue_timeout: Duration,
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
    pub const MAX_HEADER_SIZE: usize = 16 * 1024;

    /// Largest request body. It is buffered whole, so a few clients that send slowly could fill the
    /// memory; [`MAX_BUFFERED_MEMORY`] bounds what all of them together keep.
    pub const MAX_BODY: usize = 10 * 1024 * 1024;

    pub use crate::message::handler::MAX_STREAMED_BODY;

    /// Most bytes that all connections together keep of requests that are not complete and of
    /// answers that are not sent. Two dozen of the largest bodies at a time, and little enough for
    /// a machine with a gigabyte.
    pub const MAX_BUFFERED_MEMORY: usize = 256 * 1024 * 1024;

    /// From a connection's first moment to the end of its TLS handshake. It takes two round trips and
    /// a millisecond, and a client that needs much longer for it would need as long for each request.
    #[cfg(feature = "_tls")]
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// From a connection's first moment, or a later request's first byte, to the end of its head.
    pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

    /// From the end of the head to the end of the body. The largest body passes in this time at
    /// 35 KiB/s; who sends much slower meets [`MIN_RATE`] long before. For a body that is
    /// [streamed](crate::BodyMode::Streaming) it is the longest silence: a gibibyte may take longer.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(300);

    /// From the end of an answer to the first byte of the next request. Longer than the 60 s of
    /// common load balancers, so that they close first and never send into a closing connection.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

    /// Longest time in which a client takes no byte of its answer; every byte taken restarts it.
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

    /// Slowest average, in bytes a second, at which a head or body may come and an answer may be
    /// taken, once [`MIN_RATE_GRACE`] has passed. A modem is ten times as fast; a client that sends a
    /// byte now and then to keep its connection is not.
    pub const MIN_RATE: usize = 500;

    /// How long nobody asks how fast a client is: long enough for a bad network to recover, and as
    /// long as [`HEAD_TIMEOUT`], which is all that most heads need.
    pub const MIN_RATE_GRACE: Duration = Duration::from_secs(10);

    /// Longest wait for a worker. Who waits for ten seconds and sees nothing of an answer is about to
    /// go, or his proxy is, and a handler that works for him then works for nobody.
    pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

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
            max_header_size: defaults::MAX_HEADER_SIZE,
            max_body: defaults::MAX_BODY,
            max_buffered_memory: defaults::MAX_BUFFERED_MEMORY,
            #[cfg(feature = "_tls")]
            handshake_timeout: defaults::HANDSHAKE_TIMEOUT,
            head_timeout: defaults::HEAD_TIMEOUT,
            body_timeout: defaults::BODY_TIMEOUT,
            idle_timeout: defaults::IDLE_TIMEOUT,
            write_timeout: defaults::WRITE_TIMEOUT,
            min_rate: defaults::MIN_RATE,
            min_rate_grace: defaults::MIN_RATE_GRACE,
            queue_timeout: defaults::QUEUE_TIMEOUT,
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
            Some(seconds) => {
                since + self.min_rate_grace + Duration::from_secs(seconds.min(CENTURY))
            }
            None => since + Duration::from_secs(CENTURY),
        }
    }
}
