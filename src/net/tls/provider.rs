//! Chooses the cryptography: AWS-LC with the feature `aws-lc-rs`, ring otherwise.

#[cfg(not(any(feature = "aws-lc-rs", feature = "tls")))]
compile_error!("enable the feature `tls` or `aws-lc-rs` of httpool instead of `_tls`");

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as chosen;
#[cfg(not(feature = "aws-lc-rs"))]
use rustls::crypto::ring as chosen;
use rustls::server::ProducesTickets;

/// The supported kinds of private keys.
#[cfg(feature = "aws-lc-rs")]
pub(crate) const KEYS: &str = "RSA of 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519";
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) const KEYS: &str = "RSA of 2048 to 4096 bits, P-256, P-384 and Ed25519";

/// Algorithms, key loading and random numbers.
///
/// All cipher suites of TLS 1.2 in it have ephemeral keys and authenticated encryption, so none is
/// among those that HTTP/2 forbids (RFC 9113 section 9.2.2). rustls has neither compression nor
/// renegotiation, which it forbids too.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(chosen::default_provider())
}

/// Encrypts sessions that clients keep as tickets (RFC 8446 section 4.6.1). Only this process has
/// the keys, and they rotate.
pub(crate) fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    chosen::Ticketer::new()
}

#[cfg(test)]
mod tests {
    use rustls::ProtocolVersion;

    use super::*;

    /// RFC 9113 appendix A lists the forbidden suites: all without an ephemeral key exchange, and
    /// all with another cipher than GCM, CCM or ChaCha20-Poly1305.
    #[test]
    fn cipher_suites_are_allowed_in_http2() {
        let provider = provider();
        let suites = provider.cipher_suites.iter();
        let suites = suites.filter(|suite| suite.version().version == ProtocolVersion::TLSv1_2);
        let names: Vec<_> = suites.filter_map(|suite| suite.suite().as_str()).collect();
        // Section 9.2.2 requires this one.
        assert!(names.contains(&"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
        for name in names {
            assert!(name.starts_with("TLS_ECDHE_"), "{name}");
            let is_authenticated = name.contains("_GCM_") || name.contains("_CHACHA20_POLY1305_");
            assert!(is_authenticated, "{name}");
        }
    }
}
