//! Whose cryptography is used. It is chosen here and nowhere else.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as chosen;
#[cfg(not(feature = "aws-lc-rs"))]
use rustls::crypto::ring as chosen;
use rustls::server::ProducesTickets;

/// The kinds of keys that can be a server's.
#[cfg(feature = "aws-lc-rs")]
pub(crate) const KEYS: &str = "RSA of 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519";
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) const KEYS: &str = "RSA of 2048 to 4096 bits, P-256, P-384 and Ed25519";

/// All of it: algorithms, keys, random numbers.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(chosen::default_provider())
}

/// What encrypts sessions for their clients to keep (RFC 8446 section 4.6.1), with keys that nobody
/// else has and that change with time.
pub(crate) fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    chosen::Ticketer::new()
}
