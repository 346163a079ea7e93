//! Decodes a body that is read while it arrives.

use std::mem;
use std::sync::Arc;

use super::chunked::Chunked;
use super::{Expectation, Framing, Input};
use crate::message::raw_request::SharedChunking;
use crate::message::request_error::RequestError;

/// Decodes the body of one request from bytes that are split anywhere. It keeps no content.
#[derive(Debug)]
pub struct BodyDecoder {
    coding: Framed,
    expectation: Expectation,
    length: Option<u64>,
    taken: u64,
    most: u64,
}

#[derive(Debug)]
enum Framed {
    /// The bytes that are left.
    Length(u64),
    Chunked {
        decoder: Box<Chunked>,
        /// Publishes the chunks to the handler at the end.
        seen: SharedChunking,
    },
}

impl BodyDecoder {
    /// The decoder for a body with this framing and this limit in bytes.
    pub(super) fn new(
        framing: Framing,
        expectation: Expectation,
        most: u64,
    ) -> Result<Self, RequestError> {
        let length = match framing {
            Framing::Empty => Some(0),
            Framing::Length(length) if length > most => return Err(RequestError::BodyTooLarge),
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        let body = match length {
            Some(length) => Self::of_length(length, most),
            None => Self::of_chunks(Chunked::new(), most),
        };
        Ok(Self {
            expectation,
            ..body
        })
    }

    /// The decoder for a body with this many bytes left.
    pub(super) fn of_length(length: u64, most: u64) -> Self {
        Self {
            coding: Framed::Length(length),
            expectation: Expectation::None,
            length: Some(length),
            taken: 0,
            most,
        }
    }

    /// The decoder for a chunked body.
    pub(super) fn of_chunks(decoder: Chunked, most: u64) -> Self {
        Self {
            coding: Framed::Chunked {
                decoder: Box::new(decoder),
                seen: Arc::default(),
            },
            expectation: Expectation::None,
            length: None,
            taken: 0,
            most,
        }
    }

    /// The announced length of the whole body, if there is one.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The content bytes that were taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the client waits for `100 Continue`. The first call returns it; later calls return
    /// `None`.
    pub fn take_expectation(&mut self) -> Expectation {
        mem::replace(&mut self.expectation, Expectation::None)
    }

    /// Whether the body has been read to its end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.coding {
            Framed::Length(left) => *left == 0,
            Framed::Chunked { decoder, .. } => decoder.is_done(),
        }
    }

    /// Whether more must be received than `input` has, as far as is known.
    pub(super) fn lacks(&self, input: &Input) -> bool {
        match &self.coding {
            Framed::Length(left) => *left > input.unread().len() as u64,
            Framed::Chunked { .. } => true,
        }
    }

    /// Moves content from `input` to the start of `content` and returns the number of bytes. At 0,
    /// the body is [done](Self::is_done) or more input is needed.
    ///
    /// # Errors
    ///
    /// If the body is over its limit or its coding is broken. The connection must close: do not
    /// call this again.
    pub fn take(&mut self, input: &mut Input, content: &mut [u8]) -> Result<usize, RequestError> {
        let mut filled = 0;
        match &mut self.coding {
            Framed::Length(left) => {
                let most =
                    usize::try_from(*left).map_or(content.len(), |left| left.min(content.len()));
                filled = most.min(input.unread().len());
                content[..filled].copy_from_slice(&input.unread()[..filled]);
                input.consume(filled);
                *left -= filled as u64;
            }
            Framed::Chunked { decoder, seen } => loop {
                let room = self.most - self.taken - filled as u64;
                let passed = decoder.pass(input.unread(), room)?;
                input.consume(passed);
                let part = decoder.take(input.unread(), content.len() - filled);
                if part.is_empty() {
                    if decoder.is_done() {
                        seen.get_or_init(|| decoder.take_seen());
                    }
                    break;
                }
                content[filled..filled + part.len()].copy_from_slice(part);
                filled += part.len();
                let taken = part.len();
                input.consume(taken);
            },
        }
        self.taken += filled as u64;
        Ok(filled)
    }

    /// Discards all content of `input`.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn discard(&mut self, input: &mut Input) -> Result<(), RequestError> {
        let mut void = [0; 4096];
        while self.take(input, &mut void)? > 0 {}
        Ok(())
    }

    /// Where the chunks and trailers are published when the body is done.
    pub(super) fn chunking(&self) -> Option<SharedChunking> {
        match &self.coding {
            Framed::Length(_) => None,
            Framed::Chunked { seen, .. } => Some(Arc::clone(seen)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of a body that arrives in pieces of one size and is taken in pieces of another.
    fn take(
        framing: Framing,
        most: u64,
        sent: &[u8],
        part: usize,
        room: usize,
    ) -> Result<(Vec<u8>, Vec<u8>, BodyDecoder), RequestError> {
        let mut body = BodyDecoder::new(framing, Expectation::None, most)?;
        let (mut input, mut content) = (Input::default(), Vec::new());
        let mut buffer = vec![0; room];
        for part in sent.chunks(part) {
            input.extend(part);
            loop {
                match body.take(&mut input, &mut buffer)? {
                    0 => break,
                    count => content.extend_from_slice(&buffer[..count]),
                }
            }
        }
        assert_eq!(body.taken(), content.len() as u64);
        Ok((content, input.unread().to_vec(), body))
    }

    #[test]
    fn body_is_the_same_for_any_split_and_buffer_size() {
        let chunked = b"3;a=b\r\nabc\r\n005\r\ndefgh\r\n0\r\nSum: 8\r\n\r\nGET";
        let plain = b"abcdefghGET";
        for part in 1..chunked.len() {
            for room in [1, 2, 3, 7, 100] {
                for (framing, sent) in [
                    (Framing::Length(8), &plain[..]),
                    (Framing::Chunked, &chunked[..]),
                ] {
                    let (content, rest, body) =
                        take(framing, 8, sent, part, room).expect("the body is valid");
                    assert_eq!(content, b"abcdefgh", "{framing:?} {part} {room}");
                    assert_eq!(rest, b"GET", "{framing:?} {part} {room}");
                    assert!(body.is_done());
                    let trailers = body.chunking().map(|seen| {
                        let seen = seen.get().expect("the body is complete");
                        (seen.lines.clone(), seen.trailers.clone())
                    });
                    let expected = (b"3;a=b\r\n005\r\n0\r\n".to_vec(), b"Sum: 8\r\n".to_vec());
                    assert_eq!(trailers, (framing == Framing::Chunked).then_some(expected));
                }
            }
        }
    }

    #[test]
    fn bytes_in_the_input_are_not_received_again() {
        let body = |framing| BodyDecoder::new(framing, Expectation::None, 10);
        for (sent, lacks) in [(&b"ab"[..], true), (b"abc", false), (b"abcGET", false)] {
            let mut input = Input::default();
            input.extend(sent);
            let plain = body(Framing::Length(3)).expect("the length is within the limit");
            assert_eq!(plain.lacks(&input), lacks, "{sent:?}");
            let chunked = body(Framing::Chunked).expect("the length is not known yet");
            assert!(chunked.lacks(&input), "{sent:?}");
        }
    }

    #[test]
    fn body_over_its_limit_is_rejected_at_its_announcement() {
        #[track_caller]
        fn check(framing: Framing, sent: &[u8]) {
            let taken = take(framing, 4, sent, 1, 100).map(|(content, ..)| content);
            assert_eq!(taken, Err(RequestError::BodyTooLarge));
        }
        check(Framing::Length(5), b"");
        check(Framing::Length(u64::MAX), b"");
        check(Framing::Chunked, b"5\r\n");
        check(Framing::Chunked, b"4\r\nabcd\r\n1\r\n");
        check(Framing::Chunked, b"ffffffffffffffff\r\n");
    }

    #[test]
    fn invalid_chunk_is_rejected_after_valid_chunks() {
        let taken = take(Framing::Chunked, 4, b"1\r\na\r\n2\r\nbcx", 1, 100);
        assert_eq!(taken.map(|(content, ..)| content), Err(RequestError::Chunk));
    }

    #[test]
    fn unfinished_body_reports_that() {
        for (framing, sent) in [
            (Framing::Length(3), &b"ab"[..]),
            (Framing::Chunked, b"2\r\nab\r\n0\r\n"),
        ] {
            let (content, _, body) =
                take(framing, 9, sent, 1, 1).expect("the received part is valid");
            assert_eq!(content, b"ab");
            assert!(!body.is_done());
        }
    }
}
