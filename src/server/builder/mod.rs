//! Configures a server before it listens.

mod bind;
#[cfg(feature = "http2")]
mod http2;
mod listen;

use std::os::fd::OwnedFd;
use std::time::Duration;

use http::HeaderMap;

use crate::connection::config::Config;
use crate::connection::config::Conflict;
use crate::message::headers::default_headers::DefaultHeaders;
use crate::message::problem::error_pages::CustomErrorPages;
use crate::message::record::Observers;
use crate::message::{ClientInfo, ErrorPages, Observer};
use crate::net::ListenerProtocol;
#[cfg(feature = "proxy")]
use crate::net::{ForwardedBy, TrustedProxy};
use crate::net::{ListenAddr, ListenAddrError};
use crate::sync::CENTURY;

const MAX_DURATION: Duration = Duration::from_secs(CENTURY);

/// The largest limit of connections. The poller numbers its slots with 32 bits.
const CONNECTIONS_CEILING: usize = 1 << 24;

/// Builds a [`Server`](crate::Server). Everything but the address has a [default](crate::defaults).
/// A time longer than a century counts as a century.
///
/// ```
/// use std::time::Duration;
/// use httpool::Server;
///
/// let server = Server::builder()
///     .listen("127.0.0.1:0")
///     .workers(16)
///     .max_body(1024 * 1024)
///     .drain_timeout(Duration::from_secs(10))
///     .bind()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it binds"]
pub struct Builder {
    config: Config,
    /// `bind` reports the invalid ones.
    addresses: Vec<(Result<ListenAddr, ListenAddrError>, ListenerProtocol)>,
    adopted: Vec<(OwnedFd, ListenerProtocol)>,
    reuse_port: bool,
    observers: Observers,
    error_pages: CustomErrorPages,
    default_headers: DefaultHeaders,
}

impl Builder {
    /// Shares the [listened](Self::listen) ports with other servers of the same user that do so too
    /// (`SO_REUSEPORT`), for example with the next version of this program. The kernel distributes
    /// clients among them. Default: no, and a port in use is an error.
    ///
    /// The next server can listen before this one drains, so no client is refused. But each server
    /// has its own queue, and a client whose queue is no longer accepted from tries again a second
    /// later. A socket that a service manager keeps ([`adopt`](Self::adopt)) avoids that second.
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Sets the number of threads that run handlers, at least one. Default:
    /// [`defaults::workers`](crate::defaults::workers).
    pub fn workers(mut self, workers: usize) -> Self {
        self.config.workers = workers.max(1);
        self
    }

