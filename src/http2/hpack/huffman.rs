//! Decodes the Huffman code of strings (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: codes of one length are consecutive numbers in the order of their symbols,
//! and all codes of a length precede the longer ones. So the lengths alone determine it.

use super::HpackError;

/// The length of each symbol's code in bits. The last symbol is EOS, which no string may contain.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const EOS: u16 = 256;
const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// One lookup decodes codes of up to this many bits: those of almost all characters in headers. The
/// table has 2 KiB.
const LOOKUP_BITS: usize = 10;

/// The symbol with its length in bits for each start of a string, or a length of zero if the code is
/// longer.
static LOOKUP: [(u8, u8); 1 << LOOKUP_BITS] = lookup();
static LONG: LongCodes = long_codes();

/// The codes of each length, to find those that `LOOKUP` does not have.
struct LongCodes {
    /// The number after the last code of each length, at the left of 32 bits.
    end: [u64; LONGEST + 1],
    /// The offset from a code of each length to the position of its symbol.
    offset: [i64; LONGEST + 1],
    /// All symbols in the order of their codes.
    symbols: [u16; 257],
}

const fn long_codes() -> LongCodes {
    let mut codes = LongCodes {
        end: [0; LONGEST + 1],
        offset: [0; LONGEST + 1],
        symbols: [0; 257],
    };
    let (mut code, mut position, mut length) = (0_u64, 0, 1);
    while length <= LONGEST {
        code <<= 1;
        codes.offset[length] = position as i64 - code as i64;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                codes.symbols[position] = symbol as u16;
                position += 1;
                code += 1;
            }
            symbol += 1;
        }
        codes.end[length] = code << (32 - length);
        length += 1;
    }
    assert!(code == 1 << LONGEST, "every string of bits has a code");
    codes
}

const fn lookup() -> [(u8, u8); 1 << LOOKUP_BITS] {
    let codes = long_codes();
    let mut table = [(0, 0); 1 << LOOKUP_BITS];
    let mut start = 0;
    while start < table.len() {
        let (symbol, length) = find(&codes, SHORTEST, (start as u32) << (32 - LOOKUP_BITS));
        if length <= LOOKUP_BITS {
            table[start] = (symbol as u8, length as u8);
        }
        start += 1;
    }
    table
}

/// The symbol at the start of these bits and the length of its code, which has at least `shortest`
/// bits.
const fn find(codes: &LongCodes, shortest: usize, bits: u32) -> (u16, usize) {
    let mut length = shortest;
    while length < LONGEST && bits as u64 >= codes.end[length] {
        length += 1;
    }
    let code = (bits >> (32 - length)) as i64;
    let position = (code + codes.offset[length]) as usize;
    (codes.symbols[position], length)
}

/// Decodes a string and appends it to `output`, unless it has more than `most` bytes.
pub(super) fn decode(coded: &[u8], most: usize, output: &mut Vec<u8>) -> Result<(), HpackError> {
    let start = output.len();
    output.reserve(most.min(coded.len() * 8 / SHORTEST));
    let mut bits = Bits::new(coded);
    loop {
        if most - (output.len() - start) >= 3
            && let Some(three) = bits.three_short()
        {
            output.extend_from_slice(&three);
            continue;
        }
        let Some(symbol) = bits.next_symbol()? else {
            break;
        };
        if output.len() - start == most {
            return Err(HpackError::TooLarge);
        }
        output.push(symbol);
    }
    match bits.rest_is_padding() {
        true => Ok(()),
        false => Err(HpackError::Huffman),
    }
}

/// The bits of a string that are not decoded yet.
struct Bits<'a> {
    /// The next ones, from the left. Zeros follow them.
    window: u64,
    /// How many of the window there are.
    count: usize,
    /// The bytes after them.
    rest: &'a [u8],
}

