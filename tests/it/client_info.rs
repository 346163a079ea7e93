use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use httpool::{ClientInfo, ListenAddr, Request, Server};
use socket2::{Domain, Socket, Type};

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
