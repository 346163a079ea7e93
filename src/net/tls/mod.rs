//! TLS for a server: its certificates, whom it asks for theirs, and what it tells handlers.

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

/// How a server speaks TLS. Clones are the same, so keep one to [reload](Self::reload) what the
/// server has.
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
/// // Whenever the files have changed:
/// tls.reload()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// For all that the [builder](Self::builder) does not offer there is rustls' own
/// [`ServerConfig`], which becomes a `Tls` as it is, but without early data
/// (`max_early_data_size`), which this server does not read. It says itself which protocols it speaks
/// (`alpn_protocols`, of which this server knows `http/1.1`) and how sessions are resumed.
///
/// ```no_run
/// use httpool::Tls;
/// use httpool::rustls::ServerConfig;
///
/// fn speaking_as(config: ServerConfig) -> Tls {
///     config.into()
/// }
/// ```
#[derive(Clone)]
pub struct Tls(Arc<TlsState>);

struct TlsState {
    /// What new connections begin with.
    config: RwLock<Arc<ServerConfig>>,
    /// What it was made of; nothing that is known, if it was made elsewhere.
    source: Option<TlsBuilder>,
}

impl Tls {
    /// Begins with no certificate.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// Reads all files again that were named to the [builder](Self::builder). Connections that are
    /// open go on as they began, new ones get what is in the files now, and sessions from before are
    /// not resumed. What was not made of files stays as it is.
    ///
    /// # Errors
    ///
    /// The same as of [`TlsBuilder::build`]; then everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        if let Some(source) = &self.0.source {
            self.replace(source.config()?);
        }
        Ok(())
    }

    /// Begins new connections with this. Those that are open go on as they began.
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
