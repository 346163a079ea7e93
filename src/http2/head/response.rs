//! Encodes the heads of responses (RFC 9113 section 8.3.2).

use http::header::{DATE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::http2::hpack::Encoder;
use crate::message::Response;
use crate::message::head::date::Date;
use crate::message::head::response::{
    content_length, is_set_by_the_server, last_status, omits_content,
};
use crate::message::headers::trailers;

/// What follows the head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Content {
    /// The body.
    Follows,
    /// Nothing: the method or the status forbids a body.
    Omitted,
    /// Another protocol was to follow, which HTTP/2 can't express. Nothing was encoded; end the
    /// stream with [`Http11Required`](crate::http2::ErrorCode::Http11Required).
    Switched,
}

/// Appends the header block of a response. The server sets `Content-Length` and drops the headers
/// of a connection, as in HTTP/1.1, so a handler can't announce another length than it sends.
pub fn encode_head(
    response: &Response,
    is_head: bool,
    date: &Date,
    encoder: &mut Encoder,
    block: &mut Vec<u8>,
) -> Content {
    let (status, headers) = (last_status(response), response.headers());
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Content::Switched;
    }
    encoder.begin(block);
    encoder.status(status, block);
    for (name, value) in headers {
        if !is_set_by_the_server(name) && !is_of_a_connection(name) {
            field(name, value, encoder, block);
        }
    }
    let length = response.body().length();
    if let Some(length) = content_length(status, is_head, headers, length) {
        let mut digits = itoa::Buffer::new();
        encoder.field(b"content-length", digits.format(length).as_bytes(), block);
    }
    if !headers.contains_key(DATE) {
        encoder.field(b"date", date.as_bytes(), block);
    }
    match omits_content(status, is_head) {
        true => Content::Omitted,
        false => Content::Follows,
    }
}

/// Appends the header block of trailers. Those that RFC 9110 section 6.5.1 does not allow are left
/// out. Whether there are any is the result.
pub fn encode_trailers(trailers: &HeaderMap, encoder: &mut Encoder, block: &mut Vec<u8>) -> bool {
    let mut allowed = trailers::allowed(trailers).peekable();
    if allowed.peek().is_none() {
        return false;
    }
    encoder.begin(block);
    for (name, value) in allowed {
        field(name, value, encoder, block);
    }
    true
}

/// Whether HTTP/2 forbids this header, beside those that the server sets itself (RFC 9113 section
/// 8.2.2).
fn is_of_a_connection(name: &HeaderName) -> bool {
    matches!(name.as_str(), "keep-alive" | "proxy-connection" | "te")
}

/// Appends a header, without spaces around its value, which HTTP/2 forbids (RFC 9113 section
/// 8.2.1).
fn field(name: &HeaderName, value: &HeaderValue, encoder: &mut Encoder, block: &mut Vec<u8>) {
    let (text, bytes) = (name.as_str().as_bytes(), value.as_bytes().trim_ascii());
    match name == SET_COOKIE || value.is_sensitive() {
        true => encoder.secret_field(text, bytes, block),
        false => encoder.field(text, bytes, block),
    }
}
