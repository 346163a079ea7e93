//! Inputs whose first line is a plan for the rest, so that a fuzzer changes both.

/// Takes off the first line.
pub fn split(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n');
    let (plan, rest) = input.split_at(end.unwrap_or(0));
    (plan, rest.strip_prefix(b"\n").unwrap_or(rest))
}

/// The size that a byte of a plan describes: 1 to 64.
pub fn size(byte: u8) -> usize {
    usize::from(byte & 0x3f) + 1
}
