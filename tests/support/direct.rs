//! Calls handlers directly, without a socket.

use httpool::http::{self, HeaderName, Method};
use httpool::{Body, Handler, Response};

#[track_caller]
pub(crate) fn call(
    handler: &impl Handler,
    method: Method,
    target: &str,
    headers: &[(HeaderName, &str)],
) -> Response {
    let mut request = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    handler.handle(&mut request.body(Body::empty()).expect("the request is valid"))
}

#[track_caller]
pub(crate) fn get(
    handler: &impl Handler,
    target: &str,
    headers: &[(HeaderName, &str)],
) -> Response {
    call(handler, Method::GET, target, headers)
}

#[track_caller]
pub(crate) fn expect_status(handler: &impl Handler, target: &str, status: u16) -> Response {
    let response = get(handler, target, &[]);
    assert_eq!(response.status(), status, "{target}");
    response
}

pub(crate) fn header(response: &Response, name: HeaderName) -> Option<&str> {
    let value = response.headers().get(name)?;
    Some(value.to_str().expect("the value is text"))
}
