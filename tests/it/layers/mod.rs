#[cfg(feature = "basic-auth")]
mod basic_auth;
mod catch_panic;
#[cfg(all(feature = "brotli", feature = "gzip", feature = "zstd"))]
mod compression;
mod concurrency_limit;
mod cors;
mod csrf;
#[cfg(all(feature = "brotli", feature = "gzip", feature = "zstd"))]
mod decompression;
mod order;
#[cfg(feature = "password-hashes")]
mod password_hashes;
#[cfg(feature = "rate-limit")]
mod rate_limit;
#[cfg(all(feature = "brotli", feature = "gzip", feature = "zstd"))]
mod replaced_bodies;
mod security_headers;
mod server_responses;
mod set_headers;
mod timeout;
#[cfg(feature = "tracing")]
mod trace;

use httpool::http::request::Builder;
use httpool::http::{self, HeaderMap};
use httpool::{Body, Handler, Response};

/// Calls a handler directly with a request without a body.
#[track_caller]
fn call(handler: &impl Handler, request: Builder) -> Response {
    let mut request = request.body(Body::empty()).expect("the request is valid");
    handler.handle(&mut request)
}

/// Calls a handler directly with a request and a body.
#[cfg(all(feature = "brotli", feature = "gzip", feature = "zstd"))]
#[track_caller]
fn send(handler: &impl Handler, request: Builder, body: impl Into<Body>) -> Response {
    let mut request = request.body(body.into()).expect("the request is valid");
    handler.handle(&mut request)
}

fn get(target: &str) -> Builder {
    http::Request::get(target)
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(response.body().as_bytes()).expect("the text is UTF-8")
}

/// All values of this header.
fn values<'f>(headers: &'f HeaderMap, name: &str) -> Vec<&'f str> {
    let values = headers.get_all(name).iter();
    values
        .map(|value| value.to_str().expect("the text is UTF-8"))
        .collect()
}
