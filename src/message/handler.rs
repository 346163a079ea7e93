//! What a program gives the server: a function from a request to a response.

use std::io;
use std::mem;
use std::sync::Arc;

use super::{Body, IntoResponse, Request, Response};

/// Largest request body that a handler [streams](BodyMode::Stream), unless it says
/// otherwise. Nothing of it is kept in memory, but handlers put it somewhere, and a disk has an
/// end, too.
///
/// ```
/// use httpool::{BodyMode, defaults};
///
/// assert_eq!(BodyMode::STREAM, BodyMode::Stream { most: defaults::MAX_STREAMED_BODY });
/// ```
pub const MAX_STREAMED_BODY: u64 = 1024 * 1024 * 1024;

/// Answers requests. One handler is shared by all workers and runs on several of them at once.
///
/// Every `Fn(Request) -> impl IntoResponse + Send + Sync` is a handler, and that is how most
/// programs write theirs:
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
/// The trait itself *lends* the request: the worker keeps its header map and gives the same one to
/// the next request, so a handler that implements the trait directly costs no allocation for what
/// it reads. A function owns its request and pays for a new map; both see the same thing.
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
/// A handler may block: that is what the pool is for. A handler that panics costs its client a
/// 500 and nobody else anything.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    note = "handlers are functions of a `Request`, routers (one whose functions take a `State` needs \
            `with_state`), or whatever implements `Handler`"
)]
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. What is left in `request` afterwards is thrown away.
    fn handle(&self, request: &mut Request) -> Response;

    /// How to take the body of this request, of which nothing but the head is known.
    ///
    /// This is asked about each request with a body, however much of that has come with the head.
    /// One that panics counts as [`BodyMode::Whole`].
    fn body_mode(&self, request: &Request) -> BodyMode {
        let _ = request;
        BodyMode::Whole
    }

    /// Completes a response that the server makes in the place of this handler: to a request that it
    /// refuses (400, 413, 431 and others), that comes too slowly (408) or must wait for too long
    /// (503), or after a panic (500). A handler with [layers](crate::Layer) has them do it, so that
    /// [`Cors`](crate::layers::Cors) lets pages read such a response, too. A handler that passes
    /// requests on to another one passes these on as well. Default: the response stays as it is.
    ///
    /// `request` has no content, and as much of the head as is known. If the head is not complete or
    /// not valid, it has the header lines that have come whole, and the target is `*` if the request
    /// line is not known.
    ///
    /// This is called on a worker, or, for a request that is refused because no worker is free, on the
    /// thread that runs the server: it must be quick, and must not block. One that panics costs the
    /// connection.
    ///
    /// ```
    /// use httpool::{Handler, Request, Response};
    ///
    /// /// Counts what it passes on.
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

    /// Whether the handler is made such that it can handle requests at all. A server asks once before
    /// it starts, and a [`Client`](crate::testing::Client) when it is made; a handler that has other
    /// handlers asks them. A router finds functions here that take more from the path than it names.
    ///
    /// # Errors
    ///
    /// What is wrong with the program. [`Server::run`](crate::Server::run) returns it.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }
}

/// How a request's body is taken.
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
///             Method::PUT => BodyMode::STREAM,
///             _ => BodyMode::Whole,
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyMode {
    /// The handler runs when all of it is here. No slow sender holds a worker, and all of the body
    /// is in memory. It may have [`Builder::max_body`](crate::Builder::max_body) bytes.
    Whole,
    /// The handler runs when the head is here, and [reads](std::io::Read) the body while it comes:
    /// little of it is in memory, and a slow sender *holds a worker* for as long as the handler
    /// waits for him.
    ///
    /// None of it is in [`Body::as_bytes`], even if all of it is here.
    ///
    /// A read fails as [`TimedOut`](std::io::ErrorKind::TimedOut) when nothing has come for
    /// [`Builder::body_timeout`](crate::Builder::body_timeout), or when the client is slower than
    /// [`Builder::min_rate`](crate::Builder::min_rate), measured by the time that reads have waited.
    /// The whole may take as long as that rate lets it. A read fails as
    /// [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) when the connection ends before the
    /// body, as [`FileTooLarge`](std::io::ErrorKind::FileTooLarge) above `most` bytes, and as
    /// [`InvalidData`](std::io::ErrorKind::InvalidData) when the chunked coding is broken. If the
    /// handler then answers with a status of the 5xx class, as a [`std::io::Error`] does, the client
    /// is told its own mistake instead: 408, 400 or 413.
    ///
    /// A client that waits for `100 Continue` (RFC 9110 section 10.1.1) gets it with the first
    /// read. What the handler leaves unread is thrown away if it is here already and little; else
    /// the connection ends after the answer. Once that is made, the body can't be read any more,
    /// wherever it is kept.
    Stream {
        /// Bytes that it may have.
        most: u64,
    },
    /// The handler runs when the head is here and responds without the body, as one does that refuses
    /// the request: 404, 405. A client that waits for `100 Continue` gets the response instead (RFC
    /// 9110 section 10.1.1), and the connection ends. From another client the body is thrown away
    /// while it comes, without memory or a worker, and the connection goes on. A body that has come
    /// with the head is there all the same.
    ///
    /// [`Body::length`] is what the head says. If the handler or a [`Layer`](crate::Layer) looks at
    /// more of the body, there is nothing of it: [`Body::as_bytes`] is empty and a read fails. The
    /// server then drops the response, receives the body as for [`Whole`](Self::Whole), and gives the
    /// request to the handler and its layers again.
    ///
    /// ```
    /// use httpool::http::{Method, StatusCode};
    /// use httpool::{Handler, BodyMode, IntoResponse, Request, Response};
    ///
    /// /// Gives back what is posted.
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
    ///             Method::POST => BodyMode::Whole,
    ///             _ => BodyMode::HeadOnly,
    ///         }
    ///     }
    /// }
    /// ```
    HeadOnly,
}

impl BodyMode {
    /// [`Stream`](Self::Stream) with [`defaults::MAX_STREAMED_BODY`](crate::defaults::MAX_STREAMED_BODY).
    pub const STREAM: Self = Self::Stream {
        most: MAX_STREAMED_BODY,
    };

    /// What suits both.
    #[cfg(feature = "router")]
    pub(crate) const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Stream { most: one }, Self::Stream { most: two }) if one < two => other,
            (Self::Whole | Self::HeadOnly, _) => other,
            _ => self,
        }
    }
}

/// One handler for several servers.
impl<H: Handler + ?Sized> Handler for Arc<H> {
    fn handle(&self, request: &mut Request) -> Response {
        (**self).handle(request)
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
