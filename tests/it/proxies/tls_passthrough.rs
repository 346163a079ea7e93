use std::io::Write as _;
use std::thread;

use super::*;
use crate::support::TestServer;
use crate::support::tls::{CertificateAuthority, NAME};

/// A server with a TLS listener behind the PROXY protocol.
#[track_caller]
fn spawn(
    authority: &CertificateAuthority,
    configure: impl FnOnce(Builder) -> Builder,
) -> TestServer {
    let address: ListenAddr = "127.0.0.1:0".parse().expect("the address is valid");
    let tls = authority.issue(&[NAME]).tls();
    let builder = Server::builder()
        .listen_tls_proxy_protocol(address, tls)
        .workers(1);
    let builder = configure(trusting("127.0.0.0/8")(builder));
    let bound = BoundServer::from(builder.bind().expect("the address is free"));
    bound.run(|request: Request| {
        let client_info = ClientInfo::of(&request).expect("the request came over a connection");
        let version = client_info
            .tls()
            .expect("the request came over TLS")
            .version();
        let scheme = client_info
            .scheme()
            .expect("the request came over TLS")
            .clone();
        format!("{} with {scheme} over {version}", proxy_and_client(request))
    })
}

const EXPECTED: &str = "peer for 192.0.2.1:4711 with https over TLSv1.3";

#[test]
fn proxy_header_and_handshake_can_be_split_anywhere() {
    let authority = CertificateAuthority::new();
    let server = spawn(&authority, |builder| builder);
    for header in [PROXY_V1, PROXY_V2] {
        for end in [1, header.len() - 1, header.len(), header.len() + 1, 300] {
            let mut client = server.connect().with_tls(&authority.client(), NAME);
            let (tls, socket) = client.tls_and_socket();
            let mut all = header.to_vec();
            tls.write_tls(&mut all).expect("writing to a Vec succeeds");
            let (first, second) = all.split_at(end.min(all.len()));
            socket.write_all(first).expect("the server reads the bytes");
            // The server may read both parts in one turn or in two; the result must be the same.
            thread::yield_now();
            socket
                .write_all(second)
                .expect("the server reads the bytes");
            client.get("/").expect_body(EXPECTED);
            client.get("/").expect_body(EXPECTED);
        }
    }
    let report = server.shut_down();
    assert_eq!((report.answered, report.aborted), (20, 0));
}

#[test]
fn missing_proxy_header_or_tls_is_rejected() {
    let authority = CertificateAuthority::new();
    let server = spawn(&authority, |builder| builder);
    let mut direct = server.connect().with_tls(&authority.client(), NAME);
    direct
        .try_handshake()
        .expect_err("the PROXY header is missing");
    let mut plain = server.connect();
    plain.send([PROXY_V1, &request::get("/")].concat());
    plain.expect_status(400);
    plain.expect_closed();
}

#[test]
fn proxy_header_and_handshake_have_separate_timeouts() {
    let authority = CertificateAuthority::new();
    let brief = Duration::from_millis(100);
    let server = spawn(&authority, |builder| builder.head_timeout(brief));
    server.connect().expect_closed();
    server.connect().send(&PROXY_V1[..9]).expect_closed();
    let server = spawn(&authority, |builder| builder.handshake_timeout(brief));
    server.connect().send(PROXY_V1).expect_closed();
}

/// A drain waits only for connections that may have sent a request.
#[test]
fn drain_closes_connections_without_a_request() {
    let authority = CertificateAuthority::new();
    let server = spawn(&authority, |builder| builder);
    let mut silent = server.connect();
    let mut header_only = server.connect();
    header_only.send(PROXY_V1);
    let mut handshaken = server.connect();
    let mut handshaken = {
        handshaken.send(PROXY_V2);
        handshaken.with_tls(&authority.client(), NAME)
    };
    handshaken.get("/").expect_body(EXPECTED);
    let report = server.shut_down();
    assert_eq!((report.answered, report.aborted), (1, 0));
    for client in [&mut silent, &mut header_only, &mut handshaken] {
        client.expect_closed();
    }
}
