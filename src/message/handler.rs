//! Handlers: functions from a request to a response.

use std::io;
use std::mem;
use std::sync::Arc;

use super::{Body, IntoResponse, Request, Response};

/// Largest request body that a handler [streams](BodyMode::Streaming) by default. The server keeps
/// nothing of it in memory, but handlers usually store it, and disks are limited.
///
/// ```
/// use httpool::{BodyMode, defaults};
///
/// assert_eq!(BodyMode::STREAMING, BodyMode::Streaming { most: defaults::MAX_STREAMED_BODY });
/// ```
pub const MAX_STREAMED_BODY: u64 = 1024 * 1024 * 1024;

/// Responds to requests. All workers share one handler and call it concurrently.
///
/// Every `Fn(Request) -> impl IntoResponse + Send + Sync` is a handler. Most programs write theirs
/// this way:
///
/// ```
/// use httpool::{Handler, Request};
/// use httpool::http::StatusCode;
///
/// fn greet(request: Request) -> (StatusCode, String) {
///     (StatusCode::OK, format!("you asked for {}", request.uri()))
/// }
///
/// let mut request = Request::default();
/// assert_eq!(greet.handle(&mut request).status(), StatusCode::OK);
/// ```
///
/// A type that implements the trait *borrows* the request: the worker reuses its header map for the
/// next request, so reading headers allocates nothing. A function owns its request and costs one
/// new header map. Both see the same request.
///
/// ```
/// use httpool::{Body, Handler, Request, Response};
///
/// struct Mirror;
///
/// impl Handler for Mirror {
///     fn handle(&self, request: &mut Request) -> Response {
///         Response::new(std::mem::take(request.body_mut()))
///     }
/// }
/// ```
///
/// A handler may block; the pool exists for that. If it panics, its client receives a 500, and no
/// other request is affected.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    note = "a handler is a function that takes a `Request`, a router (call `with_state` first if its \
            functions take a `State`), or a type that implements `Handler`"
)]
pub trait Handler: Send + Sync + 'static {
    /// Responds to one request. The server drops what is left in `request` afterwards.
    fn handle(&self, request: &mut Request) -> Response;

    /// Prepares a request with a body for [`body_mode`](Self::body_mode) and
    /// [`handle`](Self::handle). A handler can choose something here, and keep it in the extensions
    /// of the request, that must be the same in both although the body arrives later. The default
    /// does nothing.
    ///
    /// The server calls this before each call of `body_mode`, and not for requests without a body. A
    /// handler that wraps another passes it on; a router does not.
    ///
    /// ```
    /// use std::sync::{Arc, RwLock};
    /// use httpool::{BodyMode, Handler, Request, Response};
    ///
    /// /// A handler that can be replaced while the server runs. Each request gets one handler.
    /// struct Replaceable(RwLock<Arc<dyn Handler>>);
    ///
    /// #[derive(Clone)]
    /// struct Chosen(Arc<dyn Handler>);
    ///
    /// impl Replaceable {
    ///     fn of(&self, request: &Request) -> Arc<dyn Handler> {
    ///         match request.extensions().get() {
    ///             Some(Chosen(handler)) => Arc::clone(handler),
    ///             None => Arc::clone(&self.0.read().expect("no writer panics")),
    ///         }
    ///     }
    /// }
    ///
    /// impl Handler for Replaceable {
    ///     fn prepare(&self, request: &mut Request) {
    ///         let handler = self.of(request);
    ///         request.extensions_mut().insert(Chosen(handler));
    ///     }
    ///
    ///     fn body_mode(&self, request: &Request) -> BodyMode {
    ///         self.of(request).body_mode(request)
    ///     }
    ///
    ///     fn handle(&self, request: &mut Request) -> Response {
    ///         self.of(request).handle(request)
    ///     }
    /// }
    /// ```
    fn prepare(&self, request: &mut Request) {
        let _ = request;
    }

    /// Chooses how the body of this request is received. Only the head is known at this point.
    ///
    /// The server calls this for each request with a body, even if the body arrived with the head.
    /// A panic counts as [`BodyMode::Buffered`].
    fn body_mode(&self, request: &Request) -> BodyMode {
        let _ = request;
        BodyMode::Buffered
    }

    /// Completes a response that the server makes instead of this handler, because the request
    /// is rejected (400, 408, 413, 431 and others), the server is overloaded (503) or the handler
    /// panicked (500). A handler with
    /// [layers](crate::Layer) passes it to them, so that [`Cors`](crate::layers::Cors) lets pages
    /// read it. A handler that wraps another handler must pass it on. The default changes nothing.
    ///
    /// `request` has no content. It has the part of the head that is known: if the head is
    /// incomplete or invalid, the header lines that arrived whole, and the target `*` if the
    /// request line is unknown.
    ///
    /// The server calls this on a worker. If a request is rejected because no worker is free, it
    /// calls this on the thread that runs the server. So it must be quick and must not block. A
    /// panic closes the connection.
    ///
    /// ```
    /// use httpool::{Handler, Request, Response};
    ///
    /// /// Counts the requests that it forwards.
    /// struct Counted<H>(H, std::sync::atomic::AtomicU64);
    ///
    /// impl<H: Handler> Handler for Counted<H> {
    ///     fn handle(&self, request: &mut Request) -> Response {
    ///         self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    ///         self.0.handle(request)
    ///     }
    ///
    ///     fn server_response(&self, request: &Request, response: &mut Response) {
    ///         self.0.server_response(request, response);
    ///     }
    /// }
    /// ```
    fn server_response(&self, request: &Request, response: &mut Response) {
        let _ = (request, response);
    }

    /// Checks whether the handler can handle requests at all. A server calls this once before it
    /// starts, and a [`Client`](crate::testing::Client) when it is created. A handler that wraps
    /// others checks them. A router finds functions here that take more from the path than the path
    /// names.
    ///
    /// # Errors
    ///
    /// Describes the mistake in the program. [`Server::run`](crate::Server::run) returns it.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether this handler may respond with an [`Upgrade`](crate::Upgrade). A server calls this once
    /// before it starts. If no response is one, the server does not offer WebSockets to clients of
    /// HTTP/2 (RFC 8441). A handler that wraps another passes its result on. The default is true.
    ///
    /// ```
    /// use httpool::services::Echo;
    /// use httpool::{Handler, Request};
    ///
    /// assert!(!Echo::default().may_upgrade());
    /// // Nothing is known of a function.
    /// assert!((|_: Request| "hello").may_upgrade());
    /// ```
    fn may_upgrade(&self) -> bool {
        true
    }
}

