/// Proxies that forward TLS after a PROXY header.
mod tls_passthrough;

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use httpool::{Builder, ClientInfo, ForwardedBy, ListenAddr, Request, Server, TrustedProxy};

use crate::support::request::{PROXY_V1, PROXY_V2};
use crate::support::{BoundServer, Client, TempPath, TestServer, request, unique_loopback};

/// The proxy and the client of a request; `peer` stands for the other end of the connection.
fn proxy_and_client(request: Request) -> String {
    let client_info = ClientInfo::of(&request).expect("the request came over a connection");
    let peer = client_info.peer();
    let name = |node: Option<httpool::PeerAddr>| match node {
        Some(node) if node == peer => "peer".to_owned(),
        Some(node) => node.to_string(),
        None => "none".to_owned(),
    };
    format!(
        "{} for {}",
        name(client_info.proxy()),
        name(client_info.client())
    )
}

fn trusting(proxy: &str) -> impl FnOnce(Builder) -> Builder {
    let proxy: TrustedProxy = proxy.parse().expect("the proxy is valid");
    move |builder| builder.trusted_proxy(proxy)
}

/// A server with a PROXY protocol listener that trusts loopback addresses.
#[track_caller]
fn proxy_protocol_server(configure: impl FnOnce(Builder) -> Builder) -> BoundServer {
    let address: ListenAddr = "127.0.0.1:0".parse().expect("the address is valid");
    let builder = Server::builder().listen_proxy_protocol(address).workers(2);
    let builder = configure(trusting("127.0.0.0/8")(builder));
    BoundServer::from(builder.bind().expect("the address is free"))
}

fn get_with(headers: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: it\r\n{headers}\r\n")
}

#[test]
fn untrusted_forwarding_headers_are_ignored() {
    let headers = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n";
    for server in [
        TestServer::spawn(|builder| builder, proxy_and_client),
        TestServer::spawn(trusting("192.0.2.0/24"), proxy_and_client),
        TestServer::spawn(trusting("unix"), proxy_and_client),
    ] {
        let mut client = server.connect();
        client.send(get_with(headers)).expect_body("none for peer");
    }
}

#[test]
fn trusted_proxy_sets_the_client_address() {
    let server = TestServer::spawn(trusting("127.0.0.1"), proxy_and_client);
    let mut proxy = server.connect();
    // Each request on a proxy's connection may belong to another client.
    for (headers, expected) in [
        ("", "none for peer"),
        ("X-Forwarded-For: 192.0.2.1\r\n", "peer for 192.0.2.1"),
        (
            "X-Forwarded-For: 203.0.113.9\r\nHost2: x\r\nx-forwarded-for: 192.0.2.1, 127.0.0.1\r\n",
            "127.0.0.1 for 192.0.2.1",
        ),
        ("X-Forwarded-For: nonsense\r\n", "peer for none"),
        ("Forwarded: for=192.0.2.1\r\n", "none for peer"),
        ("", "none for peer"),
    ] {
        proxy.send(get_with(headers)).expect_body(expected);
    }
}

#[test]
fn forwarded_by_selects_the_header() {
    let forwarded = |builder: Builder| builder.forwarded_by(ForwardedBy::Forwarded);
    let server = TestServer::spawn(|b| forwarded(trusting("127.0.0.1")(b)), proxy_and_client);
    let headers = "Forwarded: for=\"192.0.2.1:80\"\r\nX-Forwarded-For: 203.0.113.9\r\n";
    let mut proxy = server.connect();
    proxy
        .send(get_with(headers))
        .expect_body("peer for 192.0.2.1:80");
}

#[test]
fn unix_socket_proxy_can_be_trusted() {
    let path = TempPath::new("proxies.sock");
    let builder = Server::builder().listen(path.as_ref()).workers(2);
    let builder = trusting("unix")(builder);
    let server = BoundServer::from(builder.bind().expect("the path is free")).run(proxy_and_client);
    let mut proxy = server.connect();
    proxy
        .send(get_with("X-Forwarded-For: 192.0.2.1\r\n"))
        .expect_body("peer for 192.0.2.1");
}

#[test]
fn proxy_protocol_header_sets_the_client_address() {
    let server = proxy_protocol_server(|builder| builder).run(proxy_and_client);
    for header in [PROXY_V1, PROXY_V2] {
        let mut proxy = server.connect();
        // The header is sent with a request, byte by byte, and with several requests.
        proxy.send([header, &request::get("/")].concat());
        proxy.expect_body("peer for 192.0.2.1:4711");
        proxy.get("/").expect_body("peer for 192.0.2.1:4711");

        let mut proxy = server.connect();
        for byte in header {
            proxy.send([*byte]);
        }
        for byte in request::post("/", "body") {
            proxy.send([byte]);
        }
        proxy.expect_body("peer for 192.0.2.1:4711");

        let mut proxy = server.connect();
        proxy.send([header, &request::get("/"), &request::get_and_close("/")].concat());
        proxy.expect_body("peer for 192.0.2.1:4711");
        proxy.expect_body("peer for 192.0.2.1:4711");
        proxy.expect_closed();
    }
}

#[test]
fn unix_socket_can_require_proxy_protocol() {
    let path = TempPath::new("proxied.sock");
    let builder = Server::builder()
        .listen_proxy_protocol(path.as_ref())
        .workers(1);
    let builder = trusting("unix")(builder);
    let server = BoundServer::from(builder.bind().expect("the path is free")).run(proxy_and_client);
    let mut proxy = server.connect();
    proxy.send([PROXY_V2, &request::get("/")].concat());
    proxy.expect_body("peer for 192.0.2.1:4711");
}

