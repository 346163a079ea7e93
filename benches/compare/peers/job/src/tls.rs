//! TLS for the programs with HTTP/2.

use std::path::Path;
use std::sync::Arc;

pub use rustls;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The configuration with this certificate and key, for HTTP/2 only.
pub fn config((certificate, key): (impl AsRef<Path>, impl AsRef<Path>)) -> ServerConfig {
    let certificates = CertificateDer::pem_file_iter(certificate).expect("the file is readable");
    let certificates = certificates.collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_file(key).expect("the file has a key");
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()
        .expect("ring has both versions")
        .with_no_client_auth()
        .with_single_cert(certificates.expect("the file has certificates"), key)
        .expect("the key fits the certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}
