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
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(chosen::default_provider())
}

/// Encrypts sessions that clients keep as tickets (RFC 8446 section 4.6.1). Only this process has
/// the keys, and they rotate.
pub(crate) fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    chosen::Ticketer::new()
}
