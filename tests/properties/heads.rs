//! HTTP/2 accepts the heads that HTTP/1.1 accepts, and makes the same requests of them.

use httpool::http::HeaderMap;
use httpool::http::header::COOKIE;
use httpool::http1::{Decoder, Event, Input, Limits};
use httpool::http2::{self, hpack};
use httpool::{Request, http1};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const LIMITS: Limits = Limits {
    head: 16 * 1024,
    body: usize::MAX,
};

/// A head that obeys the rules which only HTTP/2 has.
#[derive(Debug)]
pub struct Head {
    method: String,
    target: String,
    host: String,
    /// Whether HTTP/2 sends the host as `:authority`.
    has_authority: bool,
    headers: Vec<(String, String)>,
}

/// Heads, many of which are malformed in one place.
pub fn heads() -> impl Strategy<Value = Head> {
    let method = prop_oneof![
        4 => select(vec!["GET", "OPTIONS", "HEAD", "get"]).prop_map(String::from),
        1 => "[A-Z(!]{1,5}",
    ];
    let target = prop_oneof![
        1 => select(vec!["*", "/*", "/\u{e9}", "/a#b", "/a\\b", "/?\\{}[]|^`\"<>"]).prop_map(String::from),
        4 => "/[a-z./~]{0,6}(%[2-6][0-9a-f])?[!-~ ]{0,1}(\\?[!-~]{0,4})?",
    ];
    let host = prop_oneof![
        3 => "[a-z]{1,4}(:[0-9]{0,3})?",
        1 => "[a-z@:,/%\\[\\].0-9]{1,6}",
    ];
    (method, target, host, any::<bool>(), vec(header(), 0..6)).prop_map(
        |(method, target, host, has_authority, headers)| Head {
            method,
            target,
            host,
            has_authority,
            headers,
        },
    )
}

fn header() -> impl Strategy<Value = (String, String)> {
    let known = select(vec![
        ("content-length", "5"),
        ("content-length", "0"),
        ("content-length", "5, 5"),
        ("expect", "100-continue"),
        ("expect", "x"),
        ("authorization", "a"),
        ("content-type", "a"),
        ("origin", "null"),
        ("cookie", "a=1"),
        ("cookie", ""),
    ]);
    prop_oneof![
        3 => known.prop_map(|(name, value)| (name.to_owned(), value.to_owned())),
        6 => ("[a-z0-9_-]{1,4}", "([!-~]([ -~\\t]{0,5}[!-~])?)?"),
        1 => ("[a-z\"(!]{0,3}", "[!-~\u{1}\u{e9}\u{7f}]{0,3}"),
    ]
}

/// Checks that both protocols accept this head or neither, with the same request.
pub fn check(head: &Head) {
    let mut buffers = (
        http1::RequestBuffer::default(),
        http2::RequestBuffer::default(),
    );
    let one = decode_1(head, &mut buffers.0);
    let two = decode_2(head, &mut buffers.1);
    assert_eq!(one.is_ok(), two.is_ok(), "{head:?}: {one:?} and {two:?}");
    if one.is_err() {
        return;
    }
    let (one, two) = (buffers.0.request, buffers.1.request);
    assert_eq!(one.method(), two.method());
    assert_eq!(one.uri(), two.uri());
    assert_eq!(joined(one), joined(two));
}

fn decode_1(head: &Head, buffer: &mut http1::RequestBuffer) -> Result<(), http1::RequestError> {
    let mut text = format!(
        "{} {} HTTP/1.1\r\nhost: {}\r\n",
        head.method, head.target, head.host
    );
    for (name, value) in &head.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    let mut input = Input::with_capacity(0);
    input.room().extend_from_slice(text.as_bytes());
    let mut decoder = Decoder::default();
    let event = decoder.decode(&mut input, buffer, &LIMITS)?;
    if event != Event::Request {
        decoder.abandon(buffer);
    }
    Ok(())
}

fn decode_2(head: &Head, buffer: &mut http2::RequestBuffer) -> Result<(), http2::RequestError> {
    let host = if head.has_authority {
        ":authority"
    } else {
        "host"
    };
    let mut list = vec![
        (":method", &head.method[..]),
        (":scheme", "http"),
        (":path", &head.target),
    ];
    list.push((host, &head.host));
    list.extend(
        head.headers
            .iter()
            .map(|(name, value)| (&name[..], &value[..])),
    );
    let mut encoder = hpack::Encoder::default();
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for (name, value) in list {
        encoder.field(name.as_bytes(), value.as_bytes(), &mut block);
    }
    let mut decoder = hpack::Decoder::default();
    let decoded = http2::decode_head(&mut decoder, &block, LIMITS.head, buffer);
    decoded.expect("the block can be decoded").map(drop)
}

/// The headers, with the parts of a cookie joined.
fn joined(request: Request) -> HeaderMap {
    let mut headers = request.into_parts().0.headers;
    let parts = headers.get_all(COOKIE).iter();
    let parts: Vec<_> = parts
        .map(|part| part.to_str().expect("it is text"))
        .collect();
    if !parts.is_empty() {
        let whole = parts.join("; ").parse().expect("it is a value");
        headers.insert(COOKIE, whole);
    }
    headers
}
