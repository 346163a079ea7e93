use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use httpool::{BindError, ListenAddr, Server};

use crate::support::{BoundServer, OwnPath, TestServer, mirror, own_loopback, tell};

fn bind_unix(path: &OwnPath) -> Result<BoundServer, BindError> {
    let builder = Server::builder().listen(path.as_ref()).workers(2);
    builder.bind().map(BoundServer::from)
}

#[test]
fn a_unix_socket_serves_and_goes_with_the_server() {
    let path = OwnPath::new("serves.sock");
    let server = bind_unix(&path).expect("the path is free").run(mirror);
    assert_eq!(server.address(), &ListenAddr::from(path.as_ref()));
    let body = vec![b'x'; 1_000_000];
    let mut client = server.connect();
    for _ in 0..3 {
        let sending = client.send_beside(crate::support::request::post("/", &body));
        client.expect_answer(&body);
        let sent = sending.join().expect("sending does not panic");
        sent.expect("the whole body is taken");
    }
    let report = server.shut_down();
    client.expect_closed();
    assert_eq!((report.accepted, report.answered, report.cut), (1, 3, 0));
    assert!(!path.as_ref().exists(), "the file is gone");
}

#[test]
fn a_unix_socket_that_nobody_listens_on_is_replaced() {
    let path = OwnPath::new("stale.sock");
    drop(UnixListener::bind(path.as_ref()).expect("the path is free"));
    assert!(path.as_ref().exists(), "closing leaves the file");
    let server = bind_unix(&path).expect("a stale file is no hindrance");
    server.run(tell).expect_serving();
}

#[test]
fn a_unix_socket_in_use_is_left_alone() {
    let path = OwnPath::new("used.sock");
    let server = bind_unix(&path).expect("the path is free").run(tell);
    let error = bind_unix(&path).expect_err("the path is in use");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(error.address(), Some(&ListenAddr::from(path.as_ref())));
    server.expect_serving();
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let path = OwnPath::new("file");
    fs::write(&path, "precious").expect("the path is free");
    let error = bind_unix(&path).expect_err("something is there");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let content = fs::read_to_string(&path).expect("it is still there");
    assert_eq!(content, "precious");
}

#[test]
fn clients_of_a_unix_socket_are_drained_from_its_queue() {
    let path = OwnPath::new("queue.sock");
    let server = bind_unix(&path).expect("the path is free");
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.get("/");
    }
    server.handle().shutdown();
    let server = server.run(tell);
    for client in &mut clients {
        assert!(client.expect_answer("GET / ").says_close());
        client.expect_closed();
    }
    assert_eq!(server.expect_end().accepted, 20);
}

#[test]
fn localhost_is_both_loopback_addresses() {
    let server = BoundServer::at("localhost:0", |builder| builder.workers(1));
    let addresses = server.addresses().to_vec();
    let server = server.run(tell);
    assert_eq!(addresses[0], *server.address());
    for address in &addresses {
        let mut client = crate::support::Client::connect(address);
        client.get("/").expect_answer("GET / ");
    }
    let hosts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    assert!(hosts[0].starts_with("127.0.0.1:"), "{hosts:?}");
    // A machine may lack IPv6.
    assert!(
        hosts.len() == 1 || hosts[1].starts_with("[::1]:"),
        "{hosts:?}"
    );
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let server = TestServer::spawn(|builder| builder, tell);
    let builder = Server::builder().listen(server.address().clone());
    let error = builder.bind().expect_err("the address is in use");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(error.address(), Some(server.address()));
    let text = format!(
        "cannot listen on {}: the address is already in use",
        server.address()
    );
    assert_eq!(error.to_string(), text);
}

#[test]
fn nothing_to_listen_on_is_an_error() {
    let error = Server::builder().bind().expect_err("there is no address");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(error.address(), None);
}

#[test]
fn an_adopted_listener_serves_and_is_handed_on_with_its_queue() {
    let listener = TcpListener::bind((own_loopback(), 0)).expect("the address is free");
    let adopt = || {
        let listener = listener.try_clone().expect("a listener can be cloned");
        let server = Server::builder().adopt(listener).workers(2).bind();
        BoundServer::from(server.expect("it listens"))
    };
    let first = adopt().run(tell);
    first.expect_serving();
    let address = first.address().clone();
    assert_eq!(first.shut_down().accepted, 1);

    // Nobody runs, and nobody is refused.
    let mut waiting = crate::support::Client::connect(&address);
    waiting.get("/waiting");
    let second = adopt().run(tell);
    waiting.expect_answer("GET /waiting ");
    second.expect_serving();
}

#[test]
fn a_socket_that_does_not_listen_is_not_adopted() {
    let (socket, _other) = std::os::unix::net::UnixStream::pair().expect("sockets can be made");
    let error = Server::builder().adopt(socket).bind();
    let error = error.expect_err("it does not listen");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
