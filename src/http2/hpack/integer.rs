//! Integers with a prefix (RFC 7541 section 5.1).

use super::HpackError;

/// Most bytes after the prefix. With four of seven bits each, no value overflows a `u32`, and every
/// length, index and table size that can be valid here fits.
const MAX_CONTINUATION: usize = 4;

/// Decodes the integer at the start of `input` whose prefix has this many bits, and returns it with
/// the number of its bytes.
#[inline]
pub(super) fn decode(input: &[u8], prefix_bits: u32) -> Result<(usize, usize), HpackError> {
    let (first, rest) = input.split_first().ok_or(HpackError::Truncated)?;
    let mask = prefix_mask(prefix_bits);
    match first & mask {
        value if value < mask => Ok((value.into(), 1)),
        _ => decode_long(mask, rest),
    }
}

/// Decodes an integer whose prefix is full.
fn decode_long(mask: u8, rest: &[u8]) -> Result<(usize, usize), HpackError> {
    let mut value = u32::from(mask);
    for (index, byte) in rest.iter().take(MAX_CONTINUATION).enumerate() {
        value += u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value as usize, index + 2));
        }
    }
    Err(match rest.len() < MAX_CONTINUATION {
        true => HpackError::Truncated,
        false => HpackError::Integer,
    })
}

/// Appends an integer. The bits of `pattern` above the prefix say what it is.
#[inline]
pub(super) fn encode(value: usize, pattern: u8, prefix_bits: u32, output: &mut Vec<u8>) {
    let mask = prefix_mask(prefix_bits);
    match value < usize::from(mask) {
        true => output.push(pattern | value as u8),
        false => encode_long(value - usize::from(mask), pattern | mask, output),
    }
}

fn encode_long(mut rest: usize, first: u8, output: &mut Vec<u8>) {
    output.push(first);
    while rest >= 0x80 {
        output.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    output.push(rest as u8);
}

fn prefix_mask(bits: u32) -> u8 {
    u8::MAX >> (u8::BITS - bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest integer with a prefix of 5 bits.
    const MOST: usize = 31 + (1 << 28) - 1;

    #[track_caller]
    fn check(value: usize, prefix_bits: u32, encoded: &[u8]) {
        let pattern = !prefix_mask(prefix_bits);
        let mut output = Vec::new();
        encode(value, pattern, prefix_bits, &mut output);
        assert_eq!(output[0] & pattern, pattern);
        output[0] &= !pattern;
        assert_eq!(output, encoded);
        // The bits before the prefix and the bytes behind the integer are not part of it.
        for first in [encoded[0], encoded[0] | pattern] {
            let input = [&[first], &encoded[1..], &[0xff, 0]].concat();
            assert_eq!(decode(&input, prefix_bits), Ok((value, encoded.len())));
            for end in 0..encoded.len() {
                assert_eq!(
                    decode(&input[..end], prefix_bits),
                    Err(HpackError::Truncated),
                    "{end} bytes"
                );
            }
        }
    }

    /// RFC 7541 appendix C.1.
    #[test]
    fn integers_of_the_rfc() {
        check(10, 5, &[0b01010]);
        check(1337, 5, &[0b11111, 0b1001_1010, 0b0000_1010]);
        check(42, 8, &[0b0010_1010]);
    }

    #[test]
    fn integers_at_the_borders_of_their_lengths() {
        for bits in 4..=8 {
            let mask = prefix_mask(bits);
            let full = usize::from(mask);
            check(0, bits, &[0]);
            check(full - 1, bits, &[mask - 1]);
            check(full, bits, &[mask, 0]);
            check(full + 127, bits, &[mask, 0x7f]);
            check(full + 128, bits, &[mask, 0x80, 1]);
            check(full + (1 << 28) - 1, bits, &[mask, 0xff, 0xff, 0xff, 0x7f]);
        }
    }

    #[test]
    fn longer_integers_are_rejected() {
        for long in [
            &[0x1f, 0x80, 0x80, 0x80, 0x80][..],
            &[0x1f, 0x80, 0x80, 0x80, 0x80, 0],
            &[0x1f, 0x80, 0x80, 0x80, 0x80, 1],
            &[0x1f, 0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0xff; 64],
        ] {
            assert_eq!(decode(long, 5), Err(HpackError::Integer), "{long:x?}");
        }
        assert_eq!(decode(&[0x1f, 0xff, 0xff, 0xff, 0x7f], 5), Ok((MOST, 5)));
    }

    /// The RFC permits zeros at the end, up to the limit in bytes.
    #[test]
    fn longer_forms_of_small_integers_are_accepted() {
        assert_eq!(decode(&[0x1f, 0x80, 0], 5), Ok((31, 3)));
        assert_eq!(decode(&[0x1f, 0x80, 0x80, 0x80, 0], 5), Ok((31, 5)));
    }
}
