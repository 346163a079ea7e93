//! What a server is told before it listens.

mod bind;
mod listen;

use std::os::fd::OwnedFd;
use std::time::Duration;

use http::HeaderMap;

use crate::connection::config::Config;
use crate::connection::config::Conflict;
use crate::message::headers::default_headers::DefaultHeaders;
use crate::message::problem::pages::Pages;
use crate::message::record::Observers;
use crate::message::{ClientInfo, ErrorPages, Observer};
use crate::net::ListenerProtocol;
#[cfg(feature = "proxy")]
use crate::net::{ForwardedBy, TrustedProxy};
use crate::net::{ListenAddr, ListenAddrError};
use crate::sync::CENTURY;

const LONGEST: Duration = Duration::from_secs(CENTURY);

/// What a place in the parking lot can be numbered by, and then some.
const MOST_CONNECTIONS: usize = 1 << 24;

/// Builds a [`Server`](crate::Server). Everything but an address has a [default](crate::defaults). A
/// time longer than a century counts as a century.
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
    /// Those that are wrong are told of when it binds.
    addresses: Vec<(Result<ListenAddr, ListenAddrError>, ListenerProtocol)>,
    adopted: Vec<(OwnedFd, ListenerProtocol)>,
    reuse_port: bool,
    observers: Observers,
    error_pages: Pages,
    default_headers: DefaultHeaders,
}

impl Builder {
    /// Shares the ports that are [listened](Self::listen) on with other servers of the same user
    /// that do so too (`SO_REUSEPORT`), such as the next version of this one. The system gives each
    /// of them some of the clients. Default: no, and a port that is taken is an error.
    ///
    /// The next server can listen before this one drains, so that nobody is refused. But each has a
    /// queue of its own, and a client whose system has chosen one that takes nobody any more tries
    /// again a second later. With a socket that a service manager keeps ([`adopt`](Self::adopt))
    /// nobody waits so long.
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// The number of threads that run handlers, at least one. Default:
    /// [`defaults::workers`](crate::defaults::workers).
    pub fn workers(mut self, workers: usize) -> Self {
        self.config.workers = workers.max(1);
        self
    }

