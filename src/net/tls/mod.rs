//! TLS configuration: certificates, client certificates and cryptography.

mod builder;
mod certificates;
mod contents;
mod der;
mod error;
mod handshake_error;
mod provider;

use std::fmt;
use std::sync::{Arc, RwLock};

use rustls::ServerConfig;

pub use self::builder::{ClientCertificates, TlsBuilder};
pub use self::error::TlsError;
pub(crate) use self::handshake_error::HandshakeError;
use crate::sync::ignore_poison;

/// The TLS configuration of a server. Clones share it, so keep a clone to [reload](Self::reload)
/// the certificates of a running server.
///
/// ```no_run
/// use httpool::{Server, Tls};
///
/// let tls = Tls::builder()
///     .certificate_files("example.org.pem", "example.org.key")
///     .build()?;
/// let server = Server::builder()
///     .listen_tls("*:443", tls.clone())
///     .bind()?;
/// // When the files have changed:
/// tls.reload()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// For options that the [builder](Self::builder) does not have, convert a rustls [`ServerConfig`]
/// into a `Tls`. It is used unchanged except for early data (`max_early_data_size`), which is
/// disabled because this server does not read it. The config decides which protocols are offered
/// (`alpn_protocols`, of which this server supports `http/1.1`) and how sessions are resumed.
///
/// ```no_run
/// use httpool::Tls;
/// use httpool::rustls::ServerConfig;
///
/// fn from_rustls(config: ServerConfig) -> Tls {
///     config.into()
/// }
/// ```
#[derive(Clone)]
pub struct Tls(Arc<TlsState>);

struct TlsState {
    /// The configuration of new connections.
    config: RwLock<Arc<ServerConfig>>,
    /// The source of the configuration; `None` if it came from rustls.
    source: Option<TlsBuilder>,
}

impl Tls {
    /// Returns a builder without certificates.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// Reads all files of the [builder](Self::builder) again. Open connections keep their
    /// configuration, new connections use the new one, and earlier sessions are not resumed. A
    /// configuration from rustls does not change.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TlsBuilder::build`]. The current configuration then stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        if let Some(source) = &self.0.source {
            self.replace(source.config()?);
        }
        Ok(())
    }

    /// Replaces the configuration of new connections. Open connections keep theirs.
    pub fn replace(&self, config: impl Into<Arc<ServerConfig>>) {
        *ignore_poison(self.0.config.write()) = without_early_data(config.into());
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        ignore_poison(self.0.config.read()).clone()
    }

    fn new(config: Arc<ServerConfig>, source: Option<TlsBuilder>) -> Self {
        Self(Arc::new(TlsState {
            config: RwLock::new(config),
            source,
        }))
    }
}

impl From<ServerConfig> for Tls {
    fn from(config: ServerConfig) -> Self {
        Arc::new(config).into()
    }
}

impl From<Arc<ServerConfig>> for Tls {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::new(without_early_data(config), None)
    }
}

fn without_early_data(mut config: Arc<ServerConfig>) -> Arc<ServerConfig> {
    if config.max_early_data_size > 0 {
        Arc::make_mut(&mut config).max_early_data_size = 0;
    }
    config
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}
