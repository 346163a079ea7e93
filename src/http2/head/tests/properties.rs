//! Rules for all heads.

use http::header::COOKIE;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::message::{RawRequest, Request};

/// Names that no rule forbids, often the same.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-d]",
        1 => "[a-z0-9!#$%&'*+.^_`|~-]{1,12}",
        1 => Just("cookie".to_owned()),
        1 => Just("accept".to_owned()),
    ]
    .prop_filter("the protocol reads it", |name| {
        let read = ["te", "host", "expect", "origin", "upgrade"];
        !read.contains(&name.as_str())
    })
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[!-~]([ -~\\t]{0,20}[!-~])?"]
}

fn request() -> impl Strategy<Value = (String, String, Vec<(String, String)>)> {
    let method = prop_oneof![Just("GET".to_owned()), "[A-Z]{1,9}"]
        .prop_filter("it is a tunnel", |method| method != "CONNECT");
    let path = "/[a-z./]{0,12}(%[46][1-9a-f])?(\\?[a-z/?%]{0,5})?";
    (method, path, vec((name(), value()), 0..20))
}

/// The headers as a map, with the parts of a cookie joined.
fn expected_headers(list: &[(String, String)]) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    headers.insert("host", "it".parse().expect("it is a value"));
    let mut cookie: Option<String> = None;
    for (name, value) in list {
        if name == "cookie" {
            cookie = Some(match cookie {
                Some(cookie) => format!("{cookie}; {value}"),
                None => value.clone(),
            });
            continue;
        }
        let name = http::HeaderName::from_bytes(name.as_bytes()).expect("it is a name");
        headers.append(name, value.parse().expect("it is a value"));
    }
    if let Some(cookie) = cookie {
        headers.insert(COOKIE, cookie.parse().expect("it is a value"));
    }
    headers
}

fn same(left: &Request, right: &Request) -> bool {
    left.method() == right.method()
        && left.uri() == right.uri()
        && left.version() == right.version()
        && left.headers() == right.headers()
}

#[test]
fn cookie_parts_before_a_malformed_header_are_joined() {
    let all: [Pair<'_>; 5] = [
        (b":method", b"GET"),
        (b":path", b"/"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"", b"nameless"),
    ];
    let (buffer, head) = decode(&all);
    assert!(head.is_err());
    assert_eq!(buffer.request.headers()["cookie"], "a=1; b=2");
    assert!(same(&buffer.original(), &buffer.request));
}

proptest! {
    /// The text has every header in its order, and is read as the same request.
    #[test]
    fn text_is_the_request((method, path, list) in request()) {
        let mut all: Vec<Pair<'_>> = vec![
            (b":method", method.as_bytes()),
            (b":scheme", b"https"),
            (b":authority", b"it"),
            (b":path", path.as_bytes()),
        ];
        all.extend(list.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let (mut buffer, head) = decode(&all);
        prop_assert!(head.is_ok(), "{:?}", head.map_err(|error| buffer.explain(error)));
        let lines = list.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let expected = format!("{method} {path} HTTP/2.0\r\nhost: it\r\n{}\r\n", lines.collect::<String>());
        let raw = buffer.raw_request();
        prop_assert_eq!(raw.head().escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string());
        prop_assert_eq!(buffer.request.headers(), &expected_headers(&list));
        prop_assert!(same(&buffer.original(), &buffer.request));
        buffer.receive_body(bytes::Bytes::new(), None);
        let request = std::mem::take(&mut buffer.request);
        prop_assert!(same(&buffer.original(), &request));
        buffer.request = request;
        let kept = buffer.keep();
        buffer.restore(kept);
        prop_assert!(same(&buffer.original(), &buffer.request));
        let raw = RawRequest::of(&buffer.request).expect("the body has the raw request");
        prop_assert_eq!(raw.head(), expected.as_bytes());
    }

    /// Whatever the names and values are, the text has only whole lines that pass the rules, and
    /// reading it again gives what the request has.
    #[test]
    fn any_head_is_handled(
        list in vec((prop_oneof![":(method|path|scheme|authority)", "[a-zA: ]{0,3}", Just("cookie".to_owned())],
            prop_oneof![Just("/".to_owned()), Just("GET".to_owned()), "[a-c \\r\\n/\\x00]{0,6}"]), 0..9),
    ) {
        let all: Vec<_> = list.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let (buffer, head) = decode(&all);
        let raw = buffer.raw_request();
        for line in raw.head().split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            prop_assert!(line.iter().all(|byte| *byte >= b' '), "{:?}", raw);
        }
        prop_assert!(same(&buffer.original(), &buffer.request), "{:?}", buffer.request);
        if let Err(error) = head {
            prop_assert!(!buffer.explain(error).is_empty());
        }
    }
}
