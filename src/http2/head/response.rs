//! Encodes the heads of responses (RFC 9113 section 8.3.2).

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::http2::hpack::{Encoder, StaticName};
use crate::message::Response;
use crate::message::head::date::Date;
use crate::message::head::response::{content_length, last_status, omits_content};
use crate::message::headers::trailers;

/// The part of a response behind its head.
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
    let mut has_date = false;
    for (name, value) in headers {
        let text = name.as_str().as_bytes();
        let known = StaticName::find(text);
        has_date |= known == Some(StaticName::DATE);
        if !is_dropped(known, text) {
            field(known, text, value, encoder, block);
        }
    }
    let length = response.body().length();
    if let Some(length) = content_length(status, is_head, headers, length) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(length).as_bytes();
        encoder.named(StaticName::CONTENT_LENGTH, digits, block);
    }
    if !has_date {
        encoder.named(StaticName::DATE, date.as_bytes(), block);
    }
    match omits_content(status, is_head) {
        true => Content::Omitted,
        false => Content::Follows,
    }
}

/// Appends the header block of an interim response (RFC 9113 section 8.1), without the headers that
/// the server sets itself.
pub fn encode_interim(
    status: StatusCode,
    headers: &HeaderMap,
    encoder: &mut Encoder,
    block: &mut Vec<u8>,
) {
    encoder.begin(block);
    encoder.status(status, block);
    for (name, value) in headers {
        let text = name.as_str().as_bytes();
        let known = StaticName::find(text);
        if !is_dropped(known, text) {
            field(known, text, value, encoder, block);
        }
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
        let text = name.as_str().as_bytes();
        field(StaticName::find(text), text, value, encoder, block);
    }
    true
}

/// Whether the server sets this header itself, as in HTTP/1.1, or HTTP/2 forbids it (RFC 9113 section
/// 8.2.2). Only names that the static table does not have are compared as text.
fn is_dropped(known: Option<StaticName>, name: &[u8]) -> bool {
    match known {
        Some(known) => {
            known == StaticName::CONTENT_LENGTH || known == StaticName::TRANSFER_ENCODING
        }
        None => matches!(
            name,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"te" | b"upgrade"
        ),
    }
}

/// Appends a header, without spaces around its value, which HTTP/2 forbids (RFC 9113 section
/// 8.2.1).
fn field(
    known: Option<StaticName>,
    name: &[u8],
    value: &HeaderValue,
    encoder: &mut Encoder,
    block: &mut Vec<u8>,
) {
    let bytes = value.as_bytes().trim_ascii();
    let is_secret = value.is_sensitive() || known == Some(StaticName::SET_COOKIE);
    match known {
        _ if is_secret => encoder.secret_field(name, bytes, block),
        Some(known) => encoder.named(known, bytes, block),
        None => encoder.field(name, bytes, block),
    }
}
