/// Those that pass on TLS, and say in the clear whose it is.
mod passing_on_tls;

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use httpool::{Builder, ClientInfo, ForwardedBy, ListenAddr, Request, Server, TrustedProxy};

use crate::support::request::{PROXY_V1, PROXY_V2};
use crate::support::{BoundServer, Client, TempPath, TestServer, request, unique_loopback};

/// What is known of who sent a request; `peer` stands for the other end of the connection.
fn describe(request: Request) -> String {
    let origin = ClientInfo::of(&request).expect("it came over a connection");
    let peer = origin.peer();
    let name = |node: Option<httpool::PeerAddr>| match node {
        Some(node) if node == peer => "peer".to_owned(),
        Some(node) => node.to_string(),
        None => "nobody".to_owned(),
    };
    format!("{} for {}", name(origin.proxy()), name(origin.client()))
}

fn trusting(proxy: &str) -> impl FnOnce(Builder) -> Builder {
    let proxy: TrustedProxy = proxy.parse().expect("the text is a proxy");
    move |builder| builder.trusted_proxy(proxy)
}

/// A server for proxies alone, those on loopback addresses.
#[track_caller]
fn proxied(configure: impl FnOnce(Builder) -> Builder) -> BoundServer {
    let address: ListenAddr = "127.0.0.1:0".parse().expect("an address");
    let builder = Server::builder().listen_proxy_protocol(address).workers(2);
    let builder = configure(trusting("127.0.0.0/8")(builder));
    BoundServer::from(builder.bind().expect("the address is free"))
}

fn get_with(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: it\r\n{fields}\r\n")
}

#[test]
fn who_is_not_trusted_is_not_believed() {
    let fields = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n";
    for server in [
        TestServer::spawn(|builder| builder, describe),
        TestServer::spawn(trusting("192.0.2.0/24"), describe),
        TestServer::spawn(trusting("unix"), describe),
    ] {
        let mut client = server.connect();
        client.send(get_with(fields)).expect_body("nobody for peer");
    }
}

#[test]
fn a_trusted_proxy_says_who_its_client_is() {
    let server = TestServer::spawn(trusting("127.0.0.1"), describe);
    let mut proxy = server.connect();
    // Each request on a connection is somebody else's.
    for (fields, expected) in [
        ("", "nobody for peer"),
        ("X-Forwarded-For: 192.0.2.1\r\n", "peer for 192.0.2.1"),
        (
            "X-Forwarded-For: 203.0.113.9\r\nHost2: x\r\nx-forwarded-for: 192.0.2.1, 127.0.0.1\r\n",
            "127.0.0.1 for 192.0.2.1",
        ),
        ("X-Forwarded-For: somebody\r\n", "peer for nobody"),
        ("Forwarded: for=192.0.2.1\r\n", "nobody for peer"),
        ("", "nobody for peer"),
    ] {
        proxy.send(get_with(fields)).expect_body(expected);
    }
}

#[test]
fn the_operator_says_which_field_the_proxies_set() {
    let forwarded = |builder: Builder| builder.forwarded_by(ForwardedBy::Forwarded);
    let server = TestServer::spawn(|b| forwarded(trusting("127.0.0.1")(b)), describe);
    let fields = "Forwarded: for=\"192.0.2.1:80\"\r\nX-Forwarded-For: 203.0.113.9\r\n";
    let mut proxy = server.connect();
    proxy
        .send(get_with(fields))
        .expect_body("peer for 192.0.2.1:80");
}

#[test]
fn a_proxy_on_a_unix_socket_can_be_trusted() {
    let path = TempPath::new("proxies.sock");
    let builder = Server::builder().listen(path.as_ref()).workers(2);
    let builder = trusting("unix")(builder);
    let server = BoundServer::from(builder.bind().expect("the path is free")).run(describe);
    let mut proxy = server.connect();
    proxy
        .send(get_with("X-Forwarded-For: 192.0.2.1\r\n"))
        .expect_body("peer for 192.0.2.1");
}

