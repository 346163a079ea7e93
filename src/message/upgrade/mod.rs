//! A response that hands the connection over to another protocol.

mod driven;
mod stream;

use std::fmt;

use http::{HeaderValue, StatusCode};

pub(crate) use self::driven::DrivenConnection;
pub use self::driven::{DrivenProtocol, DrivenStream, DrivenWaker, NextStep};
pub use self::stream::Stream;
pub(crate) use self::stream::UpgradedConnection;

#[cfg(feature = "http2")]
use super::body::Content;
use super::{Body, IntoResponse, Response};

/// A response after which HTTP ends on the connection and another protocol begins: `101 Switching
/// Protocols` (RFC 9110 section 7.8).
///
/// It responds to HTTP/1.1 requests that name this protocol in `Upgrade` and send `Connection:
/// upgrade`. Other requests, and HEAD, receive `426 Upgrade Required` with the protocol's name. The
/// server sends `Upgrade` and `Connection` itself; add other headers as to any response. The
/// request body must have been read to its end.
///
/// In HTTP/2, a client can ask for a WebSocket on a stream (RFC 8441), which
/// [`driven("websocket", …)`](Self::driven) accepts if the server has the feature `websocket`: the
/// request is a GET with `Upgrade: websocket`, and the status that is sent is 200. The protocol gets the
/// stream instead of the connection. For every other upgrade, a client of HTTP/2 gets a reset of its
/// stream with HTTP_1_1_REQUIRED when the handler has responded. Some clients, curl among them, then
/// repeat the request over HTTP/1.1, which calls the handler again.
///
/// There are two kinds:
///
/// * [`Upgrade::driven`] has a [`DrivenProtocol`] that the pool calls whenever its connection is
///   ready. It holds no worker in between, so it is for many connections.
/// * [`Upgrade::new`] has a function that receives the connection as a blocking [`Stream`] when the
///   head has been sent. It is easier to write, but runs on the worker that ran the handler and
///   *occupies it* until it returns. A program with many such connections needs as many more
///   workers, or moves the stream to a thread of its own.
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
    kind: UpgradeKind,
}

/// Who serves the connection.
pub(crate) enum UpgradeKind {
    /// A function, on one worker until it returns.
    Blocking(Box<dyn FnOnce(Stream) + Send>),
    /// A protocol that the pool drives.
    Driven(MakeDriven),
}

/// Makes the protocol of a connection.
pub(crate) type MakeDriven = Box<dyn FnOnce(DrivenWaker) -> Box<dyn DrivenProtocol> + Send>;

/// How a response answers an extended CONNECT (RFC 8441).
#[cfg(feature = "http2")]
pub(crate) enum ConnectAnswer {
    /// This makes the protocol that follows.
    Accepts(MakeDriven),
    /// An upgrade to another protocol, or one that needs a connection of its own.
    OtherUpgrade,
    /// No upgrade.
    Response,
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
            kind: UpgradeKind::Blocking(Box::new(serve)),
        }
    }

    /// An upgrade to this protocol, which the pool drives: [`DrivenProtocol`] says when it is called.
    ///
    /// `make` runs on a worker when the head has been sent. The waker has the protocol called from
    /// any thread. The connection counts as open and holds up a drain until the protocol has closed
    /// it; [`CloseReason::Upgraded`](crate::CloseReason::Upgraded) is the reason. If it is still
    /// open at the drain's deadline, it is aborted. The memory of the protocol does not count against
    /// [`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory), so the protocol must
    /// bound it.
    ///
    /// ```
    /// use httpool::{DrivenProtocol, DrivenStream, NextStep, Upgrade};
    ///
    /// /// Closes every connection at once.
    /// struct Discard;
    ///
    /// impl DrivenProtocol for Discard {
    ///     fn ready(&mut self, _: &mut DrivenStream<'_>) -> NextStep {
    ///         NextStep::Close
    ///     }
    /// }
    ///
    /// let upgrade = Upgrade::driven("discard", |_waker| Discard);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the protocol's name has characters that a header value can't have.
    pub fn driven<P: DrivenProtocol>(
        protocol: &'static str,
        make: impl FnOnce(DrivenWaker) -> P + Send + 'static,
    ) -> Self {
        Self {
            protocol: HeaderValue::from_static(protocol),
            kind: UpgradeKind::Driven(Box::new(|waker| Box::new(make(waker)))),
        }
    }

    /// The protocol's name.
    pub(crate) fn protocol(&self) -> &HeaderValue {
        &self.protocol
    }

    /// Reads a response as the answer to an extended CONNECT for this protocol. If it accepts, content
    /// of unknown length stands for what follows.
    #[cfg(feature = "http2")]
    pub(crate) fn take_answer(response: &mut Response, protocol: &str) -> ConnectAnswer {
        let body = response.body_mut();
        match body.protocol() {
            None => return ConnectAnswer::Response,
            Some(name) if name != protocol => return ConnectAnswer::OtherUpgrade,
            Some(_) => {}
        }
        match std::mem::replace(body, Body::from_reader(std::io::empty())).into_content() {
            Content::Upgrade(upgrade) => match upgrade.kind {
                UpgradeKind::Driven(make) => ConnectAnswer::Accepts(make),
                UpgradeKind::Blocking(_) => ConnectAnswer::OtherUpgrade,
            },
            _ => ConnectAnswer::OtherUpgrade,
        }
    }

    /// Whether the pool drives the protocol.
    pub(crate) fn is_driven(&self) -> bool {
        matches!(self.kind, UpgradeKind::Driven(_))
    }

    /// The code that serves the connection.
    pub(crate) fn into_kind(self) -> UpgradeKind {
        self.kind
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
