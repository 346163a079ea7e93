use httpool::Request;

use crate::support::{TestServer, describe, request};

/// Panics for `/panic`.
fn panics_on_request(request: Request) -> String {
    assert_ne!(request.uri(), "/panic", "a test asked for this");
    describe(request)
}

#[test]
fn handler_panic_is_500_and_keeps_the_connection() {
    let server = TestServer::spawn(|builder| builder, panics_on_request);
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
fn worker_survives_repeated_panics() {
    let server = TestServer::spawn(|builder| builder.workers(1), panics_on_request);
    let mut client = server.connect();
    for _ in 0..10 {
        client.get("/panic").expect_status(500);
        server.connect().get_and_close("/panic").expect_status(500);
    }
    client.get("/after").expect_body("GET /after ");
}

#[test]
fn panic_does_not_affect_pipelined_requests() {
    let server = TestServer::spawn(|builder| builder, panics_on_request);
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
