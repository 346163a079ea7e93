use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use httpool::{Body, Request};

use super::expect_close_count;
use crate::support::tls::TlsServer;
use crate::support::{End, Gate, HUGE, SOON, TempDir, describe, request};

#[test]
fn half_closed_client_gets_its_responses() {
    let secure = TlsServer::spawn(|builder| builder, describe);
    for _ in 0..2 {
        // The client sends close_notify and shuts down its writing side.
        let mut client = secure.connect();
        client.get("/one").get("/two").finish_sending();
        client.expect_body("GET /one ");
        client.expect_body("GET /two ");
        client.expect_closed();

        // The client sends close_notify only.
        let mut client = secure.connect();
        client.get("/one").expect_body("GET /one ");
        client
            .tls()
            .writer()
            .write_all(&request::get("/two"))
            .expect("the TLS buffer has room");
        client.tls().send_close_notify();
        let (tls, socket) = client.tls_and_socket();
        tls.write_tls(socket).expect("the server reads the bytes");
        client.expect_body("GET /two ");
        client.expect_closed();

        // The client shuts down its writing side without close_notify.
        let mut client = secure.connect();
        client.get("/one");
        let ended = client.socket().shutdown(Shutdown::Write);
        ended.expect("the connection is open");
        client.expect_body("GET /one ");
        client.expect_closed();
    }
}

#[test]
fn truncated_body_is_not_handled() {
    let secure = TlsServer::spawn(|builder| builder, describe);
    let mut client = secure.connect();
    client.send([&request::post_head("/", 10)[..], b"half"].concat());
    let ended = client.socket().shutdown(Shutdown::Write);
    ended.expect("the connection is open");
    expect_close_count(&secure.server, "client_left", 1);
    assert_eq!(secure.server.handle().snapshot().answered, 0);
}

#[test]
fn idle_connections_get_close_notify() {
    let secure = TlsServer::spawn(|builder| builder.idle_timeout(SOON), describe);
    let mut client = secure.connect();
    client.get("/").expect_body("GET / ");
    client.expect_closed();
    expect_close_count(&secure.server, "idle", 1);
}

#[test]
fn aborted_response_has_no_close_notify() {
    let secure = TlsServer::spawn(
        |builder| builder.write_timeout(SOON),
        |_: Request| vec![b'x'; HUGE],
    );
    let mut client = secure.connect();
    client.get("/").expect_bytes(100);
    expect_close_count(&secure.server, "slow_reader", 1);
    let mut rest = Vec::new();
    let (tls, socket) = client.tls_and_socket();
    let end = rustls::Stream::new(tls, socket).read_to_end(&mut rest);
    assert!(
        end.is_err(),
        "a partial body of {} bytes looks complete",
        rest.len()
    );
    assert!(rest.len() < HUGE, "the response was not aborted");
}

/// The file fails and not the socket, although one call uses both.
#[test]
fn unreadable_file_resets_the_connection() {
    let folder = TempDir::new();
    folder.file("file", [7; 100_000]);
    let secure = TlsServer::spawn(
        |builder| builder,
        move |_: Request| {
            let file = File::options().write(true).open(folder.path("file"));
            Body::from_file(
                file.expect("the file can be opened for writing"),
                0..100_000,
            )
        },
    );
    let mut client = secure.connect();
    client.get("/");
    assert_eq!(client.read_rest().1, End::Reset);
    expect_close_count(&secure.server, "broken", 1);
}

#[test]
fn drain_finishes_requests_over_tls() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let secure = TlsServer::spawn(
        |builder| builder,
        move |request: Request| {
            if request.uri().path() == "/gate" {
                waiter.wait();
                return vec![b'x'; HUGE];
            }
            b"quick".to_vec()
        },
    );
    let (mut idle, mut silent) = (secure.connect(), secure.server.connect());
    idle.get("/").expect_body("quick");
    let mut busy = secure.connect();
    busy.get("/gate");
    gate.expect_arrived(1);
    secure.server.expect_open(3);
    secure.server.begin_drain();
    idle.expect_closed();
    silent.expect_closed();
    gate.open();
    let response = busy.expect_status(200);
    assert!(response.body == vec![b'x'; HUGE], "the body is incomplete");
    assert!(response.announces_close());
    busy.finish_sending().expect_closed();
    let report = secure.server.expect_end();
    assert_eq!((report.answered, report.aborted), (2, 0));
}
