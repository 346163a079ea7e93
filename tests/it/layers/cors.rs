use std::panic::catch_unwind;
use std::time::Duration;

use httpool::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY};
use httpool::http::request::Builder;
use httpool::http::{self, Method, StatusCode};
use httpool::layers::Cors;
use httpool::{Handler, Layered, Next, Request};

use super::{call, get, text, values};

const SHOP: &str = "https://shop.example";

fn shop() -> Cors {
    Cors::allow_origins([SHOP, "http://localhost:3000"])
        .methods([Method::GET, Method::PUT])
        .allow_headers([CONTENT_TYPE, AUTHORIZATION])
        .expose_headers([ETAG])
        .max_age(Duration::from_secs(600))
}

fn with_cors(cors: Cors) -> impl Handler {
    Layered::new(|request: Request| request.method().to_string()).layer(cors)
}

fn preflight(origin: &str) -> Builder {
    http::Request::options("/")
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type")
}

/// The CORS headers are exactly these.
#[track_caller]
fn check(headers: &HeaderMap, expected: &[(&str, &str)]) {
    let found = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("access-control"));
    let mut found: Vec<_> = found
        .map(|(name, value)| (name.as_str(), value.to_str().expect("the text is UTF-8")))
        .collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn an_allowed_origin_may_read_responses() {
    let response = call(&with_cors(shop()), get("/").header("origin", SHOP));
    assert_eq!(text(&response), "GET");
    check(
        response.headers(),
        &[
            ("access-control-allow-origin", SHOP),
            ("access-control-expose-headers", "etag"),
        ],
    );
    assert_eq!(values(response.headers(), "vary"), ["origin"]);
}

#[test]
fn a_preflight_is_answered() {
    let response = call(&with_cors(shop()), preflight(SHOP));
    assert_eq!((response.status().as_u16(), text(&response)), (204, ""));
    check(
        response.headers(),
        &[
            (
                "access-control-allow-headers",
                "content-type, authorization",
            ),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-origin", SHOP),
            ("access-control-expose-headers", "etag"),
            ("access-control-max-age", "600"),
        ],
    );
    assert_eq!(values(response.headers(), "vary"), ["origin"]);
}

#[test]
fn an_unknown_origin_gets_no_cors_headers() {
    for origin in [
        "https://evil.example",
        "https://shop.example.evil.example",
        "https://shop.example:8443",
        "http://shop.example",
        "https://SHOP.example",
        "null",
        "*",
        "",
    ] {
        let response = call(
            &with_cors(shop().credentials()),
            get("/").header("origin", origin),
        );
        assert_eq!(text(&response), "GET");
        check(response.headers(), &[]);
        assert_eq!(values(response.headers(), "vary"), ["origin"], "{origin}");
        let response = call(&with_cors(shop().credentials()), preflight(origin));
        assert_eq!(response.status(), 204);
        check(response.headers(), &[]);
    }
    // A cache must not serve a response for one origin to another origin.
    let response = call(&with_cors(shop()), get("/"));
    check(response.headers(), &[]);
    assert_eq!(values(response.headers(), "vary"), ["origin"]);
}

#[test]
fn any_origin_excludes_credentials() {
    let response = call(
        &with_cors(Cors::any_origin()),
        get("/").header("origin", "null"),
    );
    check(response.headers(), &[("access-control-allow-origin", "*")]);
    assert!(!response.headers().contains_key(VARY));
    assert!(catch_unwind(|| Cors::any_origin().credentials()).is_err());
    let response = call(
        &with_cors(shop().credentials()),
        get("/").header("origin", SHOP),
    );
    let headers = response.headers();
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["access-control-allow-origin"], SHOP);
}

/// A cache may keep a response to a request without Origin and serve it to a page.
#[test]
fn any_origin_does_not_depend_on_the_request() {
    let handler = with_cors(Cors::any_origin().expose_headers([ETAG]));
    for request in [get("/"), get("/").header("origin", SHOP)] {
        let response = call(&handler, request);
        check(
            response.headers(),
            &[
                ("access-control-allow-origin", "*"),
                ("access-control-expose-headers", "etag"),
            ],
        );
        assert!(!response.headers().contains_key(VARY));
    }
}

#[test]
fn cors_headers_of_the_handler_are_replaced() {
    let permissive = |_: Request| {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        (headers, "hello")
    };
    let handler = Layered::new(permissive).layer(shop());
    for origin in [SHOP, "https://evil.example"] {
        let response = call(&handler, get("/").header("origin", origin));
        let allowed = values(response.headers(), "access-control-allow-origin");
        let expected: &[&str] = if origin == SHOP { &[SHOP] } else { &[] };
        assert_eq!(allowed, expected);
        let credentials = response.headers().get("access-control-allow-credentials");
        assert_eq!(credentials, None);
    }
}

#[test]
fn other_options_reach_the_handler() {
    for request in [
        http::Request::options("/"),
        http::Request::options("/").header("origin", SHOP),
        http::Request::options("/").header("access-control-request-method", "PUT"),
    ] {
        assert_eq!(text(&call(&with_cors(shop()), request)), "OPTIONS");
    }
}

#[test]
fn an_invalid_origin_panics_at_startup() {
    for wrong in [
        "https://shop.example/",
        "https://shop.example/path",
        "shop.example",
        "https://",
        "https://shop.example:",
        "http://localhost:",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://shop.example:0444",
        "https://shop.example:65536",
        "https://Shop.example",
        "https://me@shop.example",
        "https://*.example",
        "null",
        "*",
        "",
        "https://shop.example\r\nset-cookie: a=b",
    ] {
        assert!(
            catch_unwind(|| Cors::allow_origins([wrong])).is_err(),
            "{wrong:?}"
        );
    }
    let _ = Cors::allow_origins([
        "http://shop.example:443",
        "https://shop.example:80",
        "http://localhost:3000",
        "http://[::1]:3000",
        "https://[::1]",
    ]);
}

/// Browsers send preflights without credentials.
#[test]
fn a_preflight_is_answered_before_other_layers() {
    let handler = Layered::new(|_: Request| "hello")
        .layer(shop())
        .layer(|_: Request, _: Next<'_>| StatusCode::UNAUTHORIZED);
    let response = call(&handler, preflight(SHOP));
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let response = call(&handler, http::Request::get("/").header("origin", SHOP));
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let allowed = values(response.headers(), "access-control-allow-origin");
    assert_eq!(allowed, [SHOP]);
}
