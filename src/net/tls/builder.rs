//! What a server that speaks TLS is told.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::certificates::{Certificates, Pem};
use super::error::Reason;
use super::provider;
use crate::net::{Tls, TlsError};

/// The only protocol that is spoken inside (RFC 7301 section 6).
const HTTP: &[u8] = b"http/1.1";

/// Builds a [`Tls`]: versions 1.2 and 1.3, the protocol `http/1.1`, sessions that clients resume with
/// tickets, and these certificates.
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
    /// Chains and their keys.
    certificates: Vec<(Pem, Pem)>,
    authorities: Vec<Pem>,
    policy: ClientCertificates,
}

/// What becomes of clients without a certificate, where certificates are asked for.
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
/// // Everybody may read, and staff may write.
/// fn may_write(request: &Request) -> bool {
///     let tls = ClientInfo::of(request).and_then(ClientInfo::tls);
///     tls.is_some_and(|tls| !tls.peer_certificates().is_empty())
/// }
/// # Ok::<(), httpool::TlsError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// They are not let in.
    #[default]
    Required,
    /// They are let in, and handlers see that they have [none](crate::message::TlsInfo::peer_certificates).
    Optional,
}

impl TlsBuilder {
    /// A certificate from a file, with those behind it that lead to its authority, and its private key
    /// (PKCS #8, PKCS #1 or SEC 1) from another or the same, all as PEM (RFC 7468). Each call adds
    /// one.
    ///
    /// A client that asks for a name gets the first certificate that is for this name and whose key
    /// it understands. If there is none, or it asks for no name, it gets the first that it
    /// understands.
    pub fn certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let files = (Pem::File(chain.into()), Pem::File(key.into()));
        self.certificates.push(files);
        self
    }

    /// The same from memory.
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

    /// Asks clients for a certificate that one of the authorities in this file has given them; each
    /// call adds some. Default: clients are asked for none.
    pub fn client_authorities_file(mut self, authorities: impl Into<PathBuf>) -> Self {
        self.authorities.push(Pem::File(authorities.into()));
        self
    }

    /// The same from memory.
    pub fn client_authorities_pem(mut self, authorities: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(Pem::Memory(authorities.into()));
        self
    }

    /// What becomes of clients that are asked for a certificate and have none. Default: they are
    /// not let in. One that is not good is never let in.
    pub fn client_certificates(mut self, policy: ClientCertificates) -> Self {
        self.policy = policy;
        self
    }

    /// Reads all files. Certificates that have expired, or are for later, are taken, with a warning
    /// in the log.
    ///
    /// # Errors
    ///
    /// If there is no certificate, a file is no regular one, can't be read or holds something else, or a key is not
    /// that of its certificate.
    pub fn build(self) -> Result<Tls, TlsError> {
        let config = self.config()?;
        Ok(Tls::new(Arc::new(config), Some(self)))
    }

    pub(crate) fn config(&self) -> Result<ServerConfig, TlsError> {
        let certificates = Certificates::read(&self.certificates)?;
        let mut config = ServerConfig::builder_with_provider(provider::provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::of_all)?
            .with_client_cert_verifier(self.verifier()?)
            .with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = vec![HTTP.to_vec()];
        config.ticketer = provider::ticketer().map_err(TlsError::of_all)?;
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
        verifier.map_err(|error| TlsError::of_all(rustls::Error::General(error.to_string())))
    }
}
