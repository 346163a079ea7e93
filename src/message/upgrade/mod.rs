//! An answer that hands the connection over to another protocol.

mod stream;

use std::fmt;

use http::{HeaderValue, StatusCode};

pub use self::stream::Stream;
pub(crate) use self::stream::UpgradedConnection;

use super::{Body, IntoResponse, Response};

/// An answer with which HTTP ends on a connection and another protocol begins: `101 Switching
/// Protocols` (RFC 9110 section 7.8).
///
/// It is for requests of HTTP/1.1 that ask for this protocol in `Upgrade`, with `Connection:
/// upgrade` beside it. Others are answered `426 Upgrade Required` instead, which tells them the
/// protocol, and so is HEAD, which asks for no content. The server sends both fields itself; whatever else the protocol wants in the head is
/// added as to any other answer. The request's body must have been read to its end.
///
/// When the head has left, the function gets the connection as a [`Stream`] that blocks. It runs on
/// the worker that ran the handler, and *holds this worker* until it returns. A program that has
/// many such connections wants as many more workers, or lets the function give the stream to a
/// thread of its own.
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
/// fn answer(_: Request) -> Upgrade {
///     Upgrade::new("line-echo", |stream| {
///         // Whoever has left needs no more answers.
///         let _ = echo(stream);
///     })
/// }
///
/// let response = answer(Request::default()).into_response();
/// assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
/// ```
pub struct Upgrade {
    protocol: HeaderValue,
    serve: Box<dyn FnOnce(Stream) + Send>,
}

impl Upgrade {
    /// To this protocol, which the function speaks. If it panics, the connection ends.
    ///
    /// # Panics
    ///
    /// If the protocol's name has characters that no field may have.
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

    /// Speaks it.
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
