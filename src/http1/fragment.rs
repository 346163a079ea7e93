//! Reads what is known of an incomplete or invalid head.

use bytes::BytesMut;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Uri};

use crate::message::Request;
use crate::message::head::{MAX_FIELDS, target};

/// The request in these bytes as far as a response may depend on it: the complete lines up to the
/// first invalid one. An unknown target is `*`.
pub(super) fn read(head: &[u8]) -> Request {
    let mut request = Request::default();
    *request.uri_mut() = Uri::from_static("*");
    let mut lines = whole_lines(head);
    let Some(line) = lines.next() else {
        return request;
    };
    // The parser takes a line for the end of a head.
    let mut text = Vec::new();
    if !put_request_line(line, &mut text, &mut request) {
        return request;
    }
    for line in lines.take(MAX_FIELDS) {
        match field(line, &mut text) {
            Some((name, value)) => request.headers_mut().append(name, value),
            None => break,
        };
    }
    request
}

/// The lines without their ends, which are CRLF.
fn whole_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let end = memchr::memmem::find(rest, b"\r\n")?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        Some(line)
    })
}

/// Whether this is a request line. Method and target may still be unknown.
fn put_request_line(line: &[u8], text: &mut Vec<u8>, request: &mut Request) -> bool {
    let mut parsed = httparse::Request::new(&mut []);
    let parses = parsed.parse(as_head(line, text));
    if !parses.is_ok_and(|status| status.is_complete()) {
        return false;
    }
    let method = parsed.method.unwrap_or_default().as_bytes();
    let (Ok(method), Some(target)) = (Method::from_bytes(method), parsed.path) else {
        return true;
    };
    if let Some(uri) = uri(&method, target) {
        *request.uri_mut() = uri;
    }
    *request.method_mut() = method;
    true
}

fn uri(method: &Method, target: &str) -> Option<Uri> {
    let path = target::check(method, target).ok()?;
    let mut uri = Uri::try_from(target).ok()?;
    if path == target::Path::Unusual {
        target::normalize(&mut uri, &mut BytesMut::new()).ok()?;
    }
    Some(uri)
}

fn field(line: &[u8], text: &mut Vec<u8>) -> Option<(HeaderName, HeaderValue)> {
    let mut fields = [httparse::EMPTY_HEADER];
    let parsed = httparse::parse_headers(as_head(line, text), &mut fields);
    let field = match parsed.ok()? {
        httparse::Status::Complete((_, [field])) => *field,
        _ => return None,
    };
    let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
    Some((name, HeaderValue::from_bytes(field.value).ok()?))
}

fn as_head<'t>(line: &[u8], text: &'t mut Vec<u8>) -> &'t [u8] {
    text.clear();
    text.extend_from_slice(line);
    text.extend_from_slice(b"\r\n\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, method: &str, target: &str, fields: &[(&str, &str)]) {
        let request = read(head.as_bytes());
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            (method, target.into())
        );
        let known = request.headers().iter();
        let known: Vec<_> = known
            .map(|(name, value)| (name.as_str(), value.to_str().expect("it is ASCII")))
            .collect();
        assert_eq!(known, fields, "{head:?}");
    }

    #[test]
    fn complete_lines_are_known() {
        check("", "GET", "*", &[]);
        check("POST /a HTTP/1.1", "GET", "*", &[]);
        check("POST /%61?b HTTP/1.1\r\n", "POST", "/a?b", &[]);
        let head = "POST /a HTTP/1.1\r\nHost: it\r\nOrigin: https://shop.example";
        check(head, "POST", "/a", &[("host", "it")]);
        let more = format!("{head}\r\n");
        let origin = ("origin", "https://shop.example");
        check(&more, "POST", "/a", &[("host", "it"), origin]);
        check(
            &format!("{more}\r\nX: y\r\n"),
            "POST",
            "/a",
            &[("host", "it"), origin],
        );
    }

    /// Lines after an invalid one may not have arrived, so they must make no difference.
    #[test]
    fn nothing_behind_an_invalid_line_is_known() {
        for line in [
            "none",
            " X: y",
            "X : y",
            "X: \u{1}",
            "X: y\nZ: z",
            ": y",
            "",
        ] {
            let head = format!("GET /a HTTP/1.1\r\nA: b\r\n{line}\r\nOrigin: null\r\n\r\n");
            check(&head, "GET", "/a", &[("a", "b")]);
        }
        for line in [
            "nonsense",
            "GET /a",
            "GET /a HTTP/2.0",
            "GET  /a HTTP/1.1",
            "",
        ] {
            check(&format!("{line}\r\nOrigin: null\r\n\r\n"), "GET", "*", &[]);
        }
        check(
            "CONNECT it:80 HTTP/1.1\r\nA: b\r\n\r\n",
            "CONNECT",
            "*",
            &[("a", "b")],
        );
        let many = "X: y\r\n".repeat(1000);
        let known = read(format!("GET /a HTTP/1.1\r\n{many}").as_bytes());
        assert_eq!(known.headers().len(), MAX_FIELDS);
    }
}
