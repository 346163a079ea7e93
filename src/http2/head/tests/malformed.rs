//! Heads that are rejected.

use RequestError::{
    ConnectionHeader, ContentLength, Expectation as BadExpectation, FieldLine, Host, PseudoHeader,
    Repeated, RequestLine, RequestTarget, Tunnel,
};

use super::{check_rejected as check, *};

/// Every rule of pseudo-headers, of the target and of the host.
#[test]
fn malformed_pseudo_headers_are_rejected() {
    let get = ":method: GET\n:scheme: https\n:authority: it\n:path: /";
    let path = |path: &str| format!(":method: GET\n:scheme: https\n:authority: it\n:path: {path}");
    let authority = |it: &str| format!(":method: GET\n:scheme: https\n:authority: {it}\n:path: /");
    let slash = ":path does not begin with a slash";
    for (list, error, reason) in [
        ("", PseudoHeader, ":method is missing"),
        ("x: y", PseudoHeader, ":method is missing"),
        (
            ":scheme: https\n:authority: it\n:path: /",
            PseudoHeader,
            ":method is missing",
        ),
        (
            ":method: GET\n:authority: it\n:path: /",
            PseudoHeader,
            ":scheme is missing",
        ),
        (
            ":method: GET\n:scheme: https\n:authority: it",
            PseudoHeader,
            ":path is missing",
        ),
        (
            ":method: GET\n:scheme: ftp\n:authority: it\n:path: /",
            PseudoHeader,
            ":scheme is neither http nor https",
        ),
        (
            ":method: GET\n:scheme: \n:authority: it\n:path: /",
            PseudoHeader,
            ":scheme is neither http nor https",
        ),
        (
            &format!("{get}\n:path: /"),
            PseudoHeader,
            "a pseudo-header is repeated",
        ),
        (
            &format!("{get}\n:method: GET"),
            PseudoHeader,
            "a pseudo-header is repeated",
        ),
        (
            &format!("{get}\n:scheme: https"),
            PseudoHeader,
            "a pseudo-header is repeated",
        ),
        (
            &format!("{get}\n:authority: it"),
            PseudoHeader,
            "a pseudo-header is repeated",
        ),
        (
            &format!("{get}\n:status: 200"),
            PseudoHeader,
            "a pseudo-header of requests is unknown",
        ),
        (
            &format!("{get}\n:protocol: websocket"),
            PseudoHeader,
            ":protocol is for CONNECT only",
        ),
        (
            &format!("{get}\n:Path: /"),
            PseudoHeader,
            "a pseudo-header of requests is unknown",
        ),
        (
            &format!("{get}\n:: /"),
            PseudoHeader,
            "a pseudo-header of requests is unknown",
        ),
        (
            ":method: GET\n:scheme: https\n:path: /\nx: y\n:authority: it",
            PseudoHeader,
            "a pseudo-header follows another header",
        ),
        (
            ":method: GET\n:scheme: https\n:authority: it\nx: y\n:path: /",
            PseudoHeader,
            ":path is missing",
        ),
        (
            ":method: \n:scheme: https\n:authority: it\n:path: /",
            RequestLine,
            "the method is malformed",
        ),
        (
            ":method: G T\n:scheme: https\n:authority: it\n:path: /",
            RequestLine,
            "the method is malformed",
        ),
        (
            ":method: GET\u{7}\n:scheme: https\n:authority: it\n:path: /",
            RequestLine,
            "the method is malformed",
        ),
        (&path(""), RequestTarget, slash),
        (&path("a"), RequestTarget, slash),
        (&path("http://it/"), RequestTarget, slash),
        (&path("*"), RequestTarget, "the request target is malformed"),
        (
            &path("/a b"),
            RequestTarget,
            "the request target is malformed: write a space as %20",
        ),
        (
            &path("/a#b"),
            RequestTarget,
            "the request target is malformed: write # as %23",
        ),
        (
            &path("/\u{e9}"),
            RequestTarget,
            "the request target is malformed: write \u{e9} as %C3%A9",
        ),
        (
            &path("/a\\b"),
            RequestTarget,
            "the request target is malformed: write \\ as %5C",
        ),
        (
            &path("/%00"),
            RequestTarget,
            "the request target is malformed: it contains %00",
        ),
        (
            &path("/a\tb"),
            RequestTarget,
            "the request target contains a control character",
        ),
        (
            &path("/\u{7f}"),
            RequestTarget,
            "the request target contains a control character",
        ),
        (&authority(""), Host, ":authority is malformed"),
        (&authority("me@it"), Host, ":authority is malformed"),
        (&authority("it/"), Host, ":authority is malformed"),
        (&authority("a, b"), Host, ":authority is malformed"),
        (&authority("it:99999"), Host, ":authority is malformed"),
        (&authority("[::1"), Host, ":authority is malformed"),
        (
            ":method: CONNECT\n:authority: it:443",
            Tunnel,
            Tunnel.reason(),
        ),
        (
            ":method: CONNECT\n:scheme: https\n:authority: it\n:path: /",
            Tunnel,
            Tunnel.reason(),
        ),
        (
            ":method: CONNECT\n:scheme: https\n:path: /",
            PseudoHeader,
            ":authority is missing",
        ),
        (
            ":method: CONNECT\n:protocol: connect-udp\n:scheme: https\n:authority: it\n:path: /",
            Tunnel,
            "the only protocol that a CONNECT may name is websocket",
        ),
        (
            ":method: CONNECT\n:protocol: websocket\n:authority: it\n:path: /",
            PseudoHeader,
            ":scheme is missing",
        ),
        (
            ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: it",
            PseudoHeader,
            ":path is missing",
        ),
        (
            ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:path: /\nhost: it",
            PseudoHeader,
            ":authority is missing",
        ),
        (
            ":protocol: websocket\n:scheme: https\n:authority: it\n:path: /",
            PseudoHeader,
            ":method is missing",
        ),
        (
            &format!("{WEBSOCKET}:protocol: websocket"),
            PseudoHeader,
            "a pseudo-header is repeated",
        ),
    ] {
        check(&fields(list), error, reason);
    }
}

