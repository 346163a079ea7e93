use bytes::Bytes;
use httpool::Request;

use crate::support::{Client, End, Gate, HUGE, NEVER, TestServer, eventually, mirror, request};

const BUDGET: usize = 100_000;

fn server() -> TestServer {
    TestServer::spawn(|builder| builder.max_buffered_memory(BUDGET), mirror)
}

#[track_caller]
fn expect_buffered(server: &TestServer, description: &str, condition: impl Fn(usize) -> bool) {
    eventually(description, || {
        condition(server.handle().snapshot().buffered)
    });
}

/// A client that uses most of the budget, and the number of bytes.
#[track_caller]
fn use_most(server: &TestServer) -> (Client, usize) {
    let mut client = server.connect();
    client
        .send(request::post_head("/", 80_000))
        .send([b'x'; 70_000]);
    // The head counts too, with an overhead per header.
    expect_buffered(server, "the client's bytes are counted", |bytes| {
        bytes > 70_000
    });
    (client, server.handle().snapshot().buffered)
}

#[test]
fn a_request_over_the_free_budget_gets_503_with_retry_after() {
    let server = server();
    let (mut first, share) = use_most(&server);
    assert!(share < 71_000, "{share}");

    let most = "y".repeat(40_000);
    for (start, more) in [
        (request::post_head("/", 80_000), most.clone()),
        (request::chunked_head("/"), format!("9c40\r\n{most}")),
    ] {
        let mut second = server.connect();
        second.send(start).send(more);
        let response = second.expect_status(503);
        assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
        assert!(response.announces_close(), "{response:?}");
        second.finish_sending().expect_closed();
        expect_buffered(
            &server,
            "only the first client's bytes are counted",
            |bytes| bytes == share,
        );
    }

    // A request that arrives in one piece needs no budget.
    server.expect_serving();
    server.connect().post("/", "small").expect_body("small");

    first.send([b'x'; 10_000]).expect_body([b'x'; 80_000]);
    expect_buffered(&server, "nothing is buffered", |bytes| bytes == 0);
    use_most(&server);
}

/// A 503 would let the client retry forever.
#[test]
fn a_request_over_the_whole_budget_gets_413() {
    let server = server();
    let head =
        "POST / HTTP/1.1\r\nHost: it\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n";
    for start in [head.as_bytes(), &request::post_head("/", 100_000)] {
        let mut client = server.connect();
        client.send(start);
        let response = client.expect_status(413);
        assert_eq!(response.header("retry-after"), None, "{response:?}");
        client.finish_sending().expect_closed();
    }
    let mut client = server.connect();
    client.send(request::chunked_head("/"));
    let chunk = [&b"2710\r\n"[..], &[b'x'; 10_000], b"\r\n"].concat();
    for _ in 0..10 {
        // The server may have closed a rejected connection.
        drop(client.try_send(&chunk));
    }
    client.expect_status(413);

    let server = TestServer::spawn(|builder| builder.max_buffered_memory(100), mirror);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\n");
    client.send(format!("X: {}", "y".repeat(100)));
    client.expect_status(431);
    // A request that arrives in one piece needs no budget.
    let whole = request::post("/", "z".repeat(1000));
    server.connect().send(whole).expect_body("z".repeat(1000));
}

#[test]
fn a_head_over_the_free_budget_gets_503() {
    let server = server();
    let (_first, share) = use_most(&server);
    let mut first = server.connect();
    first.send("GET / HTTP/1.1\r\n");
    first.send(format!("X: {}", "y".repeat(15_000)));
    expect_buffered(&server, "the head is counted", |bytes| {
        bytes > share + 15_000
    });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\n");
    client.send(format!("X: {}", "y".repeat(15_000)));
    client.expect_status(503);
    client.finish_sending().expect_closed();
}

#[test]
fn headers_and_chunk_records_count_towards_the_budget() {
    let server = server();
    let mut client = server.connect();
    let headers: String = (0..90).map(|number| format!("X-{number}: y\r\n")).collect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: it\r\nContent-Length: 9\r\n{headers}\r\n."
    ));
    expect_buffered(&server, "the headers are counted", |bytes| bytes > 10_000);

    let server = self::server();
    let mut client = server.connect();
    client
        .send(request::chunked_head("/"))
        .send("1\r\nx\r\n".repeat(5_000));
    expect_buffered(&server, "the chunks are counted", |bytes| {
        bytes > 5_000 + 15_000
    });
}

#[test]
fn a_reset_releases_its_share_of_the_budget() {
    let server = server();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: it\r\n");
    expect_buffered(&server, "the partial head is counted", |bytes| bytes == 26);
    client.reset();
    expect_buffered(&server, "nothing is buffered", |bytes| bytes == 0);
}

#[test]
fn an_unread_response_over_the_budget_is_aborted() {
    let server = TestServer::spawn(
        |builder| {
            let builder = builder.max_buffered_memory(BUDGET);
            builder.write_timeout(NEVER).min_rate_grace(NEVER)
        },
        |_: Request| vec![b'x'; HUGE],
    );
    let mut client = server.connect();
    client.get("/");
    eventually("the connection is aborted", || {
        let snapshot = server.handle().snapshot();
        snapshot.accepted == 1 && snapshot.open == 0
    });
    assert!(client.read_rest().0.len() < HUGE);
    let snapshot = server.handle().snapshot();
    assert_eq!((snapshot.answered, snapshot.buffered), (0, 0));
}

#[test]
fn shared_response_bytes_do_not_count() {
    let shared = Bytes::from(vec![b'x'; HUGE]);
    let body = shared.clone();
    let server = TestServer::spawn(
        |builder| {
            let builder = builder.max_buffered_memory(BUDGET);
            builder.write_timeout(NEVER).min_rate_grace(NEVER)
        },
        move |_: Request| body.clone(),
    );
    let mut slow = server.connect();
    slow.get("/");
    slow.expect_bytes(1);
    server.connect().get_and_close("/").expect_body(&shared);
    assert_eq!(server.handle().snapshot().buffered, 0);
    let (rest, end) = slow.finish_sending().read_rest();
    assert!(rest.ends_with(&shared[..HUGE - 1]));
    assert_eq!(end, End::Closed);
}

#[test]
fn a_request_body_counts_until_the_response() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder.max_buffered_memory(BUDGET),
        move |request: Request| {
            waiter.wait();
            mirror(request)
        },
    );
    let (mut client, share) = use_most(&server);
    client.send([b'x'; 10_000]);
    gate.expect_arrived(1);
    assert_eq!(server.handle().snapshot().buffered, share);
    gate.open();
    client.expect_body([b'x'; 80_000]);
    expect_buffered(&server, "nothing is buffered", |bytes| bytes == 0);
}
