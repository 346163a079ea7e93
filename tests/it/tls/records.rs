use std::io::Read as _;
use std::net::Shutdown;

use httpool::Request;

use super::{encrypt, expect_close_count, send_raw};
use crate::support::tls::TlsServer;
use crate::support::{Gate, SOON, describe, request};

#[test]
fn corrupt_record_closes_the_connection_unhandled() {
    let secure = TlsServer::spawn(|builder| builder, describe);
    let mut client = secure.connect();
    client.get("/").expect_body("GET / ");
    let mut damaged = encrypt(&mut client, request::get("/damaged"));
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    send_raw(&mut client, &damaged);
    let mut buffer = [0; 100];
    let (tls, socket) = client.tls_and_socket();
    let response = rustls::Stream::new(tls, socket).read(&mut buffer);
    let error = response.expect_err("the connection fails");
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    expect_close_count(&secure.server, "failed", 1);
    assert_eq!(secure.server.handle().snapshot().answered, 1);
}

#[test]
fn corrupt_record_after_the_last_response_is_discarded() {
    let secure = TlsServer::spawn(|builder| builder, describe);
    let mut client = secure.connect();
    client.send("nonsense\r\n\r\n").expect_status(400);
    client.expect_closed();
    let mut damaged = encrypt(&mut client, "more");
    damaged[8] ^= 1;
    send_raw(&mut client, &damaged);
    let ended = client.socket().shutdown(Shutdown::Write);
    ended.expect("the connection is open");
    expect_close_count(&secure.server, "answered", 1);
}

#[test]
fn request_begins_with_the_first_byte_of_its_record() {
    for count in [1, 5, 6, 30] {
        let secure = TlsServer::spawn(|builder| builder.head_timeout(SOON), describe);
        let mut late = secure.connect();
        late.get("/").expect_body("GET / ");
        let request = encrypt(&mut late, request::get("/late"));
        send_raw(&mut late, &request[..count]);
        assert!(late.expect_status(408).announces_close());

        let secure = TlsServer::spawn(|builder| builder, describe);
        let [mut slow, mut aborted] = [(); 2].map(|()| secure.connect());
        for client in [&mut slow, &mut aborted] {
            client.get("/").expect_body("GET / ");
        }
        let request = encrypt(&mut slow, request::get("/slow"));
        send_raw(&mut slow, &request[..count]);
        let never = encrypt(&mut aborted, request::get("/never"));
        send_raw(&mut aborted, &never[..count]);
        secure.server.begin_drain();
        send_raw(&mut slow, &request[count..]);
        assert!(slow.expect_body("GET /slow ").announces_close());
        secure.server.handle().shutdown_now();
        let report = secure.server.expect_end();
        assert_eq!((report.answered, report.aborted), (3, 1), "{count} bytes");
    }
}

#[test]
fn drain_waits_for_a_request_that_has_begun() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let secure = TlsServer::spawn(
        |builder| builder,
        move |_: Request| {
            waiter.wait();
            "done"
        },
    );
    let mut client = secure.connect();
    client.try_handshake().expect("the handshake succeeds");
    let one = encrypt(&mut client, request::get("/one"));
    let next = encrypt(&mut client, request::get("/two"));
    send_raw(&mut client, &[&one, &next[..20]].concat());
    gate.expect_arrived(1);
    secure.server.begin_drain();
    gate.open();
    assert!(!client.expect_body("done").announces_close());
    send_raw(&mut client, &next[20..]);
    assert!(client.expect_body("done").announces_close());
    client.finish_sending().expect_closed();
    assert_eq!(secure.server.expect_end().aborted, 0);
}

#[test]
fn eof_after_a_record_without_content_is_seen() {
    let secure = TlsServer::spawn(|builder| builder, describe);
    for (whole, reason) in [(false, "client_left"), (true, "client_closed")] {
        let mut client = secure.connect();
        client.get("/").expect_body("GET / ");
        let sent = if whole {
            client
                .tls()
                .refresh_traffic_keys()
                .expect("the connection uses TLS 1.3");
            encrypt(&mut client, "")
        } else {
            let mut request = encrypt(&mut client, request::get("/"));
            request.truncate(20);
            request
        };
        send_raw(&mut client, &sent);
        let ended = client.socket().shutdown(Shutdown::Write);
        ended.expect("the connection is open");
        expect_close_count(&secure.server, reason, 1);
    }
}
