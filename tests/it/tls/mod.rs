//! The clients of these tests report an end of file without `close_notify` as an error, so each
//! `expect_closed` checks that the server sent one.

/// Server certificates and client certificates.
mod certificates;
/// `close_notify`: sent and expected exactly when the data is complete.
mod closing;
/// Error messages about certificate and key files.
mod file_errors;
/// Handshakes: what is negotiated, and how they fail.
mod handshakes;
/// Key updates, and keys that reach their limit.
mod keys;
/// Records that are partial, corrupt or empty.
mod records;
/// The same responses as without TLS.
mod responses;
/// Streamed request bodies and upgrades.
mod streams;

use std::io::Write as _;

use httpool::{ClientInfo, Request};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::support::tls::{IssuedCertificate, der};
use crate::support::{Client, TestServer, eventually};

/// Says what a handler sees of TLS.
fn tls_parameters(request: Request) -> String {
    let origin = ClientInfo::of(&request).expect("it came over a connection");
    let tls = origin.tls().expect("it came over TLS");
    format!(
        "{} {} {} {} {}",
        origin.scheme().expect("nobody is in between"),
        tls.version(),
        tls.server_name().unwrap_or("-"),
        String::from_utf8_lossy(tls.alpn().unwrap_or(b"-")),
        tls.peer_certificates().len()
    )
}

/// A configuration that is not this crate's.
fn own_config(
    issued: &IssuedCertificate,
    provider: CryptoProvider,
    version: &'static SupportedProtocolVersion,
) -> ServerConfig {
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("it is a key");
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[version])
        .expect("the provider knows it")
        .with_no_client_auth()
        .with_single_cert(vec![der(&issued.certificate)], key);
    config.expect("they fit")
}

/// How many connections have ended for this reason.
fn close_count(server: &TestServer, why: &str) -> u64 {
    let mut close_counts = server.handle().close_counts();
    let ending = close_counts.find(|(reason, _)| reason.as_str() == why);
    ending.expect("there is such a reason").1
}

#[track_caller]
fn expect_close_count(server: &TestServer, why: &str, times: u64) {
    eventually(&format!("{times} connections have ended {why}"), || {
        close_count(server, why) == times
    });
}

/// The record that these bytes come to, which is not sent.
#[track_caller]
fn encrypt(client: &mut Client, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut record = Vec::new();
    let (tls, bytes) = (client.tls(), bytes.as_ref());
    tls.writer().write_all(bytes).expect("it has room");
    let written = tls.write_tls(&mut record);
    written.expect("memory takes everything");
    record
}

/// Sends bytes as they are.
#[track_caller]
fn send_raw(client: &mut Client, bytes: &[u8]) {
    let sent = client.socket().write_all(bytes);
    sent.expect("the server takes the bytes");
}
