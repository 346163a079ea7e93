//! Header blocks of a connection: the first line says how the bytes are split into blocks.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::hpack::check_planned(input));
