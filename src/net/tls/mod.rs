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
use super::Alpn;
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
/// disabled because this server does not read it. The config decides how sessions are resumed and
/// which protocols are offered (`alpn_protocols`). This server supports `http/1.1` and `h2`, which
/// it offers only if HTTP/2 is on (`Builder::http2`).
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
    config: RwLock<Configs>,
    /// The source of the configuration; `None` if it came from rustls.
    source: Option<TlsBuilder>,
}

/// One configuration for servers with HTTP/2 and for those without. One `Tls` may belong to both.
struct Configs {
    with_http2: Arc<ServerConfig>,
    without_http2: Arc<ServerConfig>,
}

impl Configs {
    fn new(mut config: Arc<ServerConfig>) -> Self {
        if config.max_early_data_size > 0 {
            Arc::make_mut(&mut config).max_early_data_size = 0;
        }
        let with_http2 = Arc::clone(&config);
        let is_http2 = |name: &Vec<u8>| *name == Alpn::Http2.name();
        if config.alpn_protocols.iter().any(is_http2) {
            // Both share the certificates and sessions.
            let protocols = &mut Arc::make_mut(&mut config).alpn_protocols;
            protocols.retain(|name| !is_http2(name));
        }
        Self {
            with_http2,
            without_http2: config,
        }
    }
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
        *ignore_poison(self.0.config.write()) = Configs::new(config.into());
    }

    /// The configuration of a server that speaks protocols up to this one.
    pub(crate) fn config(&self, newest: Alpn) -> Arc<ServerConfig> {
        let configs = ignore_poison(self.0.config.read());
        Arc::clone(match newest {
            Alpn::Http1 => &configs.without_http2,
            Alpn::Http2 => &configs.with_http2,
        })
    }

    fn new(config: Arc<ServerConfig>, source: Option<TlsBuilder>) -> Self {
        Self(Arc::new(TlsState {
            config: RwLock::new(Configs::new(config)),
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
        Self::new(config, None)
    }
}

/// The configuration of new connections. To take over that of another `Tls`, for example after the
/// list of certificates has changed, pass it to [`Tls::replace`]. A later [`Tls::reload`] still reads
/// the files of its own builder.
///
/// ```no_run
/// use httpool::Tls;
///
/// fn add_certificate(running: &Tls) -> Result<(), httpool::TlsError> {
///     let tls = Tls::builder()
///         .certificate_files("example.org.pem", "example.org.key")
///         .certificate_files("example.net.pem", "example.net.key")
///         .build()?;
///     running.replace(tls);
///     Ok(())
/// }
/// ```
impl From<Tls> for Arc<ServerConfig> {
    fn from(tls: Tls) -> Self {
        tls.config(Alpn::Http2)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

    use super::*;

    const NAME: &str = "it.example";

    /// A certificate with its key, and a client that trusts it and offers these protocols.
    fn parties(offered: &[&[u8]]) -> (Tls, ClientConfig) {
        let issued = rcgen::generate_simple_self_signed([NAME.to_owned()]);
        let issued = issued.expect("a certificate can be created");
        let tls = Tls::builder()
            .certificate_pem(issued.cert.pem(), issued.signing_key.serialize_pem())
            .build()
            .expect("key and certificate belong together");
        let mut roots = RootCertStore::empty();
        let added = roots.add(issued.cert.der().clone());
        added.expect("the certificate can be a root");
        let mut client = ClientConfig::builder_with_provider(provider::provider())
            .with_safe_default_protocol_versions()
            .expect("the provider supports the versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        (tls, client)
    }

    /// The protocol that a client and a server agree on, or `None` without agreement.
    fn negotiate(server: Arc<ServerConfig>, client: ClientConfig) -> Option<Vec<u8>> {
        let name = NAME.try_into().expect("the name is valid");
        let mut client = ClientConnection::new(Arc::new(client), name).expect("it is valid");
        let mut server = ServerConnection::new(server).expect("the configuration is valid");
        while client.is_handshaking() || server.is_handshaking() {
            let mut flight = Vec::new();
            client.write_tls(&mut flight).expect("a Vec takes all");
            server.read_tls(&mut &*flight).expect("a slice gives all");
            server.process_new_packets().ok()?;
            let mut flight = Vec::new();
            server.write_tls(&mut flight).expect("a Vec takes all");
            client.read_tls(&mut &*flight).expect("a slice gives all");
            client.process_new_packets().ok()?;
        }
        assert_eq!(client.alpn_protocol(), server.alpn_protocol());
        Some(server.alpn_protocol().unwrap_or(b"none").to_vec())
    }

    #[test]
    fn newest_common_protocol_is_negotiated() {
        let both: &[&[u8]] = &[b"http/1.1", b"h2"];
        for (newest, offered, expected) in [
            (Alpn::Http2, both, Some(&b"h2"[..])),
            (Alpn::Http1, both, Some(b"http/1.1")),
            (Alpn::Http2, &[b"http/1.1"], Some(b"http/1.1")),
            (Alpn::Http2, &[b"h2"], Some(b"h2")),
            (Alpn::Http2, &[], Some(b"none")),
            // RFC 7301 section 3.2: the client gets an alert.
            (Alpn::Http1, &[b"h2"], None),
            (Alpn::Http2, &[b"h3", b"spdy/3"], None),
        ] {
            let (tls, client) = parties(offered);
            let negotiated = negotiate(tls.config(newest), client);
            assert_eq!(negotiated.as_deref(), expected, "{newest:?} {offered:?}");
        }
    }

    #[test]
    fn reloaded_configuration_offers_the_same_protocols() {
        let (tls, _) = parties(&[]);
        let before = tls.config(Alpn::Http2);
        tls.reload().expect("the certificate is in memory");
        let after = tls.config(Alpn::Http2);
        assert!(!Arc::ptr_eq(&before, &after));
        assert_eq!(after.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
        assert_eq!(tls.config(Alpn::Http1).alpn_protocols, [b"http/1.1"]);
    }

    #[test]
    fn protocols_of_a_rustls_config_are_kept() {
        let (tls, _) = parties(&[]);
        let mut config = ServerConfig::clone(&tls.config(Alpn::Http2));
        config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        config.max_early_data_size = 1;
        tls.replace(config.clone());
        let [old, new] = [Alpn::Http1, Alpn::Http2].map(|newest| tls.config(newest));
        assert!(Arc::ptr_eq(&old, &new), "one configuration is enough");
        assert_eq!(new.alpn_protocols, [b"acme-tls/1"]);
        assert_eq!(new.max_early_data_size, 0);

        config.alpn_protocols.push(Alpn::Http2.name().to_vec());
        let tls = Tls::from(config);
        assert_eq!(tls.config(Alpn::Http1).alpn_protocols, [b"acme-tls/1"]);
        assert_eq!(tls.config(Alpn::Http2).alpn_protocols.len(), 2);
        assert_eq!(tls.config(Alpn::Http1).max_early_data_size, 0);
    }
}
