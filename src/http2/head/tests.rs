//! Tests of heads in both directions.

mod requests;

use super::*;

/// A header list as text, one `name: value` a line, as a header block.
fn block(list: &str) -> Vec<u8> {
    let fields = list.lines().map(|line| {
        let colon = line[1..].find(':').expect("the line has a colon") + 1;
        let value = &line[colon + 1..];
        (&line[..colon], value.strip_prefix(' ').unwrap_or(value))
    });
    encode(fields.map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

fn encode<'f>(fields: impl Iterator<Item = (&'f [u8], &'f [u8])>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // The encoder refuses names in upper case.
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127 + 128, "the length has two bytes");
            match u8::try_from(text.len()) {
                Ok(length @ ..127) => block.push(length),
                _ => block.extend([127, (text.len() - 127) as u8]),
            }
            block.extend_from_slice(text);
        }
    }
    block
}

fn decode(block: &[u8], buffer: &mut RequestBuffer) -> Result<Head, RequestError> {
    let decoded = decode_head(&mut Decoder::default(), block, 16 * 1024, buffer);
    decoded.expect("the block can be decoded")
}
