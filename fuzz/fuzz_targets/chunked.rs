//! Chunked bodies: the first line says how the bytes are split, the rest follows a head that
//! announces chunks.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| httpool_fuzz::connection::check_planned_chunks(input));
