//! Decodes the chunked transfer coding (RFC 9112 section 7.1).

use std::mem;

use super::Limits;
use super::chunk_extension::Part;
use crate::message::raw_request::Chunking;
use crate::message::request_error::RequestError;

/// Most bytes of chunk extensions and trailers in one body. Extensions are unused and trailers
/// rare, but both could be sent without end.
const MAX_OVERHEAD: usize = 16 * 1024;

/// The bytes of chunk lines that are kept for handlers. The line that reaches this limit is kept
/// whole.
const KEPT_LINES: usize = 16 * 1024;

/// Most hexadecimal digits of a chunk size, as many as a `u64` holds.
const MAX_DIGITS: u8 = 16;

/// Decodes byte by byte, so the input may be split anywhere. Lines must end with CRLF: a proxy that
/// accepts a bare LF would see other chunks.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    overhead: usize,
    /// The chunks and trailers, for handlers.
    seen: Chunking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { digits: u8, size: u64 },
    Extension { size: u64, part: Part },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    LineStart,
    TrailerName,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self {
            state: State::NEXT_SIZE,
            overhead: 0,
            seen: Chunking::default(),
        }
    }

    /// The memory that is kept beside the content.
    pub(super) fn held(&self) -> usize {
        self.seen.lines.capacity() + self.seen.trailers.capacity()
    }

    /// Everything except the content.
    pub(super) fn into_seen(self) -> Chunking {
        self.seen
    }

    /// Takes the chunks and trailers when the body is done; empty afterwards.
    pub(super) fn take_seen(&mut self) -> Chunking {
        mem::take(&mut self.seen)
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Appends the content of `input` to `body` and returns how many bytes were decoded: all of
    /// them, unless the body ended before.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        limits: &Limits,
    ) -> Result<usize, RequestError> {
        let mut at = 0;
        loop {
            let room = limits.body.saturating_sub(body.len()) as u64;
            at += self.pass(&input[at..], room)?;
            let content = self.take(&input[at..], usize::MAX);
            if content.is_empty() {
                return Ok(at);
            }
            body.extend_from_slice(content);
            at += content.len();
        }
    }

    /// Decodes up to the next content and returns the number of bytes. A chunk of more than `room`
    /// bytes is rejected.
    pub(super) fn pass(&mut self, input: &[u8], room: u64) -> Result<usize, RequestError> {
        for (at, byte) in input.iter().enumerate() {
            if matches!(self.state, State::Data { .. } | State::Done) {
                return Ok(at);
            }
            let next = self.step(*byte, room)?;
            self.keep(*byte);
            self.state = next;
        }
        Ok(input.len())
    }

    /// The content at the start of `input` that belongs to the current chunk, at most this many
    /// bytes.
    pub(super) fn take<'a>(&mut self, input: &'a [u8], most: usize) -> &'a [u8] {
        let State::Data { left } = self.state else {
            return &[];
        };
        let most = usize::try_from(left).map_or(most, |left| left.min(most));
        let content = &input[..most.min(input.len())];
        self.state = match left - content.len() as u64 {
            0 => State::DataCr,
            left => State::Data { left },
        };
        content
    }

    fn step(&mut self, byte: u8, room: u64) -> Result<State, RequestError> {
        Ok(match (self.state, byte) {
            (State::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                if digits == MAX_DIGITS {
                    return Err(RequestError::Chunk);
                }
                State::Size {
                    digits: digits + 1,
                    size: size << 4 | u64::from(hex_value(byte)),
                }
            }
            (State::Size { digits: 0, .. }, _) => return Err(RequestError::Chunk),
            (State::Size { size, .. }, b'\r') => State::SizeLf { size },
            (State::Extension { size, part }, b'\r') if part.may_end() => State::SizeLf { size },
            (State::Size { size, .. }, _) => {
                self.spend()?;
                let part = Part::first(byte).ok_or(RequestError::Chunk)?;
                State::Extension { size, part }
            }
            (State::Extension { size, part }, _) => {
                self.spend()?;
                let part = part.next(byte).ok_or(RequestError::Chunk)?;
                State::Extension { size, part }
            }
            (State::SizeLf { size: 0 }, b'\n') => State::LineStart,
            (State::SizeLf { size }, b'\n') if size > room => {
                return Err(RequestError::BodyTooLarge);
            }
            (State::SizeLf { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::NEXT_SIZE,
            (State::LineStart, b'\r') => State::EndLf,
            (State::LineStart | State::TrailerName, _) if is_token(byte) => {
                self.spend()?;
                State::TrailerName
            }
            (State::TrailerName, b':') | (State::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.spend()?;
                State::Trailer
            }
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerLf, b'\n') => State::LineStart,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(RequestError::Chunk),
        })
    }

    /// Keeps a byte that is not content.
    fn keep(&mut self, byte: u8) {
        let seen = &mut self.seen;
        match self.state {
            State::Size { digits: 0, .. } if seen.lines.len() >= KEPT_LINES => seen.unkept += 1,
            State::Size { .. } | State::Extension { .. } | State::SizeLf { .. }
                if seen.unkept == 0 =>
            {
                seen.lines.push(byte);
            }
            State::LineStart | State::TrailerName | State::Trailer | State::TrailerLf
                if byte != b'\r' || self.state != State::LineStart =>
            {
                seen.trailers.push(byte);
            }
            _ => {}
        }
    }

    fn spend(&mut self) -> Result<(), RequestError> {
        self.overhead += 1;
        if self.overhead > MAX_OVERHEAD {
            return Err(RequestError::Chunk);
        }
        Ok(())
    }
}

