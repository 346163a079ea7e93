//! Limits for the bodies of a part of the routes.

use httpool::bytes::Bytes;
use httpool::extract::BodyStream;
use httpool::layers::MaxBody;
use httpool::{Layered, Next, Request, Router};

use super::Protocol;
use crate::support::{TestServer, request};

fn count(body: Bytes) -> String {
    body.len().to_string()
}

fn limited() -> TestServer {
    let api = Router::new().layer(MaxBody::new(50)).post("/", count);
    let router: Router = Router::new()
        .layer(MaxBody::new(200))
        .post("/server", count)
        .post("/large", Layered::new(count).layer(MaxBody::new(100_000)))
        .post("/small", Layered::new(count).layer(MaxBody::new(3)))
        .post("/none", Layered::new(count).layer(MaxBody::new(0)))
        .put("/large", count)
        .post(
            "/streamed",
            |body: BodyStream<1000>| -> std::io::Result<String> {
                let mut body = body;
                std::io::copy(&mut body, &mut std::io::sink()).map(|count| count.to_string())
            },
        )
        .nest("/api", api);
    TestServer::spawn(|builder| builder.max_body(100), router)
}

#[test]
fn innermost_limit_holds() {
    let server = limited();
    for protocol in Protocol::BOTH {
        for (target, most) in [
            ("/server", 200),
            ("/large", 100_000),
            ("/small", 3),
            ("/api", 50),
            ("/streamed", 1000),
        ] {
            let fits = protocol.send(&server, ("POST", target), &[], &vec![b'x'; most]);
            assert_eq!(fits.text(), most.to_string(), "{protocol:?} {target}");
            let over = protocol.send(&server, ("POST", target), &[], &vec![b'x'; most + 1]);
            assert_eq!(over.status, 413, "{protocol:?} {target}");
        }
        let over = protocol.send(&server, ("PUT", "/large"), &[], &[b'x'; 201]);
        assert_eq!(over.status, 413, "{protocol:?}");
        let over = protocol.send(&server, ("POST", "/none"), &[], b"x");
        assert_eq!(over.status, 413, "{protocol:?}");
        let none = protocol.send(&server, ("POST", "/none"), &[], b"");
        assert_eq!(none.text(), "0", "{protocol:?}");
    }
}

#[test]
fn limit_holds_for_chunked_bodies() {
    let server = limited();
    for (target, most) in [("/large", 100_000), ("/small", 3)] {
        let mut client = server.connect();
        client.send(request::post_chunked(target, vec![b'x'; most], 1000));
        client.expect_body(most.to_string());
        let mut client = server.connect();
        let _ = client.try_send(request::post_chunked(target, vec![b'x'; most + 1], 1000));
        client.expect_status(413);
    }
}

#[test]
fn announced_length_is_rejected_before_the_body() {
    let server = limited();
    let mut client = server.connect();
    client.send(
        "POST /small HTTP/1.1\r\nHost: it\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
    );
    client.expect_status(413);
    let mut client = server.connect();
    client.send(
        "POST /small HTTP/1.1\r\nHost: it\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    client.expect_status(100);
    client.send("abc").expect_body("3");
}

/// The body of a request that is handled by its head alone is received by the server's limit.
#[test]
fn layer_that_reads_an_unneeded_body_has_the_limit_of_the_server() {
    let read = |request: Request, next: Next<'_>| {
        let _ = request.body().as_bytes().len();
        next.run(request)
    };
    let router: Router = Router::new().layer(MaxBody::new(1000)).layer(read);
    let server = TestServer::spawn(|builder| builder.max_body(100), router);
    for protocol in Protocol::BOTH {
        let fits = protocol.send(&server, ("POST", "/"), &[], &[b'x'; 100]);
        assert_eq!(fits.status, 404, "{protocol:?}");
        let over = protocol.send(&server, ("POST", "/"), &[], &[b'x'; 101]);
        assert_eq!(over.status, 413, "{protocol:?}");
    }
}
