//! Tests of heads in both directions.

mod last_block;
mod limits;
mod malformed;
mod properties;
mod rejected;
mod repeated;
mod requests;
mod responses;
mod trailers;

use super::*;

/// Limit of a head.
const MOST: usize = 16 * 1024;

/// A request without other headers.
const GET: &str = ":method: GET\n:scheme: https\n:authority: it\n:path: /\n";

/// An extended CONNECT without other headers.
const WEBSOCKET: &str =
    ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: it\n:path: /chat\n";

type Pair<'t> = (&'t [u8], &'t [u8]);

/// The headers of a text, one `name: value` a line.
fn fields(list: &str) -> Vec<Pair<'_>> {
    list.lines()
        .map(|line| {
            let line = line.as_bytes();
            let colon = line.iter().skip(1).position(|byte| *byte == b':');
            let colon = colon.expect("the line has a colon") + 1;
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        })
        .collect()
}

/// A header block of literals. The encoder would refuse names in upper case.
fn block(fields: &[Pair<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match text.len() {
                length @ ..127 => block.push(length as u8),
                mut length => {
                    block.push(127);
                    length -= 127;
                    while length >= 128 {
                        block.push(length as u8 | 128);
                        length >>= 7;
                    }
                    block.push(length as u8);
                }
            }
            block.extend_from_slice(text);
        }
    }
    block
}

fn decode(fields: &[Pair<'_>]) -> (RequestBuffer, Result<Head, RequestError>) {
    let mut buffer = RequestBuffer::default();
    let decoded = decode_head(&mut Decoder::default(), &block(fields), MOST, &mut buffer);
    (buffer, decoded.expect("the block can be decoded"))
}

/// Checks the error of a rejected head and its explanation.
#[track_caller]
fn check_rejected(fields: &[Pair<'_>], expected: RequestError, reason: &str) -> RequestBuffer {
    let (buffer, head) = decode(fields);
    let shown: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
        .collect();
    assert_eq!(head, Err(expected), "{shown:?}");
    assert_eq!(buffer.explain(expected), reason, "{shown:?}");
    buffer
}

/// The head as text, with LF and without the empty line.
fn text(buffer: &RequestBuffer) -> String {
    let text = String::from_utf8_lossy(buffer.raw_request().head()).replace("\r\n", "\n");
    text.trim_end_matches('\n').to_owned()
}
