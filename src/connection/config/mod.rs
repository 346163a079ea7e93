//! The limits and timeouts of a server.

mod conflict;

use std::time::{Duration, Instant};

pub use self::conflict::Conflict;
use crate::message::Handler;
#[cfg(feature = "_tls")]
use crate::net::Alpn;
#[cfg(feature = "proxy")]
use crate::net::proxy::TrustedProxies;
use crate::sync::CENTURY;

/// The smallest window of a connection, with which every one begins (RFC 9113 section 6.9.2). A
/// smaller window of a stream would only slow its client down.
#[cfg(feature = "http2")]
pub(crate) const MIN_WINDOW: u32 = 65_535;

/// The largest window (RFC 9113 section 6.9.1).
#[cfg(feature = "http2")]
pub(crate) const MAX_WINDOW: u32 = 0x7fff_ffff;

/// The limits and timeouts of one server, after the builder has checked them.
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
    #[cfg(feature = "http2")]
    pub(crate) http2: bool,
    #[cfg(feature = "http2")]
    pub(crate) max_streams: u32,
    #[cfg(feature = "http2")]
    pub(crate) stream_window: u32,
    #[cfg(feature = "http2")]
    pub(crate) connection_window: u32,
    /// `None` follows the number of workers.
    #[cfg(feature = "http2")]
    pub(crate) handlers_per_connection: Option<usize>,
    /// Whether WebSockets can be opened over HTTP/2.
    #[cfg(feature = "http2")]
    pub(crate) websockets: bool,
    /// Whether the settings of clients are kept.
    #[cfg(feature = "http2")]
    pub(crate) client_settings: bool,
    pub(crate) request_ids: bool,
    pub(crate) request_times: bool,
    pub(crate) server_timing: bool,
    #[cfg(feature = "proxy")]
    pub(crate) trusted_proxies: TrustedProxies,
}

/// The default settings of a [`Builder`](crate::Builder), with their reasons.
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
    /// Handlers block on disks, databases and other services, and a blocked worker needs no core. Four
    /// workers per core keep the cores busy while handlers wait three quarters of their time. Use more
    /// if handlers wait longer, and one per core if they only compute.
    pub const WORKERS_PER_CORE: usize = 4;

    /// Connections that may be open at once. Each costs [descriptors](DESCRIPTORS_PER_CONNECTION), and an
    /// idle one a few hundred bytes. The default needs a descriptor limit of 33,000;
    /// [`Builder::bind`](crate::Builder::bind) lowers it to what the process may open.
    pub const MAX_CONNECTIONS: usize = 16_384;

    /// Descriptors per connection: its socket, and a file that is being sent. If all clients download
    /// files slowly, a server with fewer descriptors could open no file and accept no connection. An
    /// HTTP/2 connection may send about eight files at a time; its further requests wait meanwhile.
    pub const DESCRIPTORS_PER_CONNECTION: usize = 2;

    /// Longest request head in bytes, request line and headers together. Most servers allow between 8
    /// and 64 KiB; cookies and tokens of real clients stay under 16 KiB.
    pub const MAX_HEADER_SIZE: usize = 16 * 1024;

    /// Largest request body in bytes. Bodies are buffered whole; [`MAX_BUFFERED_MEMORY`] limits the memory
    /// that slow clients can take with them.
    pub const MAX_BODY: usize = 10 * 1024 * 1024;

    pub use crate::message::handler::MAX_STREAMED_BODY;
    pub use crate::message::later::RESPONSE_DEADLINE;

    /// Memory in bytes of all connections together for incomplete requests and unsent responses. It is
    /// enough for two dozen of the largest bodies at a time, and suits a machine with one gigabyte.
    pub const MAX_BUFFERED_MEMORY: usize = 256 * 1024 * 1024;

    /// Time from the start of a connection to the end of its TLS handshake, which usually takes two
    /// round trips and a millisecond.
    #[cfg(feature = "_tls")]
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// Time from the start of a connection, or the first byte of a later request, to the end of the
    /// request head.
    pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

    /// Time from the end of the head to the end of the body. The largest body arrives in this time at
    /// 35 KiB/s; a much slower client fails [`MIN_RATE`] long before. For a
    /// [streamed](crate::BodyMode::Streaming) body it is the longest pause, because a gibibyte may take
    /// longer.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(300);

    /// Time from the end of a response to the first byte of the next request. It is longer than the 60 s
    /// of common load balancers, so that they close first and never send a request into a connection
    /// that is closing.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

    /// Longest time in which a client reads no byte of its response; every byte restarts it.
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

    /// Lowest average rate in bytes a second at which a head or body may arrive and a response be read,
    /// after [`MIN_RATE_GRACE`]. A modem is ten times as fast; an attacker that sends single bytes to
    /// hold its connection is slower.
    pub const MIN_RATE: usize = 500;

    /// Time before [`MIN_RATE`] applies: long enough for a bad network to recover, and as long as
    /// [`HEAD_TIMEOUT`].
    pub const MIN_RATE_GRACE: Duration = Duration::from_secs(10);

    /// Longest wait for a worker. After ten seconds without a response, a client or its proxy is about
    /// to give up, and the handler's work would be lost.
    pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

    /// Connections that may wait for a worker. The default is all that may be open, so that only
    /// [`QUEUE_TIMEOUT`] counts. A limit of a few requests per worker sheds sooner.
    pub const QUEUE_LIMIT: usize = MAX_CONNECTIONS;

    /// Time from the close of the listeners until open requests are aborted.
    pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

    /// Time for which a server still accepts after the start of a shutdown, so that a load balancer can
    /// notice.
    pub const DRAIN_DELAY: Duration = Duration::ZERO;

    /// Time for which a drain keeps idle connections open, for requests that are already on their way.
    pub const DRAIN_IDLE: Duration = Duration::from_millis(100);

    /// Whether clients may speak HTTP/2. A browser then needs one connection instead of six, and
    /// handlers need not know which protocol it speaks.
    #[cfg(feature = "http2")]
    pub const HTTP2: bool = true;

    /// Streams that a client of HTTP/2 may have open on a connection, one for each request that it
    /// has sent and whose response it has not received whole. RFC 9113 recommends at least 100, which
    /// is what most servers allow: a page with more images than that asks for the others as responses
    /// end.
    #[cfg(feature = "http2")]
    pub const MAX_STREAMS: u32 = 100;

    /// Largest window of a stream: the bytes of a request body that an HTTP/2 client may send before
    /// it must wait for the server. A client gets at most this much in one round trip, so one with a
    /// round trip of 80 ms uploads at up to 13 MB/s. A stream begins with 64 KiB and gets more once its
    /// body is read, so that most streams never have as much.
    #[cfg(feature = "http2")]
    pub const STREAM_WINDOW: u32 = 1024 * 1024;

    /// Window of a connection: the bytes that all request bodies of an HTTP/2 client together may have
    /// on their way. It allows sixteen of the [largest windows](STREAM_WINDOW), so that one body does
    /// not stop the others. Buffered content counts in [`MAX_BUFFERED_MEMORY`].
    #[cfg(feature = "http2")]
    pub const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

    /// The default number of handlers that may run at once for the requests of one HTTP/2 connection,
    /// on a server with this many workers: half of them, and at least one. So one client does not take
    /// all workers, and a proxy that has one connection for all of its clients can use half of them.
    #[cfg(feature = "http2")]
    #[must_use]
    pub const fn handlers_per_connection(workers: usize) -> usize {
        match workers / 2 {
            0 => 1,
            half => half,
        }
    }

    /// The default number of workers: [`WORKERS_PER_CORE`] for each core that this process may use.
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
            #[cfg(feature = "http2")]
            http2: defaults::HTTP2,
            #[cfg(feature = "http2")]
            max_streams: defaults::MAX_STREAMS,
            #[cfg(feature = "http2")]
            stream_window: defaults::STREAM_WINDOW,
            #[cfg(feature = "http2")]
            connection_window: defaults::CONNECTION_WINDOW,
            #[cfg(feature = "http2")]
            handlers_per_connection: None,
            // Without the helper, a program may have WebSockets that know HTTP/1.1 only.
            #[cfg(feature = "http2")]
            websockets: cfg!(feature = "websocket"),
            #[cfg(feature = "http2")]
            client_settings: false,
            request_ids: false,
            request_times: false,
            server_timing: false,
            #[cfg(feature = "proxy")]
            trusted_proxies: TrustedProxies::default(),
        }
    }
}

