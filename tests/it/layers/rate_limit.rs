use std::net::SocketAddr;
use std::panic::catch_unwind;
use std::time::Duration;

use httpool::http::StatusCode;
use httpool::layers::RateLimit;
use httpool::testing::Client;
use httpool::{Later, Layered, Next, Request};

use super::{call, get};
use crate::support::{Http2Client, Response, TestServer, eventually};

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

#[test]
fn key_of_the_program_identifies_clients() {
    let limit = RateLimit::new(1, HOUR)
        .key(|request: &Request| request.headers().get("x-api-key").cloned());
    let client = Client::new(Layered::new(|_: Request| "hello").layer(limit));
    let call = |host: u8, key: Option<&str>| {
        let request = client.get("/").peer(([192, 0, 2, host], 4711).into());
        let request = match key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        };
        request.send().status().as_u16()
    };
    assert_eq!((call(1, Some("ada")), call(2, Some("ada"))), (200, 429));
    assert_eq!(call(1, Some("bob")), 200);
    // Without a key the address counts.
    assert_eq!(
        (call(1, None), call(1, None), call(2, None)),
        (200, 429, 200)
    );
}

fn limited_server() -> TestServer {
    let handler = Layered::new(|_: Request| "hello")
        .layer(RateLimit::new(2, HOUR).headers("client"))
        .layer(RateLimit::new(100, HOUR).headers("all"));
    TestServer::spawn(|builder| builder, handler)
}

const POLICIES: &str = "\"all\";q=100;w=3600, \"client\";q=2;w=3600";

fn joined(response: &Response, name: &str) -> String {
    let headers = response.headers.iter().filter(|(known, _)| known == name);
    let values: Vec<&str> = headers.map(|(_, value)| value.as_str()).collect();
    values.join(", ")
}

#[track_caller]
fn check_limit_headers(responses: &[Response; 3]) {
    let [first, second, third] = responses;
    assert_eq!(joined(first, "ratelimit-policy"), POLICIES);
    assert_eq!(joined(first, "ratelimit"), "\"all\";r=99, \"client\";r=1");
    assert_eq!(joined(second, "ratelimit"), "\"all\";r=98, \"client\";r=0");
    assert_eq!((first.status, second.status, third.status), (200, 200, 429));
    let retry_after = third.header("retry-after").expect("it may try again");
    let expected = format!("\"client\";r=0;t={retry_after}");
    assert_eq!(joined(third, "ratelimit"), expected);
    assert_eq!(joined(third, "ratelimit-policy"), "\"client\";q=2;w=3600");
}

#[test]
fn headers_tell_clients_their_limits() {
    let server = limited_server();
    let mut client = server.connect();
    let responses = [(); 3].map(|()| client.get("/").expect_response());
    check_limit_headers(&responses);
}

#[test]
fn headers_tell_clients_their_limits_over_http2() {
    let server = limited_server();
    let mut client = Http2Client::connect(&server);
    let responses = [(); 3].map(|()| {
        let stream = client.get("/");
        client.expect_response(stream)
    });
    check_limit_headers(&responses);
}

#[test]
fn response_that_comes_later_has_the_headers_too() {
    let later = |_: Request| Later::after(Duration::from_millis(1), "later");
    let limit = RateLimit::new(2, HOUR).headers("client");
    let client = Client::new(Layered::new(later).layer(limit));
    let response = client.get("/").send();
    assert_eq!(response.header("ratelimit"), Some("\"client\";r=1"));
}
