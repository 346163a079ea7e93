//! Responses: the input describes one.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::response::check_described(input));
