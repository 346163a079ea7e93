use httpool::Request;

use crate::support::{Client, Gate, HUGE, NEVER, Random, TestServer, mirror, request};

/// The response is an error or nothing, and the other client notices nothing.
#[track_caller]
fn check(server: &TestServer, other: &mut Client, sent: &[u8]) {
    let mut client = server.connect();
    // The server may close before it has received everything.
    let _ = client.try_send(sent);
    let _ = client.try_finish_sending();
    let (received, _) = client.read_rest();
    let received = String::from_utf8_lossy(&received);
    let is_error = received.starts_with("HTTP/1.1 4") || received.starts_with("HTTP/1.1 5");
    assert!(
        received.is_empty() || is_error,
        "{received:?} is the response to {:?}",
        String::from_utf8_lossy(&sent[..sent.len().min(200)])
    );
    other.post("/", "fine").expect_body("fine");
}

#[track_caller]
fn check_all<'a>(sent: impl IntoIterator<Item = &'a [u8]>) {
    let server = TestServer::spawn(|builder| builder.max_header_size(8 * 1024), mirror);
    let mut other = server.connect();
    for sent in sent {
        check(&server, &mut other, sent);
    }
    drop(other);
    server.expect_open(0);
    let report = server.shut_down();
    assert_eq!((report.aborted, report.abandoned_workers), (0, 0));
}

#[test]
fn invalid_requests_harm_no_other_client() {
    check_all([
        &b"\0"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"\r",
        b"\n\n\n\n",
        b"\r\n\r\n\r\n\r\n",
        b" ",
        b" / HTTP/1.1\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP\r\n\r\n",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: it\r\n",
        b"GET / HTTP/9.9\r\nHost: it\r\n\r\n",
        b"GET / HTTP/1.10\r\nHost: it\r\n\r\n",
        b"GET / http/1.1\r\nHost: it\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: it\r\n\r\n",
        b"GET /\x7f HTTP/1.1\r\nHost: it\r\n\r\n",
        b"GE\0T / HTTP/1.1\r\nHost: it\r\n\r\n",
        b"GET / HTTP/1.1\r\n: it\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: it\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : it\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: it\r\nX: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: it\r\nX: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo\xffst: it\r\n\r\n",
        b"GET / HTTP/1.1\rHost: it\r\r",
        b"POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: it\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 0x4\r\n\r\nbody",
        b"POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 18446744073709551615\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 10\r\n\r\nshort",
        b"POST / HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"POST / HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
        b"POST / HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbody",
        b"POST / HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\n\0\0\0\0",
        b"POST / HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT it:443 HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ]);
}

#[test]
fn other_protocols_harm_no_other_client() {
    let client_hello = [
        &b"\x16\x03\x01\x00\x75\x01\x00\x00\x71\x03\x03"[..],
        &[0x5a; 32],
        b"\x00\x00\x06\x13\x01\x13\x02\x13\x03\x01\x00\x00\x42",
        &[0x00; 0x42],
    ]
    .concat();
    // The preface of HTTP/2, but for its version.
    let http2 = b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let proxy = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x30\x39\x01\xbb";
    let socks = b"\x05\x01\x00";
    let websocket = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    check_all([&client_hello[..], http2, proxy, socks, websocket]);
}

#[test]
fn endless_heads_harm_no_other_client() {
    let endless = |start: &str, more: &str| {
        let mut bytes = start.as_bytes().to_vec();
        bytes.extend_from_slice(more.repeat(200_000 / more.len()).as_bytes());
        bytes
    };
    check_all(
        [
            endless("", "x"),
            endless("GET ", "/"),
            endless("GET / HTTP/1.1\r\n", "X: y\r\n"),
            endless("GET / HTTP/1.1\r\nX: ", "y"),
            endless("GET / HTTP/1.1\r\n", "x"),
            endless("", "\0"),
            endless("", "\r\n"),
            endless(
                "POST / HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\n1;",
                "x",
            ),
            endless(
                "POST / HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                "X: y\r\n",
            ),
        ]
        .iter()
        .map(Vec::as_slice),
    );
}

#[test]
fn random_bytes_harm_no_other_client() {
    let mut random = Random::new(4000);
    let sent: Vec<Vec<u8>> = (0..300)
        .map(|_| {
            let length = random.below(3_000);
            random.bytes(length)
        })
        .collect();
    check_all(sent.iter().map(Vec::as_slice));
}

#[test]
fn damaged_requests_harm_no_other_client() {
    let whole = request::post_chunked("/target?query", "a body of some length", 7);
    let mut random = Random::new(5000);
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut other = server.connect();
    for _ in 0..500 {
        let mut damaged = whole.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(damaged.len());
            match random.below(3) {
                0 => damaged[at] = random.bytes(1)[0],
                1 => drop(damaged.remove(at)),
                _ => damaged.insert(at, b" \r\n:;\0"[random.below(6)]),
            }
        }
        let mut client = server.connect();
        let _ = client.try_send(&damaged);
        let _ = client.try_finish_sending();
        // Some damaged requests are still valid.
        let (received, _) = client.read_rest();
        let received = String::from_utf8_lossy(&received);
        assert!(
            received.is_empty() || received.starts_with("HTTP/1.1 "),
            "{received:?}"
        );
        other.post("/", "fine").expect_body("fine");
    }
    drop(other);
    server.expect_open(0);
}

#[test]
fn resets_harm_no_other_client() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| {
            let builder = builder.head_timeout(NEVER).body_timeout(NEVER);
            builder.idle_timeout(NEVER).write_timeout(NEVER)
        },
        move |request: Request| match request.uri().path() {
            "/gate" => {
                waiter.wait();
                vec![b'x'; HUGE]
            }
            "/huge" => vec![b'x'; HUGE],
            _ => mirror(request),
        },
    );
    type Enter = fn(&mut Client);
    let states: [(&str, Enter); 10] = [
        ("before the first byte", |_| {}),
        ("within the head", |client| {
            client.send("GET / HT");
        }),
        ("within the body", |client| {
            client.send(request::post_head("/", 8)).send("half");
        }),
        ("within a chunk", |client| {
            client.send(request::chunked_head("/")).send("8\r\nhalf");
        }),
        ("after the interim response", |client| {
            client.send("POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 4\r\n");
            client.send("Expect: 100-continue\r\n\r\n");
            client.expect_status(100);
        }),
        ("before the response", |client| {
            client.get("/");
        }),
        ("within the response", |client| {
            client.get("/huge");
            client.expect_bytes(1000);
        }),
        ("while idle", |client| {
            client.get("/").expect_status(200);
        }),
        ("within a pipeline", |client| {
            client.send([request::get("/"), request::get("/huge"), request::get("/")].concat());
            client.expect_status(200);
        }),
        ("after an error", |client| {
            client.send("nonsense\r\n\r\n").expect_status(400);
        }),
    ];
    for (state, enter) in states {
        let mut client = server.connect();
        enter(&mut client);
        client.reset();
        println!("reset {state}");
        server.expect_serving();
        server.expect_open(0);
    }

    let mut client = server.connect();
    client.get("/gate");
    gate.expect_arrived(1);
    client.reset();
    server.expect_serving();
    gate.open();
    server.expect_open(0);
    server.expect_serving();
    let report = server.shut_down();
    assert_eq!((report.aborted, report.abandoned_workers), (0, 0));
}