/// A line end in a value would become a header of its own in HTTP/1.1.
#[test]
fn line_ends_are_rejected_everywhere() {
    for evil in [&b"/\r\nx: y"[..], b"/\nx: y", b"/\r", b"/\0"] {
        let list = [
            (&b":method"[..], &b"GET"[..]),
            (b":scheme", b"https"),
            (b":path", evil),
        ];
        check(
            &list,
            RequestTarget,
            "the request target contains a control character",
        );
        let list = [
            (&b":method"[..], evil),
            (b":scheme", b"https"),
            (b":path", b"/"),
        ];
        check(&list, RequestLine, "the method is malformed");
        let get = fields(GET);
        let start = [get[0], get[1], get[3]];
        let list = [&start[..], &[(b":authority", evil)]].concat();
        let buffer = check(&list, Host, ":authority is malformed");
        assert_eq!(text(&buffer), "GET / HTTP/2.0");
        let list = [&get[..], &[(b"x", b"1"), (b"y", evil), (b"z", b"3")]].concat();
        let buffer = check(
            &list,
            FieldLine,
            "a header value contains a control character",
        );
        assert_eq!(text(&buffer), "GET / HTTP/2.0\nhost: it\nx: 1");
        let list = [&get[..], &[(b"x", b"1"), (evil, b"2"), (b"z", b"3")]].concat();
        let reason = "a header name is empty or has an invalid character";
        let buffer = check(&list, FieldLine, reason);
        assert_eq!(text(&buffer), "GET / HTTP/2.0\nhost: it\nx: 1");
        assert_eq!(buffer.original().headers().len(), 2);
    }
}

