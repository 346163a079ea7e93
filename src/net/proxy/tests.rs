use std::net::SocketAddr;

use http::{HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// The peer of every request in these tests, and another trusted proxy.
const PEER: &str = "10.0.0.1:9";

fn peer() -> ClientInfo {
    let peer: SocketAddr = PEER.parse().expect("the text is an address");
    ClientInfo::new(peer.into())
}

fn trust(proxies: &[&str], by: ForwardedBy) -> TrustedProxies {
    let mut trust = TrustedProxies::default();
    trust.set_forwarded_by(by);
    for proxy in proxies {
        trust.add(proxy.parse().expect("the text is a proxy"));
    }
    trust
}

/// The proxy, the client and the scheme as text.
fn text_of(client_info: &ClientInfo) -> String {
    let text = |node: Option<PeerAddr>| node.map_or("-".to_owned(), |node| node.to_string());
    let scheme = client_info.scheme().map_or("-", http::uri::Scheme::as_str);
    format!(
        "{} {} {scheme}",
        text(client_info.proxy()),
        text(client_info.client())
    )
}

fn headers<'a>(lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    lines
        .into_iter()
        .map(|(name, value)| {
            let name: HeaderName = name.parse().expect("the text is a header name");
            (name, value.parse().expect("the text is a header value"))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}

/// Checks the result for the lines of one header, behind 10.0.0.0/8 and 2001:db8::/32.
#[track_caller]
fn check_lines(by: ForwardedBy, name: &str, lines: &[&str], expected: &str) {
    let trust = trust(&["10.0.0.0/8", "2001:db8::/32"], by);
    let headers = headers(lines.iter().map(|line| (name, *line)));
    assert_eq!(
        text_of(&trust.client_info(peer(), &headers)),
        expected,
        "{lines:?}"
    );
}

#[test]
fn x_forwarded_for_is_read_from_the_right() {
    #[track_caller]
    fn check(lines: &[&str], expected: &str) {
        check_lines(
            ForwardedBy::XForwardedFor,
            "x-forwarded-for",
            lines,
            expected,
        );
    }
    check(&[], "- 10.0.0.1:9 http");
    check(&["192.0.2.1"], "10.0.0.1:9 192.0.2.1 -");
    check(&["192.0.2.1:80"], "10.0.0.1:9 192.0.2.1:80 -");
    check(&["2001:db9::1"], "10.0.0.1:9 2001:db9::1 -");
    check(&["[2001:db9::1]"], "10.0.0.1:9 2001:db9::1 -");
    check(&["[2001:db9::1]:80"], "10.0.0.1:9 [2001:db9::1]:80 -");
    check(&[" \t192.0.2.1\t "], "10.0.0.1:9 192.0.2.1 -");
    // Elements that the client sent are on the left.
    check(&["203.0.113.9, 192.0.2.1"], "10.0.0.1:9 192.0.2.1 -");
    check(&["203.0.113.9", "192.0.2.1"], "10.0.0.1:9 192.0.2.1 -");
    check(&["10.0.0.2, 192.0.2.1"], "10.0.0.1:9 192.0.2.1 -");
    check(&["garbage,,\", 192.0.2.1"], "10.0.0.1:9 192.0.2.1 -");
    // A chain of trusted proxies, in one or several lines.
    check(&["192.0.2.1, 10.0.0.2"], "10.0.0.2 192.0.2.1 -");
    check(
        &["203.0.113.9, 192.0.2.1", "10.0.0.2"],
        "10.0.0.2 192.0.2.1 -",
    );
    check(
        &["192.0.2.1", "10.0.0.3, [2001:db8::2]:7"],
        "10.0.0.3 192.0.2.1 -",
    );
    check(&["192.0.2.1, ::ffff:10.0.0.2"], "10.0.0.2 192.0.2.1 -");
    // Only trusted proxies: the farthest one sent the request itself.
    check(&["10.0.0.3, 10.0.0.2"], "10.0.0.2 10.0.0.3 -");
    // The client of the nearest proxy is unknown, and the elements to its left do not count.
    for unknown in [
        "",
        "unknown",
        "_hidden",
        "example.com",
        "192.0.2.256",
        "192.0.2.01",
        "192.0.2.1.",
        "192.0.2.1:",
        "192.0.2.1:+80",
        "192.0.2.1:65536",
        "192.0.2.1 80",
        "192.0.2.1;",
        "[192.0.2.1]",
        "[2001:db9::1",
        "[2001:db9::1]80",
        "2001:db9::1]:80",
        "fe80::1%eth0",
        "\"192.0.2.1\"",
    ] {
        check(&[unknown], "10.0.0.1:9 - -");
        check(&["203.0.113.9", unknown], "10.0.0.1:9 - -");
        check(&[&format!("203.0.113.9, {unknown}")], "10.0.0.1:9 - -");
        check(&[&format!("{unknown}, 10.0.0.2")], "10.0.0.2 - -");
        check(
            &[&format!("{unknown}, 192.0.2.1")],
            "10.0.0.1:9 192.0.2.1 -",
        );
    }
}

#[test]
fn forwarded_is_read_from_the_right() {
    #[track_caller]
    fn check(lines: &[&str], expected: &str) {
        check_lines(ForwardedBy::Forwarded, "forwarded", lines, expected);
    }
    check(&[], "- 10.0.0.1:9 http");
    check(&["for=192.0.2.1"], "10.0.0.1:9 192.0.2.1 -");
    check(&["For=192.0.2.1;Proto=HTTPS"], "10.0.0.1:9 192.0.2.1 https");
    check(
        &["proto=http; by=_a ; for=192.0.2.1;"],
        "10.0.0.1:9 192.0.2.1 http",
    );
    check(&["for=\"192.0.2.1:80\""], "10.0.0.1:9 192.0.2.1:80 -");
    check(&["for=\"192.0.2.1:_port\""], "10.0.0.1:9 192.0.2.1 -");
    check(&["for=\"[2001:db9::1]\""], "10.0.0.1:9 2001:db9::1 -");
    check(
        &["for=\"[2001:db9::1]:80\""],
        "10.0.0.1:9 [2001:db9::1]:80 -",
    );
    check(
        &["for=192.0.2.1;host=\"a,b;c=\\\"d\\\\\""],
        "10.0.0.1:9 192.0.2.1 -",
    );
    check(&["for=192.0.2.1,,", " , "], "10.0.0.1:9 192.0.2.1 -");
    // Elements that the client sent are on the left, and cannot reach across the comma.
    check(
        &["for=203.0.113.9, for=192.0.2.1"],
        "10.0.0.1:9 192.0.2.1 -",
    );
    check(
        &["for=203.0.113.9", "for=192.0.2.1"],
        "10.0.0.1:9 192.0.2.1 -",
    );
    check(
        &["for=\"203.0.113.9, for=192.0.2.1"],
        "10.0.0.1:9 192.0.2.1 -",
    );
    check(
        &["for=\"203.0.113.9\\, for=192.0.2.1"],
        "10.0.0.1:9 192.0.2.1 -",
    );
    check(
        &["a=\"\\, for=\"[2001:db9::1]\""],
        "10.0.0.1:9 2001:db9::1 -",
    );
    // The scheme is that of the connection to the farthest trusted proxy.
    check(
        &["for=192.0.2.1;proto=https, for=10.0.0.2;proto=http"],
        "10.0.0.2 192.0.2.1 https",
    );
    check(
        &["for=203.0.113.9;proto=https, for=192.0.2.1"],
        "10.0.0.1:9 192.0.2.1 -",
    );
    check(
        &["for=192.0.2.1", "for=\"[2001:db8::2]\""],
        "2001:db8::2 192.0.2.1 -",
    );
    for unknown in [
        "for=unknown",
        "for=_hidden",
        "for=",
        "for",
        "=",
        "by=192.0.2.1",
        "for=\"\"",
        "for=192.0.2.1:80",
        "for=[2001:db9::1]",
        "for=\"2001:db9::1\"",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=\"192.0.2.1\"80",
        "for=192.0.2.1 proto=http",
        "for=192.0.2.1;for=192.0.2.1",
        "for=192.0.2.1;proto=http;proto=https",
        "for=192.0.2.1;/",
        "192.0.2.1",
    ] {
        check(&[unknown], "10.0.0.1:9 - -");
        check(&[&format!("for=203.0.113.9, {unknown}")], "10.0.0.1:9 - -");
        check(&[&format!("{unknown}, for=10.0.0.2")], "10.0.0.2 - -");
        check(
            &[&format!("{unknown}, for=192.0.2.1")],
            "10.0.0.1:9 192.0.2.1 -",
        );
    }
    check(&["for=192.0.2.1;proto=gopher"], "10.0.0.1:9 192.0.2.1 -");
}

#[test]
fn last_scheme_of_x_forwarded_proto_counts() {
    #[track_caller]
    fn check(lines: &[(&str, &str)], expected: &str) {
        let trust = trust(&["10.0.0.0/8"], ForwardedBy::XForwarded);
        let text = text_of(&trust.client_info(peer(), &headers(lines.iter().copied())));
        assert_eq!(text, expected, "{lines:?}");
    }
    let client = ("x-forwarded-for", "192.0.2.1");
    check(&[client], "10.0.0.1:9 192.0.2.1 -");
    let proto = "x-forwarded-proto";
    check(&[client, (proto, "https")], "10.0.0.1:9 192.0.2.1 https");
    check(&[client, (proto, "HTTP")], "10.0.0.1:9 192.0.2.1 http");
    check(
        &[client, (proto, "http, https")],
        "10.0.0.1:9 192.0.2.1 https",
    );
    check(
        &[client, (proto, "http"), (proto, "https")],
        "10.0.0.1:9 192.0.2.1 https",
    );
    check(&[client, (proto, "wss")], "10.0.0.1:9 192.0.2.1 -");
    check(&[client, (proto, "https,")], "10.0.0.1:9 192.0.2.1 -");
    check(&[(proto, "https")], "- 10.0.0.1:9 https");
}

/// Headers that contradict each other.
fn contradiction() -> HeaderMap {
    headers([
        ("forwarded", "for=192.0.2.1;proto=https"),
        ("x-forwarded-for", "192.0.2.2"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "192.0.2.3"),
    ])
}

#[test]
fn only_configured_headers_are_trusted() {
    for (by, expected) in [
        (ForwardedBy::XForwarded, "10.0.0.1:9 192.0.2.2 https"),
        (ForwardedBy::XForwardedFor, "10.0.0.1:9 192.0.2.2 -"),
        (ForwardedBy::Forwarded, "10.0.0.1:9 192.0.2.1 https"),
    ] {
        let trust = trust(&["10.0.0.1"], by);
        assert_eq!(
            text_of(&trust.client_info(peer(), &contradiction())),
            expected
        );
    }
}

#[test]
fn untrusted_peers_cannot_name_clients() {
    for by in [
        ForwardedBy::XForwarded,
        ForwardedBy::XForwardedFor,
        ForwardedBy::Forwarded,
    ] {
        for proxies in [&[][..], &["10.0.0.2", "192.0.2.0/24", "::/0", "unix"]] {
            let trust = trust(proxies, by);
            assert_eq!(trust.client_info(peer(), &contradiction()), peer());
        }
    }
}

#[test]
fn trusted_proxies_match_networks_and_unix() {
    #[track_caller]
    fn check(proxy: &str, address: PeerAddr, expected: bool) {
        let trust = trust(&[proxy], ForwardedBy::default());
        assert_eq!(trust.contains(&address), expected, "{proxy}: {address}");
    }
    let ip = |text: &str| PeerAddr::from(text.parse::<IpAddr>().expect("the text is an address"));
    check("10.1.2.3/8", ip("10.255.0.1"), true);
    check("10.1.2.3/8", ip("11.0.0.1"), false);
    check("10.1.2.3", ip("10.1.2.3"), true);
    check("10.1.2.3", ip("10.1.2.4"), false);
    check("0.0.0.0/0", ip("192.0.2.1"), true);
    check("0.0.0.0/0", ip("2001:db8::1"), false);
    check("::/0", ip("2001:db8::1"), true);
    check("2001:db8::/32", ip("2001:db8:ffff::1"), true);
    // An IPv4 address counts in both forms.
    check("10.0.0.0/8", ip("::ffff:10.0.0.1"), true);
    check("::ffff:10.0.0.0/104", ip("10.0.0.1"), true);
    check("::ffff:10.0.0.1", ip("10.0.0.1"), true);
    check("::ffff:10.0.0.1", ip("10.0.0.2"), false);
    check("unix", PeerAddr::UNIX, true);
    check("unix", ip("127.0.0.1"), false);
    check("0.0.0.0/0", PeerAddr::UNIX, false);
    for text in [
        "",
        "localhost",
        "10.0.0.0/33",
        "10.0.0/8",
        "10.0.0.1:80",
        "Unix",
        "*",
    ] {
        assert_eq!(
            text.parse::<TrustedProxy>(),
            Err(TrustedProxyError),
            "{text}"
        );
    }
}

#[test]
fn ten_thousand_elements_are_read() {
    let trust = trust(&["10.0.0.0/8"], ForwardedBy::XForwardedFor);
    let lines = format!("192.0.2.1{}", ", 10.0.0.2".repeat(10_000));
    let text = text_of(&trust.client_info(peer(), &headers([("x-forwarded-for", &*lines)])));
    assert_eq!(text, "10.0.0.2 192.0.2.1 -");
}

proptest! {
    /// Headers from a client never affect what the proxies report.
    #[test]
    fn headers_from_clients_do_not_count(
        forged in vec(any_line(), 0..4),
        same_line in any::<bool>(),
        chain in 0..4usize,
    ) {
        for (by, name, client, proxy) in [
            (ForwardedBy::XForwardedFor, "x-forwarded-for", "192.0.2.1", "10.0.0.2"),
            (ForwardedBy::Forwarded, "forwarded", "for=\"192.0.2.1\";by=_a", "for=10.0.0.2"),
        ] {
            let trust = trust(&["10.0.0.0/8"], by);
            let honest = [&[client][..], &vec![proxy; chain]].concat().join(", ");
            let expected = trust.client_info(peer(), &headers([(name, &*honest)]));
            let mut map = HeaderMap::new();
            let name: HeaderName = name.parse().expect("the text is a header name");
            for line in &forged {
                map.append(&name, line.clone());
            }
            // A proxy appends to the last line, or adds a line.
            let appended = match forged.last() {
                Some(last) if same_line => [last.as_bytes(), b", ", honest.as_bytes()].concat(),
                _ => honest.into_bytes(),
            };
            map.append(&name, HeaderValue::from_bytes(&appended).expect("the parts are header values"));
            prop_assert_eq!(trust.client_info(peer(), &map), expected);
        }
    }

    /// Once a header is accepted or rejected, more bytes do not change the result.
    #[test]
    fn decoding_a_header_is_final(bytes in beginning()) {
        let mut result = Ok(None);
        for end in 0..=bytes.len() {
            let parsed = ProxyHeader::decode(&bytes[..end]);
            if result != Ok(None) {
                prop_assert_eq!(parsed, result);
            }
            if let Ok(Some((_, length))) = parsed {
                prop_assert!(length <= end);
            }
            result = parsed;
        }
    }
}

/// A random header value, or one similar to those of proxies.
fn any_line() -> impl Strategy<Value = HeaderValue> {
    let nonsense = vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8], 0..40);
    let part = select(vec![
        "for=",
        "proto=https",
        "192.0.2.9",
        "10.0.0.3",
        "[2001:db8::1]",
        ":80",
        "unknown",
        "\"",
        "\\",
        ",",
        ", ",
        ";",
        "=",
        "_x",
        "10.0.0.3, ",
        "for=10.0.0.4,",
    ]);
    let likely = vec(part, 0..12).prop_map(|parts| parts.concat().into_bytes());
    prop_oneof![nonsense, likely].prop_map(|value| {
        HeaderValue::from_bytes(&value).expect("all of these bytes may be in a value")
    })
}

/// Bytes that are often almost a PROXY protocol header.
fn beginning() -> impl Strategy<Value = Vec<u8>> {
    let part = select(vec![
        &b"PROXY "[..],
        b"TCP4 ",
        b"TCP6 ",
        b"UNKNOWN",
        b"192.0.2.1 ",
        b"::1 ",
        b"80",
        b" ",
        b"\r\n",
        b"\r\n\r\n\0\r\nQUIT\n",
        b"\x21\x11\0\x0c",
        b"\x21\x21\0\x24",
        b"\x20\0\0\0",
        b"\x21\x11\0\x10",
        b"123456789012",
    ]);
    let likely = vec(part, 0..12).prop_map(|parts| parts.concat());
    (likely, vec(any::<u8>(), 0..30)).prop_map(|(likely, rest)| [likely, rest].concat())
}