impl State {
    const NEXT_SIZE: Self = Self::Size { digits: 0, size: 0 };
}

/// The characters of a header name (RFC 9110 section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        head: 1024,
        body: 64,
    };

    /// Decodes in pieces of every size and expects the same result.
    #[track_caller]
    fn check(coded: &[u8], expected: Result<(&[u8], usize), RequestError>) {
        for piece in 1..=coded.len() {
            let mut decoder = Chunked::new();
            let mut body = Vec::new();
            let mut used = 0;
            let result = coded.chunks(piece).try_for_each(|part| {
                if !decoder.is_done() {
                    used += decoder.decode(part, &mut body, &LIMITS)?;
                }
                Ok(())
            });
            let got = result.map(|()| (&body[..], used));
            assert_eq!(got, expected, "in pieces of {piece}");
            if expected.is_ok() {
                assert!(decoder.is_done(), "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn content_is_joined() {
        check(b"0\r\n\r\n", Ok((b"", 5)));
        check(
            b"5\r\nhello\r\n0006;a=\"b\"\r\n world\r\n0\r\n\r\n",
            Ok((b"hello world", 35)),
        );
        check(
            b"a \t;x\r\n0123456789\r\n0\r\n\r\n",
            Ok((b"0123456789", 24)),
        );
    }

    #[test]
    fn trailers_are_skipped_and_later_bytes_are_left() {
        check(b"1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\nGET", Ok((b"x", 23)));
    }

    #[test]
    fn invalid_chunks_are_rejected() {
        for broken in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"0x1\r\n",
            b"+1\r\n",
            b" 1\r\n",
            b"1\n",
            b"1 \r\n",
            b"1\r\r\n",
            b"1;a\nb\r\n",
            b"1;\r\n",
            b"1; \r\n",
            b"1 ;\t;",
            b"1;=",
            b"1;a=\r",
            b"1;a=;",
            b"1;a \r",
            b"1;a=b \r",
            b"1;a b",
            b"1;a=b=",
            b"1;a=\"b\r",
            b"1;a=\"b\\\r",
            b"1;a=\"b\"c",
            b"1;\"a\"",
            b"1;\xe9",
            b"1\r\nxy",
            b"1\r\nx\n",
            b"1\r\nx\r\r",
            b"0\r\nA: b\n",
            b"0\r\nA\r",
            b"0\r\nA ",
            b"0\r\n:",
            b"0\r\nA: b\r\n ",
            b"0\r\n\n",
            b"00000000000000001\r\n",
        ] {
            check(broken, Err(RequestError::Chunk));
        }
    }

    #[test]
    fn content_over_the_limit_is_rejected_at_its_announcement() {
        check(b"41\r\n", Err(RequestError::BodyTooLarge));
        check(b"ffffffffffffffff\r\n", Err(RequestError::BodyTooLarge));
        check(b"1\r\nx\r\n40\r\n", Err(RequestError::BodyTooLarge));
    }

    #[test]
    fn endless_extensions_and_trailers_are_rejected() {
        for start in [&b"1;"[..], b"0\r\n"] {
            let mut coded = start.to_vec();
            coded.resize(start.len() + MAX_OVERHEAD + 1, b'a');
            let result = Chunked::new().decode(&coded, &mut Vec::new(), &LIMITS);
            assert_eq!(result, Err(RequestError::Chunk));
        }
    }
}
