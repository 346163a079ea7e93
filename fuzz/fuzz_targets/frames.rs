//! Frames: the first line says how the bytes are split, the rest comes from a client of HTTP/2
//! after its preface.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::frames::check_planned(input));
