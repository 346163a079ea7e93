use httpool::http::header::{CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, REFERRER_POLICY};
use httpool::http::{HeaderName, StatusCode};
use httpool::layers::SecurityHeaders;
use httpool::{Layered, Request};

use super::{call, get, values};

#[test]
fn security_headers_are_added() {
    let handler = Layered::new(|_: Request| StatusCode::NOT_FOUND).layer(SecurityHeaders::new());
    let response = call(&handler, get("/"));
    for (name, expected) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        (
            "content-security-policy",
            "base-uri 'self'; frame-ancestors 'self'; object-src 'none'",
        ),
    ] {
        assert_eq!(values(response.headers(), name), [expected], "{name}");
    }
}

#[test]
fn security_headers_can_be_chosen_and_overridden() {
    let own = |_: Request| {
        let mut headers = HeaderMap::new();
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        (headers, "hello")
    };
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    let layer = SecurityHeaders::new()
        .with(opener.clone(), HeaderValue::from_static("unsafe-none"))
        .with(opener, HeaderValue::from_static("same-origin"))
        .without(&CONTENT_SECURITY_POLICY);
    let response = call(&Layered::new(own).layer(layer), get("/"));
    let headers = response.headers();
    assert_eq!(values(headers, "referrer-policy"), ["no-referrer"]);
    assert_eq!(
        values(headers, "cross-origin-opener-policy"),
        ["same-origin"]
    );
    assert!(!headers.contains_key(CONTENT_SECURITY_POLICY));
}
