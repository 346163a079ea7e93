//! Decoding the chunked coding returns what was encoded.

use httpool::http1::{Decoder, Event, Input, Limits, RequestBuffer};

use crate::connection::Read;

/// More than any body here needs.
const LIMITS: Limits = Limits {
    head: 1024,
    body: 1024 * 1024,
};

/// A chunk and how it is encoded.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Not empty: an empty chunk is the last one.
    pub content: Vec<u8>,
    /// How many zeros precede its size.
    pub zeros: usize,
    pub upper_case: bool,
    /// The bytes between the size and the end of the line.
    pub extension: String,
}

/// Expects that these chunks and trailers are decoded to their content, up to the byte that follows
/// them.
pub fn check(chunks: &[Chunk], trailers: &[String], reads: &[Read]) {
    let mut bytes = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let mut expected: Vec<u8> = Vec::new();
    for chunk in chunks {
        let size = chunk.content.len();
        let size = match chunk.upper_case {
            true => format!("{size:X}"),
            false => format!("{size:x}"),
        };
        let zeros = "0".repeat(chunk.zeros);
        bytes.extend(format!("{zeros}{size}{}\r\n", chunk.extension).into_bytes());
        bytes.extend(&chunk.content);
        bytes.extend(b"\r\n");
        expected.extend(&chunk.content);
    }
    bytes.extend(b"0\r\n");
    for trailer in trailers {
        bytes.extend(format!("{trailer}\r\n").into_bytes());
    }
    bytes.extend(b"\r\n");
    let next = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n";
    bytes.extend(next);

    let (mut decoder, mut buffer, mut input) = (
        Decoder::default(),
        RequestBuffer::default(),
        Input::default(),
    );
    let mut bodies = Vec::new();
    let mut reads = reads.iter().cycle();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let size = reads.next().map_or(rest.len(), |read| read.size);
        let (part, others) = rest.split_at(size.min(rest.len()));
        rest = others;
        input.room().extend_from_slice(part);
        loop {
            match decoder.decode(&mut input, &mut buffer, &LIMITS) {
                Ok(Event::Request) => bodies.push(buffer.request.body().as_bytes().to_vec()),
                Ok(Event::Continue) => panic!("no client sends Expect"),
                Ok(Event::Stream | Event::HeadOnly | Event::Discarded(_)) => {
                    panic!("no body is streamed")
                }
                Ok(Event::Incomplete(_)) => break,
                Err(error) => panic!("{error}: {:?}", bytes.escape_ascii().to_string()),
            }
        }
    }
    assert_eq!(bodies, [expected, Vec::new()]);
}
