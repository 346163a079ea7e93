use std::io::Write as _;
use std::sync::Arc;

use httpool::Request;
use rustls::crypto::ring::default_provider;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, ClientConnection, Error, HandshakeKind};

use super::{expect_close_count, own_config, tls_parameters};
use crate::support::tls::{CertificateAuthority, NAME, TlsServer, bind};
use crate::support::{Client, Gate, NEVER, Random, SOON, describe, request};

/// A ClientHello.
fn first_flight(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = NAME.try_into().expect("the server name is valid");
    let client = ClientConnection::new(Arc::clone(config), name);
    let mut bytes = Vec::new();
    let written = client
        .expect("the client configuration is valid")
        .write_tls(&mut bytes);
    written.expect("writing to a Vec succeeds");
    bytes
}

#[test]
fn handler_sees_the_negotiated_parameters() {
    let authority = CertificateAuthority::new();
    let server = bind(authority.issue(&[NAME]).tls(), |builder| builder).run(tls_parameters);
    for (version, expected) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")] {
        let config = authority.client_with(&[version], None);
        let mut client = server.connect().with_tls(&config, NAME);
        for _ in 0..2 {
            let expected = format!("https {expected} {NAME} http/1.1 0");
            client.get("/").expect_body(expected);
        }
    }
}

/// RFC 7301 section 3.2.
#[test]
fn alpn_mismatch_gets_no_application_protocol() {
    let secure = TlsServer::spawn(|builder| builder, describe);
    let mut config = ClientConfig::clone(&secure.config);
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let mut client = secure.server.connect().with_tls(&Arc::new(config), NAME);
    let error = client.try_handshake().expect_err("it is not offered");
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(error, Some(&alert));
    expect_close_count(&secure.server, "handshake_failed", 1);
}

#[test]
fn clients_get_http1_if_http2_is_off() {
    let secure = TlsServer::spawn(|builder| builder.http2(false), describe);
    let mut config = ClientConfig::clone(&secure.config);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut client = secure.server.connect().with_tls(&Arc::new(config), NAME);
    client.get_and_close("/").expect_body("GET / ");
}

#[test]
fn stalled_handshakes_hold_no_worker() {
    let secure = TlsServer::spawn(
        |builder| builder.workers(1).handshake_timeout(NEVER),
        describe,
    );
    let hello = first_flight(&secure.config);
    let mut stalled: Vec<Client> = (0..20).map(|_| secure.server.connect()).collect();
    for (index, client) in stalled.iter_mut().enumerate() {
        // From no bytes to all of them.
        client.send(&hello[..hello.len() * index / 19]);
    }
    let mut good = secure.connect();
    good.get("/").expect_body("GET / ");
    secure.server.expect_open(21);
    good.get_and_close("/").expect_body("GET / ");
}

#[test]
fn handshake_is_shed_after_the_queue_timeout() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let secure = TlsServer::spawn(
        |builder| {
            builder
                .workers(1)
                .queue_timeout(SOON)
                .handshake_timeout(NEVER)
        },
        move |_: Request| {
            waiter.wait();
            "at last"
        },
    );
    let mut busy = secure.connect();
    busy.get("/");
    gate.expect_arrived(1);
    let mut late = secure.server.connect();
    late.send(first_flight(&secure.config));
    assert_eq!(late.read_rest().0, b"");
    expect_close_count(&secure.server, "handshake_failed", 1);
    gate.open();
    busy.expect_body("at last");
}

#[test]
fn stalled_handshake_times_out() {
    let authority = CertificateAuthority::new();
    let hello = first_flight(&authority.client());
    for (sent, reason) in [
        (&hello[..0], "idle"),
        (&hello[..1], "handshake_failed"),
        (&hello[..hello.len() - 1], "handshake_failed"),
        (&hello[..], "handshake_failed"),
    ] {
        let server = bind(authority.issue(&[NAME]).tls(), |builder| {
            builder.handshake_timeout(SOON).head_timeout(NEVER)
        });
        let mut client = server.connect();
        client.send(sent);
        let server = server.run(describe);
        client.read_rest();
        expect_close_count(&server, reason, 1);
    }
}

#[test]
fn head_timeout_starts_after_the_handshake() {
    let secure = TlsServer::spawn(
        |builder| builder.handshake_timeout(NEVER).head_timeout(SOON),
        describe,
    );
    let mut silent = secure.connect();
    silent.try_handshake().expect("the handshake succeeds");
    silent.expect_closed();
    let mut slow = secure.connect();
    slow.send("GET / HT").expect_status(408);
    slow.finish_sending().expect_closed();
}

