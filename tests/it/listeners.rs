use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;

use httpool::{BindError, ListenAddr, Server, UnixAddr};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::support::{
    BoundServer, TempPath, TestServer, describe, mirror, unique_loopback, without_privileges,
};

fn bind_unix(path: &TempPath) -> Result<BoundServer, BindError> {
    let builder = Server::builder().listen(path.as_ref()).workers(2);
    builder.bind().map(BoundServer::from)
}

#[test]
fn a_unix_socket_serves_and_is_removed_at_the_end() {
    let path = TempPath::new("serves.sock");
    let server = bind_unix(&path).expect("the path can be bound").run(mirror);
    assert_eq!(server.address(), &ListenAddr::from(path.as_ref()));
    let body = vec![b'x'; 1_000_000];
    let mut client = server.connect();
    for _ in 0..3 {
        let sending = client.send_in_background(crate::support::request::post("/", &body));
        client.expect_body(&body);
        let sent = sending.join().expect("sending does not panic");
        sent.expect("the whole body is sent");
    }
    let report = server.shut_down();
    client.expect_closed();
    assert_eq!(
        (report.accepted, report.answered, report.aborted),
        (1, 3, 0)
    );
    assert!(!path.as_ref().exists(), "the server removed its file");
}

#[test]
fn a_stale_unix_socket_is_replaced() {
    let path = TempPath::new("stale.sock");
    drop(UnixListener::bind(path.as_ref()).expect("the path can be bound"));
    assert!(path.as_ref().exists(), "closing keeps the file");
    let server = bind_unix(&path).expect("the stale socket is replaced");
    server.run(describe).expect_serving();
}

#[test]
fn a_unix_socket_in_use_is_left_alone() {
    let path = TempPath::new("used.sock");
    let server = bind_unix(&path)
        .expect("the path can be bound")
        .run(describe);
    let error = bind_unix(&path).expect_err("the path is in use");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(error.address(), Some(&ListenAddr::from(path.as_ref())));
    server.expect_serving();
}

#[test]
fn a_file_that_is_not_a_socket_is_left_alone() {
    let path = TempPath::new("file");
    fs::write(&path, "precious").expect("the path can be bound");
    let error = bind_unix(&path).expect_err("the path is in use");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let content = fs::read_to_string(&path).expect("the file still exists");
    assert_eq!(content, "precious");
}

#[test]
fn a_successors_unix_socket_is_left_alone() {
    let path = TempPath::new("successor.sock");
    let first = bind_unix(&path)
        .expect("the path can be bound")
        .run(describe);
    fs::remove_file(&path).expect("the file exists");
    let second = bind_unix(&path)
        .expect("the path can be bound")
        .run(describe);
    first.shut_down();
    second.expect_serving();
    second.shut_down();
    assert!(
        !path.as_ref().exists(),
        "the second server removed its file"
    );
}

#[test]
fn a_file_that_replaced_the_socket_is_left_alone() {
    let path = TempPath::new("replaced.sock");
    let replace = || {
        fs::remove_file(&path).expect("the file exists");
        fs::write(&path, "precious").expect("the path can be bound");
    };
    let expect_left = || {
        let content = fs::read_to_string(&path).expect("the file still exists");
        assert_eq!(content, "precious");
        fs::remove_file(&path).expect("the file exists");
    };
    let server = bind_unix(&path)
        .expect("the path can be bound")
        .run(describe);
    replace();
    server.shut_down();
    expect_left();
    // The same applies to a server that never runs.
    let server = bind_unix(&path).expect("the path can be bound");
    replace();
    drop(server);
    expect_left();
}

#[test]
fn a_unix_socket_with_a_full_queue_is_in_use() {
    let path = TempPath::new("full.sock");
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket can be created");
    let address = SockAddr::unix(path.as_ref()).expect("the path is short");
    socket.bind(&address).expect("the path can be bound");
    socket.listen(0).expect("the socket is bound");
    let connect = || {
        let client =
            Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket can be created");
        client.set_nonblocking(true).expect("the socket is open");
        client.connect(&address).map(|()| client)
    };
    let _queued: Vec<_> = std::iter::from_fn(|| connect().ok()).collect();
    let error = bind_unix(&path).expect_err("the path is in use");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(path.as_ref().exists(), "the file is kept");
}

#[test]
fn a_unix_socket_has_its_mode_and_group() {
    let path = TempPath::new("rights.sock");
    // A group that this process may assign to a file: any for root, else its own.
    let group = match rustix::process::geteuid().is_root() {
        true => 1,
        false => rustix::process::getegid().as_raw(),
    };
    let rights = || {
        let file = fs::symlink_metadata(&path).expect("the file exists");
        (file.mode() & 0o7777, file.gid())
    };
    for mode in [0o660, 0o600, 0o777] {
        let address = UnixAddr::new(path.as_ref())
            .mode(mode)
            .group(group.to_string());
        let server = BoundServer::from(Server::builder().listen(address).bind().expect("free"));
        assert_eq!(rights(), (mode, group));
        server.run(describe).expect_serving();
    }
    let address = format!("unix:{}?mode=640", path.as_ref().display());
    let server = BoundServer::at(&address, |builder| builder);
    assert_eq!(rights().0, 0o640);
    drop(server);

    let address = UnixAddr::new(path.as_ref()).group("no-such-group");
    let error = Server::builder().listen(address).bind();
    let error = error.expect_err("the group does not exist").to_string();
    assert!(
        error.ends_with("there is no group no-such-group"),
        "{error}"
    );
    assert!(!path.as_ref().exists(), "the socket file is removed");
}

#[test]
fn a_long_unix_path_is_an_error_with_the_limit() {
    let path = std::path::PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
    let error = Server::builder().listen(path.as_path()).bind();
    let error = error.expect_err("the path is too long").to_string();
    assert!(error.contains("at most 107 bytes"), "{error}");
}

