//! Counts decoding and encoding, in a process that does nothing else.

use std::env;
use std::process::Stdio;

use httpool::Response;

use crate::callgrind::Counting;
use crate::http2;
use crate::messages::{
    BROWSER_GET, CURL_GET, Decoding, Encoding, plain_response, post, rich_response,
};

/// The argument that makes this bench run the measured work; a name and a number follow.
const REPEAT: &str = "repeat";

/// Start-up is in both, so the difference is the repetitions alone.
const FEW: u64 = 1_000;
const MANY: u64 = 3_000;

/// The repeated work.
type Work = fn(repeats: u64);

const CASES: [(&str, Work); 12] = [
    ("decode/get_curl", |repeats| {
        decode(CURL_GET.as_bytes(), repeats);
    }),
    ("decode/get_browser", |repeats| {
        decode(BROWSER_GET.as_bytes(), repeats);
    }),
    ("decode/post_1k", |repeats| decode(&post(None), repeats)),
    ("decode/post_1k_chunked", |repeats| {
        decode(&post(Some(256)), repeats);
    }),
    ("encode/plain", |repeats| encode(&plain_response(), repeats)),
    ("encode/six_fields", |repeats| {
        encode(&rich_response(), repeats);
    }),
    ("http2/decode_browser_first", http2::decode_first),
    ("http2/decode_browser", |repeats| {
        http2::decode_indexed(BROWSER_GET, repeats);
    }),
    ("http2/decode_curl", |repeats| {
        http2::decode_indexed(CURL_GET, repeats);
    }),
    ("http2/encode_plain", |repeats| {
        http2::encode(&plain_response(), repeats);
    }),
    ("http2/encode_six_fields", |repeats| {
        http2::encode(&rich_response(), repeats);
    }),
    ("http2/exchange_curl", |repeats| {
        http2::exchange(CURL_GET, &plain_response(), repeats);
    }),
];

/// Runs the measured work if this process was started for it, and returns whether it was.
pub(crate) fn repeat_if_asked() -> bool {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() != Some(REPEAT) {
        return false;
    }
    let name = arguments.next().expect("a name follows");
    let repeats = arguments.next().and_then(|number| number.parse().ok());
    let (_, work) = CASES
        .into_iter()
        .find(|(known, _)| *known == name)
        .expect("the name is known");
    work(repeats.expect("a number follows"));
    true
}

/// Runs all of it once, uncounted.
pub(crate) fn try_out() {
    for (_, work) in CASES {
        work(1);
    }
}

/// The instructions of each.
pub(crate) fn count() -> impl Iterator<Item = (&'static str, u64)> {
    CASES.into_iter().map(|(name, _)| {
        let instructions = total(name, MANY) - total(name, FEW);
        (name, instructions / (MANY - FEW))
    })
}

fn total(name: &str, repeats: u64) -> u64 {
    let counting = Counting::new();
    let status = counting
        .command(env::current_exe().expect("a bench knows its path"))
        .args([REPEAT, name, &repeats.to_string()])
        .stdin(Stdio::null())
        .status();
    assert!(
        status.expect("valgrind can be started").success(),
        "{name} ends as it should"
    );
    counting.counts().main_thread
}

fn decode(message: &[u8], repeats: u64) {
    let mut decoding = Decoding::new();
    for _ in 0..repeats {
        decoding.decode(message);
    }
}

fn encode(response: &Response, repeats: u64) {
    let mut encoding = Encoding::new();
    for _ in 0..repeats {
        encoding.encode(response);
    }
}
