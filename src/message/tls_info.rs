//! Information about the TLS connection of a request.

use std::fmt;

use rustls::pki_types::CertificateDer;
use rustls::{ProtocolVersion, ServerConnection};

/// What a client and the server agreed on in the TLS handshake. The client is the peer of the
/// connection, which is a proxy if the request came through one.
///
/// ```
/// use httpool::{ClientInfo, Request};
/// use httpool::http::StatusCode;
///
/// /// For clients with a certificate only.
/// fn respond(request: Request) -> Result<String, StatusCode> {
///     let tls = ClientInfo::of(&request).and_then(ClientInfo::tls);
///     match tls.map(|tls| tls.peer_certificates()) {
///         Some([certificate, ..]) => Ok(format!("your certificate has {} bytes\n", certificate.len())),
///         _ => Err(StatusCode::FORBIDDEN),
///     }
/// }
///
/// assert_eq!(respond(Request::default()), Err(StatusCode::FORBIDDEN));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    version: TlsVersion,
    cipher_suite: &'static str,
    server_name: Option<Box<str>>,
    alpn: Option<Box<[u8]>>,
    peer_certificates: Vec<CertificateDer<'static>>,
}

/// A TLS version.
///
/// ```
/// use httpool::TlsVersion;
///
/// assert_eq!(TlsVersion::Tls13.as_str(), "TLSv1.3");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
    /// A version that this crate does not know.
    Unknown,
}

impl TlsVersion {
    /// Returns the name that OpenSSL and nginx use: `TLSv1.2`, `TLSv1.3` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
            Self::Unknown => "unknown",
        }
    }
}

/// Writes [`as_str`](TlsVersion::as_str).
impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TlsInfo {
    /// Reads the information from a connection after its handshake.
    pub(crate) fn new(connection: &ServerConnection) -> Self {
        Self {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
                Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
                _ => TlsVersion::Unknown,
            },
            cipher_suite: (connection.negotiated_cipher_suite())
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown"),
            server_name: connection.server_name().map(Box::from),
            alpn: connection.alpn_protocol().map(Box::from),
            peer_certificates: (connection.peer_certificates())
                .map(|chain| {
                    chain
                        .iter()
                        .cloned()
                        .map(CertificateDer::into_owned)
                        .collect()
                })
                .unwrap_or_default(),
        }
    }

    /// Returns the TLS version.
    #[must_use]
    pub fn version(&self) -> TlsVersion {
        self.version
    }

    /// Returns the registered name of the cipher suite.
    #[must_use]
    pub fn cipher_suite(&self) -> &'static str {
        self.cipher_suite
    }

    /// Returns the server name that the client requested, in lower case (SNI, RFC 6066 section 3).
    /// It can differ from the `Host` header of a request.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Returns the negotiated protocol, `http/1.1` or `h2`, if the client offered protocols (ALPN,
    /// RFC 7301).
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// Returns the verified certificate of the peer in DER, followed by those that lead to its
    /// authority. The list is empty if the peer has no certificate or was not asked for one.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.peer_certificates
    }
}

/// Serializes as an object with the members `version`, `cipher_suite`, `server_name` (if the client
/// requested one) and `certificates`, the number of certificates presented.
#[cfg(feature = "json")]
impl serde::Serialize for TlsInfo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;

        let mut block = serializer.serialize_map(None)?;
        block.serialize_entry("version", self.version.as_str())?;
        block.serialize_entry("cipher_suite", &self.cipher_suite)?;
        if let Some(name) = self.server_name() {
            block.serialize_entry("server_name", name)?;
        }
        block.serialize_entry("certificates", &self.peer_certificates.len())?;
        block.end()
    }
}
