//! Blocks that are equal to the last one.

use std::mem;

use super::*;

/// Adds `:authority: it` to the table.
const ADDS: &[u8] = b"\x82\x87\x84\x41\x02it";
const ADDS_ANOTHER: &[u8] = b"\x82\x87\x84\x41\x02no";
/// Refers to what was added last.
const GET_INDEXED: &[u8] = b"\x82\x87\x84\xbe";
const POST_INDEXED: &[u8] = b"\x83\x87\x84\xbe";
const LITERAL: &[u8] = b"\x82\x87\x84\x01\x02ab\0\x06accept\x03*/*";
/// It has no path.
const REJECTED: &[u8] = b"\x82\x87\xbe";
/// Empties the table first.
const EMPTIES: &[u8] = b"\x20\x3f\xe1\x1f\x82\x87\x84\x01\x02ab";

const BLOCKS: [&[u8]; 7] = [
    ADDS,
    ADDS_ANOTHER,
    GET_INDEXED,
    POST_INDEXED,
    LITERAL,
    REJECTED,
    EMPTIES,
];

/// Decodes blocks of two connections one after another, with a buffer that has decoded all before and with
/// a new one. Returns whether the connection continues.
#[derive(Default)]
struct Pair {
    decoders: [Decoder; 2],
    references: [Decoder; 2],
    buffer: RequestBuffer,
}

impl Pair {
    fn step(&mut self, connection: usize, block: &[u8]) -> bool {
        let mut new = RequestBuffer::default();
        let decoder = &mut self.decoders[connection];
        let head = decode_head(decoder, block, MOST, &mut self.buffer);
        let reference = &mut self.references[connection];
        let expected = decode_head(reference, block, MOST, &mut new);
        assert_eq!(head, expected);
        if head.is_err() {
            return false;
        }
        assert_eq!(text(&self.buffer), text(&new));
        let (request, expected) = (&self.buffer.request, &new.request);
        assert_eq!(request.method(), expected.method());
        assert_eq!(request.uri(), expected.uri());
        assert_eq!(request.headers(), expected.headers());
        true
    }
}

#[test]
fn buffer_that_knows_a_block_decodes_as_a_new_one() {
    let choices = 2 * BLOCKS.len();
    for sequence in 0..choices.pow(4) {
        let mut pair = Pair::default();
        for step in 0..4 {
            let choice = sequence / choices.pow(step) % choices;
            if !pair.step(choice % 2, BLOCKS[choice / 2]) {
                break;
            }
            if step == 2 {
                // A handler may take all.
                drop(mem::take(&mut pair.buffer.request));
            }
        }
    }
}

#[test]
fn only_equal_blocks_with_an_equal_table_are_known() {
    let (mut decoder, mut other) = (Decoder::default(), Decoder::default());
    let mut buffer = RequestBuffer::default();
    let mut check = |decoder: &mut Decoder, block, is_known| {
        let found = buffer.last.find(decoder, block, MOST);
        assert_eq!(found.is_some(), is_known, "{}", block.escape_ascii());
        let head = decode_head(decoder, block, MOST, &mut buffer);
        assert!(matches!(head, Ok(Ok(_))), "{head:?}");
    };
    check(&mut decoder, ADDS, false);
    check(&mut decoder, GET_INDEXED, false);
    check(&mut decoder, GET_INDEXED, true);
    check(&mut decoder, POST_INDEXED, false);
    check(&mut decoder, POST_INDEXED, true);
    check(&mut decoder, ADDS, false);
    check(&mut decoder, ADDS, false);
    check(&mut decoder, LITERAL, false);
    check(&mut decoder, LITERAL, true);
    check(&mut other, LITERAL, false);
    check(&mut decoder, LITERAL, false);
}
