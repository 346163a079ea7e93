//! Observers, and the record of a request that they receive.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode, Version};

use super::user_name::UserName;
use super::{ClientInfo, MatchedPath, RawRequest, RejectReason};

/// Receives a record of every request, for logs and metrics.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use httpool::{RequestRecord, Observer, Server};
///
/// #[derive(Default)]
/// struct Mistakes(AtomicU64);
///
/// impl Observer for Mistakes {
///     fn on_response(&self, record: &RequestRecord<'_>) {
///         if record.status().is_client_error() {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let mistakes = Arc::new(Mistakes::default());
/// let server = Server::builder()
///     .listen("127.0.0.1:0")
///     .observer(Arc::clone(&mistakes))
///     .bind()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Called when a request has its response, on the worker and before the response is sent. The
    /// client waits for this call, so it should be quick and not block. A panic closes the
    /// connection.
    fn on_response(&self, record: &RequestRecord<'_>);
}

/// Shares one observer between several servers, or between a server and code that reads from it.
impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn on_response(&self, record: &RequestRecord<'_>) {
        (**self).on_response(record);
    }
}

/// A request and its response, as an [`Observer`] receives them.
///
/// ```
/// use std::time::Duration;
///
/// use httpool::{RequestRecord, Observer};
///
/// struct Slow;
///
/// impl Observer for Slow {
///     fn on_response(&self, record: &RequestRecord<'_>) {
///         if record.duration() > Duration::from_secs(1) {
///             let request = String::from_utf8_lossy(record.raw_request().request_line());
///             eprintln!("{request} took {:?}", record.duration());
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct RequestRecord<'a> {
    pub(crate) worker: usize,
    pub(crate) raw_request: &'a RawRequest,
    pub(crate) client_info: &'a ClientInfo,
    pub(crate) matched_path: Option<&'a MatchedPath>,
    pub(crate) user: Option<&'a UserName>,
    pub(crate) id: Option<&'a HeaderValue>,
    pub(crate) outcome: Outcome,
    pub(crate) status: StatusCode,
    pub(crate) received: u64,
    pub(crate) sent: Option<u64>,
    pub(crate) duration: Duration,
}

/// Where a response came from.
///
/// ```
/// use httpool::{RequestRecord, Observer, Outcome};
///
/// struct Complain;
///
/// impl Observer for Complain {
///     fn on_response(&self, record: &RequestRecord<'_>) {
///         if let Outcome::Rejected(reason) = record.outcome() {
///             eprintln!("{} was rejected: {reason}", record.client_info().peer());
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler returned it.
    Handled,
    /// The server sent it, because the handler panicked.
    Panicked,
    /// The server sent it without calling the handler.
    Rejected(RejectReason),
    /// The server sent it, because a [`Later`](crate::Later) had no response by its deadline.
    TimedOut,
    /// The server sent it, because the [`Responder`](crate::Responder) of a [`Later`](crate::Later) was
    /// dropped without a response.
    Abandoned,
    /// There is none: the client left while the request waited for a [`Later`](crate::Later). The
    /// [status](RequestRecord::status) is 499, as in nginx's log.
    Cancelled,
}

impl RequestRecord<'_> {
    /// Returns the number of the worker, starting at 0. An observer can keep data per worker
    /// without contention. The acceptor, which responds to requests that waited too long for a
    /// worker, has the number after the last worker.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Returns the request head as received, and that of HTTP/2 [as text](RawRequest). It is empty
    /// if the head could not be parsed.
    #[must_use]
    pub fn raw_request(&self) -> &RawRequest {
        self.raw_request
    }

    /// Returns the version of HTTP in which the request was sent. It is `None` if the head could not
    /// be parsed.
    ///
    /// ```
    /// use httpool::{RequestRecord, http::Version};
    ///
    /// fn is_multiplexed(record: &RequestRecord<'_>) -> bool {
    ///     record.version() == Some(Version::HTTP_2)
    /// }
    /// ```
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        match self.raw_request.request_line().last_chunk()? {
            b"HTTP/2.0" => Some(Version::HTTP_2),
            b"HTTP/1.0" => Some(Version::HTTP_10),
            // Later ones are compatible (RFC 9110 section 2.5).
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _] => Some(Version::HTTP_11),
            _ => None,
        }
    }

    /// Returns the client, and the proxy it came through.
    #[must_use]
    pub fn client_info(&self) -> &ClientInfo {
        self.client_info
    }

    /// Returns the path of the route that the request reached, for example `/users/{id}`. It is
    /// `None` if no router has found a route. A request that is rejected by its head or body has
    /// the route that would have handled it, if its target is known.
    ///
    /// ```
    /// use httpool::{MatchedPath, Observer, RequestRecord};
    ///
    /// struct Slow;
    ///
    /// impl Observer for Slow {
    ///     fn on_response(&self, record: &RequestRecord<'_>) {
    ///         let route = record.matched_path().map_or("none", MatchedPath::as_str);
    ///         eprintln!("{route} took {:?}", record.duration());
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn matched_path(&self) -> Option<&MatchedPath> {
        self.matched_path
    }

    /// Returns the name of the user that [`BasicAuth`](crate::layers) has authenticated. A layer that
    /// replaces the whole response loses it, and a response of the server has none.
    ///
    /// ```
    /// use httpool::{Observer, RequestRecord};
    ///
    /// struct Audit;
    ///
    /// impl Observer for Audit {
    ///     fn on_response(&self, record: &RequestRecord<'_>) {
    ///         eprintln!("{}: {}", record.user().unwrap_or("-"), record.status());
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.map(UserName::as_str)
    }

    /// Returns the request id, if the server [assigns ids](crate::Builder::request_ids).
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id?.to_str().ok()
    }

    /// Returns where the response came from.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Returns the status code of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the number of body bytes received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns the size of the response body in bytes, which the client receives if it reads all.
    /// It is `None` if the size is not known in advance.
    #[must_use]
    pub fn sent(&self) -> Option<u64> {
        self.sent
    }

    /// Returns the time from when a worker began to receive the request, or found it pipelined
    /// behind another one, until the response was ready. If the request arrived in parts, this
    /// includes the time that the client took.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// The observers of a server. Without any, no records are made.
#[derive(Default)]
pub(crate) struct Observers(Vec<Box<dyn Observer>>);

impl Observers {
    pub(crate) fn push(&mut self, observer: impl Observer) {
        self.0.push(Box::new(observer));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn notify(&self, record: &RequestRecord<'_>) {
        for observer in &self.0 {
            observer.on_response(record);
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observers", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::PeerAddr;

    #[test]
    fn version_is_that_of_the_request_line() {
        for (head, version) in [
            (&b"GET / HTTP/1.0\r\n\r\n"[..], Some(Version::HTTP_10)),
            (
                b"GET / HTTP/1.1\r\nhost: HTTP/1.0\r\n\r\n",
                Some(Version::HTTP_11),
            ),
            (b"GET /HTTP/1.0 HTTP/2.0\r\n\r\n", Some(Version::HTTP_2)),
            (b"", None),
        ] {
            let record = RequestRecord {
                worker: 0,
                raw_request: &RawRequest::new(head.into(), None),
                client_info: &ClientInfo::new(PeerAddr::UNIX),
                matched_path: None,
                user: None,
                id: None,
                outcome: Outcome::Handled,
                status: StatusCode::OK,
                received: 0,
                sent: None,
                duration: Duration::ZERO,
            };
            assert_eq!(record.version(), version, "{head:?}");
        }
    }
}
