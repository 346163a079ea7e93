//! Bytes to try: requests that are almost right, and any other bytes.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::chunks::Chunk;
use crate::connection::Read;

/// Material for mistakes: bytes that have a meaning somewhere in a request.
const FRAGMENTS: [&[u8]; 24] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b";",
    b",",
    b"0",
    b"1",
    b"\x7f",
    b"\x80",
    b"\xc3\xa9",
    b"#",
    b"/",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"chunked",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: y\r\n",
];

/// Bytes that are shown as text when a test fails.
#[derive(Clone)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Several requests, one after another, most of them valid.
pub fn requests() -> impl Strategy<Value = Vec<u8>> {
    (vec(request(), 0..4), any::<prop::sample::Index>(), 0..3).prop_map(
        |(requests, truncation, whole)| {
            let mut stream = requests.concat();
            if whole == 0 && !stream.is_empty() {
                stream.truncate(truncation.index(stream.len()));
            }
            stream
        },
    )
}

/// The bytes of `requests` with a few inserted, removed or replaced.
pub fn damaged_requests(
    requests: impl Strategy<Value = Vec<u8>>,
) -> impl Strategy<Value = Vec<u8>> {
    let position = any::<prop::sample::Index>();
    let mistake = (position, 0..3_usize, select(&FRAGMENTS[..]));
    (requests, vec(mistake, 1..4)).prop_map(|(mut stream, mistakes)| {
        for (position, removed, inserted) in mistakes {
            let start = position.index(stream.len() + 1);
            let end = (start + removed).min(stream.len());
            let inserted = if removed == 2 { b"" } else { inserted };
            stream.splice(start..end, inserted.iter().copied());
        }
        stream
    })
}

/// Any bytes, and any sequence of parts that have a meaning.
pub fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop_oneof![
        4 => select(&FRAGMENTS[..]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..4),
        1 => Just(b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec()),
    ];
    prop_oneof![
        vec(any::<u8>(), 0..64),
        vec(parts, 0..24).prop_map(|parts| parts.concat())
    ]
}

pub fn reads() -> impl Strategy<Value = Vec<Read>> {
    let size = prop_oneof![1..4_usize, 1..200_usize];
    let read = (size, any::<bool>()).prop_map(|(size, direct)| Read { size, direct });
    vec(read, 1..8)
}

pub fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let extension = prop_oneof![
        3 => Just(String::new()),
        1 => r#"([ \t]{0,2};[ \t]{0,2}[a-z'!#]{1,8}([ \t]{0,2}=[ \t]{0,2}([a-z0-9]{1,8}|"([ !#-\[\]-~\t]|\\[ -~]){0,9}"))?){1,3}"#,
    ];
    let content = prop_oneof![4 => vec(any::<u8>(), 1..40), 1 => vec(any::<u8>(), 200..5000)];
    let chunk = (content, 0..4_usize, any::<bool>(), extension);
    let chunk = chunk.prop_map(|(content, zeros, upper_case, extension)| Chunk {
        content,
        zeros,
        upper_case,
        extension,
    });
    vec(chunk, 0..6)
}

pub fn trailers() -> impl Strategy<Value = Vec<String>> {
    vec("[A-Za-z-]{1,12}: ?[ -~]{0,20}", 0..4)
}

