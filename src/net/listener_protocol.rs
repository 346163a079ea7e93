//! What comes on a connection before its first request.

#[cfg(feature = "_tls")]
use super::Tls;

/// Parts that come in this order, each or none.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListenerProtocol {
    /// A proxy says whom it passes on bytes for, before anything else.
    #[cfg(feature = "proxy")]
    pub(crate) expects_proxy_header: bool,
    /// Client and server agree on TLS.
    #[cfg(feature = "_tls")]
    pub(crate) tls: Option<Tls>,
}

impl ListenerProtocol {
    #[cfg(feature = "proxy")]
    pub(crate) fn behind_proxy(mut self) -> Self {
        self.expects_proxy_header = true;
        self
    }

    #[cfg(feature = "_tls")]
    pub(crate) fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }
}
