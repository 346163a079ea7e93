//! Builds the TLS configuration of a server.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::certificates::{Certificates, Pem};
use super::error::Reason;
use super::provider;
use crate::net::{Alpn, Tls, TlsError};

/// Builds a [`Tls`] with TLS 1.2 and 1.3, the ALPN protocol `http/1.1`, session tickets, and the
/// given certificates. A server with HTTP/2 prefers the ALPN protocol `h2`.
///
/// ```no_run
/// use httpool::{ClientCertificates, Tls};
///
/// let tls = Tls::builder()
///     .certificate_files("example.org.pem", "example.org.key")
///     .certificate_files("example.net.pem", "example.net.key")
///     .client_authorities_file("staff.pem")
///     .client_certificates(ClientCertificates::Optional)
///     .build()?;
/// # Ok::<(), httpool::TlsError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct TlsBuilder {
    /// Certificate chains and their keys.
    certificates: Vec<(Pem, Pem)>,
    authorities: Vec<Pem>,
    policy: ClientCertificates,
}

/// Whether clients need a certificate, if the server requests certificates.
///
/// ```no_run
/// use httpool::{ClientCertificates, ClientInfo, Request, Tls};
///
/// let tls = Tls::builder()
///     .certificate_files("example.org.pem", "example.org.key")
///     .client_authorities_file("staff.pem")
///     .client_certificates(ClientCertificates::Optional)
///     .build()?;
///
/// // Everyone may read, staff may write.
/// fn may_write(request: &Request) -> bool {
///     let tls = ClientInfo::of(request).and_then(ClientInfo::tls);
///     tls.is_some_and(|tls| !tls.peer_certificates().is_empty())
/// }
/// # Ok::<(), httpool::TlsError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// Clients without a certificate are rejected.
    #[default]
    Required,
    /// Clients without a certificate are accepted. Handlers see that they have
    /// [none](crate::message::TlsInfo::peer_certificates).
    Optional,
}

impl TlsBuilder {
    /// Adds a certificate chain and its private key (PKCS #8, PKCS #1 or SEC 1) from PEM files (RFC
    /// 7468). The certificate comes first, then those that lead to its authority. Both can be in
    /// the same file. Each call adds one certificate.
    ///
    /// A client that sends a server name (SNI) gets the first certificate that is valid for this
    /// name and whose key the client supports. Without such a certificate, or without a name, the
    /// client gets the first one that it supports.
    pub fn certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let files = (Pem::File(chain.into()), Pem::File(key.into()));
        self.certificates.push(files);
        self
    }

    /// Adds a certificate chain and its private key from memory, as
    /// [`certificate_files`](Self::certificate_files) does from files.
    ///
    /// ```no_run
    /// use std::env;
    ///
    /// use httpool::Tls;
    ///
    /// let tls = Tls::builder()
    ///     .certificate_pem(env::var("TLS_CERTIFICATE")?, env::var("TLS_KEY")?)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn certificate_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let texts = (Pem::Memory(chain.into()), Pem::Memory(key.into()));
        self.certificates.push(texts);
        self
    }

    /// Requests client certificates and accepts those that an authority in this PEM file has
    /// issued. Each call adds authorities. By default the server requests no certificates.
    pub fn client_authorities_file(mut self, authorities: impl Into<PathBuf>) -> Self {
        self.authorities.push(Pem::File(authorities.into()));
        self
    }

    /// Adds authorities for client certificates from memory, as
    /// [`client_authorities_file`](Self::client_authorities_file) does from a file.
    pub fn client_authorities_pem(mut self, authorities: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(Pem::Memory(authorities.into()));
        self
    }

    /// Sets whether clients without a certificate are accepted, if certificates are requested. By
    /// default they are rejected. Clients with an invalid certificate are always rejected.
    pub fn client_certificates(mut self, policy: ClientCertificates) -> Self {
        self.policy = policy;
        self
    }

    /// Reads all files. A certificate that has expired, or is not valid yet, is accepted with a
    /// warning in the log.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no certificate, if a file cannot be read, is not a regular file
    /// or has other contents, or if a key does not belong to its certificate.
    pub fn build(self) -> Result<Tls, TlsError> {
        let config = self.config()?;
        Ok(Tls::new(Arc::new(config), Some(self)))
    }

    pub(crate) fn config(&self) -> Result<ServerConfig, TlsError> {
        let certificates = Certificates::read(&self.certificates)?;
        let mut config = ServerConfig::builder_with_provider(provider::provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::of_configuration)?
            .with_client_cert_verifier(self.verifier()?)
            .with_cert_resolver(Arc::new(certificates));
        // The server chooses the first one that a client offers.
        config.alpn_protocols = [Alpn::Http2, Alpn::Http1]
            .map(|protocol| protocol.name().to_vec())
            .into();
        config.ticketer = provider::ticketer().map_err(TlsError::of_configuration)?;
        Ok(config)
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        if self.authorities.is_empty() {
            return Ok(WebPkiClientVerifier::no_client_auth());
        }
        let mut roots = RootCertStore::empty();
        for authorities in &self.authorities {
            for certificate in authorities.certificates()? {
                let added = roots.add(certificate);
                added.map_err(|error| authorities.error(Reason::Rejected(error)))?;
            }
        }
        let provider = provider::provider();
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match self.policy {
            ClientCertificates::Required => builder,
            ClientCertificates::Optional => builder.allow_unauthenticated(),
        };
        let verifier = builder.build();
        verifier
            .map_err(|error| TlsError::of_configuration(rustls::Error::General(error.to_string())))
    }
}
