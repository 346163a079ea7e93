//! Whole connections: the first line says how the bytes are split, the rest comes from a client.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::connection::check_planned(input));
