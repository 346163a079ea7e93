//! Heads: the input comes from a client.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::connection::check_whole(input));
