use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::SystemTime;

use httpool::{BodyMode, ClientInfo, Handler, ListenAddr, Request, RequestTimes, Response, Server};
use socket2::{Domain, Socket, Type};

use crate::support::http2::{END_STREAM, Http2Client, request_fields};
use crate::support::{BoundServer, Client, TempPath, TestServer};

/// The peer and the client of a request.
fn peer_and_client(request: Request) -> String {
    let origin = ClientInfo::of(&request).expect("it came over a connection");
    let client = origin.client().expect("nobody is in between");
    format!("{} {client}", origin.peer())
}

#[test]
fn handler_sees_the_client_address() {
    let server = TestServer::spawn(|builder| builder, peer_and_client);
    let mut clients = [server.connect(), server.connect()];
    for _ in 0..2 {
        for client in &mut clients {
            let address = client.local_addr();
            client.get("/").expect_body(format!("{address} {address}"));
        }
    }
}

#[test]
fn request_received_in_parts_has_client_info() {
    let server = TestServer::spawn(|builder| builder, peer_and_client);
    let mut client = server.connect();
    let address = client.local_addr();
    client.send("POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    client.expect_status(100);
    client
        .send("body")
        .expect_body(format!("{address} {address}"));
}

#[test]
fn dual_stack_listener_reports_ipv4_clients_as_ipv4() {
    // A service manager may pass in a dual-stack socket. Some machines have no IPv6.
    let Ok(listener) = Socket::new(Domain::IPV6, Type::STREAM, None) else {
        return;
    };
    listener.set_only_v6(false).expect("it is not bound");
    let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    listener
        .bind(&everywhere.into())
        .expect("there is a free port");
    listener.listen(16).expect("it is bound");
    let server = Server::builder().adopt(listener).workers(2).bind();
    let server = BoundServer::from(server.expect("it listens")).run(peer_and_client);
    let ListenAddr::Tcp { port, .. } = *server.address() else {
        panic!("{} is no TCP address", server.address());
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut client = Client::connect(&address.into());
    let address = client.local_addr();
    assert!(address.is_ipv4(), "{address}");
    client.get("/").expect_body(format!("{address} {address}"));
}

#[test]
fn unix_socket_clients_have_no_address() {
    let path = TempPath::new("origin.sock");
    let builder = Server::builder().listen(path.as_ref()).workers(2);
    let server = BoundServer::from(builder.bind().expect("the path is free")).run(peer_and_client);
    server.connect().get("/").expect_body("unix unix");
}

/// The request's number, its stream, and whether it was sent `100 Continue`.
fn place(request: &Request) -> String {
    let info = ClientInfo::of(request).expect("it came over a connection");
    let (number, stream) = (info.request_number(), info.stream_id());
    format!("{number:?} {stream:?} {}", info.got_continue())
}

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn requests_of_a_connection_are_numbered() {
    let server = TestServer::spawn(|builder| builder, |request: Request| place(&request));
    let mut client = server.connect();
    client.get("/").expect_body("Some(1) None false");
    client.send(EXPECTING).expect_status(100);
    client.send("body").expect_body("Some(2) None true");
    client.get("/").expect_body("Some(3) None false");
    // A body that comes with its head needs no `100 Continue`.
    client.send(format!("{EXPECTING}body"));
    client.expect_body("Some(4) None false");
    server.connect().get("/").expect_body("Some(1) None false");
}

/// Asks for the body of every request after it has seen the head.
struct Hesitant;

impl Handler for Hesitant {
    fn handle(&self, request: &mut Request) -> Response {
        let length = request.body().as_bytes().len();
        Response::new(format!("{length} {}", place(request)).into())
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::HeadOnly
    }
}

#[test]
fn request_that_is_handled_twice_keeps_its_number() {
    let server = TestServer::spawn(|builder| builder, Hesitant);
    let mut client = server.connect();
    client.get("/").expect_body("0 Some(1) None false");
    client.send(EXPECTING).expect_status(100);
    client.send("body").expect_body("4 Some(2) None true");
    client
        .post("/", "12345")
        .expect_body("5 Some(3) None false");
}

#[test]
fn requests_of_http2_have_a_stream() {
    let handler = |request: Request| {
        let settings = ClientInfo::of(&request).and_then(ClientInfo::http2_settings);
        format!("{} {settings:?}", place(&request))
    };
    let server = TestServer::spawn(|builder| builder.client_settings(true), handler);
    let mut client = Http2Client::connect_with(&server, &[(4, 70_000), (2, 0), (4, 80_000)]);
    let settings = "Some([(4, 70000), (2, 0), (4, 80000)])";
    let stream = client.get("/");
    client.expect_body(stream, format!("None Some(1) false {settings}"));

    let mut fields = request_fields("POST", "/");
    fields.push(("expect", "100-continue"));
    let stream = client.open(&fields);
    client.read_until("100 Continue", |client| {
        client.reply(stream).interim.contains(&100)
    });
    client.data(stream, "body", END_STREAM);
    client.expect_body(stream, format!("None Some(3) true {settings}"));
    let stream = client.get("/");
    client.expect_body(stream, format!("None Some(5) false {settings}"));
}

#[test]
fn times_are_measured_on_demand() {
    let handler = |request: Request| match RequestTimes::of(&request) {
        Some(times) if times.received() <= SystemTime::now() => "measured",
        Some(_) => "received later than now",
        None => "no times",
    };
    let server = TestServer::spawn(|builder| builder, handler);
    server.connect().get("/").expect_body("no times");
    let server = TestServer::spawn(|builder| builder.request_times(true), handler);
    let mut client = server.connect();
    client.get("/").expect_body("measured");
    client.get("/").expect_body("measured");
    let mut client = Http2Client::connect(&server);
    let stream = client.get("/");
    client.expect_body(stream, "measured");
}
