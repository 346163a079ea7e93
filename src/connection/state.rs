//! The states of a connection.

use std::time::Instant;

use super::close::CloseMode;
use super::config::Config;
use super::deadlines::Deadlines;
use crate::net::ListenerProtocol;

/// What a connection does at the moment. It goes through these states from top to bottom, and skips
/// those that don't apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for the header of the PROXY protocol.
    #[cfg(feature = "proxy")]
    ProxyHeader,
    /// The TLS handshake is in progress.
    #[cfg(feature = "_tls")]
    TlsHandshake,
    /// It receives requests.
    Http,
    /// It sends the write queue, which ends with the last response.
    Closing(CloseMode),
    /// Everything is sent; received bytes are discarded.
    LingeringClose,
    /// Like a lingering close, after a failed TLS handshake.
    #[cfg(feature = "_tls")]
    TlsFailed,
}

impl State {
    /// The first state of a connection to a listener with `protocol`.
    pub(super) fn first(protocol: &ListenerProtocol) -> Self {
        let ListenerProtocol {
            #[cfg(feature = "proxy")]
            expects_proxy_header,
            #[cfg(feature = "_tls")]
            tls,
        } = protocol;
        #[cfg(feature = "proxy")]
        if *expects_proxy_header {
            return Self::ProxyHeader;
        }
        #[cfg(feature = "_tls")]
        if tls.is_some() {
            return Self::TlsHandshake;
        }
        Self::Http
    }

    /// The deadlines of a connection that enters this state now.
    pub(super) fn deadlines(self, now: Instant, config: &Config) -> Deadlines {
        match self {
            #[cfg(feature = "_tls")]
            Self::TlsHandshake => Deadlines::before_handshake(now, config),
            _ => Deadlines::new(now, config),
        }
    }
}
