//! A client of these tests takes no end for one unless the server says goodbye first
//! (`close_notify`), so each `expect_closed` is about that too.

/// What is answered without TLS is answered over it.
mod answers;
/// Whose they are, and who has to show one.
mod certificates;
/// Each side says that it has finished, and only when it has.
mod ends;
/// Before the first request: what is agreed on, and what becomes of those who do not agree.
mod handshakes;
/// Keys that are changed, and those that are used up.
mod keys;
/// Records that come in part or damaged, or bring nothing.
mod records;
/// Bodies that are read while they come, and other protocols.
mod streams;
/// What is wrong with files of certificates and keys, in words that help.
mod wrong_files;

use std::io::Write as _;

use httpool::{ClientInfo, Request};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::support::tls::{IssuedCertificate, der};
use crate::support::{Client, TestServer, eventually};

/// Says what a handler sees of TLS.
fn name(request: Request) -> String {
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
fn ended(server: &TestServer, why: &str) -> u64 {
    let mut close_counts = server.handle().close_counts();
    let ending = close_counts.find(|(reason, _)| reason.as_str() == why);
    ending.expect("there is such a reason").1
}

#[track_caller]
fn expect_ended(server: &TestServer, why: &str, times: u64) {
    eventually(&format!("{times} connections have ended {why}"), || {
        ended(server, why) == times
    });
}

/// The record that these bytes come to, which is not sent.
#[track_caller]
fn record(client: &mut Client, bytes: impl AsRef<[u8]>) -> Vec<u8> {
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
