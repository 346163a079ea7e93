use std::fs::File;

use httpool::{ClientInfo, Request};
use rustls::version::{TLS12, TLS13};

use crate::support::tls::{CertificateAuthority, NAME, TlsServer, bind, bind_at};
use crate::support::{
    BoundServer, Client, HUGE, Random, TempDir, TempPath, describe, eventually, mirror, request,
};

#[test]
fn requests_over_tls_get_the_same_responses() {
    let authority = CertificateAuthority::new();
    let server = bind(authority.issue(&[NAME]).tls(), |builder| builder).run(describe);
    for version in [&TLS12, &TLS13] {
        let config = authority.client_with(&[version], None);
        let mut client = server.connect().with_tls(&config, NAME);
        client.get("/one").expect_body("GET /one ");
        client.post("/two", "body").expect_body("POST /two body");
        client.send(request::post_chunked("/three", "in chunks", 2));
        client.expect_body("POST /three in chunks");
        client.send(request::get("/pipelined").repeat(50));
        for _ in 0..50 {
            client.expect_body("GET /pipelined ");
        }
        client.get_and_close("/last").expect_body("GET /last ");
        client.expect_closed();
    }
}

#[test]
fn large_bodies_arrive_whole_in_both_directions() {
    let secure = TlsServer::spawn(|builder| builder, mirror);
    let body = Random::new(7).bytes(5 * 1024 * 1024 + 13);
    let mut client = secure.connect();
    for _ in 0..2 {
        client.post("/", &body).expect_body(&body);
    }
    client.send(request::post_chunked("/", &body, 100_000));
    client.expect_body(&body);
}

#[test]
fn files_arrive_unchanged() {
    let folder = TempDir::new();
    let mut random = Random::new(9);
    let contents = [0, 1, 40_000, 3_000_001].map(|size| random.bytes(size));
    for content in &contents {
        folder.file(&content.len().to_string(), content);
    }
    folder.sparse("huge", HUGE as u64);
    let secure = TlsServer::spawn(
        |builder| builder.workers(1),
        move |request: Request| {
            let name = request.uri().path().trim_start_matches('/');
            File::open(folder.path(name)).expect("the file exists")
        },
    );
    let mut slow = secure.connect();
    slow.get("/huge").expect_bytes(100);
    let mut client = secure.connect();
    for content in contents.iter().chain(contents.iter().rev()) {
        let target = format!("/{}", content.len());
        client.get(&target).expect_body(content);
    }
    slow.get("/1");
    let rest = slow.expect_bytes(HUGE);
    assert!(rest.ends_with(&[0; 1000]), "the body has the wrong content");
}

#[test]
fn a_slow_reader_holds_no_worker_and_gets_every_byte() {
    let secure = TlsServer::spawn(
        |builder| builder.workers(1),
        |request: Request| match request.uri().path() {
            "/huge" => vec![b'x'; HUGE],
            _ => b"small".to_vec(),
        },
    );
    let mut slow = secure.connect();
    slow.get("/huge").expect_bytes(100);
    let mut quick = secure.connect();
    quick.get("/").expect_body("small");
    slow.get("/");
    let rest = slow.expect_bytes(HUGE);
    assert!(rest.ends_with(b"xxx"), "the body has the wrong content");
    quick.get_and_close("/").expect_body("small");
}

#[test]
fn encrypted_response_bytes_count_against_the_budget() {
    let body = bytes::Bytes::from(vec![b'x'; HUGE]);
    let secure = TlsServer::spawn(|builder| builder, move |_: Request| body.clone());
    let mut client = secure.connect();
    client.get("/").expect_bytes(100);
    // The plaintext is shared with the handler, but its encrypted copy belongs to this connection.
    eventually("some bytes are buffered", || {
        let kept = secure.server.handle().snapshot().buffered;
        (1..=64 * 1024).contains(&kept)
    });
    drop(client);
    eventually("no bytes are buffered", || {
        secure.server.handle().snapshot().buffered == 0
    });
}

#[test]
fn server_can_listen_with_and_without_tls() {
    let authority = CertificateAuthority::new();
    let tls = authority.issue(&[NAME]).tls();
    let server = BoundServer::new(|builder| {
        let address: httpool::ListenAddr = "127.0.0.1:0".parse().expect("the address is valid");
        builder.listen_tls(address, tls)
    });
    let [plain, secure] = server
        .addresses()
        .to_vec()
        .try_into()
        .expect("there are two addresses");
    let _server = server.run(|request: Request| {
        let client_info = ClientInfo::of(&request).expect("the request came over a connection");
        format!("{}", client_info.tls().is_some())
    });
    Client::connect(&plain).get("/").expect_body("false");
    let mut client = Client::connect(&secure).with_tls(&authority.client(), NAME);
    client.get("/").expect_body("true");
}

#[test]
fn tls_works_over_unix_sockets() {
    let authority = CertificateAuthority::new();
    let path = TempPath::new("tls.sock");
    let address = format!("unix:{}", path.as_ref().display());
    let server = bind_at(&address, authority.issue(&[NAME]).tls(), |builder| builder);
    let server = server.run(mirror);
    let body = Random::new(8).bytes(2 * 1024 * 1024 + 13);
    for version in [&TLS12, &TLS13] {
        let config = authority.client_with(&[version], None);
        let mut client = server.connect().with_tls(&config, NAME);
        client.post("/", &body).expect_body(&body);
        client.send(request::post_chunked("/", &body, 100_000));
        client.expect_body(&body);
        client.get_and_close("/").expect_body("");
        client.expect_closed();
    }
    let mut idle = server.connect().with_tls(&authority.client(), NAME);
    idle.get("/").expect_body("");
    server.begin_drain();
    idle.expect_closed();
    assert_eq!(server.expect_end().aborted, 0);
}