    /// The most connections open at once, from one to sixteen million; others wait in the kernel's
    /// queue. Default: [`MAX_CONNECTIONS`](crate::defaults::MAX_CONNECTIONS). [`bind`](Self::bind)
    /// lowers it to what the process's descriptor limit allows, as
    /// [`descriptors_per_connection`](Self::descriptors_per_connection) says.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.config.max_connections = connections.clamp(1, MOST_CONNECTIONS);
        self
    }

    /// How many descriptors a connection may need at once, at least one: its socket, and what its
    /// answer comes from while it is sent, such as a file. Default:
    /// [`DESCRIPTORS_PER_CONNECTION`](crate::defaults::DESCRIPTORS_PER_CONNECTION).
    ///
    /// Only the process's limit is divided by it: without enough of them for
    /// [`max_connections`](Self::max_connections), fewer clients are let in, so that each of them can
    /// be sent a file. Where no handler answers with files, 1 lets in twice as many.
    pub fn descriptors_per_connection(mut self, descriptors: usize) -> Self {
        self.config.descriptors_per_connection = descriptors.max(1);
        self
    }

    /// The settings of which one keeps another from having its effect. [`bind`](Self::bind) accepts
    /// them; a program should warn of them.
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

    /// The longest request head in bytes; a longer one is answered 431, or 414 if the request
    /// line alone is longer. Default: [`MAX_HEADER_SIZE`](crate::defaults::MAX_HEADER_SIZE).
    pub fn max_header_size(mut self, bytes: usize) -> Self {
        self.config.max_header_size = bytes;
        self
    }

    /// The largest request body in bytes; a larger one is answered 413 before it is read. One that
    /// its handler [streams](crate::BodyMode::Streaming) has a limit of its own. So has one that could never
    /// be kept: a body over [`max_buffered_memory`](Self::max_buffered_memory) is too large, unless it comes in one
    /// piece with its head. Default: [`MAX_BODY`](crate::defaults::MAX_BODY).
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.config.max_body = bytes;
        self
    }

    /// The most bytes that all connections together keep of requests that are not complete and of
    /// answers that their clients have not taken. When that much is kept, a request that needs
    /// more is answered 503 with `Retry-After`, and its connection ends, or 413 if it alone needs more
    /// than that; an answer that its client does not take is cut. Requests that come in one piece and answers that are taken at once
    /// need none. A body of more than 64 KiB that is shared with others, as clones of one
    /// [`Bytes`](bytes::Bytes) are, does not count. Default:
    /// [`MAX_BUFFERED_MEMORY`](crate::defaults::MAX_BUFFERED_MEMORY).
    ///
    /// A response counts with all of its bytes until more than half of them are taken; the rest is
    /// then moved to memory of its own size.
    ///
    /// What workers have in hand comes on top: for each the input buffer, what one receive gives, and
    /// the request and answer of its handler. So does what the allocator keeps: with the GNU C library,
    /// set `MALLOC_MMAP_THRESHOLD_=131072` in the environment, or it may keep as much again.
    pub fn max_buffered_memory(mut self, bytes: usize) -> Self {
        self.config.max_buffered_memory = bytes;
        self
    }

    /// How long a head may take, from the connection's first moment or a later request's first
    /// byte to its end. Afterwards the answer is 408, or nothing if not a byte has come. Default:
    /// [`HEAD_TIMEOUT`](crate::defaults::HEAD_TIMEOUT).
    pub fn head_timeout(mut self, patience: Duration) -> Self {
        self.config.head_timeout = patience.min(LONGEST);
        self
    }

    /// How long a body may take, from the end of the head to its own end; of one that its handler
    /// [streams](crate::BodyMode::Streaming), how long a read may wait for more. Afterwards the answer is
    /// 408. Default: [`BODY_TIMEOUT`](crate::defaults::BODY_TIMEOUT).
    pub fn body_timeout(mut self, patience: Duration) -> Self {
        self.config.body_timeout = patience.min(LONGEST);
        self
    }

    /// How long a connection is kept without a request, from the end of an answer to the next
    /// request's first byte. Default: [`IDLE_TIMEOUT`](crate::defaults::IDLE_TIMEOUT).
    pub fn idle_timeout(mut self, patience: Duration) -> Self {
        self.config.idle_timeout = patience.min(LONGEST);
        self
    }

    /// How long a client may take no byte of its answer; each byte taken starts it again.
    /// Afterwards the answer is cut. Default:
    /// [`WRITE_TIMEOUT`](crate::defaults::WRITE_TIMEOUT).
    pub fn write_timeout(mut self, patience: Duration) -> Self {
        self.config.write_timeout = patience.min(LONGEST);
        self
    }

    /// The slowest average, in bytes a second, at which a client may send a head or a body or take
    /// an answer, from the beginning of each and once [`min_rate_grace`](Self::min_rate_grace) has
    /// passed. A request that comes slower is answered 408, an answer that is taken slower is
    /// cut. 0 is as slow as the timeouts allow. Default:
    /// [`MIN_RATE`](crate::defaults::MIN_RATE).
    pub fn min_rate(mut self, bytes_per_second: usize) -> Self {
        self.config.min_rate = bytes_per_second;
        self
    }

    /// How long a client may be slower than [`min_rate`](Self::min_rate). Default:
    /// [`MIN_RATE_GRACE`](crate::defaults::MIN_RATE_GRACE).
    pub fn min_rate_grace(mut self, grace: Duration) -> Self {
        self.config.min_rate_grace = grace.min(LONGEST);
        self
    }

    /// How long a request may wait for a worker. One that has waited longer is answered 503 with
    /// `Retry-After`, its handler does not run, and its connection is kept if it has come whole.
    /// Default: [`QUEUE_TIMEOUT`](crate::defaults::QUEUE_TIMEOUT).
    ///
    /// A worker that comes to such a request answers it so; if none does, the thread in
    /// [`run`](crate::Server::run) answers, about a sixteenth of this time later at most. Requests
    /// that have come when the server begins to [drain](crate::Phase::Draining) are handled, however
    /// long they wait.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::Server;
    ///
    /// // Clients of this one ask again elsewhere after a second.
    /// let builder = Server::builder().queue_timeout(Duration::from_secs(1)).queue_limit(1000);
    /// ```
    pub fn queue_timeout(mut self, patience: Duration) -> Self {
        self.config.queue_timeout = patience.min(LONGEST);
        self
    }

    /// How many connections may wait for a worker. If there are more, the requests of those who have
    /// waited for longest are answered as after [`queue_timeout`](Self::queue_timeout). Default:
    /// [`QUEUE_LIMIT`](crate::defaults::QUEUE_LIMIT).
    ///
    /// It is looked at once a millisecond while workers are busy, and those count that have waited
    /// since the last look: what a quick pool takes up in a moment is no queue.
    pub fn queue_limit(mut self, connections: usize) -> Self {
        self.config.queue_limit = connections;
        self
    }

    /// How long the drain may take, from the moment that the listeners close to the cut. Default:
    /// [`DRAIN_TIMEOUT`](crate::defaults::DRAIN_TIMEOUT).
    pub fn drain_timeout(mut self, patience: Duration) -> Self {
        self.config.drain_timeout = patience.min(LONGEST);
        self
    }

    /// How long to go on accepting after shutdown was asked for, while every connection's last
    /// answer says `Connection: close`. Default: [`DRAIN_DELAY`](crate::defaults::DRAIN_DELAY).
    pub fn drain_delay(mut self, delay: Duration) -> Self {
        self.config.drain_delay = delay.min(LONGEST);
        self
    }

    /// How long idle connections are kept once the drain has begun, for a request that is already
    /// on its way, and listeners (a tenth of a second at most) for a handshake that is. The time
    /// begins again with each connection that is accepted and each TLS handshake that ends. When it
    /// is over, a client that pipelines requests gets responses to those that have arrived. Default:
    /// [`DRAIN_IDLE`](crate::defaults::DRAIN_IDLE).
    pub fn drain_idle(mut self, grace: Duration) -> Self {
        self.config.drain_idle = grace.min(LONGEST);
        self
    }

    /// Identifies every request: by its `X-Request-Id` if that is one field of 1 to 64 letters,
    /// digits and `-._:=+/@`, by a new id if not. The handler finds it in that field, the response
    /// says it in the same, and so do error answers and an [`RequestRecord`](crate::RequestRecord). Default:
    /// no; it takes two allocations a request.
    ///
    /// ```
    /// use httpool::{Request, Server};
    ///
    /// let builder = Server::builder().request_ids(true);
    /// let handler = |request: Request| {
    ///     // For what this handler asks of others, so that their logs say the same.
    ///     let id = request.headers().get("x-request-id");
    ///     format!("this is request {id:?}\n")
    /// };
    /// # let _ = (builder, handler);
    /// ```
    pub fn request_ids(mut self, wanted: bool) -> Self {
        self.config.request_ids = wanted;
        self
    }

    /// Adds [`Server-Timing`](https://www.w3.org/TR/server-timing/) to every answer of a handler,
    /// with the milliseconds that it took: browsers show it beside their own times. Default: no.
    pub fn server_timing(mut self, wanted: bool) -> Self {
        self.config.server_timing = wanted;
        self
    }

    /// Has this [`Observer`] told of every request; each call adds one.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(observer);
        self
    }

    /// Has pages of one's own in the place of error answers. They are asked for each answer with a
    /// status of 400 and above that tells a [`Problem`](crate::Problem), the server's own refusals
    /// among them, or that has no content. Where they have no page, the answer stays. Error answers
    /// with other content are their handler's own. Default: none.
    ///
    /// A page need not be HTML:
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
        self.error_pages = Pages::new(pages);
        self
    }

    /// Has this function add fields to every answer, also to those that the server makes itself. It
    /// gets the fields that an answer has already, and is told who asks. Default: none. What depends on
    /// the request is a [layer's](crate::Layer::server_response).
    ///
    /// It is called on a worker, or, for who is turned away because no worker is free, on the thread
    /// that runs the server: it should be quick, and not block. If it panics, that costs the
    /// connection.
    ///
    /// ```
    /// use httpool::Server;
    /// use httpool::http::HeaderValue;
    /// use httpool::http::header::STRICT_TRANSPORT_SECURITY;
    /// use httpool::http::uri::Scheme;
    ///
    /// let builder = Server::builder().default_headers(|fields, origin| {
    ///     if origin.scheme() == Some(&Scheme::HTTPS) {
    ///         let year = HeaderValue::from_static("max-age=31536000");
    ///         fields.insert(STRICT_TRANSPORT_SECURITY, year);
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

    /// How long a client may take to agree on TLS, from the connection's first moment. Afterwards the
    /// connection ends; otherwise the [`head_timeout`](Self::head_timeout) begins. Default:
    /// [`HANDSHAKE_TIMEOUT`](crate::defaults::HANDSHAKE_TIMEOUT).
    #[cfg(feature = "_tls")]
    pub fn handshake_timeout(mut self, patience: Duration) -> Self {
        self.config.handshake_timeout = patience.min(LONGEST);
        self
    }

    /// Believes these proxies when they say whom they pass on requests for; each call adds some.
    /// Default: nobody is believed.
    ///
    /// Whoever is believed can pretend to be anybody. So name only proxies that you run, and have
    /// them set the [field](Self::forwarded_by) that is read.
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
    ///     None => "a proxy does not say who you are\n".into(),
    /// };
    /// # let _ = (server, handler);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "proxy")]
    pub fn trusted_proxy(mut self, proxy: impl Into<TrustedProxy>) -> Self {
        self.config.trusted_proxies.add(proxy.into());
        self
    }

    /// Which fields the [trusted proxies](Self::trusted_proxy) set. Default:
    /// [`ForwardedBy::XForwarded`].
    #[cfg(feature = "proxy")]
    pub fn forwarded_by(mut self, by: ForwardedBy) -> Self {
        self.config.trusted_proxies.set_forwarded_by(by);
        self
    }
}
