//! A response that hands the connection over to another protocol.

mod stream;

use std::fmt;

use http::{HeaderValue, StatusCode};

pub use self::stream::Stream;
pub(crate) use self::stream::UpgradedConnection;

use super::{Body, IntoResponse, Response};

/// A response after which HTTP ends on the connection and another protocol begins: `101 Switching
/// Protocols` (RFC 9110 section 7.8).
///
/// It responds to HTTP/1.1 requests that name this protocol in `Upgrade` and send `Connection:
/// upgrade`. Other requests, and HEAD, receive `426 Upgrade Required` with the protocol's name. The
/// server sends `Upgrade` and `Connection` itself; add other headers as to any response. The
/// request body must have been read to its end.
///
/// HTTP/2 has no upgrades. A client of HTTP/2 gets a reset of its stream with HTTP_1_1_REQUIRED when
/// the handler has responded. Some clients, curl among them, then repeat the request over HTTP/1.1,
/// which calls the handler again. Browsers open WebSockets over HTTP/1.1.
///
/// When the head has been sent, the function receives the connection as a blocking [`Stream`]. It
/// runs on the worker that ran the handler and *occupies it* until it returns. A program with many
/// such connections needs as many more workers, or moves the stream to a thread of its own.
///
/// ```
/// use std::io::{self, BufRead, BufReader, Write};
///
/// use httpool::{IntoResponse, Request, Stream, Upgrade};
/// use httpool::http::StatusCode;
///
/// /// Gives back each line.
/// fn echo(stream: Stream) -> io::Result<()> {
///     let mut stream = BufReader::new(stream);
///     let mut line = Vec::new();
///     while stream.read_until(b'\n', &mut line)? > 0 {
///         stream.get_mut().write_all(&line)?;
///         line.clear();
///     }
///     Ok(())
/// }
///
/// fn respond(_: Request) -> Upgrade {
///     Upgrade::new("line-echo", |stream| {
///         // An error means that the client has left.
///         let _ = echo(stream);
///     })
/// }
///
/// let response = respond(Request::default()).into_response();
/// assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
/// ```
pub struct Upgrade {
    protocol: HeaderValue,
    serve: Box<dyn FnOnce(Stream) + Send>,
}

impl Upgrade {
    /// An upgrade to this protocol, which the function speaks. If the function panics, the
    /// connection closes.
    ///
    /// # Panics
    ///
    /// Panics if the protocol's name has characters that a header value can't have.
    pub fn new(protocol: &'static str, serve: impl FnOnce(Stream) + Send + 'static) -> Self {
        Self {
            protocol: HeaderValue::from_static(protocol),
            serve: Box::new(serve),
        }
    }

    /// The protocol's name.
    pub(crate) fn protocol(&self) -> &HeaderValue {
        &self.protocol
    }

    /// Runs the function on the connection.
    pub(crate) fn serve(self, stream: Stream) {
        (self.serve)(stream);
    }
}

impl IntoResponse for Upgrade {
    fn into_response(self) -> Response {
        (StatusCode::SWITCHING_PROTOCOLS, Body::upgrade(self)).into_response()
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
