use std::io::{ErrorKind, Read as _, Write as _, repeat};

use crossbeam_channel::bounded;
use httpool::{Body, Handler, Request, Stream, Upgrade};
use rustls::crypto::ring::default_provider;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuiteCommon, SupportedCipherSuite, SupportedProtocolVersion, Tls12CipherSuite,
    Tls13CipherSuite,
};

use super::{encrypt, expect_close_count, own_config, send_raw};
use crate::support::tls::{CertificateAuthority, NAME, TlsServer, bind};
use crate::support::{End, HUGE, SOON, TIMEOUT, describe, request};

/// A copy of the suite that allows this many records per key.
fn limited_suite(suite: SupportedCipherSuite, records: u64) -> SupportedCipherSuite {
    let common = |common: &CipherSuiteCommon| CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: records,
    };
    match suite {
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: common(&suite.common),
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: suite.aead_alg,
            })))
        }
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: common(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: suite.aead_alg,
                quic: None,
            })))
        }
    }
}

/// A server whose keys last for `records` records, optionally of at most `size` bytes.
#[track_caller]
fn serve(
    version: &'static SupportedProtocolVersion,
    records: u64,
    size: Option<usize>,
    handler: impl Handler,
) -> TlsServer {
    let authority = CertificateAuthority::new();
    let mut provider = default_provider();
    for suite in &mut provider.cipher_suites {
        *suite = limited_suite(*suite, records);
    }
    let mut config = own_config(&authority.issue(&[NAME]), provider, version);
    config.max_fragment_size = size;
    TlsServer {
        server: bind(config.into(), |builder| builder).run(handler),
        config: authority.client(),
    }
}

#[test]
fn key_update_is_not_a_request() {
    let secure = TlsServer::spawn(|builder| builder.idle_timeout(SOON), describe);
    let mut client = secure.connect();
    client.get("/").expect_body("GET / ");
    client
        .tls()
        .refresh_traffic_keys()
        .expect("the connection uses TLS 1.3");
    let keys = encrypt(&mut client, "");
    send_raw(&mut client, &keys);
    client.expect_closed();
    expect_close_count(&secure.server, "idle", 1);
}

#[test]
fn client_may_update_its_keys() {
    let secure = TlsServer::spawn(|builder| builder, describe);
    let mut client = secure.connect();
    client.get("/").expect_body("GET / ");
    for _ in 0..3 {
        client
            .tls()
            .refresh_traffic_keys()
            .expect("the connection uses TLS 1.3");
        client.get("/new").expect_body("GET /new ");
    }
}

/// TLS 1.2 cannot renew its keys.
#[test]
fn tls12_connection_closes_before_its_keys_are_used_up() {
    let secure = serve(&TLS12, 100, None, describe);
    for round in 1..=2 {
        let mut client = secure.connect();
        let mut responses = 1;
        while !client.get("/").expect_body("GET / ").announces_close() {
            responses += 1;
        }
        assert!((20..80).contains(&responses), "{responses} responses");
        client.finish_sending().expect_closed();
        expect_close_count(&secure.server, "answered", round);
    }
}

#[test]
fn pipelined_requests_are_answered_at_the_key_limit() {
    let secure = serve(&TLS12, 100, None, |request: Request| {
        match request.uri().path() {
            "/large" => vec![b'x'; 1_000_000],
            _ => b"small".to_vec(),
        }
    });
    let mut client = secure.connect();
    let requests = ["/large", "/", "/"].map(request::get).concat();
    client.send(requests).expect_status(200);
    assert!(!client.expect_body("small").announces_close());
    assert!(client.expect_body("small").announces_close());
    client.finish_sending().expect_closed();
}

#[test]
fn response_beyond_the_key_limit_is_aborted() {
    // With smaller records, fewer bytes use up the keys.
    for (records, size, length) in [(1000, None, HUGE), (1000, Some(105), 1_000_000)] {
        let secure = serve(
            &TLS12,
            records,
            size,
            move |request: Request| match request.uri().path() {
                "/small" => Body::from("small"),
                "/known" => vec![b'x'; length].into(),
                _ => Body::from_reader(repeat(b'x').take(length as u64)),
            },
        );
        for (times, target) in [(1, "/known"), (2, "/unknown")] {
            let mut client = secure.connect();
            client.get("/small").expect_body("small");
            client.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
            let (part, end) = client.read_rest();
            assert_eq!(end, End::Reset);
            assert!(part.len() < length, "the response must be incomplete");
            expect_close_count(&secure.server, "failed", times);
        }
        assert_eq!(secure.server.handle().snapshot().answered, 2);
        secure.connect().get("/small").expect_body("small");
    }
}

#[test]
fn upgraded_stream_beyond_the_key_limit_fails() {
    let (sender, receiver) = bounded(1);
    let secure = serve(&TLS12, 1000, None, move |_: Request| {
        let sender = sender.clone();
        Upgrade::new("x", move |mut stream: Stream| {
            let write = stream.write_all(&vec![b'x'; HUGE]);
            let finish = stream.finish();
            sender
                .send([write, finish].map(|end| end.map_err(|error| error.kind())))
                .expect("the test waits");
        })
    });
    let mut client = secure.connect();
    client.send("GET / HTTP/1.1\r\nHost: it\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    client.expect_status(101);
    let (part, end) = client.read_rest();
    assert_eq!(end, End::Truncated);
    assert!(part.len() < HUGE, "the response must be incomplete");
    let ends = receiver.recv_timeout(TIMEOUT).expect("the stream ends");
    assert_eq!(ends, [Err(ErrorKind::Other); 2]);
}

#[test]
fn tls13_connection_renews_its_keys() {
    let body = vec![b'x'; HUGE];
    let content = body.clone();
    let secure = serve(&TLS13, 200, None, move |request: Request| {
        match request.uri().path() {
            "/huge" => content.clone(),
            _ => b"small".to_vec(),
        }
    });
    let mut client = secure.connect();
    for _ in 0..300 {
        let response = client.get("/").expect_body("small");
        assert!(!response.announces_close());
    }
    client.get("/huge").expect_body(&body);
    client.get_and_close("/").expect_body("small");
    client.expect_closed();
}
