//! The protocols before HTTP on a listener's connections: the PROXY protocol header and TLS. The wire
//! protocol of the requests is chosen later, as the `Protocol` of the connection.

#[cfg(feature = "_tls")]
use super::Tls;

/// The protocols in their order. Each is optional.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListenerProtocol {
    /// The connection begins with a PROXY protocol header.
    #[cfg(feature = "proxy")]
    pub(crate) expects_proxy_header: bool,
    /// The connection uses TLS.
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
