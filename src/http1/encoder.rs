//! Encodes responses (RFC 9112 sections 4 and 6).

use std::io::Write;

use http::header::{DATE, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode, Version};

use super::{Date, ResponseContext};
use crate::message::Response;
use crate::message::head::response::{
    content_length, is_bodiless, is_set_by_the_server, last_status, omits_content,
};
use crate::message::headers::trailers;

/// The interim response for a client that waits before it sends the body (RFC 9110 section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Whether the connection stays open after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It stays open for another request.
    KeepAlive,
    /// It closes after this response.
    Close,
}

/// How the body follows the head (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Content {
    /// Unchanged: its length was announced, or the connection closes after it.
    Follows,
    /// In the chunked coding: [`chunk_line`] before each non-empty part, CRLF after it, and
    /// [`last_chunk`] at the end.
    FollowsInChunks,
    /// Omitted: the method or the status forbids it.
    Omitted,
    /// Omitted: another protocol follows.
    Switched,
}

/// Appends `103 Early Hints` with these headers (RFC 8297), but for those that the server sets itself.
pub fn early_hints(headers: &HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\n");
    for (name, value) in headers {
        if !is_set_by_the_server(name) {
            field(name.as_str().as_bytes(), value.as_bytes(), out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of `response` to `out`. The server sets the framing headers, `Connection` and
/// `Upgrade` itself and ignores those of the response, so a handler can't announce another length
/// than it sends. Only a 426 names a protocol in `Upgrade`.
///
/// A response with an [open length](is_open_ended) must be the last one on its connection. A
/// response that [switches](Content::Switched) protocols is for requests that asked for it.
pub fn encode(
    response: &Response,
    context: &ResponseContext,
    ending: Ending,
    date: &Date,
    out: &mut Vec<u8>,
) -> Content {
    let (status, fields) = (last_status(response), response.headers());
    status_line(status, out);
    for (name, value) in fields {
        if is_set_by_the_server(name) {
            // RFC 9110 section 15.5.22.
            if name == UPGRADE && status == StatusCode::UPGRADE_REQUIRED {
                upgrade(value, out);
            }
            continue;
        }
        field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return switch(response, out);
    }
    let length = response.body().length();
    let content = content(status, context, length);
    if let Some(length) = content_length(status, context.is_head, fields, length) {
        field(
            b"content-length",
            itoa::Buffer::new().format(length).as_bytes(),
            out,
        );
    } else if is_chunked(status, context, length) {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    if !fields.contains_key(DATE) {
        field(b"date", date.as_bytes(), out);
    }
    match (ending, context.version) {
        (Ending::Close, _) => out.extend_from_slice(b"connection: close\r\n"),
        (Ending::KeepAlive, Version::HTTP_10) => {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        (Ending::KeepAlive, _) => {}
    }
    out.extend_from_slice(b"\r\n");
    content
}

/// Appends the line before a chunk of this size, which must not be 0.
pub fn chunk_line(size: usize, out: &mut Vec<u8>) {
    write!(out, "{size:x}\r\n").expect("writing to a Vec can't fail");
}

/// Appends the end of a chunked body: the last chunk and the trailers (RFC 9112 section 7.1.2).
/// Trailers that RFC 9110 section 6.5.1 does not allow are left out.
pub fn last_chunk(trailers: &HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers::allowed(trailers) {
        field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether only the end of the connection can mark the end of this response: its length is unknown
/// and the client does not support chunks.
#[must_use]
pub fn is_open_ended(response: &Response, context: &ResponseContext) -> bool {
    let (status, length) = (last_status(response), response.body().length());
    status == StatusCode::SWITCHING_PROTOCOLS
        || length.is_none() && content(status, context, length) == Content::Follows
}

fn status_line(status: StatusCode, out: &mut Vec<u8>) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Ends the head of a response after which another protocol follows.
#[cold]
fn switch(response: &Response, out: &mut Vec<u8>) -> Content {
    if let Some(protocol) = response.body().protocol() {
        upgrade(protocol, out);
    }
    out.extend_from_slice(b"\r\n");
    Content::Switched
}

/// The protocol to upgrade to. `Connection` must list the header, because it is for the next hop
/// only (RFC 9110 section 7.8).
#[cold]
fn upgrade(protocol: &HeaderValue, out: &mut Vec<u8>) {
    field(b"connection", b"upgrade", out);
    field(b"upgrade", protocol.as_bytes(), out);
}

fn content(status: StatusCode, context: &ResponseContext, length: Option<u64>) -> Content {
    if omits_content(status, context.is_head) {
        Content::Omitted
    } else if is_chunked(status, context, length) {
        Content::FollowsInChunks
    } else {
        Content::Follows
    }
}

/// Whether the response is chunked, or would be for GET.
fn is_chunked(status: StatusCode, context: &ResponseContext, length: Option<u64>) -> bool {
    length.is_none() && context.version == Version::HTTP_11 && !is_bodiless(status)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::header::{CONNECTION, CONTENT_LENGTH, ETAG, TRANSFER_ENCODING};

    use super::*;
    use crate::http1::Persistence;
    use crate::message::{Body, IntoResponse, Upgrade};

    const TERMS: ResponseContext = ResponseContext {
        version: Version::HTTP_11,
        persistence: Persistence::KeepAlive,
        is_head: false,
    };

    #[track_caller]
    fn check(
        response: &Response,
        context: &ResponseContext,
        ending: Ending,
        expected: &str,
        content: Content,
    ) {
        let date = Date::new(UNIX_EPOCH + Duration::from_secs(784_111_777));
        let mut out = Vec::new();
        assert_eq!(encode(response, context, ending, &date, &mut out), content);
        let expected = expected
            .replace("DATE", "date: Sun, 06 Nov 1994 08:49:37 GMT")
            .replace('\n', "\r\n");
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn response_has_length_and_date() {
        let response = Response::new(Body::from("hello"));
        check(
            &response,
            &TERMS,
            Ending::KeepAlive,
            "HTTP/1.1 200 OK\ncontent-length: 5\nDATE\n\n",
            Content::Follows,
        );
        check(
            &response,
            &TERMS,
            Ending::Close,
            "HTTP/1.1 200 OK\ncontent-length: 5\nDATE\nconnection: close\n\n",
            Content::Follows,
        );
    }

    #[test]
    fn early_hints_have_no_framing() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("link", "</a.css>; rel=preload"),
            ("link", "</b.js>; rel=preload"),
            ("content-length", "7"),
            ("connection", "close"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let mut out = Vec::new();
        early_hints(&headers, &mut out);
        let expected = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\
                        link: </b.js>; rel=preload\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn http_1_0_client_receives_keep_alive() {
        let context = ResponseContext {
            version: Version::HTTP_10,
            ..TERMS
        };
        check(
            &Response::default(),
            &context,
            Ending::KeepAlive,
            "HTTP/1.1 200 OK\ncontent-length: 0\nDATE\nconnection: keep-alive\n\n",
            Content::Follows,
        );
    }

    #[test]
    fn head_keeps_the_length_and_omits_the_body() {
        let context = ResponseContext {
            is_head: true,
            ..TERMS
        };
        let mut response = Response::new(Body::from("hello"));
        let expected = "HTTP/1.1 200 OK\ncontent-length: 5\nDATE\n\n";
        check(
            &response,
            &context,
            Ending::KeepAlive,
            expected,
            Content::Omitted,
        );
        *response.body_mut() = Body::empty();
        let length = HeaderValue::from_static("5");
        response.headers_mut().insert(CONTENT_LENGTH, length);
        check(
            &response,
            &context,
            Ending::KeepAlive,
            expected,
            Content::Omitted,
        );
    }

    #[test]
    fn statuses_without_content_send_no_body() {
        for (status, line) in [
            (StatusCode::NO_CONTENT, "204 No Content"),
            (StatusCode::NOT_MODIFIED, "304 Not Modified"),
        ] {
            let mut response = Response::new(Body::from("x"));
            *response.status_mut() = status;
            check(
                &response,
                &TERMS,
                Ending::KeepAlive,
                &format!("HTTP/1.1 {line}\nDATE\n\n"),
                Content::Omitted,
            );
        }
    }

    #[test]
    fn interim_status_becomes_500() {
        let mut response = Response::new(Body::from("x"));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        check(
            &response,
            &TERMS,
            Ending::KeepAlive,
            "HTTP/1.1 500 Internal Server Error\ncontent-length: 1\nDATE\n\n",
            Content::Follows,
        );
    }

    #[test]
    fn upgrade_names_its_protocol_and_has_no_content() {
        let mut response = Upgrade::new("x/1", |_| ()).into_response();
        for (name, value) in [
            (ETAG, "\"e\""),
            (UPGRADE, "y"),
            (CONTENT_LENGTH, "5"),
            (TRANSFER_ENCODING, "chunked"),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        let expected = "HTTP/1.1 101 Switching Protocols\netag: \"e\"\nconnection: upgrade\n\
                        upgrade: x/1\n\n";
        check(
            &response,
            &TERMS,
            Ending::Close,
            expected,
            Content::Switched,
        );
        assert!(is_open_ended(&response, &TERMS));
        // The message was changed into another response on its way.
        *response.status_mut() = StatusCode::OK;
        let expected = "HTTP/1.1 200 OK\netag: \"e\"\ncontent-length: 0\nDATE\n\n";
        check(
            &response,
            &TERMS,
            Ending::KeepAlive,
            expected,
            Content::Follows,
        );
        assert!(!is_open_ended(&response, &TERMS));
    }

    #[test]
    fn response_426_names_the_protocol() {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        let protocol = HeaderValue::from_static("x/1");
        response.headers_mut().insert(UPGRADE, protocol);
        check(
            &response,
            &TERMS,
            Ending::KeepAlive,
            "HTTP/1.1 426 Upgrade Required\nconnection: upgrade\nupgrade: x/1\n\
             content-length: 0\nDATE\n\n",
            Content::Follows,
        );
    }

    #[test]
    fn reset_content_has_no_content() {
        let mut response = Response::new(Body::from("x"));
        *response.status_mut() = StatusCode::RESET_CONTENT;
        check(
            &response,
            &TERMS,
            Ending::KeepAlive,
            "HTTP/1.1 205 Reset Content\ncontent-length: 0\nDATE\n\n",
            Content::Omitted,
        );
    }

    #[test]
    fn framing_headers_of_the_handler_are_dropped() {
        let mut response = Response::new(Body::from("four"));
        for (name, value) in [
            (CONTENT_LENGTH, "5"),
            (TRANSFER_ENCODING, "chunked"),
            (CONNECTION, "upgrade"),
            (UPGRADE, "websocket"),
            (ETAG, "\"e\""),
        ] {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        check(
            &response,
            &TERMS,
            Ending::KeepAlive,
            "HTTP/1.1 200 OK\netag: \"e\"\ncontent-length: 4\nDATE\n\n",
            Content::Follows,
        );
    }

    #[test]
    fn unknown_status_has_an_empty_reason() {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::from_u16(299).expect("299 is a status");
        check(
            &response,
            &TERMS,
            Ending::KeepAlive,
            "HTTP/1.1 299 \ncontent-length: 0\nDATE\n\n",
            Content::Follows,
        );
    }
}
