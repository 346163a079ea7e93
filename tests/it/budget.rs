use httpool::Request;

use crate::support::{Gate, HUGE, NEVER, TestServer, eventually, mirror, request};

const BUDGET: usize = 1000;

fn server() -> TestServer {
    TestServer::spawn(|builder| builder.max_buffered(BUDGET), mirror)
}

#[track_caller]
fn expect_buffered(server: &TestServer, what: &str, is_so: impl Fn(usize) -> bool) {
    eventually(what, || is_so(server.handle().progress().buffered));
}

#[test]
fn a_request_that_finds_no_room_is_told_to_come_again() {
    let server = server();
    let mut first = server.connect();
    first.send(request::post_head("/", 800)).send([b'x'; 700]);
    expect_buffered(&server, "the first has its share", |bytes| bytes == 700);

    for (start, more) in [
        (request::post_head("/", 800), "y".repeat(400)),
        (
            request::chunked_head("/"),
            format!("190\r\n{}", "y".repeat(400)),
        ),
        (
            b"GET / HTTP/1.1\r\n".to_vec(),
            format!("X: {}", "y".repeat(400)),
        ),
    ] {
        let mut second = server.connect();
        second.send(start).send(more);
        let response = second.expect_status(503);
        assert_eq!(response.field("retry-after"), Some("1"), "{response:?}");
        assert!(response.says_close(), "{response:?}");
        second.finish_sending().expect_closed();
        expect_buffered(&server, "only the first has a share", |bytes| bytes == 700);
    }

    // What comes in one piece needs no room.
    server.expect_serving();
    let body = "z".repeat(BUDGET);
    server.connect().post("/", &body).expect_answer(&body);

    first.send([b'x'; 100]).expect_answer([b'x'; 800]);
    expect_buffered(&server, "nobody has a share", |bytes| bytes == 0);
    let mut third = server.connect();
    third.send(request::post_head("/", 800)).send([b'x'; 700]);
    expect_buffered(&server, "there is room again", |bytes| bytes == 700);
}

#[test]
fn a_client_that_goes_gives_its_share_back() {
    let server = server();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: it\r\n");
    expect_buffered(&server, "a part of a head is kept", |bytes| bytes == 26);
    client.reset();
    expect_buffered(&server, "nothing is kept", |bytes| bytes == 0);
}

#[test]
fn answers_that_are_not_taken_are_counted_and_never_refused() {
    let server = TestServer::spawn(
        |builder| {
            let builder = builder.max_buffered(BUDGET);
            builder.write_timeout(NEVER).rate_grace(NEVER)
        },
        |request: Request| match request.uri().path() {
            "/huge" => vec![b'x'; HUGE],
            _ => mirror(request),
        },
    );
    let mut client = server.connect();
    client.get("/huge");
    expect_buffered(&server, "an answer waits", |bytes| bytes > BUDGET);
    let mut other = server.connect();
    other.send(request::post_head("/", 2)).send("x");
    other.expect_status(503);
    client.expect_answer(vec![b'x'; HUGE]);
    expect_buffered(&server, "nothing is kept", |bytes| bytes == 0);
}

#[test]
fn a_body_counts_until_it_is_answered() {
    let gate = Gate::new();
    let door = gate.door();
    let server = TestServer::spawn(
        |builder| builder.max_buffered(BUDGET),
        move |request: Request| {
            door.pass();
            mirror(request)
        },
    );
    let mut client = server.connect();
    client.send(request::post_head("/", 600)).send([b'x'; 500]);
    expect_buffered(&server, "the body has a share", |bytes| bytes == 500);
    client.send([b'x'; 100]);
    gate.expect_arrived(1);
    assert_eq!(server.handle().progress().buffered, 500);
    gate.open();
    client.expect_answer([b'x'; 600]);
    expect_buffered(&server, "nothing is kept", |bytes| bytes == 0);
}