#[test]
fn malformed_headers_are_rejected() {
    let upper = "a header name is not in lower case";
    let name = "a header name is empty or has an invalid character";
    let padded = "a header value begins or ends with a space";
    let control = "a header value contains a control character";
    let te = "the only value of TE in HTTP/2 is trailers";
    for (list, error, reason) in [
        ("X: y", FieldLine, upper),
        ("x-A: y", FieldLine, upper),
        ("Connection: close", FieldLine, upper),
        ("x y: z", FieldLine, name),
        ("x\": z", FieldLine, name),
        ("x(: z", FieldLine, name),
        ("\u{e9}: z", FieldLine, name),
        ("x:  y", FieldLine, padded),
        ("x: y ", FieldLine, padded),
        ("x: \ty", FieldLine, padded),
        ("x: y\t", FieldLine, padded),
        ("x:  ", FieldLine, padded),
        ("x: a\u{1}b", FieldLine, control),
        ("x: a\u{7f}b", FieldLine, control),
        (
            "connection: close",
            ConnectionHeader,
            "Connection is not a header of HTTP/2",
        ),
        (
            "keep-alive: 1",
            ConnectionHeader,
            "Keep-Alive is not a header of HTTP/2",
        ),
        (
            "proxy-connection: x",
            ConnectionHeader,
            "Proxy-Connection is not a header of HTTP/2",
        ),
        (
            "transfer-encoding: chunked",
            ConnectionHeader,
            "Transfer-Encoding is not a header of HTTP/2",
        ),
        (
            "upgrade: websocket",
            ConnectionHeader,
            "Upgrade is not a header of HTTP/2",
        ),
        ("te: gzip", ConnectionHeader, te),
        ("te: trailers, gzip", ConnectionHeader, te),
        ("te: ", ConnectionHeader, te),
        (
            "te: trailers\nte: trailers",
            ConnectionHeader,
            "TE is repeated",
        ),
        (
            "content-length: 5\ncontent-length: 5",
            ContentLength,
            "Content-Length is repeated",
        ),
        (
            "content-length: 5, 5",
            ContentLength,
            ContentLength.reason(),
        ),
        ("content-length: +5", ContentLength, ContentLength.reason()),
        ("content-length: ", ContentLength, ContentLength.reason()),
        (
            "content-length: 18446744073709551616",
            ContentLength,
            ContentLength.reason(),
        ),
        (
            "authorization: a\nauthorization: a",
            Repeated,
            Repeated.reason(),
        ),
        (
            "content-type: a\ncontent-type: a",
            Repeated,
            Repeated.reason(),
        ),
        ("origin: null\norigin: null", Repeated, Repeated.reason()),
        ("expect: 200-ok", BadExpectation, BadExpectation.reason()),
        (
            "expect: 100-continue, x",
            BadExpectation,
            BadExpectation.reason(),
        ),
        ("expect: ", BadExpectation, BadExpectation.reason()),
        ("host: other", Host, ":authority and Host differ"),
        ("host: it:80", Host, ":authority and Host differ"),
        ("host: ", Host, ":authority and Host differ"),
        ("host: it\nhost: it", Host, "Host is repeated"),
    ] {
        let list = format!("{GET}a: b\n{list}");
        let buffer = check(&fields(&list), error, reason);
        assert!(text(&buffer).starts_with("GET / HTTP/2.0\nhost: it\na: b"));
        assert_eq!(buffer.original().headers()["a"], "b");
    }
}

#[test]
fn host_without_authority_is_checked_as_strictly() {
    let start = ":method: GET\n:scheme: https\n:path: /\n";
    for (host, reason) in [
        ("", "neither :authority nor Host is there"),
        ("host: ", "Host is malformed"),
        ("host: me@it", "Host is malformed"),
        ("host: a, b", "Host is malformed"),
        ("host: a\nhost: a", "Host is repeated"),
    ] {
        check(&fields(&format!("{start}{host}")), Host, reason);
    }
}

#[test]
fn empty_name_is_rejected() {
    let list = [&fields(GET)[..], &[(&b""[..], &b"x"[..])]].concat();
    let reason = "a header name is empty or has an invalid character";
    check(&list, FieldLine, reason);
}
