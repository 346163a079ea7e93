//! Connections of HTTP/2: the first line says what the server does and how the bytes are split, the
//! rest comes from a client after its preface.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::http2_connection::check_planned(input));