/// How the body of a request is received.
///
/// ```
/// use std::io;
/// use httpool::http::Method;
/// use httpool::{Handler, BodyMode, IntoResponse, Request, Response};
///
/// /// Says how many bytes it was sent, and keeps none.
/// struct Scales;
///
/// impl Handler for Scales {
///     fn handle(&self, request: &mut Request) -> Response {
///         let count = io::copy(request.body_mut(), &mut io::sink());
///         count.map(|count| format!("{count} bytes\n")).into_response()
///     }
///
///     fn body_mode(&self, request: &Request) -> BodyMode {
///         match *request.method() {
///             Method::PUT => BodyMode::STREAMING,
///             _ => BodyMode::Buffered,
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyMode {
    /// The handler runs when the whole body has arrived. A slow sender occupies no worker. The body
    /// is in memory and at most [`Builder::max_body`](crate::Builder::max_body) bytes long.
    Buffered,
    /// [`Buffered`](Self::Buffered) with a limit of its own, which may be lower or higher than
    /// [`Builder::max_body`](crate::Builder::max_body). A larger body is rejected with 413. The layer
    /// [`MaxBody`](crate::layers::MaxBody) chooses this for a part of the routes.
    ///
    /// ```
    /// use httpool::{BodyMode, Handler, Request, Response};
    ///
    /// /// Takes pictures of up to 20 MB, and little else.
    /// struct Pictures;
    ///
    /// impl Handler for Pictures {
    ///     fn handle(&self, request: &mut Request) -> Response {
    ///         Response::new(format!("{} bytes\n", request.body().as_bytes().len()).into())
    ///     }
    ///
    ///     fn body_mode(&self, request: &Request) -> BodyMode {
    ///         match request.uri().path() {
    ///             "/pictures" => BodyMode::BufferedUpTo { most: 20_000_000 },
    ///             _ => BodyMode::BufferedUpTo { most: 1_000 },
    ///         }
    ///     }
    /// }
    /// ```
    BufferedUpTo {
        /// Largest number of bytes.
        most: u64,
    },
    /// The handler runs when the head has arrived and [reads](std::io::Read) the body while it
    /// arrives. Little of it is in memory, but a slow sender *occupies the worker* while the
    /// handler waits for it.
    ///
    /// [`Body::as_bytes`] is empty, even if the whole body has arrived.
    ///
    /// A read fails with [`TimedOut`](std::io::ErrorKind::TimedOut) if no byte arrives within
    /// [`Builder::body_timeout`](crate::Builder::body_timeout), or if the client is slower than
    /// [`Builder::min_rate`](crate::Builder::min_rate), measured over the time that reads have
    /// waited. There is no other limit on the total time. A read fails with
    /// [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) if the connection or the HTTP/2 stream
    /// ends before the body,
    /// with [`FileTooLarge`](std::io::ErrorKind::FileTooLarge) above `most` bytes, and with
    /// [`InvalidData`](std::io::ErrorKind::InvalidData) if the chunked coding is broken. If the
    /// handler then responds with a 5xx status, as a [`std::io::Error`] does, the server sends the
    /// client's own error instead: 408, 400 or 413.
    ///
    /// A client that waits for `100 Continue` receives it at the first read (RFC 9110 section
    /// 10.1.1). If the handler leaves a part unread, the server discards it if it is small and has
    /// arrived; otherwise the connection closes after the response. In HTTP/2 the connection stays
    /// open; the rest is discarded for a second, and then the stream is reset with NO_ERROR. The body
    /// can't be read after the handler has returned, wherever it is kept, so a handler can't respond
    /// in parts while it reads.
    Streaming {
        /// Largest number of bytes.
        most: u64,
    },
    /// The handler runs when the head has arrived and responds without the body, for example with
    /// 404 or 405. A client that waits for `100 Continue` receives the response instead (RFC 9110
    /// section 10.1.1), and the connection closes, unless it is of HTTP/2. From other clients the
    /// server discards the body while it arrives, which occupies no memory and no worker, and the
    /// connection stays open. A body that arrived with the head is available.
    ///
    /// [`Body::length`] is the announced length. If the handler or a [`Layer`](crate::Layer) uses
    /// the content, [`Body::as_bytes`] is empty and a read fails. The server then drops the
    /// response, receives the body as for [`Buffered`](Self::Buffered), and calls the handler and its
    /// layers a second time.
    ///
    /// ```
    /// use httpool::http::{Method, StatusCode};
    /// use httpool::{Handler, BodyMode, IntoResponse, Request, Response};
    ///
    /// /// Echoes the body of POST requests.
    /// struct Mirror;
    ///
    /// impl Handler for Mirror {
    ///     fn handle(&self, request: &mut Request) -> Response {
    ///         match *request.method() {
    ///             Method::POST => std::mem::take(request.body_mut()).into_response(),
    ///             _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    ///         }
    ///     }
    ///
    ///     fn body_mode(&self, request: &Request) -> BodyMode {
    ///         match *request.method() {
    ///             Method::POST => BodyMode::Buffered,
    ///             _ => BodyMode::HeadOnly,
    ///         }
    ///     }
    /// }
    /// ```
    HeadOnly,
}

