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
/// Responses are the same as without TLS.
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

/// Responds with what a handler sees of TLS.
fn tls_parameters(request: Request) -> String {
    let client_info = ClientInfo::of(&request).expect("the request came over a connection");
    let tls = client_info.tls().expect("the request came over TLS");
    format!(
        "{} {} {} {} {}",
        client_info.scheme().expect("there is no proxy"),
        tls.version(),
        tls.server_name().unwrap_or("-"),
        String::from_utf8_lossy(tls.alpn().unwrap_or(b"-")),
        tls.peer_certificates().len()
    )
}

/// A rustls configuration that is not built by this crate.
fn own_config(
    issued: &IssuedCertificate,
    provider: CryptoProvider,
    version: &'static SupportedProtocolVersion,
) -> ServerConfig {
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("the key is valid");
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[version])
        .expect("the provider supports the version")
        .with_no_client_auth()
        .with_single_cert(vec![der(&issued.certificate)], key);
    config.expect("the key matches the certificate")
}

/// How many connections have closed for this reason.
fn close_count(server: &TestServer, reason: &str) -> u64 {
    let mut close_counts = server.handle().close_counts();
    let ending = close_counts.find(|(known, _)| known.as_str() == reason);
    ending.expect("the reason exists").1
}

#[track_caller]
fn expect_close_count(server: &TestServer, reason: &str, times: u64) {
    eventually(&format!("{times} connections closed with {reason}"), || {
        close_count(server, reason) == times
    });
}

/// Encrypts bytes into one record without sending it.
#[track_caller]
fn encrypt(client: &mut Client, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut record = Vec::new();
    let (tls, bytes) = (client.tls(), bytes.as_ref());
    tls.writer()
        .write_all(bytes)
        .expect("the TLS buffer has room");
    let written = tls.write_tls(&mut record);
    written.expect("writing to a Vec succeeds");
    record
}

/// Sends bytes as they are.
#[track_caller]
fn send_raw(client: &mut Client, bytes: &[u8]) {
    let sent = client.socket().write_all(bytes);
    sent.expect("the server reads the bytes");
}
