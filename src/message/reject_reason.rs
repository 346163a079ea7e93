//! The reasons why the server rejects a request, and their words for metrics and logs.

use std::fmt;

use super::request_error::RequestError;

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
