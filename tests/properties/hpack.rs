//! Properties of HPACK that hold for any bytes.

use std::ops::ControlFlow;

use httpool::http2::hpack::{Decoder, Encoder, FIELD_OVERHEAD, HpackError};

use crate::plan;

/// The most that the headers of a block may have. It is small, so that it is reached.
const MOST: usize = 2000;

/// More than the table and its overhead of a connection need.
const MOST_MEMORY: usize = 32 * 1024;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Decodes the blocks of one connection. The first line says how the rest is split into blocks, one
/// byte for each of them, up to the last one.
pub fn check_planned(input: &[u8]) {
    let (plan, mut rest) = plan::split(input);
    let mut blocks = Vec::new();
    for byte in plan {
        let (block, left) = rest.split_at(rest.len().min(plan::size(*byte)));
        blocks.push(block);
        rest = left;
    }
    blocks.push(rest);
    check(&blocks);
}

/// What is decoded does not depend on who listens, has the announced size, agrees with another
/// decoder, and arrives unchanged if it is encoded again.
pub fn check(blocks: &[&[u8]]) {
    let (mut decoder, mut deaf) = (Decoder::default(), Decoder::default());
    let mut other = httlib_hpack::Decoder::with_dynamic_size(4096);
    let mut round = (Encoder::default(), Decoder::default());
    for block in blocks {
        let decoded = decode(&mut decoder, block);
        let heard = deaf.decode(block, &mut Vec::new(), MOST, |_| ControlFlow::Break(()));
        assert!(
            decoder.memory() <= MOST_MEMORY,
            "{} bytes",
            decoder.memory()
        );
        let fields = match decoded {
            Ok(fields) => fields,
            Err(error) => {
                assert_eq!(heard, Err(error), "{block:x?}");
                return;
            }
        };
        let expected = match fields.is_empty() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        };
        assert_eq!(heard, Ok(expected), "{block:x?}");
        let size = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + FIELD_OVERHEAD;
        let total: usize = fields.iter().map(size).sum();
        assert!(total <= MOST, "{total} bytes: {block:x?}");

        // The other decoder accepts more blocks, so only valid ones are compared.
        let mut seen = Vec::new();
        let result = other.decode(&mut block.to_vec(), &mut seen);
        assert!(result.is_ok(), "{result:?}: {block:x?}");
        let seen: Fields = seen
            .into_iter()
            .map(|(name, value, _)| (name, value))
            .collect();
        assert_eq!(fields, seen, "{block:x?}");

        check_round(&mut round, &fields);
    }
}

/// Encodes the headers and decodes them again.
fn check_round((encoder, decoder): &mut (Encoder, Decoder), fields: &Fields) {
    // A response has names in lower case.
    let is_lower = |(name, _): &&(Vec<u8>, Vec<u8>)| !name.iter().any(u8::is_ascii_uppercase);
    let fields: Fields = fields.iter().filter(is_lower).cloned().collect();
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for (number, (name, value)) in fields.iter().enumerate() {
        match number % 2 {
            0 => encoder.field(name, value, &mut block),
            _ => encoder.secret_field(name, value, &mut block),
        }
    }
    assert_eq!(decode(decoder, &block), Ok(fields), "{block:x?}");
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, HpackError> {
    let mut fields = Fields::new();
    let flow = decoder.decode(block, &mut Vec::new(), MOST, |field| {
        fields.push((field.name.to_vec(), field.value.to_vec()));
        ControlFlow::<()>::Continue(())
    })?;
    assert_eq!(flow, ControlFlow::Continue(()));
    Ok(fields)
}
