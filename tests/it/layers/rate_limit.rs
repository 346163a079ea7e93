use std::net::SocketAddr;
use std::panic::catch_unwind;
use std::time::Duration;

use httpool::http::StatusCode;
use httpool::layers::RateLimit;
use httpool::testing::Client;
use httpool::{Layered, Next, Request};

use super::{call, get};
use crate::support::{TestServer, eventually};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn requests_over_the_limit_get_429_with_retry_after() {
    let handler = Layered::new(|_: Request| "hello").layer(RateLimit::new(3, HOUR));
    for _ in 0..3 {
        assert_eq!(call(&handler, get("/")).status(), 200);
    }
    for _ in 0..3 {
        let response = call(&handler, get("/"));
        assert_eq!(response.status(), 429);
        let seconds = response.headers()["retry-after"].to_str().ok();
        let seconds = seconds.and_then(|seconds| seconds.parse::<u64>().ok());
        assert!(matches!(seconds, Some(1..=1200)), "{seconds:?}");
    }
}

#[test]
fn the_limit_recovers_with_time() {
    let limit = RateLimit::new(1, Duration::from_millis(1));
    let handler = Layered::new(|_: Request| "hello").layer(limit);
    assert_eq!(call(&handler, get("/")).status(), 200);
    eventually("a request is allowed again", || {
        call(&handler, get("/")).status() == 200
    });
}

#[test]
fn each_client_has_its_own_limit() {
    let handler = Layered::new(|_: Request| "hello").layer(RateLimit::new(1, HOUR));
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    client.get("/").expect_status(200);
    client.get("/").expect_status(429);
    // Another connection from the same address is the same client.
    server.connect().get("/").expect_status(429);
}

#[test]
fn rate_limit_works_behind_a_replaced_body() {
    let handler = Layered::new(|_: Request| "hello")
        .layer(|request: Request, next: Next<'_>| next.run(request.map(|_| "new".into())))
        .layer(RateLimit::new(1, HOUR));
    let client = Client::new(handler);
    let call = |host| {
        let peer = SocketAddr::from(([192, 0, 2, host], 4711));
        client.get("/").peer(peer).send().status()
    };
    assert_eq!(
        (call(1), call(1), call(2)),
        (
            StatusCode::OK,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::OK
        )
    );
}

/// They have a limit, separate from that of clients with an address.
#[test]
fn clients_without_an_address_share_one_limit() {
    let handler = Layered::new(|_: Request| "hello").layer(RateLimit::new(1, HOUR));
    let client = Client::new(handler);
    let unix = || client.get("/").unix_peer().send().status();
    assert_eq!(
        (unix(), unix()),
        (StatusCode::OK, StatusCode::TOO_MANY_REQUESTS)
    );
    assert_eq!(client.get("/").send().status(), StatusCode::OK);
    {
        let unnamed = || client.get("/").on_behalf_of(None, None).send().status();
        assert_eq!(
            (unnamed(), unnamed()),
            (StatusCode::OK, StatusCode::TOO_MANY_REQUESTS)
        );
    }
}

#[test]
fn rate_limit_uses_the_clients_that_a_proxy_names() {
    use httpool::TrustedProxy;

    let proxy: TrustedProxy = "127.0.0.1".parse().expect("the address is valid");
    let handler = Layered::new(|_: Request| "hello").layer(RateLimit::new(1, HOUR));
    let server = TestServer::spawn(|builder| builder.trusted_proxy(proxy), handler);
    let mut connection = server.connect();
    let mut call = |client: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: it\r\nX-Forwarded-For: {client}\r\n\r\n");
        connection.send(head).expect_response().status
    };
    assert_eq!((call("192.0.2.1"), call("192.0.2.1")), (200, 429));
    assert_eq!(call("192.0.2.2"), 200);
    assert_eq!(call("192.0.2.3, 192.0.2.2"), 429);
    // All addresses of an IPv6 network count as one client.
    assert_eq!((call("2001:db8::1"), call("2001:db8::2")), (200, 429));
    assert_eq!(call("2001:db8:0:1::1"), 200);
    // Clients that the proxy does not name share one limit.
    assert_eq!((call("unknown"), call("nonsense")), (200, 429));
}

#[test]
fn an_invalid_rate_limit_panics_at_startup() {
    let century = 100 * 365 * 24 * HOUR;
    for (requests, time, expected) in [
        (0, HOUR, "the number of requests must be greater than zero"),
        (1, Duration::ZERO, "less than a nanosecond for each request"),
        (
            2,
            Duration::from_nanos(1),
            "less than a nanosecond for each request",
        ),
        (
            u32::MAX,
            Duration::from_secs(1),
            "less than a nanosecond for each request",
        ),
        (1, century + HOUR, "is more than a century"),
        (1, Duration::MAX, "is more than a century"),
    ] {
        let panic =
            catch_unwind(|| RateLimit::new(requests, time)).expect_err("the limit is invalid");
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or(panic.downcast_ref::<&str>().copied());
        assert!(
            message.is_some_and(|message| message.contains(expected)),
            "{message:?}"
        );
    }
    let _ = [
        RateLimit::new(1, Duration::from_nanos(1)),
        RateLimit::new(u32::MAX, Duration::from_secs(5)),
        RateLimit::new(1, century),
        RateLimit::new(u32::MAX, century),
    ];
}
