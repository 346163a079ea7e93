//! Handlers that are asked without a socket.

use httpool::http::{self, HeaderName, Method};
use httpool::{Body, Handler, Response};

#[track_caller]
pub(crate) fn call(
    handler: &impl Handler,
    method: Method,
    target: &str,
    fields: &[(HeaderName, &str)],
) -> Response {
    let mut request = http::Request::builder().method(method).uri(target);
    for (name, value) in fields {
        request = request.header(name, *value);
    }
    handler.handle(&mut request.body(Body::empty()).expect("it is a request"))
}

#[track_caller]
pub(crate) fn get(handler: &impl Handler, target: &str, fields: &[(HeaderName, &str)]) -> Response {
    call(handler, Method::GET, target, fields)
}

#[track_caller]
pub(crate) fn expect_status(handler: &impl Handler, target: &str, status: u16) -> Response {
    let response = get(handler, target, &[]);
    assert_eq!(response.status(), status, "{target}");
    response
}

pub(crate) fn header(response: &Response, name: HeaderName) -> Option<&str> {
    let value = response.headers().get(name)?;
    Some(value.to_str().expect("it is text"))
}
