//! The source of a client's address.

/// The source of a client's address.
///
/// ```
/// use httpool::{ClientInfo, ClientSource, Request};
///
/// fn explain(request: &Request) -> String {
///     match ClientInfo::of(request).map(ClientInfo::client_source) {
///         Some(ClientSource::Peer) => "it connected directly".into(),
///         Some(ClientSource::XForwardedFor { hop }) => {
///             format!("element {hop} of X-Forwarded-For, from the end, names it")
///         }
///         source => format!("{source:?}"),
///     }
/// }
///
/// assert_eq!(explain(&Request::default()), "None");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientSource {
    /// The connection: the client is the [peer](super::ClientInfo::peer).
    #[default]
    Peer,
    /// The header of the PROXY protocol at the start of the connection.
    ProxyProtocol,
    /// An element of `Forwarded` (RFC 7239).
    Forwarded {
        /// The number of trusted proxies that were passed to it: 1 is the last element, which the
        /// peer has added.
        hop: u16,
    },
    /// An element of `X-Forwarded-For`.
    XForwardedFor {
        /// As for [`Forwarded`](Self::Forwarded).
        hop: u16,
    },
}

impl ClientSource {
    /// Returns the source's name: `peer`, `PROXY protocol`, `Forwarded` or `X-Forwarded-For`.
    ///
    /// ```
    /// use httpool::ClientSource;
    ///
    /// assert_eq!(ClientSource::Forwarded { hop: 2 }.as_str(), "Forwarded");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::ProxyProtocol => "PROXY protocol",
            Self::Forwarded { .. } => "Forwarded",
            Self::XForwardedFor { .. } => "X-Forwarded-For",
        }
    }

    /// Returns the number of the element in a header that names the client, from the end.
    ///
    /// ```
    /// use httpool::ClientSource;
    ///
    /// assert_eq!(ClientSource::Forwarded { hop: 2 }.hop(), Some(2));
    /// assert_eq!(ClientSource::Peer.hop(), None);
    /// ```
    #[must_use]
    pub const fn hop(self) -> Option<u16> {
        match self {
            Self::Forwarded { hop } | Self::XForwardedFor { hop } => Some(hop),
            Self::Peer | Self::ProxyProtocol => None,
        }
    }
}