#[test]
fn a_proxy_protocol_header_says_who_the_client_of_a_connection_is() {
    let server = proxied(|builder| builder).run(describe);
    for header in [PROXY_V1, PROXY_V2] {
        let mut proxy = server.connect();
        // At once, in bytes, and with requests behind it or later.
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
fn a_unix_socket_can_be_for_proxies() {
    let path = TempPath::new("proxied.sock");
    let builder = Server::builder()
        .listen_proxy_protocol(path.as_ref())
        .workers(1);
    let builder = trusting("unix")(builder);
    let server = BoundServer::from(builder.bind().expect("the path is free")).run(describe);
    let mut proxy = server.connect();
    proxy.send([PROXY_V2, &request::get("/")].concat());
    proxy.expect_body("peer for 192.0.2.1:4711");
}

#[test]
fn a_proxy_may_come_for_itself_or_for_somebody_without_an_address() {
    let server = proxied(|builder| builder).run(describe);
    for (header, expected) in [
        (&b"PROXY UNKNOWN\r\n"[..], "peer for nobody"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0", "peer for nobody"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "nobody for peer"),
    ] {
        let mut proxy = server.connect();
        proxy.send([header, &request::get("/")].concat());
        proxy.expect_body(expected);
    }
}

#[test]
fn behind_one_that_passes_on_bytes_may_be_one_that_passes_on_requests() {
    let server = proxied(trusting("192.0.2.1")).run(describe);
    let mut proxy = server.connect();
    proxy.send(
        [
            PROXY_V1,
            get_with("X-Forwarded-For: 198.51.100.7\r\n").as_bytes(),
        ]
        .concat(),
    );
    proxy.expect_body("192.0.2.1:4711 for 198.51.100.7");

    let server = proxied(|builder| builder).run(describe);
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
fn what_does_not_begin_with_a_header_is_closed_without_an_answer() {
    let server = proxied(|builder| builder).run(describe);
    for nonsense in [
        &request::get("/")[..],
        b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 99999\r\n",
        b"PROXY PROXY PROXY\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        &[0; 10_000],
    ] {
        let mut client = server.connect();
        // It may be closed before all of it has been sent.
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
fn a_header_is_never_guessed() {
    let server = TestServer::spawn(trusting("127.0.0.1"), describe);
    for header in [PROXY_V1, PROXY_V2] {
        let mut proxy = server.connect();
        proxy.send([header, &request::get("/")].concat());
        proxy.expect_status(400);
        proxy.expect_closed();
    }
}

#[test]
fn a_header_that_does_not_come_in_time_ends_its_connection_in_silence() {
    let patience = Duration::from_secs(1);
    let server = proxied(|builder| builder.head_timeout(patience)).run(describe);
    let mut silent = server.connect();
    let mut slow = server.connect();
    slow.send(&PROXY_V1[..20]);
    let mut introduced = server.connect();
    introduced.send(PROXY_V1);
    for client in [&mut silent, &mut slow, &mut introduced] {
        client.expect_closed();
    }
}

#[test]
fn who_is_not_trusted_is_not_let_in_where_proxies_come() {
    let builder = Server::builder()
        .listen_proxy_protocol("127.0.0.1:0".parse::<ListenAddr>().expect("an address"));
    let builder = trusting("192.0.2.0/24")(builder.workers(1));
    let server = BoundServer::from(builder.bind().expect("some port is free")).run(describe);
    let mut client = server.connect();
    let _ = client.try_send([PROXY_V1, &request::get("/")].concat());
    assert_eq!(client.read_rest().0, b"");
    assert_eq!(server.shut_down().answered, 0);
}

#[test]
fn a_listener_for_proxies_needs_one_that_is_trusted() {
    let address: ListenAddr = "127.0.0.1:0".parse().expect("an address");
    let error = Server::builder().listen_proxy_protocol(address).bind();
    let error = error.expect_err("nobody could come in");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(
        error.to_string().ends_with("no proxy is trusted"),
        "{error}"
    );
}

#[test]
fn an_adopted_listener_may_be_for_proxies_and_another_not() {
    let listener = TcpListener::bind((unique_loopback(), 0)).expect("the address is free");
    let builder = Server::builder()
        .adopt_proxy_protocol(listener)
        .listen("127.0.0.1:0".parse::<ListenAddr>().expect("an address"));
    let builder = trusting("127.0.0.0/8")(builder.workers(2));
    let server = BoundServer::from(builder.bind().expect("it listens"));
    let addresses = server.addresses().to_vec();
    let _server = server.run(describe);
    let mut proxy = Client::connect(&addresses[0]);
    proxy.send([PROXY_V2, &request::get("/")].concat());
    proxy.expect_body("peer for 192.0.2.1:4711");
    let mut client = Client::connect(&addresses[1]);
    client.get("/").expect_body("nobody for peer");
}

#[test]
fn a_drain_ends_connections_that_are_not_introduced_and_answers_those_that_are() {
    let server = proxied(|builder| builder);
    let mut silent = server.connect();
    let mut slow = server.connect();
    slow.send(&PROXY_V1[..20]);
    let mut asking = server.connect();
    asking.send([PROXY_V1, &request::get("/")].concat());
    server.handle().shutdown();
    let server = server.run(describe);
    assert!(
        asking
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