impl Config {
    /// The configuration of a server with this handler: WebSockets are announced only if it may open some.
    #[cfg_attr(
        not(feature = "http2"),
        expect(unused_variables, reason = "only HTTP/2 announces them")
    )]
    pub(crate) fn for_handler(self, handler: &impl Handler) -> Self {
        #[cfg(feature = "http2")]
        let config = Self {
            websockets: self.websockets && handler.may_upgrade(),
            ..self
        };
        #[cfg(not(feature = "http2"))]
        let config = self;
        config
    }

    /// The newest protocol that TLS clients may choose.
    #[cfg(feature = "_tls")]
    pub(crate) fn newest_protocol(&self) -> Alpn {
        #[cfg(feature = "http2")]
        if self.http2 {
            return Alpn::Http2;
        }
        Alpn::Http1
    }

    /// How many handlers may run at once for the requests of one HTTP/2 connection.
    #[cfg(feature = "http2")]
    pub(crate) fn handlers_per_connection(&self) -> usize {
        let default = || defaults::handlers_per_connection(self.workers);
        self.handlers_per_connection.unwrap_or_else(default)
    }

    /// Most readers of responses that may be read at once for one connection of HTTP/2. Readers that
    /// block, for example those of event streams, must not keep the other requests of their connection
    /// from being handled, so they are counted apart from its handlers. Together both leave a worker
    /// for other clients, unless there are only two.
    #[cfg(feature = "http2")]
    pub(crate) fn reads_per_connection(&self) -> usize {
        let others = self.workers.saturating_sub(1);
        others.saturating_sub(self.handlers_per_connection()).max(1)
    }

    /// The deadline by which more than `moved` bytes must have moved since `since`.
    pub(crate) fn slowest(&self, since: Instant, moved: u64) -> Instant {
        match moved.checked_div(self.min_rate as u64) {
            // A century works as no deadline, and sums with other times don't overflow.
            Some(seconds) => {
                since + self.min_rate_grace + Duration::from_secs(seconds.min(CENTURY))
            }
            None => since + Duration::from_secs(CENTURY),
        }
    }
}
