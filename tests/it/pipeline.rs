use httpool::Request;

use crate::support::{Random, TestServer, mirror, request, tell};

#[test]
fn two_hundred_requests_are_answered_in_order() {
    let server = TestServer::spawn(|builder| builder, tell);
    let mut random = Random::new(1);
    let mut requests = Vec::new();
    let mut answers = Vec::new();
    for number in 0..200 {
        let target = format!("/{number}");
        // Larger than what is gathered into one write, now and then.
        let body = "x".repeat(random.below(20_000));
        let (request, answer) = match number % 3 {
            0 => (request::get(&target), format!("GET {target} ")),
            1 => (
                request::post(&target, &body),
                format!("POST {target} {body}"),
            ),
            _ => (
                request::post_chunked(&target, &body, 1 + random.below(5_000)),
                format!("POST {target} {body}"),
            ),
        };
        requests.extend(request);
        answers.push(answer);
    }
    let mut client = server.connect();
    let sending = client.send_beside(requests);
    for answer in answers {
        client.expect_answer(answer);
    }
    let sent = sending.join().expect("sending does not panic");
    sent.expect("everything is taken");
    client.finish_sending().expect_closed();
}

#[test]
fn it_does_not_matter_where_requests_are_cut() {
    let requests = [
        request::get("/first"),
        request::post("/second", "a body"),
        request::post_chunked("/third", "a body in chunks", 5),
        b"\r\n".to_vec(),
        request::get("/fourth"),
        request::post("/fifth", ""),
        request::get_and_close("/last"),
    ]
    .concat();
    let server = TestServer::spawn(|builder| builder, tell);
    for size in [1, 2, 3, 5, 7, 11, 50, 101] {
        let mut client = server.connect();
        for piece in requests.chunks(size) {
            client.send(piece);
        }
        for answer in [
            "GET /first ",
            "POST /second a body",
            "POST /third a body in chunks",
            "GET /fourth ",
            "POST /fifth ",
            "GET /last ",
        ] {
            client.expect_answer(answer);
        }
        client.expect_closed();
    }
}

#[test]
fn a_client_may_send_thousands_before_it_reads() {
    const REQUESTS: usize = 4_000;
    // More than any socket buffers hold, so that the server has to stop in the middle.
    const PADDING: usize = 10_000;
    let server = TestServer::spawn(
        |builder| builder,
        |request: Request| format!("{:>PADDING$}", request.uri().path()),
    );
    let mut client = server.connect();
    let requests: Vec<u8> = (0..REQUESTS)
        .flat_map(|number| request::get(&format!("/{number}")))
        .collect();
    client.send(requests);
    server.expect_serving();
    for number in 0..REQUESTS {
        client.expect_answer(format!("{:>PADDING$}", format!("/{number}")));
    }
    client.finish_sending().expect_closed();
}

#[test]
fn what_follows_the_last_request_is_not_answered() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut client = server.connect();
    client.send(
        [
            request::post("/", "first"),
            request::get_and_close("/last"),
            request::post("/", "never"),
        ]
        .concat(),
    );
    client.expect_answer("first");
    assert!(client.expect_answer("").says_close());
    client.finish_sending().expect_closed();
}
