use httpool::Request;

use crate::support::{TestServer, describe, request};

/// Panics where it is asked to.
fn moody(request: Request) -> String {
    assert_ne!(request.uri(), "/panic", "a test asked for this");
    describe(request)
}

#[test]
fn a_panic_is_answered_500_and_the_connection_stays() {
    let server = TestServer::spawn(|builder| builder, moody);
    let mut client = server.connect();
    let response = client.post("/panic", "a body").expect_status(500);
    assert_eq!(response.text(), "500 Internal Server Error\n");
    assert!(!response.announces_close());
    client.get("/after").expect_body("GET /after ");
    let report = server.shut_down();
    assert_eq!(
        (report.accepted, report.answered, report.aborted),
        (1, 2, 0)
    );
}

#[test]
fn one_worker_survives_ten_panics_in_a_row() {
    let server = TestServer::spawn(|builder| builder.workers(1), moody);
    let mut client = server.connect();
    for _ in 0..10 {
        client.get("/panic").expect_status(500);
        server.connect().get_and_close("/panic").expect_status(500);
    }
    client.get("/after").expect_body("GET /after ");
}

#[test]
fn pipelined_requests_around_a_panic_are_answered() {
    let server = TestServer::spawn(|builder| builder, moody);
    let mut client = server.connect();
    client.send(
        [
            request::get("/before"),
            request::post("/panic", "x"),
            request::get("/after"),
        ]
        .concat(),
    );
    client.expect_body("GET /before ");
    client.expect_status(500);
    client.expect_body("GET /after ");
}
