//! Heads that are accepted, and the buffer.

use bytes::Bytes;
use http::HeaderMap;

use super::*;
use crate::message::{Body, RawRequest};

/// Checks an accepted head, and its text after the request line and `host`.
#[track_caller]
fn check(list: &str, expected: &str) -> (RequestBuffer, Head) {
    let (buffer, head) = decode(&fields(list));
    let head = head.unwrap_or_else(|error| panic!("{list}: {}", buffer.explain(error)));
    assert_eq!(text(&buffer), expected);
    assert!(buffer.raw_request().head().ends_with(b"\r\n\r\n"));
    (buffer, head)
}

#[track_caller]
fn check_after_get(list: &str, expected: &str) -> (RequestBuffer, Head) {
    let expected = format!("GET / HTTP/2.0\nhost: it\n{expected}");
    check(&format!("{GET}{list}"), &expected)
}

#[test]
fn head_becomes_a_request_and_a_text() {
    let (buffer, head) = check_after_get(
        "accept: */*\nuser-agent: curl",
        "accept: */*\nuser-agent: curl",
    );
    let expected = Head {
        content_length: None,
        expectation: Expectation::None,
        priority: None,
    };
    assert_eq!(head, expected);
    assert_eq!(buffer.request.method(), Method::GET);
    assert_eq!(buffer.request.uri(), "/");
    assert_eq!(buffer.request.version(), Version::HTTP_2);
    assert_eq!(buffer.request.headers().len(), 3);
    assert_eq!(buffer.request.headers()["host"], "it");
    assert_eq!(buffer.request_line(), "GET / HTTP/2.0");
    assert!(!buffer.is_head);
}

/// RFC 7541 appendix C.3: three requests of one connection.
#[test]
fn requests_of_rfc_7541_are_decoded() {
    let mut decoder = Decoder::default();
    let mut buffer = RequestBuffer::default();
    let get = |path: &str, rest: &str| format!("GET {path} HTTP/2.0\nhost: www.example.com{rest}");
    for (block, expected) in [
        (&b"\x82\x86\x84\x41\x0fwww.example.com"[..], get("/", "")),
        (
            b"\x82\x86\x84\xbe\x58\x08no-cache",
            get("/", "\ncache-control: no-cache"),
        ),
        (
            b"\x82\x87\x85\xbf\x40\x0acustom-key\x0ccustom-value",
            get("/index.html", "\ncustom-key: custom-value"),
        ),
    ] {
        let head = decode_head(&mut decoder, block, MOST, &mut buffer);
        assert!(matches!(head, Ok(Ok(_))), "{head:?}");
        assert_eq!(text(&buffer), expected);
    }
}

#[test]
fn pseudo_headers_come_in_any_order() {
    let list = ":path: /a?b\n:authority: it:1\n:scheme: HTTP\n:method: POST\nx: y";
    let (buffer, _) = check(list, "POST /a?b HTTP/2.0\nhost: it:1\nx: y");
    assert_eq!(buffer.request.uri().query(), Some("b"));
}

#[test]
fn targets_have_the_normal_form_in_the_request_only() {
    let list = ":method: GET\n:scheme: https\n:authority: it\n:path: /a/../%62?%62";
    let (buffer, _) = check(list, "GET /a/../%62?%62 HTTP/2.0\nhost: it");
    assert_eq!(buffer.request.uri(), "/b?%62");
    assert_eq!(buffer.original().uri(), "/b?%62");
    let list = ":method: OPTIONS\n:scheme: https\n:authority: it\n:path: *";
    let (buffer, _) = check(list, "OPTIONS * HTTP/2.0\nhost: it");
    assert_eq!(buffer.request.uri(), "*");
    assert_eq!(buffer.original().uri(), "*");
}