impl<'a> Bits<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self {
            window: 0,
            count: 0,
            rest,
        }
    }

    /// Fills the window with at least as many bits as the longest code has, if there are as many.
    #[inline]
    fn fill(&mut self) {
        if self.count > 32 {
            return;
        }
        if let Some((four, rest)) = self.rest.split_first_chunk() {
            self.window |= u64::from(u32::from_be_bytes(*four)) << (32 - self.count);
            self.count += 32;
            self.rest = rest;
            return;
        }
        for byte in self.rest {
            self.window |= u64::from(*byte) << (56 - self.count);
            self.count += 8;
        }
        self.rest = &[];
    }

    /// The next three symbols, if their codes are short and there are enough bits for any three of
    /// these. Most text consists of such codes, and one check for three symbols halves the
    /// instructions of a browser's first head.
    #[inline]
    fn three_short(&mut self) -> Option<[u8; 3]> {
        self.fill();
        if self.count < 3 * LOOKUP_BITS {
            return None;
        }
        let (mut window, mut length, mut symbols) = (self.window, 0, [0; 3]);
        for symbol in &mut symbols {
            let (next, bits) = LOOKUP[(window >> (64 - LOOKUP_BITS)) as usize];
            if bits == 0 {
                return None;
            }
            *symbol = next;
            window <<= bits;
            length += usize::from(bits);
        }
        self.window = window;
        self.count -= length;
        Some(symbols)
    }

    /// The next symbol, or `None` if its code is not complete.
    fn next_symbol(&mut self) -> Result<Option<u8>, HpackError> {
        self.fill();
        // With ones behind the last bit, as in the padding, what is left of it is no complete code.
        let next = self.window | u64::MAX.checked_shr(self.count as u32).unwrap_or(0);
        let (symbol, length) = LOOKUP[(next >> (64 - LOOKUP_BITS)) as usize];
        let (symbol, length) = match length {
            // The code is longer than what is left.
            0 if self.count <= LOOKUP_BITS => return Ok(None),
            0 => find(&LONG, LOOKUP_BITS + 1, (next >> 32) as u32),
            length => (symbol.into(), length.into()),
        };
        if length > self.count {
            return Ok(None);
        }
        if symbol == EOS {
            return Err(HpackError::Huffman);
        }
        self.window <<= length;
        self.count -= length;
        Ok(Some(symbol as u8))
    }

    /// Whether the rest is shorter than a byte and has only ones.
    fn rest_is_padding(&self) -> bool {
        self.count < 8 && self.window.leading_ones() as usize == self.count
    }
}

/// Encodes strings for tests.
#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    for byte in text {
        bits.extend(code(u16::from(*byte)));
    }
    bytes(&bits)
}

/// The code of a symbol, bit by bit.
#[cfg(test)]
fn code(symbol: u16) -> Vec<bool> {
    let length = usize::from(LENGTHS[usize::from(symbol)]);
    let position = LONG.symbols.iter().position(|known| *known == symbol);
    let position = position.expect("every symbol has a code");
    let code = position as i64 - LONG.offset[length];
    (0..length).rev().map(|bit| code >> bit & 1 == 1).collect()
}

