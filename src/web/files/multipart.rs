//! Responses with several ranges (RFC 9110 section 14.6).

use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::vec;

use http::HeaderValue;

use super::content::Content;
use crate::message::{Body, request_id};

/// The boundary between the parts. It is random, so a file can't be written to contain it.
#[derive(Debug)]
pub(crate) struct Boundary(String);

impl Boundary {
    pub(crate) fn new() -> Self {
        let id = request_id::new();
        Self(String::from_utf8_lossy(id.as_bytes()).into_owned())
    }

    /// The media type of the response.
    pub(crate) fn media_type(&self) -> HeaderValue {
        let text = format!("multipart/byteranges; boundary={}", self.0);
        HeaderValue::try_from(text).expect("letters and digits are valid in a header value")
    }
}

/// The body: the given ranges of content of this length and type, each with its headers.
pub(crate) fn body(
    content: impl Content,
    length: u64,
    media_type: &HeaderValue,
    parts: &[Range<u64>],
    boundary: &Boundary,
) -> Body {
    let Boundary(boundary) = boundary;
    let mut pieces = Vec::with_capacity(2 * parts.len() + 1);
    // Each boundary begins with a line break. RFC 2046 section 5.1.1 makes the first one optional,
    // but zsync looks for it.
    for part in parts {
        let (first, last) = (part.start, part.end - 1);
        let mut head = format!("\r\n--{boundary}\r\ncontent-type: ").into_bytes();
        head.extend_from_slice(media_type.as_bytes());
        let range = format!("\r\ncontent-range: bytes {first}-{last}/{length}\r\n\r\n");
        head.extend_from_slice(range.as_bytes());
        pieces.extend([Piece::Text(head), Piece::Part(part.clone())]);
    }
    pieces.push(Piece::Text(format!("\r\n--{boundary}--\r\n").into_bytes()));
    let total = pieces.iter().map(Piece::length).sum();
    let mut pieces = pieces.into_iter();
    let reader = Reader {
        content,
        piece: pieces.next(),
        pieces,
    };
    Body::from_sized_reader(reader, total)
}

/// Reads one piece after another.
#[derive(Debug)]
struct Reader<C> {
    content: C,
    piece: Option<Piece>,
    pieces: vec::IntoIter<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(Vec<u8>),
    /// A range of the content.
    Part(Range<u64>),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Part(part) => part.end - part.start,
        }
    }

    /// Reads from the start of the piece, as much as fits.
    fn read(&mut self, content: &impl Content, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Text(text) => {
                let count = text.len().min(buffer.len());
                buffer[..count].copy_from_slice(&text[..count]);
                text.drain(..count);
                Ok(count)
            }
            Self::Part(part) => {
                let left = usize::try_from(part.end - part.start).unwrap_or(usize::MAX);
                let room = left.min(buffer.len());
                match content.read_at(&mut buffer[..room], part.start)? {
                    // The file is truncated. The next piece would stand where the client expects
                    // the rest of this one.
                    0 if room > 0 => Err(ErrorKind::UnexpectedEof.into()),
                    count => {
                        part.start += count as u64;
                        Ok(count)
                    }
                }
            }
        }
    }
}

impl<C: Content> Read for Reader<C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(piece) = &mut self.piece {
            if piece.length() == 0 {
                self.piece = self.pieces.next();
                continue;
            }
            if filled == buffer.len() {
                break;
            }
            match piece.read(&self.content, &mut buffer[filled..]) {
                Ok(count) => filled += count,
                // Return the bytes so far; the next read fails again.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
