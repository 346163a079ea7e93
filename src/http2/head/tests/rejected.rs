//! Tests of what a rejected head reports.

use RequestError::{FieldLine, RequestTarget};

use super::*;

#[test]
fn first_broken_rule_is_named() {
    let both = format!("{GET}X: y\nconnection: close\n:path: /");
    check_rejected(
        &fields(&both),
        FieldLine,
        "a header name is not in lower case",
    );
    let both = ":method: GET\n:scheme: ftp\n:authority: it\n:path: a\nX: y";
    check_rejected(
        &fields(both),
        RequestTarget,
        ":path does not begin with a slash",
    );
}

#[test]
fn known_part_of_a_rejected_head() {
    for (list, line, method, target, names) in [
        ("", "", "GET", "*", ""),
        (":method: PUT", "", "GET", "*", ""),
        (
            ":method: PUT\n:path: /a\n:path: /b",
            "PUT /a HTTP/2.0",
            "PUT",
            "/a",
            "",
        ),
        (
            ":method: PUT\n:path: /a b\norigin: x",
            "PUT /a b HTTP/2.0",
            "PUT",
            "*",
            "origin",
        ),
        (
            ":method: P(T\n:path: /a\norigin: x",
            "P(T /a HTTP/2.0",
            "GET",
            "*",
            "origin",
        ),
        (
            ":method: PUT\n:path: /a\norigin: x\nX: y\nz: 1",
            "PUT /a HTTP/2.0",
            "PUT",
            "/a",
            "origin",
        ),
        (
            ":method: PUT\n:path: /a\norigin: x\n:path: /\nz: 1",
            "PUT /a HTTP/2.0",
            "PUT",
            "/a",
            "origin",
        ),
        (
            ":method: PUT\n:path: /a\nte: x\norigin: x",
            "PUT /a HTTP/2.0",
            "PUT",
            "/a",
            "te,origin",
        ),
        (
            ":method: CONNECT\n:authority: it:1\nx: y",
            "CONNECT it:1 HTTP/2.0",
            "CONNECT",
            "*",
            "host,x",
        ),
    ] {
        let (buffer, head) = decode(&fields(list));
        assert!(head.is_err(), "{list}");
        let original = buffer.original();
        assert_eq!(buffer.request_line(), line, "{list}");
        assert_eq!(original.method().as_str(), method, "{list}");
        assert_eq!(original.uri(), target, "{list}");
        let found: Vec<_> = original
            .headers()
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        assert_eq!(found.join(","), names, "{list}");
    }
}

/// Later blocks refer to what a rejected one has added.
#[test]
fn rejected_head_still_fills_the_table() {
    let mut decoder = Decoder::default();
    let mut buffer = RequestBuffer::default();
    // `X: 1` is malformed; the two literals get the indices 63 and 62.
    let bad = b"\x82\x87\x84\x41\x02it\x40\x01X\x011\x40\x01y\x012";
    let head = decode_head(&mut decoder, bad, MOST, &mut buffer);
    assert_eq!(head, Ok(Err(FieldLine)));
    let skipped = skip_head(&mut decoder, b"\x40\x01z\x013", MOST, &mut buffer);
    assert_eq!(skipped, Ok(()));
    let head = decode_head(&mut decoder, b"\x82\x87\x84\xc1\xbf\xbe", MOST, &mut buffer);
    assert!(matches!(head, Ok(Ok(_))), "{head:?}");
    assert_eq!(text(&buffer), "GET / HTTP/2.0\nhost: it\ny: 2\nz: 3");
}
