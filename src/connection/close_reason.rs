//! The reasons why a connection closes.

use std::fmt;

/// Why a connection was closed, for [`close_counts`](crate::Handle::close_counts).
///
/// ```
/// use httpool::CloseReason;
///
/// assert_eq!(CloseReason::BufferLimit.as_str(), "buffer_limit");
/// assert!(CloseReason::ALL.contains(&CloseReason::Idle));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The last response was sent.
    Answered,
    /// The client closed the connection between two requests.
    ClientClosed,
    /// The client closed the connection during a request.
    ClientLeft,
    /// The idle timeout passed without a request.
    Idle,
    /// The client did not read its response within the write timeout.
    SlowReader,
    /// The client did not read its response, and the memory budget for the rest was used up.
    BufferLimit,
    /// The connection was idle when the server drained.
    Drained,
    /// The server aborted the connection: the shutdown deadline passed, or an immediate shutdown
    /// was requested.
    Forced,
    /// The reader or file of a response body failed or ended too early, or a response was reset on
    /// purpose.
    Broken,
    /// The socket failed.
    Failed,
    /// The connection's code panicked. This is a defect of this crate.
    Panicked,
    /// The connection did not begin with a valid PROXY protocol header on a listener that requires
    /// one.
    NoProxyHeader,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// The connection continued in another protocol, and that has ended.
    Upgraded,
}

impl CloseReason {
    /// All variants in their order.
    pub const ALL: [Self; 14] = [
        Self::Answered,
        Self::ClientClosed,
        Self::ClientLeft,
        Self::Idle,
        Self::SlowReader,
        Self::BufferLimit,
        Self::Drained,
        Self::Forced,
        Self::Broken,
        Self::Failed,
        Self::Panicked,
        Self::NoProxyHeader,
        Self::HandshakeFailed,
        Self::Upgraded,
    ];

    /// The reason as a word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::ClientClosed => "client_closed",
            Self::ClientLeft => "client_left",
            Self::Idle => "idle",
            Self::SlowReader => "slow_reader",
            Self::BufferLimit => "buffer_limit",
            Self::Drained => "drained",
            Self::Forced => "forced",
            Self::Broken => "broken",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::NoProxyHeader => "no_proxy_header",
            Self::HandshakeFailed => "handshake_failed",
            Self::Upgraded => "upgraded",
        }
    }

    /// Whether the client received everything that was meant for it.
    #[cfg(feature = "_tls")]
    pub(super) const fn is_orderly(self) -> bool {
        matches!(
            self,
            Self::Answered | Self::ClientClosed | Self::Idle | Self::Drained
        )
    }
}

/// Writes [`as_str`](CloseReason::as_str).
impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_every_variant_in_order() {
        for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?}");
        }
        // The last variant.
        assert_eq!(CloseReason::Upgraded as usize + 1, CloseReason::ALL.len());
    }
}
