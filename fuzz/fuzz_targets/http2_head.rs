//! The header block of one request of HTTP/2.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::http2_head::check(input));
