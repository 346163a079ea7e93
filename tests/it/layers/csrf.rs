use httpool::layers::CsrfProtection;
use httpool::{Layered, Request, TrustedProxy};

use crate::support::{TestServer, Transport, Visitor};

fn handler() -> Layered<fn(Request) -> String> {
    let csrf = CsrfProtection::new().trust_origins(["https://trusted.example"]);
    Layered::new((|request| request.method().to_string()) as fn(Request) -> String).layer(csrf)
}

#[track_caller]
fn check(visitor: &mut Visitor, headers: &[(&str, &str)], status: u16) {
    let response = visitor.request("POST", "/", headers);
    assert_eq!(response.status, status, "{headers:?}: {}", response.text());
}

#[test]
fn other_origins_may_not_post() {
    let server = TestServer::spawn(|builder| builder, handler());
    for visitor in &mut Visitor::of_both_protocols(&server) {
        check(visitor, &[], 200);
        check(visitor, &[("sec-fetch-site", "same-origin")], 200);
        check(visitor, &[("sec-fetch-site", "cross-site")], 403);
        check(visitor, &[("origin", "http://it")], 200);
        check(visitor, &[("origin", "http://evil.example")], 403);
        check(visitor, &[("origin", "null")], 403);
        check(visitor, &[("origin", "https://trusted.example")], 200);
        let get = visitor.request("GET", "/", &[("sec-fetch-site", "cross-site")]);
        assert_eq!(get.text(), "GET");
        let problem = visitor.request(
            "DELETE",
            "/",
            &[
                ("sec-fetch-site", "same-site"),
                ("accept", "application/json"),
            ],
        );
        assert_eq!(problem.status, 403);
        assert_eq!(
            problem.header("content-type"),
            Some("application/problem+json")
        );
    }
}

#[test]
fn page_without_tls_is_another_origin() {
    let server = Transport::Tls.spawn(|builder| builder, handler());
    for visitor in &mut Visitor::of_both_protocols(&server) {
        check(visitor, &[("origin", "https://it")], 200);
        check(visitor, &[("origin", "http://it")], 403);
    }
}

#[test]
fn forwarded_host_of_a_trusted_proxy_counts() {
    let proxy: TrustedProxy = "127.0.0.0/8".parse().expect("the network is valid");
    let trusting = TestServer::spawn(|builder| builder.trusted_proxy(proxy), handler());
    let forwarded = [
        ("origin", "https://shop.example"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
    ];
    for visitor in &mut Visitor::of_both_protocols(&trusting) {
        check(visitor, &forwarded, 200);
        let other = [
            ("origin", "https://evil.example"),
            forwarded[1],
            forwarded[2],
        ];
        check(visitor, &other, 403);
    }
    let other = TestServer::spawn(|builder| builder, handler());
    for visitor in &mut Visitor::of_both_protocols(&other) {
        check(visitor, &forwarded, 403);
    }
}

#[test]
fn invalid_origin_cannot_be_trusted() {
    for origin in [
        "shop.example",
        "https://shop.example/",
        "https://shop.example:443",
        "null",
    ] {
        let trust = || CsrfProtection::new().trust_origins([origin]);
        assert!(std::panic::catch_unwind(trust).is_err(), "{origin}");
    }
}