/// The description of a response, for [`check_described`](crate::response::check_described).
pub fn response() -> impl Strategy<Value = Vec<u8>> {
    let status = prop_oneof![
        select(vec![100, 101, 103, 200, 204, 205, 304, 404, 500, 999]),
        100..1000_i32,
    ];
    let words = (
        select(vec!["", " HEAD"]),
        select(vec!["", " 1.0"]),
        select(vec!["", " close"]),
        select(vec!["", " reader", " sized"]),
    );
    let name = prop_oneof![
        select(vec![
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "Date",
            "Set-Cookie",
            "Upgrade",
            "Trailer",
            "X-A",
        ])
        .prop_map(ToOwned::to_owned),
        "[!#-'*+.^_`|~0-9A-Za-z-]{1,12}",
    ];
    let value = prop_oneof![
        "[0-9]{1,3}".prop_map(String::into_bytes),
        "[ -~\t]{0,30}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..30),
    ];
    let header = (name, value).prop_map(|(name, value)| [name.as_bytes(), b":", &value].concat());
    let body = prop_oneof![Just(Vec::new()), vec(any::<u8>(), 0..60)];
    (status, words, vec(header, 0..8), body).prop_map(|(status, words, headers, body)| {
        let mut text =
            format!("{status}{}{}{}{}\n", words.0, words.1, words.2, words.3).into_bytes();
        for header in headers {
            text.extend(header);
            text.push(b'\n');
        }
        text.push(b'\n');
        text.extend(body);
        text
    })
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = select(vec![
        "GET", "POST", "HEAD", "OPTIONS", "CONNECT", "PUT", "M-SEARCH",
    ]);
    let target = prop_oneof![
        4 => "/[a-z0-9/?=&%.~]{0,12}",
        2 => "(http://x)?/(%[2-7][0-9a-fA-F]|[a/.%]){0,6}",
        1 => select(vec!["*", "x:443", "http://x/a?b", "HTTPS://x", "/a#b", "ftp://x/", "/é", ""])
            .prop_map(ToOwned::to_owned),
    ];
    let version = prop_oneof![
        8 => Just("HTTP/1.1"),
        2 => Just("HTTP/1.0"),
        1 => select(vec!["HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.10", ""]),
    ];
    let before = select(vec!["", "", "", "\r\n", "\r\n\r\n"]);
    let host = prop_oneof![
        8 => Just("Host: x\r\n"),
        1 => select(vec!["", "Host:\r\n", "host: [::1]:80\r\n", "Host: a b\r\n", "Host: x\r\nHost: x\r\n"]),
    ];
    let headers = vec(header(), 0..5).prop_map(|headers| headers.concat());
    let extra = select(vec![0_usize, 0, 0, 0, 0, 0, 0, 97, 98, 99, 100]);
    (
        before,
        method,
        target,
        version,
        host,
        headers,
        extra,
        framed(),
    )
        .prop_map(
            |(before, method, target, version, host, headers, extra, framed)| {
                let extra = "A:\r\n".repeat(extra);
                let mut bytes =
                    format!("{before}{method} {target} {version}\r\n{host}{headers}{extra}")
                        .into_bytes();
                bytes.extend(framed);
                bytes
            },
        )
}

fn header() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-z-]{1,8}:[ \t]{0,2}[ -~]{0,20}[ \t]?\r\n",
        3 => select(vec![
            "Connection: close\r\n", "Connection: a, CLOSE ,b\r\n", "Connection: keep-alive\r\n",
            "connection:\tKeep-Alive\r\n", "Connection: closed\r\n", "Expect: 100-continue\r\n",
            "Expect: 100-Continue\r\n", "Expect: magic\r\n", "A: caf\u{e9}\r\n", "A:\r\n",
        ])
        .prop_map(ToOwned::to_owned),
        1 => "[a-z]{1,6}: [a-z]{0,300}\r\n",
    ]
}

/// The framing headers, the empty line, and the body.
fn framed() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![0..12_usize, 95..105_usize];
    let with_length = (length, select(vec!["", "0", "+", "-", " "])).prop_map(|(length, sign)| {
        let mut bytes = format!("Content-Length: {sign}{length}\r\n\r\n").into_bytes();
        bytes.resize(bytes.len() + length, b'x');
        bytes
    });
    let coding = prop_oneof![
        8 => Just("chunked"),
        1 => select(vec!["CHUNKED", "gzip", "gzip, chunked", "chunked, chunked", ""]),
    ];
    let chunk = (
        0..20_usize,
        select(vec!["", "", ";", " ;a=\"b\"", " ", "\t; x"]),
    )
        .prop_map(|(size, extension)| {
            let content = "y".repeat(size);
            match size {
                0 => String::new(),
                _ => format!("{size:x}{extension}\r\n{content}\r\n"),
            }
        });
    let trailers = select(vec!["", "", "A: b\r\n", "A: b\r\nnonsense\r\n"]);
    let with_chunks =
        (coding, vec(chunk, 0..8), trailers).prop_map(|(coding, chunks, trailers)| {
            let chunks = chunks.concat();
            format!("Transfer-Encoding: {coding}\r\n\r\n{chunks}0\r\n{trailers}\r\n").into_bytes()
        });
    prop_oneof![
        4 => Just(b"\r\n".to_vec()),
        4 => with_length,
        4 => with_chunks,
        1 => Just(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec()),
        1 => Just(b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello".to_vec()),
        1 => Just(b"Content-Length: 18446744073709551616\r\n\r\n".to_vec()),
    ]
}
