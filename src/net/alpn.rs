//! The protocol that a TLS client chooses in its handshake (ALPN, RFC 7301).

/// A protocol of HTTP that this server speaks inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// HTTP/1.1, which all clients speak that choose nothing.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Alpn {
    /// The registered name (RFC 7301 section 6 and RFC 9113 section 3.1).
    pub(crate) const fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    /// The protocol with this name.
    #[cfg(feature = "http2")]
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        let all = [Self::Http2, Self::Http1];
        all.into_iter().find(|protocol| protocol.name() == name)
    }
}
