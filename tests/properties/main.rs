//! Properties that hold for all bytes, tested with random ones: requests however they are split,
//! responses whatever a handler returns.
//!
//! The properties are functions that take bytes. Here proptest generates the bytes; in `fuzz/` a
//! fuzzer does. Each run tries other cases; `PROPTEST_CASES` sets their number.

#![allow(
    unreachable_pub,
    reason = "the fuzz targets include these modules and need what is in them"
)]

/// The chunked coding.
mod chunks;
/// A sequence of requests.
mod connection;
/// The frames of HTTP/2.
mod frames;
/// Bytes to try: requests that are almost right, and any other bytes.
mod generate;
/// Bytes of HTTP/2 to try.
mod generate_http2;
/// Forms to try.
mod generate_multipart;
/// Heads of both protocols.
mod heads;
/// The compressed headers of HTTP/2.
mod hpack;
/// Connections of HTTP/2.
mod http2_connection;
/// The heads of HTTP/2.
mod http2_head;
/// Forms with files.
mod multipart;
/// Inputs whose first line says how the rest is split.
mod plan;
/// A second implementation of the rules.
mod reference;
/// A second implementation of the rules for heads of HTTP/2.
mod reference_http2;
/// A second reader of forms.
mod reference_multipart;
/// Responses.
mod response;

use std::fs;
use std::path::Path;

use generate::Bytes;
use proptest::prelude::*;

/// As many cases as take a few seconds in total without optimisation. A failure prints its bytes,
/// which belong in a unit test; no file records them.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|cases| cases.parse().ok()).unwrap_or(usual),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The seeds of the fuzzers, and inputs that failed once: each file is a case.
#[test]
fn fuzz_seeds_pass() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    // A published crate does not contain them.
    if !seeds.exists() {
        return;
    }
    let check = |target: &str, check: fn(&[u8])| {
        let files = fs::read_dir(seeds.join(target)).expect("each target has seeds");
        for file in files {
            let path = file.expect("seeds are listed").path();
            println!("{}", path.display());
            check(&fs::read(path).expect("seeds are read"));
        }
    };
    check("head", connection::check_whole);
    check("chunked", connection::check_planned_chunks);
    check("connection", connection::check_planned);
    check("response", response::check_described);
    check("hpack", hpack::check_planned);
    check("frames", frames::check_planned);
    check("http2_head", http2_head::check);
    check("http2_connection", http2_connection::check_planned);
    check("multipart", multipart::check_planned);
}

/// The generators do not produce this much.
#[test]
fn extensions_and_trailers_are_accepted_up_to_their_limit() {
    for overhead in 16 * 1024 - 1..=16 * 1024 + 1 {
        let filler = "a".repeat(overhead);
        let (some, rest) = filler.split_at(overhead / 3);
        for coded in [
            format!("0;{filler}\r\n\r\n"),
            format!("0\r\n{filler}\r\n\r\n"),
            format!("1;{some}\r\nx\r\n0\r\n{rest}\r\n\r\n"),
            format!("1;{filler}"),
        ] {
            connection::check_planned_chunks(format!("~\n{coded}").as_bytes());
        }
    }
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn http2_heads_match_the_reference(block in generate_http2::head().prop_map(Bytes)) {
        http2_head::check(&block.0);
    }

    #[test]
    fn forms_match_the_reference_at_any_split(
        form in generate_multipart::any_form().prop_map(Bytes),
        sizes in prop::collection::vec(1..64_usize, 1..8),
    ) {
        multipart::check(&form.0, &sizes);
    }

    #[test]
    fn encoded_forms_are_decoded_to_their_parts(
        parts in generate_multipart::parts(),
        surroundings in generate_multipart::surroundings(),
        sizes in prop::collection::vec(1..64_usize, 1..8),
    ) {
        let body = generate_multipart::encode(&parts, surroundings);
        multipart::expect(&body, &sizes, &parts);
        multipart::check(&body, &sizes);
    }

    #[test]
    fn requests_match_the_reference_at_any_split(
        requests in generate::requests().prop_map(Bytes),
        reads in generate::reads(),
    ) {
        connection::check(&requests.0, &reads);
    }

    #[test]
    fn damaged_requests_match_the_reference_at_any_split(
        requests in generate::damaged_requests(generate::requests()).prop_map(Bytes),
        reads in generate::reads(),
    ) {
        connection::check(&requests.0, &reads);
    }

    #[test]
    fn any_bytes_match_the_reference_at_any_split(
        bytes in generate::any_bytes().prop_map(Bytes),
        reads in generate::reads(),
    ) {
        connection::check(&bytes.0, &reads);
    }
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn header_blocks_match_another_decoder(input in generate_http2::header_blocks().prop_map(Bytes)) {
        hpack::check_planned(&input.0);
    }

    #[test]
    fn http2_connections_keep_the_rules(input in generate_http2::connection().prop_map(Bytes)) {
        http2_connection::check_planned(&input.0);
    }

    #[test]
    fn frames_are_the_same_at_any_split(input in generate_http2::frames().prop_map(Bytes)) {
        frames::check_planned(&input.0);
    }

    #[test]
    fn chunked_coding_round_trips(
        chunks in generate::chunks(),
        trailers in generate::trailers(),
        reads in generate::reads(),
    ) {
        chunks::check(&chunks, &trailers, &reads);
    }

    #[test]
    fn responses_arrive_as_described(
        text in generate::response().prop_map(Bytes),
    ) {
        response::check_described(&text.0);
    }

    #[test]
    fn both_protocols_accept_the_same_heads(head in heads::heads()) {
        heads::check(&head);
    }
}
