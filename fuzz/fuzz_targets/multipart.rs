//! Forms with files: the first line says how the bytes are split, the rest is a body with the boundary
//! `b`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::multipart::check_planned(input));
