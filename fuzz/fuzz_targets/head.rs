//! Heads: the input is what a client sends.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::connection::check_whole(input));
