//! What is told of a request when its answer is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::request_error::RequestError;
use super::{ClientInfo, RawRequest};

/// Is told of every request, for logs and figures.
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
    /// A request has its answer. This is called on the worker, before the answer leaves, so what it
    /// takes the client waits for: it should be quick, and not block. One that panics costs the
    /// connection.
    fn on_response(&self, record: &RequestRecord<'_>);
}

/// One observer for several servers, or for a server and whoever reads from it.
impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn on_response(&self, record: &RequestRecord<'_>) {
        (**self).on_response(record);
    }
}

/// A request and its answer, as an [`Observer`] sees them.
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
    pub(crate) id: Option<&'a HeaderValue>,
    pub(crate) outcome: Outcome,
    pub(crate) status: StatusCode,
    pub(crate) received: u64,
    pub(crate) sent: Option<u64>,
    pub(crate) duration: Duration,
}

/// Who has answered a request.
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
    /// The handler.
    Handled,
    /// The server: the handler panicked.
    Panicked,
    /// The server, without calling the handler.
    Rejected(RejectReason),
}

/// Why the server rejected a request without calling the handler.
///
/// ```
/// use httpool::{Overload, RejectReason, RequestError};
///
/// let reason = RejectReason::from(RequestError::HeadTimeout);
/// assert_eq!(reason.as_str(), "head_timeout");
/// assert_eq!(RejectReason::Overload(Overload::Late).as_str(), "late");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// The request is invalid, too large or too slow, or the server has no memory for it.
    Request(RequestError),
    /// The request was shed because the server is overloaded.
    Overload(Overload),
}

/// Why a request was shed.
///
/// ```
/// use httpool::Overload;
///
/// assert_eq!(Overload::Full.as_str(), "full");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overload {
    /// The request waited for a worker longer than
    /// [`queue_timeout`](crate::Builder::queue_timeout).
    Late,
    /// Too many requests waited for a worker.
    Full,
}

impl RejectReason {
    /// All reasons: the request errors in their order, then the kinds of overload.
    pub const ALL: [Self; RequestError::ALL.len() + Overload::ALL.len()] = {
        let mut all =
            [Self::Overload(Overload::Full); RequestError::ALL.len() + Overload::ALL.len()];
        let mut index = 0;
        while index < RequestError::ALL.len() {
            all[index] = Self::Request(RequestError::ALL[index]);
            index += 1;
        }
        while index < all.len() {
            all[index] = Self::Overload(Overload::ALL[index - RequestError::ALL.len()]);
            index += 1;
        }
        all
    };

    /// The reason as a word for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request(error) => error.as_str(),
            Self::Overload(overload) => overload.as_str(),
        }
    }
}

impl Overload {
    /// All variants in their order.
    pub const ALL: [Self; 2] = [Self::Late, Self::Full];

    /// The overload as a word for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Full => "full",
        }
    }
}

impl From<RequestError> for RejectReason {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<Overload> for RejectReason {
    fn from(overload: Overload) -> Self {
        Self::Overload(overload)
    }
}

/// Writes [`as_str`](RejectReason::as_str).
impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl RequestRecord<'_> {
    /// The number of the worker, from 0: an observer that keeps something for each of them writes
    /// it without getting into another's way. The acceptor, which answers those that wait too long
    /// for a worker, counts as one more.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The request's head as it came. Nothing of one that could not be read.
    #[must_use]
    pub fn raw_request(&self) -> &RawRequest {
        self.raw_request
    }

    /// Who sent the request.
    #[must_use]
    pub fn client_info(&self) -> &ClientInfo {
        self.client_info
    }

    /// What identifies the request, if the server [gives ids](crate::Builder::request_ids).
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id?.to_str().ok()
    }

    /// Who has answered.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The answer's status code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Bytes of the request's content, as far as it came.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes of content that the client gets, if it takes them all; `None` if only the answer's
    /// reader knows.
    #[must_use]
    pub fn sent(&self) -> Option<u64> {
        self.sent
    }

    /// From the moment that a worker began to receive the request, or found it behind another one,
    /// until its answer was made. Of a request that came in parts this is the time that its client
    /// took, too.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// All that are told. They are asked for nothing while there are none.
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