#[test]
fn host_may_replace_or_repeat_the_authority() {
    let start = ":method: GET\n:scheme: https\n:path: /\n";
    check(
        &format!("{start}x: y\nhost: it"),
        "GET / HTTP/2.0\nx: y\nhost: it",
    );
    for host in ["it", "IT", "it:443", "it:"] {
        let (buffer, _) = check_after_get(&format!("x: y\nhost: {host}"), "x: y");
        assert_eq!(buffer.request.headers()["host"], "it");
    }
    let (buffer, _) = check(
        &format!("{start}:authority: [::1]:8443\nhost: [::1]:8443"),
        "GET / HTTP/2.0\nhost: [::1]:8443",
    );
    assert_eq!(buffer.request.headers().len(), 1);
}

#[test]
fn parts_of_a_cookie_are_joined_in_the_request_only() {
    let list = "cookie: a=1\nx: y\ncookie: b=2\ncookie: ";
    let (buffer, _) = check_after_get(list, list);
    for headers in [buffer.request.headers(), buffer.original().headers()] {
        assert!(headers.get_all("cookie").iter().eq(["a=1; b=2; "]));
    }
    let (buffer, _) = check_after_get("cookie: a=1; b=2", "cookie: a=1; b=2");
    assert_eq!(buffer.request.headers()["cookie"], "a=1; b=2");
}

#[test]
fn protocol_learns_what_it_needs() {
    let list = "content-length: 5\nexpect: 100-Continue\npriority: u=1, i\nte: trailers";
    let (_, head) = check_after_get(list, list);
    let expected = Head {
        content_length: Some(5),
        expectation: Expectation::Continue,
        priority: Priority::parse(b"u=1, i"),
    };
    assert_eq!(head, expected);
    let (_, head) = check_after_get("content-length: 0", "content-length: 0");
    assert_eq!(head.content_length, Some(0));
    // RFC 9218 section 5.
    let (_, head) = check_after_get("priority: u=1,", "priority: u=1,");
    assert_eq!(head.priority, None);
    let list = ":method: HEAD\n:scheme: https\n:authority: it\n:path: /";
    let (buffer, _) = check(list, "HEAD / HTTP/2.0\nhost: it");
    assert!(buffer.is_head);
}

#[test]
fn repeated_headers_stay_apart() {
    let (buffer, _) = check_after_get("accept: a\naccept: b", "accept: a\naccept: b");
    let accept = buffer.request.headers().get_all("accept");
    assert!(accept.iter().eq(["a", "b"]));
}

#[test]
fn original_does_not_depend_on_the_handler() {
    let (mut buffer, _) = check_after_get("x: y\nx: z", "x: y\nx: z");
    buffer.receive_body(Bytes::from_static(b"content"), None);
    let request = std::mem::take(&mut buffer.request);
    assert_same(&buffer.original(), &request);
    assert_eq!(request.body().as_bytes(), b"content");
    assert_eq!(buffer.original().body().as_bytes(), b"");
}

#[track_caller]
fn assert_same(left: &crate::message::Request, right: &crate::message::Request) {
    assert_eq!(left.method(), right.method());
    assert_eq!(left.uri(), right.uri());
    assert_eq!(left.version(), right.version());
    assert_eq!(left.headers(), right.headers());
}

#[test]
fn body_carries_head_and_trailers() {
    let (mut buffer, _) = check_after_get("x: y", "x: y");
    buffer.receive_body(Bytes::new(), Some(b"sum: 1\r\nsum: 2\r\n".to_vec()));
    let raw = RawRequest::of(&buffer.request).expect("the body has the raw request");
    assert_eq!(raw.request_line(), b"GET / HTTP/2.0");
    let expected = [(&b"sum"[..], &b"1"[..]), (b"sum", b"2")];
    assert!(raw.trailer_lines().eq(expected));
    assert_eq!(raw.chunks().count(), 0);
    buffer.withhold_body(Some(3));
    assert_eq!(buffer.request.body().length(), Some(3));
    assert!(RawRequest::of(&buffer.request).is_some());
}

