use std::sync::Arc;

use httpool::http::StatusCode;
use httpool::http::header::CONNECTION;
use httpool::http2::ErrorCode;
use httpool::{
    ClientCertificates, ClientInfo, IntoResponse as _, ListenAddr, Request, Response, Server, Tls,
    TrustedProxy, Upgrade,
};
use rustls::ClientConfig;

use crate::support::http2::{Http2Client, request_fields};
use crate::support::tls::{CertificateAuthority, NAME, TlsServer, bind, for_http2};
use crate::support::{
    BoundServer, Client, TestServer, Transport, describe, over_every_transport, request,
};

over_every_transport! {
    both_protocols_share_a_port,
    close_of_a_handler_becomes_goaway,
    upgrade_asks_for_http1,
}

/// The protocol that a handler sees.
fn version(request: Request) -> String {
    format!("{:?}", request.version())
}

fn both_protocols_share_a_port(transport: Transport) {
    let server = transport.spawn(|builder| builder, version);
    let (mut old, mut new) = (server.connect(), Http2Client::connect(&server));
    for _ in 0..3 {
        old.get("/").expect_body("HTTP/1.1");
        let stream = new.get("/");
        new.expect_body(stream, "HTTP/2.0");
    }
}

fn close_of_a_handler_becomes_goaway(transport: Transport) {
    let server = transport.spawn(
        |builder| builder,
        |request: Request| -> Response {
            match request.uri().path() {
                "/close" => ([(CONNECTION, "close")], "closing").into_response(),
                _ => describe(request).into_response(),
            }
        },
    );
    let mut client = Http2Client::connect(&server);
    let half = client.open_post("/half");
    let closing = client.get("/close");
    client.expect_body(closing, "closing");
    let goaway = client.expect_goaway(1);
    assert_eq!(goaway.code, ErrorCode::NoError);
    // Streams that are open go on.
    client.data(half, "body", crate::support::http2::END_STREAM);
    client.expect_body(half, "POST /half body");
    client.client().finish_sending();
    client.expect_closed();
    server.expect_open(0);
}

fn upgrade_asks_for_http1(transport: Transport) {
    let server = transport.spawn(
        |builder| builder,
        |request: Request| -> Response {
            match request.uri().path() {
                "/lines" => Upgrade::new("line-echo", |_| {}).into_response(),
                _ => "in HTTP".into_response(),
            }
        },
    );
    let mut client = Http2Client::connect(&server);
    let stream = client.get("/lines");
    assert_eq!(client.expect_reset(stream), ErrorCode::Http11Required);
    assert!(client.reply(stream).response.is_none());
    let stream = client.get("/");
    client.expect_body(stream, "in HTTP");
    assert_eq!(client.goaways(), []);
}

#[test]
fn http2_can_be_switched_off() {
    let server = TestServer::spawn(|builder| builder.http2(false), describe);
    let mut client = server.connect();
    client.send(httpool::http2::PREFACE);
    let response = client.expect_response();
    assert!(response.status >= 400, "{response:?}");
    client.finish_sending().expect_closed();
    server.expect_serving();

    let secure = TlsServer::spawn(|builder| builder.http2(false), describe);
    let mut config = ClientConfig::clone(&secure.config);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut client = secure.server.connect().with_tls(&Arc::new(config), NAME);
    client.get("/").expect_body("GET / ");
    assert_eq!(client.tls().alpn_protocol(), Some(&b"http/1.1"[..]));
}

/// A client that offers both gets HTTP/2 and must speak it (RFC 9113 section 3.2).
#[test]
fn alpn_decides_the_protocol() {
    let secure = TlsServer::spawn(|builder| builder, version);
    let offer = |protocols: &[&str]| {
        let mut config = ClientConfig::clone(&secure.config);
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let mut client = secure.server.connect().with_tls(&Arc::new(config), NAME);
        client.try_handshake().expect("the handshake succeeds");
        client
    };
    let mut client = offer(&["http/1.1", "h2"]);
    assert_eq!(client.tls().alpn_protocol(), Some(&b"h2"[..]));
    let mut client = Http2Client::over(client, &[]);
    let stream = client.get("/");
    client.expect_body(stream, "HTTP/2.0");

    let mut other = offer(&["http/1.1"]);
    other.get("/").expect_body("HTTP/1.1");

    let mut wrong = offer(&["h2"]);
    wrong.send(request::get("/"));
    let (rest, _) = wrong.read_rest();
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
    // The others stay open.
    secure.server.expect_open(2);
}

#[test]
fn client_certificate_reaches_the_handlers_of_all_streams() {
    let (authority, staff) = (CertificateAuthority::new(), CertificateAuthority::new());
    let issued = authority.issue(&[NAME]);
    let tls = Tls::builder()
        .certificate_pem(&*issued.certificate, &*issued.key)
        .client_authorities_pem(staff.certificate())
        .client_certificates(ClientCertificates::Required)
        .build();
    let server = bind(tls.expect("the key matches"), |builder| builder).run(|request: Request| {
        let info = ClientInfo::of(&request).expect("it came over a connection");
        let tls = info.tls().expect("it came over TLS");
        let alpn = String::from_utf8_lossy(tls.alpn().unwrap_or(b"-")).into_owned();
        format!("{alpn} {}", tls.peer_certificates().len())
    });
    let certificate = staff.issue(&["client"]);
    let config = authority.client_with(rustls::ALL_VERSIONS, Some(&certificate));
    let connection = server.connect().with_tls(&for_http2(&config), NAME);
    let mut client = Http2Client::over(connection, &[]);
    let streams = [(); 10].map(|()| client.get("/"));
    for stream in streams {
        client.expect_body(stream, "h2 1");
    }
}