impl BodyMode {
    /// [`Streaming`](Self::Streaming) with the limit
    /// [`defaults::MAX_STREAMED_BODY`](crate::defaults::MAX_STREAMED_BODY).
    pub const STREAMING: Self = Self::Streaming {
        most: MAX_STREAMED_BODY,
    };

    /// Whether the whole body is received before the handler runs.
    #[cfg(feature = "http2")]
    pub(crate) fn is_buffered(self) -> bool {
        matches!(self, Self::Buffered | Self::BufferedUpTo { .. })
    }

    /// The mode that suits both.
    #[cfg(feature = "router")]
    pub(crate) const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Streaming { most: one }, Self::Streaming { most: two }) if one < two => other,
            (Self::Buffered | Self::BufferedUpTo { .. } | Self::HeadOnly, _) => other,
            _ => self,
        }
    }
}

/// One handler for several servers.
impl<H: Handler + ?Sized> Handler for Arc<H> {
    fn handle(&self, request: &mut Request) -> Response {
        (**self).handle(request)
    }

    fn prepare(&self, request: &mut Request) {
        (**self).prepare(request);
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        (**self).body_mode(request)
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        (**self).server_response(request, response);
    }

    fn check(&self) -> io::Result<()> {
        (**self).check()
    }

    fn may_upgrade(&self) -> bool {
        (**self).may_upgrade()
    }
}

impl<F, R> Handler for F
where
    F: Fn(Request<Body>) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn handle(&self, request: &mut Request) -> Response {
        self(mem::take(request)).into_response()
    }
}