#[test]
fn handshake_can_be_split_anywhere() {
    let secure = TlsServer::spawn(|builder| builder, describe);
    let mut random = Random::new(3);
    for round in 0..20 {
        let most = if round == 0 { 1 } else { 200 };
        let mut client = secure.connect();
        client
            .tls()
            .writer()
            .write_all(&request::post("/", "body"))
            .expect("the TLS buffer has room");
        while client.tls().is_handshaking() || client.tls().wants_write() {
            let mut flight = Vec::new();
            while client.tls().wants_write() {
                let written = client.tls().write_tls(&mut flight);
                written.expect("writing to a Vec succeeds");
            }
            let mut rest = &flight[..];
            while !rest.is_empty() {
                let (part, behind) = rest.split_at(rest.len().min(1 + random.below(most)));
                client
                    .socket()
                    .write_all(part)
                    .expect("the server reads the bytes");
                rest = behind;
            }
            if client.tls().is_handshaking() {
                let (tls, socket) = client.tls_and_socket();
                tls.read_tls(socket).expect("the server answers");
                tls.process_new_packets()
                    .expect("the server's records are valid");
            }
        }
        client.expect_body("POST / body");
    }
}

#[test]
fn plain_http_gets_400_that_names_https() {
    let secure = TlsServer::spawn(|builder| builder, describe);
    for sent in [
        request::get("/"),
        b"G".to_vec(),
        request::post("/", vec![b'x'; 1_000_000]),
    ] {
        let mut client = secure.server.connect();
        // The server may close before all bytes are sent.
        let _ = client.try_send(sent);
        let response = client.expect_status(400);
        assert!(response.announces_close());
        assert_eq!(
            response.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert!(response.text().contains("https://"), "{}", response.text());
        client.finish_sending().expect_closed();
    }
    expect_close_count(&secure.server, "answered", 3);
}

#[test]
fn garbage_closes_only_its_own_connection() {
    let secure = TlsServer::spawn(|builder| builder.workers(1), describe);
    let hello = first_flight(&secure.config);
    let mut random = Random::new(11);
    for _ in 0..50 {
        let mut damaged = hello.clone();
        for _ in 0..=random.below(8) {
            let at = 1 + random.below(damaged.len() - 1);
            damaged[at] ^= 1 << random.below(8);
        }
        let noise = random.bytes(500);
        let mut client = secure.server.connect();
        let _ = client.try_send([&damaged[..], &noise].concat());
        let _ = client.try_finish_sending();
        client.read_rest();
    }
    secure.server.expect_open(0);
    secure.connect().get_and_close("/").expect_body("GET / ");
}

#[test]
fn sessions_are_resumed() {
    let authority = CertificateAuthority::new();
    let server = bind(authority.issue(&[NAME]).tls(), |builder| builder).run(tls_parameters);
    for (version, name) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")] {
        let config = authority.client_with(&[version], None);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = server.connect().with_tls(&config, NAME);
            let expected = format!("https {name} {NAME} http/1.1 0");
            client.get("/").expect_body(expected);
            assert_eq!(client.tls().handshake_kind(), Some(kind), "{name}");
        }
    }
}

#[test]
fn drain_answers_a_request_behind_its_handshake() {
    let authority = CertificateAuthority::new();
    let server = bind(authority.issue(&[NAME]).tls(), |builder| {
        builder.drain_idle(NEVER)
    });
    let mut client = server.connect().with_tls(&authority.client(), NAME);
    let handle = server.handle();
    let hello = first_flight(&authority.client());
    let mut stalled = server.connect();
    stalled.send(&hello[..hello.len() / 2]);
    let server = server.run(describe);
    server.expect_open(2);
    server.begin_drain();
    client.get("/late");
    assert!(client.expect_body("GET /late ").announces_close());
    client.expect_closed();
    // The stalled handshake is aborted; it carries no request that could be lost.
    handle.shutdown_now();
    assert_eq!(server.expect_end().aborted, 0);
}

#[test]
fn custom_rustls_config_is_used_unchanged() {
    let authority = CertificateAuthority::new();
    let issued = authority.issue(&[NAME]);
    let config = own_config(&issued, default_provider(), &TLS12);
    let server = bind(config.into(), |builder| builder).run(tls_parameters);
    let mut client = server.connect().with_tls(&authority.client(), NAME);
    client
        .get("/")
        .expect_body(format!("https TLSv1.2 {NAME} - 0"));
}

#[test]
fn early_data_is_never_offered() {
    let authority = CertificateAuthority::new();
    let issued = authority.issue(&[NAME]);
    let mut config = own_config(&issued, default_provider(), &TLS13);
    config.max_early_data_size = 1000;
    let server = bind(config.into(), |builder| builder).run(describe);
    let mut config = (*authority.client()).clone();
    config.enable_early_data = true;
    let config = Arc::new(config);
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut client = server.connect().with_tls(&config, NAME);
        assert!(client.tls().early_data().is_none(), "{kind:?}");
        client.get("/").expect_body("GET / ");
        assert_eq!(client.tls().handshake_kind(), Some(kind));
    }
}