#[test]
fn drain_answers_clients_queued_at_a_unix_socket() {
    let path = TempPath::new("queue.sock");
    let server = bind_unix(&path).expect("the path can be bound");
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.get("/");
    }
    server.handle().shutdown();
    let server = server.run(describe);
    for client in &mut clients {
        assert!(client.expect_body("GET / ").announces_close());
        client.expect_closed();
    }
    assert_eq!(server.expect_end().accepted, 20);
}

#[test]
fn localhost_is_both_loopback_addresses() {
    let server = BoundServer::at("localhost:0", |builder| builder.workers(1));
    let addresses = server.addresses().to_vec();
    let server = server.run(describe);
    assert_eq!(addresses[0], *server.address());
    for address in &addresses {
        let mut client = crate::support::Client::connect(address);
        client.get("/").expect_body("GET / ");
    }
    let hosts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    assert!(hosts[0].starts_with("127.0.0.1:"), "{hosts:?}");
    // A machine may lack IPv6.
    assert!(
        hosts.len() == 1 || hosts[1].starts_with("[::1]:"),
        "{hosts:?}"
    );
}

/// Tries ports until one is free for all addresses of a test.
#[track_caller]
fn with_a_port(mut attempt: impl FnMut(u16) -> Result<Server, BindError>) -> Option<Server> {
    for _ in 0..100 {
        let free = TcpListener::bind("0.0.0.0:0").expect("a port is free");
        let port = free.local_addr().expect("the socket is bound").port();
        drop(free);
        match attempt(port) {
            Ok(server) => return Some(server),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => panic!("{error}"),
        }
    }
    None
}

#[test]
fn ipv4_and_ipv6_addresses_can_share_a_port() {
    // A machine may lack IPv6.
    if TcpListener::bind("[::]:0").is_err() {
        return;
    }
    for (v4, order) in [
        ("0.0.0.0", 0),
        ("127.0.0.1", 0),
        ("0.0.0.0", 1),
        ("127.0.0.1", 1),
    ] {
        let server = with_a_port(|port| {
            let mut addresses = [format!("{v4}:{port}"), format!("[::]:{port}")];
            addresses.rotate_left(order);
            let builder = Server::builder().workers(1);
            addresses
                .into_iter()
                .fold(builder, httpool::Builder::listen)
                .bind()
        });
        let server = server.unwrap_or_else(|| panic!("{v4} and [::] share a port"));
        let addresses = server.local_addrs().to_vec();
        let server = BoundServer::from(server).run(describe);
        for address in &addresses {
            expect_reachable(address);
        }
        server.shut_down();
    }
}

#[test]
fn an_asterisk_is_every_interface_of_ipv4_and_ipv6() {
    let server = with_a_port(|_| Server::builder().listen("*:0").workers(1).bind());
    let server = BoundServer::from(server.expect("a port is free for both"));
    let addresses = server.addresses().to_vec();
    let server = server.run(describe);
    addresses.iter().for_each(expect_reachable);
    let hosts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    assert!(hosts[0].starts_with("0.0.0.0:"), "{hosts:?}");
    // A machine may lack IPv6.
    assert!(
        hosts.len() == 1 || hosts[1].starts_with("[::]:"),
        "{hosts:?}"
    );
    server.shut_down();
}

/// A local client gets a response at this address.
#[track_caller]
fn expect_reachable(address: &ListenAddr) {
    let address = address.to_string().replace("0.0.0.0", "127.0.0.1");
    let address = address.replace("[::]", "[::1]").parse();
    let mut client = crate::support::Client::connect(&address.expect("the address is valid"));
    client.get("/").expect_body("GET / ");
}

#[test]
fn an_address_in_use_is_an_error_with_the_address() {
    let server = TestServer::spawn(|builder| builder, describe);
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
fn a_privileged_port_is_an_error_with_advice() {
    let start = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if start.is_ok_and(|start| start.trim() == "0") {
        println!("skipped: every process may bind every port here");
        return;
    }
    without_privileges(|| {
        let address: ListenAddr = "127.0.0.1:1".parse().expect("the address is valid");
        let bound = Server::builder().listen(address.clone()).bind();
        for error in [address.check().err(), bound.err()] {
            let error = error.expect("the port is privileged");
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
            assert_eq!(
                error.to_string(),
                "cannot listen on 127.0.0.1:1: port 1 needs the capability \
                 CAP_NET_BIND_SERVICE, or choose one from 1024 on"
            );
        }
    });
}

#[test]
fn a_server_without_listeners_is_an_error() {
    let error = Server::builder()
        .bind()
        .expect_err("the server has no address");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(error.address(), None);
}

#[test]
fn an_adopted_listener_survives_with_its_queue() {
    let listener = TcpListener::bind((unique_loopback(), 0)).expect("the address is free");
    let adopt = || {
        let listener = listener.try_clone().expect("a listener can be cloned");
        let server = Server::builder().adopt(listener).workers(2).bind();
        BoundServer::from(server.expect("the listener is valid"))
    };
    let first = adopt().run(describe);
    first.expect_serving();
    let address = first.address().clone();
    assert_eq!(first.shut_down().accepted, 1);

    // No server runs, and no client is refused.
    let mut waiting = crate::support::Client::connect(&address);
    waiting.get("/waiting");
    let second = adopt().run(describe);
    waiting.expect_body("GET /waiting ");
    second.expect_serving();
}

#[test]
fn a_socket_that_does_not_listen_is_an_error() {
    let (socket, _other) = std::os::unix::net::UnixStream::pair().expect("a socket can be created");
    let error = Server::builder().adopt(socket).bind();
    let error = error.expect_err("the socket does not listen");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
