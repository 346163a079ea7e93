//! The description of a request: a JSON document, a page, or the bytes as they came.

use std::time::UNIX_EPOCH;

use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use crate::message::Response;

use super::captured::Captured;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The response that describes this request.
pub(super) fn response(captured: &Captured) -> Response {
    let mut text = document(captured).to_string();
    text.push('\n');
    let mut response = Response::new(text.into());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Everything that is known of a request.
pub(super) fn document(captured: &Captured) -> Value {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let since = captured.received.duration_since(UNIX_EPOCH);
    json!({
        "received": since.unwrap_or_default().as_secs_f64(),
        "method": captured.method.as_str(),
        "request_line": captured.raw.as_ref().map(|raw| text(raw.request_line())),
        "body": text(&captured.body),
    })
}