/// Packs bits into bytes and pads the last one.
#[cfg(test)]
fn bytes(bits: &[bool]) -> Vec<u8> {
    let byte = |bits: &[bool]| {
        let bit = |index| bits.get(index).copied().unwrap_or(true);
        (0..8).fold(0, |byte, index| byte << 1 | u8::from(bit(index)))
    };
    bits.chunks(8).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, HpackError> {
        let mut output = Vec::new();
        decode(coded, usize::MAX / 16, &mut output).map(|()| output)
    }

    /// Some codes of RFC 7541 appendix B, one or more of each group.
    #[test]
    fn codes_of_the_rfc() {
        for (symbol, expected) in [
            (b'0'.into(), "00000"),
            (b't'.into(), "01001"),
            (b' '.into(), "010100"),
            (b'u'.into(), "101101"),
            (b':'.into(), "1011100"),
            (b'z'.into(), "1111011"),
            (b'&'.into(), "11111000"),
            (b'Z'.into(), "11111101"),
            (b'!'.into(), "1111111000"),
            (b'?'.into(), "1111111100"),
            (b'\''.into(), "11111111010"),
            (b'|'.into(), "11111111100"),
            (b'#'.into(), "111111111010"),
            (0, "1111111111000"),
            (b'~'.into(), "1111111111101"),
            (b'}'.into(), "11111111111101"),
            (b'<'.into(), "111111111111100"),
            (b'\\'.into(), "1111111111111110000"),
            (128, "11111111111111100110"),
            (9, "111111111111111111101010"),
            (255, "11111111111111111111101110"),
            (249, "1111111111111111111111111110"),
            (10, "111111111111111111111111111100"),
            (22, "111111111111111111111111111110"),
            (EOS, "111111111111111111111111111111"),
        ] {
            let expected: Vec<bool> = expected.bytes().map(|bit| bit == b'1').collect();
            assert_eq!(code(symbol), expected, "{symbol}");
        }
    }

    #[test]
    fn every_byte_is_decoded_at_every_bit() {
        for byte in 0..=255 {
            for before in 0..8 {
                for after in 0..8 {
                    let text = [vec![b'0'; before], vec![byte], vec![b'a'; after]].concat();
                    assert_eq!(decoded(&encode(&text)), Ok(text));
                }
            }
        }
        assert_eq!(decoded(b""), Ok(Vec::new()));
    }

    #[test]
    fn padding_is_shorter_than_a_byte() {
        // Eight and sixteen ones begin longer codes.
        for coded in [
            &[0xff][..],
            &[0xff, 0xff],
            &[0xff; 3],
            &[0xff; 4],
            &[0xff; 64],
        ] {
            assert_eq!(decoded(coded), Err(HpackError::Huffman), "{coded:x?}");
        }
        // Five, six, seven and eight bits of text, each followed by the padding and a byte of ones.
        for text in [&b"0"[..], b" ", b":", b"&", b"00", b"www.example.com"] {
            let mut coded = encode(text);
            assert_eq!(decoded(&coded), Ok(text.to_vec()));
            coded.push(0xff);
            assert_eq!(decoded(&coded), Err(HpackError::Huffman));
        }
    }

    #[test]
    fn padding_has_only_ones() {
        for text in [&b"0"[..], b" ", b":", b"00", b"0000", b"a b"] {
            let coded = encode(text);
            let padding = coded.len() * 8 - bit_length(text);
            assert!(padding > 0);
            for bit in 0..padding {
                let mut wrong = coded.clone();
                *wrong.last_mut().expect("text has a code") ^= 1 << bit;
                // With enough bits the change can begin another symbol.
                if padding < SHORTEST {
                    assert_eq!(decoded(&wrong), Err(HpackError::Huffman), "{wrong:x?}");
                } else {
                    assert_ne!(decoded(&wrong), Ok(text.to_vec()), "{wrong:x?}");
                }
            }
        }
    }

    fn bit_length(text: &[u8]) -> usize {
        text.iter().map(|byte| code((*byte).into()).len()).sum()
    }

    #[test]
    fn end_of_string_symbol_is_rejected() {
        for before in 0..8 {
            for after in 0..3 {
                let mut bits: Vec<bool> = code(b'0'.into()).repeat(before);
                bits.extend(code(EOS));
                bits.extend(code(b'a'.into()).repeat(after));
                assert_eq!(decoded(&bytes(&bits)), Err(HpackError::Huffman));
            }
        }
    }

    /// Every start of every code that is longer than a byte.
    #[test]
    fn truncated_codes_are_rejected() {
        for symbol in 0..=EOS {
            let whole = code(symbol);
            for length in (8..whole.len()).step_by(8) {
                let coded = bytes(&whole[..length]);
                assert_eq!(decoded(&coded), Err(HpackError::Huffman), "{symbol}");
            }
        }
    }

    #[test]
    fn text_over_the_limit_is_not_stored() {
        let coded = encode(&[b'0'; 4000]);
        let mut output = b"kept".to_vec();
        assert_eq!(decode(&coded, 4000, &mut output), Ok(()));
        assert_eq!(output.len(), 4004);
        for most in [0, 1, 3999] {
            let mut output = Vec::new();
            let result = decode(&coded, most, &mut output);
            assert_eq!(result, Err(HpackError::TooLarge));
            assert_eq!(output.len(), most);
            assert!(output.capacity() <= most.max(8));
        }
    }

    proptest! {
        #[test]
        fn encoded_text_is_decoded(text: Vec<u8>) {
            prop_assert_eq!(decoded(&encode(&text)), Ok(text));
        }

        /// A string has one code only.
        #[test]
        fn random_bits_are_the_code_of_their_text(coded: Vec<u8>) {
            if let Ok(text) = decoded(&coded) {
                prop_assert_eq!(encode(&text), coded);
            }
        }
    }
}
