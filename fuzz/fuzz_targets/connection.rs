//! Whole connections: the first line says how the bytes are cut, the rest is what a client sends.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::connection::check_planned(input));