#[test]
fn proxy_protocol_unknown_and_local_are_accepted() {
    let server = proxy_protocol_server(|builder| builder).run(proxy_and_client);
    for (header, expected) in [
        (&b"PROXY UNKNOWN\r\n"[..], "peer for none"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0", "peer for none"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "none for peer"),
    ] {
        let mut proxy = server.connect();
        proxy.send([header, &request::get("/")].concat());
        proxy.expect_body(expected);
    }
}

#[test]
fn http_proxy_behind_a_proxy_protocol_proxy_is_supported() {
    let server = proxy_protocol_server(trusting("192.0.2.1")).run(proxy_and_client);
    let mut proxy = server.connect();
    proxy.send(
        [
            PROXY_V1,
            get_with("X-Forwarded-For: 198.51.100.7\r\n").as_bytes(),
        ]
        .concat(),
    );
    proxy.expect_body("192.0.2.1:4711 for 198.51.100.7");

    let server = proxy_protocol_server(|builder| builder).run(proxy_and_client);
    let mut proxy = server.connect();
    proxy.send(
        [
            PROXY_V1,
            get_with("X-Forwarded-For: 198.51.100.7\r\n").as_bytes(),
        ]
        .concat(),
    );
    proxy.expect_body("peer for 192.0.2.1:4711");
}

#[test]
fn missing_or_bad_proxy_header_closes_silently() {
    let server = proxy_protocol_server(|builder| builder).run(proxy_and_client);
    for nonsense in [
        &request::get("/")[..],
        b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 99999\r\n",
        b"PROXY PROXY PROXY\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        &[0; 10_000],
    ] {
        let mut client = server.connect();
        // The server may close the connection before all bytes are sent.
        let _ = client.try_send(nonsense);
        assert_eq!(client.read_rest().0, b"", "{}", nonsense.escape_ascii());
    }
    let mut client = server.connect();
    client
        .send(&PROXY_V1[..20])
        .finish_sending()
        .expect_closed();
    let mut client = server.connect();
    client.finish_sending().expect_closed();
    assert_eq!(server.handle().snapshot().answered, 0);
}

#[test]
fn proxy_header_is_rejected_on_a_plain_listener() {
    let server = TestServer::spawn(trusting("127.0.0.1"), proxy_and_client);
    for header in [PROXY_V1, PROXY_V2] {
        let mut proxy = server.connect();
        proxy.send([header, &request::get("/")].concat());
        proxy.expect_status(400);
        proxy.expect_closed();
    }
}

#[test]
fn late_proxy_header_closes_silently() {
    let timeout = Duration::from_secs(1);
    let server =
        proxy_protocol_server(|builder| builder.head_timeout(timeout)).run(proxy_and_client);
    let mut silent = server.connect();
    let mut slow = server.connect();
    slow.send(&PROXY_V1[..20]);
    let mut header_only = server.connect();
    header_only.send(PROXY_V1);
    for client in [&mut silent, &mut slow, &mut header_only] {
        client.expect_closed();
    }
}

#[test]
fn untrusted_peers_of_a_proxy_listener_are_closed() {
    let builder = Server::builder().listen_proxy_protocol(
        "127.0.0.1:0"
            .parse::<ListenAddr>()
            .expect("the address is valid"),
    );
    let builder = trusting("192.0.2.0/24")(builder.workers(1));
    let server =
        BoundServer::from(builder.bind().expect("some port is free")).run(proxy_and_client);
    let mut client = server.connect();
    let _ = client.try_send([PROXY_V1, &request::get("/")].concat());
    assert_eq!(client.read_rest().0, b"");
    assert_eq!(server.shut_down().answered, 0);
}

#[test]
fn proxy_listener_requires_a_trusted_proxy() {
    let address: ListenAddr = "127.0.0.1:0".parse().expect("the address is valid");
    let error = Server::builder().listen_proxy_protocol(address).bind();
    let error = error.expect_err("a trusted proxy is required");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(
        error.to_string().ends_with("no proxy is trusted"),
        "{error}"
    );
}

#[test]
fn proxy_protocol_is_set_per_listener() {
    let listener = TcpListener::bind((unique_loopback(), 0)).expect("the address is free");
    let builder = Server::builder().adopt_proxy_protocol(listener).listen(
        "127.0.0.1:0"
            .parse::<ListenAddr>()
            .expect("the address is valid"),
    );
    let builder = trusting("127.0.0.0/8")(builder.workers(2));
    let server = BoundServer::from(builder.bind().expect("the server listens"));
    let addresses = server.addresses().to_vec();
    let _server = server.run(proxy_and_client);
    let mut proxy = Client::connect(&addresses[0]);
    proxy.send([PROXY_V2, &request::get("/")].concat());
    proxy.expect_body("peer for 192.0.2.1:4711");
    let mut client = Client::connect(&addresses[1]);
    client.get("/").expect_body("none for peer");
}

#[test]
fn drain_closes_connections_without_a_proxy_header() {
    let server = proxy_protocol_server(|builder| builder);
    let mut silent = server.connect();
    let mut slow = server.connect();
    slow.send(&PROXY_V1[..20]);
    let mut complete = server.connect();
    complete.send([PROXY_V1, &request::get("/")].concat());
    server.handle().shutdown();
    let server = server.run(proxy_and_client);
    assert!(
        complete
            .expect_body("peer for 192.0.2.1:4711")
            .announces_close()
    );
    silent.expect_closed();
    slow.expect_closed();
    let report = server.expect_end();
    assert_eq!(
        (report.accepted, report.answered, report.aborted),
        (3, 1, 0)
    );
}
