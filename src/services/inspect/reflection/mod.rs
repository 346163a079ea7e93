//! The description of a request: a JSON document, a page, or the bytes as they came.

use std::time::SystemTime;

use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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
    json!({
        "received": timestamp(captured.received),
        "method": captured.method(),
        "target": captured.target(),
        "body": String::from_utf8_lossy(&captured.body),
        "connection": &*captured.connection,
    })
}

/// The time as RFC 3339 has it, in UTC.
pub(super) fn timestamp(time: SystemTime) -> String {
    // Formatting fails for years of five digits only.
    OffsetDateTime::from(time)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// The bytes in hexadecimal digits.
#[allow(dead_code, reason = "certificates need it")]
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .map(|digit| char::from(DIGITS[usize::from(digit)]));
    digits.collect()
}