#[test]
fn proxy_protocol_precedes_the_preface() {
    let address: ListenAddr = "127.0.0.1:0".parse().expect("the address is valid");
    let proxy: TrustedProxy = "127.0.0.1".parse().expect("the proxy is valid");
    let authority = CertificateAuthority::new();
    let builder = Server::builder()
        .listen_proxy_protocol(address.clone())
        .listen_tls_proxy_protocol(address, authority.issue(&[NAME]).tls())
        .trusted_proxy(proxy)
        .workers(2)
        .http2(true);
    let server = BoundServer::from(builder.bind().expect("the ports are free"));
    let addresses = server.addresses().to_vec();
    let _server = server.run(|request: Request| {
        let info = ClientInfo::of(&request).expect("it came over a connection");
        info.client().expect("the proxy names it").to_string()
    });
    for header in [request::PROXY_V1, request::PROXY_V2] {
        for (address, is_tls) in addresses.iter().zip([false, true]) {
            let mut connection = Client::connect(address);
            connection.send(header);
            if is_tls {
                connection = connection.with_tls(&for_http2(&authority.client()), NAME);
            }
            let mut client = Http2Client::over(connection, &[]);
            for _ in 0..2 {
                let stream = client.get("/");
                client.expect_body(stream, "192.0.2.1:4711");
            }
        }
    }
}

/// A client that leaves costs nothing, wherever it stands.
#[test]
fn clients_may_leave_at_any_time() {
    let server = TestServer::spawn(|builder| builder, |_: Request| vec![b'x'; 1_000_000]);
    type Enter = fn(&mut Http2Client);
    let states: [(&str, Enter); 5] = [
        ("after the preface", |_| {}),
        ("within a head", |client| {
            client.send(b"\0\0\x10\x01\x04\0\0\0\x01\x82");
        }),
        ("within a body", |client| {
            client.open_post("/");
        }),
        ("within responses", |client| {
            let stream = client.get("/");
            client.get("/");
            client.read_until("content", |client| client.reply(stream).body_length() > 0);
        }),
        ("while idle", |client| {
            let stream = client.get("/");
            client.expect_status(stream, 200);
        }),
    ];
    for (state, enter) in states {
        println!("{state}");
        let mut client = Http2Client::connect(&server);
        enter(&mut client);
        client.disconnect();
        server.expect_open(0);
        // An orderly end, with GOAWAY of the client.
        let mut client = Http2Client::connect(&server);
        enter(&mut client);
        if state != "within a head" {
            client.send(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0");
        }
        client.client().finish_sending();
        let _ = client.expect_end();
        server.expect_open(0);
    }
    server.expect_serving();
    let report = server.shut_down();
    assert_eq!((report.aborted, report.abandoned_workers), (0, 0));
}

/// The client opens no more streams, and gets the responses to its requests.
#[test]
fn goaway_of_the_client_cancels_no_stream() {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = Http2Client::connect(&server);
    let stream = client.open_post("/");
    client.send(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0");
    client.data(stream, "body", 1);
    client.expect_body(stream, "POST / body");
    client.client().finish_sending();
    client.expect_closed();
    server.expect_open(0);
}

/// The upgrade of RFC 7540 is obsolete: HTTP/1.1 goes on.
#[test]
fn h2c_upgrade_is_ignored() {
    let server = TestServer::spawn(|builder| builder, version);
    let mut client = server.connect();
    client.send(
        "GET / HTTP/1.1\r\nHost: it\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    client.expect_body("HTTP/1.1");
    client.get("/").expect_body("HTTP/1.1");
}

/// The preface is only understood at the start of a connection.
#[test]
fn preface_after_a_request_is_an_error() {
    let server = TestServer::spawn(|builder| builder, version);
    let mut client = server.connect();
    client.get("/").expect_body("HTTP/1.1");
    client.send(httpool::http2::PREFACE);
    let response = client.expect_response();
    assert!(response.status >= 400, "{response:?}");
}

#[test]
fn connection_headers_of_handlers_are_dropped() {
    let server = TestServer::spawn(
        |builder| builder,
        |_: Request| {
            let headers = [
                ("keep-alive", "timeout=5"),
                ("transfer-encoding", "chunked"),
                ("proxy-connection", "keep-alive"),
                ("x-other", "kept"),
            ];
            (StatusCode::OK, headers, "body").into_response()
        },
    );
    let mut client = Http2Client::connect(&server);
    let stream = client.request(&request_fields("GET", "/"));
    // The client fails if one of them arrives.
    let response = client.expect_body(stream, "body");
    assert_eq!(response.header("x-other"), Some("kept"));
    assert_eq!(response.header("content-length"), Some("4"));
}
