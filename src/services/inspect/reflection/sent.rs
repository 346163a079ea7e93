//! A request as the bytes that came.

use http::HeaderValue;

use crate::services::inspect::captured::Captured;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The head, the body with its chunk lines, and the trailers. Where chunk lines were
/// [not kept](crate::RawRequest::unkept_chunks), the rest of the body follows in one piece.
pub(super) fn bytes(captured: &Captured) -> Vec<u8> {
    let raw = &captured.raw;
    let mut sent = raw.head().to_vec();
    let mut rest = &captured.body[..];
    let mut is_chunked = false;
    for chunk in raw.chunks() {
        is_chunked = true;
        push_line(chunk.line, &mut sent);
        if chunk.size > 0 {
            let size = usize::try_from(chunk.size).unwrap_or(usize::MAX);
            let (content, after) = rest.split_at(size.min(rest.len()));
            push_line(content, &mut sent);
            rest = after;
        }
    }
    sent.extend_from_slice(rest);
    if is_chunked {
        push_line(raw.trailer_section(), &mut sent);
    } else {
        sent.extend_from_slice(raw.trailer_section());
    }
    sent
}

/// Text for people, or bytes that no client shows.
pub(super) fn content_type(sent: &[u8]) -> HeaderValue {
    match str::from_utf8(sent) {
        Ok(_) => TEXT,
        Err(_) => BINARY,
    }
}

fn push_line(line: &[u8], sent: &mut Vec<u8>) {
    sent.extend_from_slice(line);
    sent.extend_from_slice(b"\r\n");
}