#[test]
fn request_waits_outside_of_the_buffer() {
    let (mut buffer, _) = check_after_get("cookie: a\ncookie: b", "cookie: a\ncookie: b");
    buffer.request.extensions_mut().insert(5_u8);
    buffer.receive_body(Bytes::from_static(b"content"), None);
    let kept = buffer.keep();
    // A map with room for three headers is the smallest for two.
    let head = "GET / HTTP/2.0..host: it..cookie: a..cookie: b....";
    assert_eq!(kept.held(), head.len() + 3 * 128);
    assert_eq!(buffer.raw_request().head(), b"");
    assert!(buffer.request.headers().is_empty());
    assert_eq!(kept.request().headers()["cookie"], "a; b");

    let head = decode_head(
        &mut Decoder::default(),
        &block(&fields(GET)),
        MOST,
        &mut buffer,
    );
    assert!(matches!(head, Ok(Ok(_))));
    buffer.restore(kept);
    assert_eq!(buffer.request.headers()["cookie"], "a; b");
    assert_eq!(buffer.request.body().as_bytes(), b"content");
    assert_eq!(buffer.request.extensions().get(), Some(&5_u8));
    let raw = RawRequest::of(&buffer.request).expect("the body has the raw request");
    assert_eq!(raw.head(), buffer.raw_request().head());
    assert_eq!(buffer.request_line(), "GET / HTTP/2.0");
}

#[test]
fn clear_leaves_nothing_of_the_last_request() {
    let (mut buffer, _) = check_after_get("x: y", "x: y");
    buffer.request.extensions_mut().insert(5_u8);
    buffer.receive_body(Bytes::from_static(b"content"), None);
    buffer.clear();
    assert_eq!(buffer.request.headers(), &HeaderMap::new());
    assert!(buffer.request.extensions().is_empty());
    assert!(matches!(buffer.request.body(), body if body.length() == Body::empty().length()));
    assert_eq!(buffer.request_line(), "");
}

/// Handlers and logs see it as in HTTP/1.1.
#[test]
fn extended_connect_is_a_get_with_an_upgrade() {
    let all = format!("{WEBSOCKET}sec-websocket-version: 13\ncookie: a=1\ncookie: b=2");
    let mut buffer = RequestBuffer::default();
    for _ in 0..2 {
        let block = block(&fields(&all));
        let head = decode_head(&mut Decoder::default(), &block, MOST, &mut buffer);
        head.expect("it can be decoded").expect("it is valid");
        assert!(buffer.is_websocket);
        assert_eq!(buffer.request.method(), Method::GET);
        assert_eq!(buffer.request.uri(), "/chat");
        let headers = buffer.request.headers();
        assert_eq!(headers["upgrade"], "websocket");
        assert_eq!(
            (&headers["host"], &headers["cookie"]),
            (
                &"it".parse().expect("a host"),
                &"a=1; b=2".parse().expect("a cookie")
            )
        );
        assert_eq!(
            text(&buffer),
            "GET /chat HTTP/2.0\nhost: it\nupgrade: websocket\nsec-websocket-version: 13\n\
             cookie: a=1\ncookie: b=2"
        );
    }
    let kept = buffer.keep();
    assert!(!buffer.is_websocket);
    buffer.restore(kept);
    assert!(buffer.is_websocket);
    assert_eq!(buffer.request.headers()["upgrade"], "websocket");
    let block = block(&fields(GET));
    let head = decode_head(&mut Decoder::default(), &block, MOST, &mut buffer);
    head.expect("it can be decoded").expect("it is valid");
    assert!(!buffer.is_websocket);
}

/// Neither can a client send the headers of HTTP/1.1 beside it, nor give what follows a length.
#[test]
fn extended_connect_has_no_headers_of_http1() {
    for (more, error) in [
        ("upgrade: websocket", RequestError::ConnectionHeader),
        ("connection: upgrade", RequestError::ConnectionHeader),
        ("transfer-encoding: chunked", RequestError::ConnectionHeader),
        ("content-length: 0", RequestError::ContentLength),
        ("content-length: 5", RequestError::ContentLength),
    ] {
        let (_, head) = decode(&fields(&format!("{WEBSOCKET}{more}")));
        assert_eq!(head, Err(error), "{more}");
    }
}