    /// Sets the limit of open connections, from one to sixteen million. Further clients wait in the
    /// kernel's queue. Default: [`MAX_CONNECTIONS`](crate::defaults::MAX_CONNECTIONS).
    /// [`bind`](Self::bind) lowers the limit if the process may not open enough descriptors
    /// ([`descriptors_per_connection`](Self::descriptors_per_connection)).
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.config.max_connections = connections.clamp(1, CONNECTIONS_CEILING);
        self
    }

    /// Sets how many descriptors one connection may need at once, at least one: its socket, and for
    /// example the file from which a response is sent. Default:
    /// [`DESCRIPTORS_PER_CONNECTION`](crate::defaults::DESCRIPTORS_PER_CONNECTION).
    ///
    /// The process's descriptor limit is divided by this number. If that is less than
    /// [`max_connections`](Self::max_connections), fewer clients are accepted, so that every one of
    /// them can be sent a file. If no handler responds with files, the value 1 allows twice as many
    /// clients.
    pub fn descriptors_per_connection(mut self, descriptors: usize) -> Self {
        self.config.descriptors_per_connection = descriptors.max(1);
        self
    }

    /// Returns the settings that keep another setting from having its effect. [`bind`](Self::bind)
    /// accepts them; a program should warn about them.
    ///
    /// ```
    /// use httpool::Server;
    ///
    /// let builder = Server::builder().max_body(64 << 20).max_buffered_memory(32 << 20);
    /// for conflict in builder.conflicts() {
    ///     eprintln!("warning: {conflict}");
    /// }
    /// ```
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        self.config.conflicts()
    }

    /// Sets the largest request head in bytes. A larger one gets a 431, or a 414 if the request
    /// line alone is larger. Default: [`MAX_HEADER_SIZE`](crate::defaults::MAX_HEADER_SIZE).
    pub fn max_header_size(mut self, bytes: usize) -> Self {
        self.config.max_header_size = bytes;
        self
    }

    /// Sets the largest request body in bytes. A larger one gets a 413 before it is read. A body
    /// that its handler [streams](crate::BodyMode::Streaming) has its own limit, and the layer
    /// [`MaxBody`](crate::layers::MaxBody) sets another one for a part of the routes. A body over
    /// [`max_buffered_memory`](Self::max_buffered_memory) is also too large, because it can't be
    /// buffered, unless it arrives in one piece with its head. Default:
    /// [`MAX_BODY`](crate::defaults::MAX_BODY).
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.config.max_body = bytes;
        self
    }

    /// Sets how many bytes all connections together may buffer of incomplete requests and of unsent
    /// responses. Above that, a request that needs more gets a 503 with `Retry-After`, and its
    /// HTTP/1.1 connection is closed. A request that alone needs more than the limit gets a 413. The
    /// connection of a client that does not read its responses is closed. Requests that arrive in
    /// one piece and responses that are read at once need no buffer. A body of more than 64 KiB that
    /// is shared, as clones of one [`Bytes`](bytes::Bytes) are, does not count. Default:
    /// [`MAX_BUFFERED_MEMORY`](crate::defaults::MAX_BUFFERED_MEMORY).
    ///
    /// While the responses of one HTTP/2 connection take a sixteenth of this memory, its further
    /// requests wait.
    ///
    /// A response counts with all of its bytes until more than half of them are sent. The rest then
    /// moves to memory of its own size.
    ///
    /// Workers use more on top: each has an input buffer, the bytes of one receive, and the request
    /// and response of its handler. The allocator also keeps memory: with the GNU C library, set
    /// `MALLOC_MMAP_THRESHOLD_=131072` in the environment, or it may keep the same amount again.
    pub fn max_buffered_memory(mut self, bytes: usize) -> Self {
        self.config.max_buffered_memory = bytes;
        self
    }

    /// Sets how long a request head may take: from the start of the connection, or the first byte
    /// of a later request, to the end of the head. Afterwards the client gets a 408, or no response
    /// if no byte arrived. In HTTP/2 the connection ends, because the heads of all its requests come
    /// one after another. Default: [`HEAD_TIMEOUT`](crate::defaults::HEAD_TIMEOUT).
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.config.head_timeout = timeout.min(MAX_DURATION);
        self
    }

    /// Sets how long a request body may take, from the end of the head to the end of the body. For
    /// a body that its handler [streams](crate::BodyMode::Streaming), it is how long a read may
    /// wait for more bytes. Afterwards the client gets a 408 response. Default:
    /// [`BODY_TIMEOUT`](crate::defaults::BODY_TIMEOUT).
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.config.body_timeout = timeout.min(MAX_DURATION);
        self
    }

    /// Sets how long a connection is kept open without a request, from the end of a response to the
    /// first byte of the next request. PINGs of an HTTP/2 client are no requests. Default:
    /// [`IDLE_TIMEOUT`](crate::defaults::IDLE_TIMEOUT).
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.config.idle_timeout = timeout.min(MAX_DURATION);
        self
    }

    /// Sets how long a client may read no byte of its response. Each byte restarts the timeout.
    /// Afterwards the response is aborted. The time in which a response waits for a handler, a reader
    /// or another thread does not count. An HTTP/2 client that reads the connection, but gives no
    /// window for one response, loses only that response. Default:
    /// [`WRITE_TIMEOUT`](crate::defaults::WRITE_TIMEOUT).
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.config.write_timeout = timeout.min(MAX_DURATION);
        self
    }

    /// Sets the minimum average rate, in bytes a second, at which a client must send a head or a
    /// body and read a response. The average begins with each head, body or response, and is
    /// enforced once [`min_rate_grace`](Self::min_rate_grace) has passed. A slower request gets a
    /// 408; a response that is read slower is aborted. 0 means no minimum besides the timeouts.
    /// Default: [`MIN_RATE`](crate::defaults::MIN_RATE).
    pub fn min_rate(mut self, bytes_per_second: usize) -> Self {
        self.config.min_rate = bytes_per_second;
        self
    }

    /// Sets how long a client may be slower than [`min_rate`](Self::min_rate). Default:
    /// [`MIN_RATE_GRACE`](crate::defaults::MIN_RATE_GRACE).
    pub fn min_rate_grace(mut self, grace: Duration) -> Self {
        self.config.min_rate_grace = grace.min(MAX_DURATION);
        self
    }

    /// Sets how long a request may wait for a worker. A request that has waited longer gets a 503
    /// with `Retry-After` and its handler does not run. Its connection is kept if the request has
    /// arrived whole, and always in HTTP/2. Default:
    /// [`QUEUE_TIMEOUT`](crate::defaults::QUEUE_TIMEOUT).
    ///
    /// A worker that takes such a request sends the 503. If no worker is free, the thread in
    /// [`run`](crate::Server::run) sends it, late by at most about a sixteenth of this time.
    /// Requests that have arrived when the server begins to [drain](crate::Phase::Draining) are
    /// handled, however long they wait.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::Server;
    ///
    /// // Clients of this server retry elsewhere after a second.
    /// let builder = Server::builder().queue_timeout(Duration::from_secs(1)).queue_limit(1000);
    /// ```
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.config.queue_timeout = timeout.min(MAX_DURATION);
        self
    }

    /// Sets how many connections may wait for a worker. Above that, the requests of the connections
    /// that have waited longest get the same 503 as after [`queue_timeout`](Self::queue_timeout). An
    /// HTTP/2 connection counts once, however many requests it has. Default:
    /// [`QUEUE_LIMIT`](crate::defaults::QUEUE_LIMIT).
    ///
    /// The server checks this once a millisecond while workers are busy. Only connections that have
    /// waited since the last check count, because a fast pool empties a burst within a moment.
    pub fn queue_limit(mut self, connections: usize) -> Self {
        self.config.queue_limit = connections;
        self
    }

    /// Sets how long the drain may take, from closing the listeners to aborting the open requests.
    /// Default: [`DRAIN_TIMEOUT`](crate::defaults::DRAIN_TIMEOUT).
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.config.drain_timeout = timeout.min(MAX_DURATION);
        self
    }

    /// Sets how long the server continues to accept after a shutdown began. Meanwhile the last
    /// response on each connection says `Connection: close`, or is followed by the GOAWAY of HTTP/2.
    /// Default: [`DRAIN_DELAY`](crate::defaults::DRAIN_DELAY).
    pub fn drain_delay(mut self, delay: Duration) -> Self {
        self.config.drain_delay = delay.min(MAX_DURATION);
        self
    }

    /// Sets how long the drain keeps idle connections, for a request that is already on its way,
    /// and listeners (for a tenth of a second at most), for a handshake that is in progress. The
    /// time starts again with each accepted connection and each completed TLS handshake.
    /// Afterwards, a client that pipelines requests gets responses to those that have arrived. An
    /// HTTP/2 client needs no such time, because it acknowledges the end of its connection. Default:
    /// [`DRAIN_IDLE`](crate::defaults::DRAIN_IDLE).
    pub fn drain_idle(mut self, grace: Duration) -> Self {
        self.config.drain_idle = grace.min(MAX_DURATION);
        self
    }

    /// Gives every request an id: its `X-Request-Id`, if that is one header of 1 to 64 letters,
    /// digits and `-._:=+/@`, or else a new id. The handler finds it in that header. The response
    /// has the same header, and error responses and the [`RequestRecord`](crate::RequestRecord)
    /// have the id, too. Default: no, because it costs two allocations a request.
    ///
    /// ```
    /// use httpool::{Request, Server};
    ///
    /// let builder = Server::builder().request_ids(true);
    /// let handler = |request: Request| {
    ///     // Send the id along in requests to other services, so that their logs name it, too.
    ///     let id = request.headers().get("x-request-id");
    ///     format!("this is request {id:?}\n")
    /// };
    /// # let _ = (builder, handler);
    /// ```
    pub fn request_ids(mut self, enabled: bool) -> Self {
        self.config.request_ids = enabled;
        self
    }

    /// Measures for every request how long it has waited and been read
    /// ([`RequestTimes`](crate::RequestTimes)). Default: no.
    ///
    /// ```
    /// use httpool::{Request, RequestTimes, Server};
    ///
    /// let server = Server::builder().listen("127.0.0.1:0").request_times(true).bind()?;
    /// let handler = |request: Request| {
    ///     let waited = RequestTimes::of(&request).map(RequestTimes::waited);
    ///     format!("waited {waited:?}\n")
    /// };
    /// # let _ = (server, handler);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request_times(mut self, enabled: bool) -> Self {
        self.config.request_times = enabled;
        self
    }

    /// Adds [`Server-Timing`](https://www.w3.org/TR/server-timing/) to every response of a handler,
    /// with the milliseconds that the handler took. Browsers show it next to their own timings.
    /// Default: no.
    pub fn server_timing(mut self, enabled: bool) -> Self {
        self.config.server_timing = enabled;
        self
    }

    /// Adds an [`Observer`], which is called for every request. Each call adds one.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(observer);
        self
    }

    /// Replaces error responses by your own pages. The server asks for a page for each response
    /// with a status of 400 or above that comes from a [`Problem`](crate::Problem) (including the
    /// server's own) or has no content. If there is no page, the response is sent unchanged, and so
    /// are error responses in which a handler has set other content. Default: none.
    ///
    /// A page can have any format, for example JSON:
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use httpool::http::HeaderMap;
    /// use httpool::{IntoResponse, Json, Problem, Server};
    ///
    /// #[derive(serde::Serialize)]
    /// struct Failure {
    ///     error: String,
    /// }
    ///
    /// let builder = Server::builder().error_pages(|problem: &Problem, _: &HeaderMap| {
    ///     let error = format!("{}: {}", problem.status(), problem.message());
    ///     Some(Json(Failure { error }).into_response())
    /// });
    /// # }
    /// ```
    pub fn error_pages(mut self, pages: impl ErrorPages) -> Self {
        self.error_pages = CustomErrorPages::new(pages);
        self
    }

    /// Sets a function that adds headers to every response, including those that the server makes
    /// itself. The function receives the headers that the response already has and the client's
    /// information. Default: none. For headers that depend on the request, use a
    /// [layer](crate::Layer::server_response).
    ///
    /// The function runs on a worker. If a request is rejected because no worker is free, it runs on
    /// the thread that runs the server, so it must be quick and must not block. A panic closes the
    /// connection.
    ///
    /// ```
    /// use httpool::Server;
    /// use httpool::http::HeaderValue;
    /// use httpool::http::header::STRICT_TRANSPORT_SECURITY;
    /// use httpool::http::uri::Scheme;
    ///
    /// let builder = Server::builder().default_headers(|headers, client| {
    ///     if client.scheme() == Some(&Scheme::HTTPS) {
    ///         let year = HeaderValue::from_static("max-age=31536000");
    ///         headers.insert(STRICT_TRANSPORT_SECURITY, year);
    ///     }
    /// });
    /// ```
    pub fn default_headers(
        mut self,
        add: impl Fn(&mut HeaderMap, &ClientInfo) + Send + Sync + 'static,
    ) -> Self {
        self.default_headers = DefaultHeaders::new(add);
        self
    }

    /// Sets how long a client may take for the TLS handshake, from the start of the connection.
    /// Afterwards the connection is closed. The [`head_timeout`](Self::head_timeout) begins when
    /// the handshake has completed. Default:
    /// [`HANDSHAKE_TIMEOUT`](crate::defaults::HANDSHAKE_TIMEOUT).
    #[cfg(feature = "_tls")]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.config.handshake_timeout = timeout.min(MAX_DURATION);
        self
    }

    /// Trusts what these proxies say about their clients. Each call adds proxies. Default: no proxy
    /// is trusted.
    ///
    /// A trusted proxy can claim any client address. Name only proxies that you run, and configure
    /// them to set the [header](Self::forwarded_by) that the server reads.
    ///
    /// ```
    /// use httpool::{ClientInfo, Request, Server, TrustedProxy};
    ///
    /// let server = Server::builder()
    ///     .listen_proxy_protocol("127.0.0.1:0")
    ///     .trusted_proxy("10.0.0.0/8".parse::<TrustedProxy>()?)
    ///     .trusted_proxy(TrustedProxy::Unix)
    ///     .bind()?;
    /// let handler = |request: Request| match ClientInfo::of(&request).and_then(ClientInfo::client) {
    ///     Some(client) => format!("hello, {client}\n"),
    ///     None => "the proxy names no client\n".into(),
    /// };
    /// # let _ = (server, handler);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "proxy")]
    pub fn trusted_proxy(mut self, proxy: impl Into<TrustedProxy>) -> Self {
        self.config.trusted_proxies.add(proxy.into());
        self
    }

    /// Sets which headers the [trusted proxies](Self::trusted_proxy) set. Default:
    /// [`ForwardedBy::XForwarded`].
    #[cfg(feature = "proxy")]
    pub fn forwarded_by(mut self, by: ForwardedBy) -> Self {
        self.config.trusted_proxies.set_forwarded_by(by);
        self
    }
}
