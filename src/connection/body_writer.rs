//! A body that is read while it is sent.

use std::fmt;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::http1::{LAST_CHUNK, chunk_line};
use crate::message::body::{BodySource, Client, ClientGone};

/// Read at a time.
const PART: usize = 64 * 1024;

/// Room for the line before a part in the chunked coding.
const LINE: usize = 8;

/// What stands behind a part in the chunked coding.
const LINE_END: &[u8] = b"\r\n";

/// A reader, and what it has given and the client has not taken.
pub(super) struct BodyWriter {
    source: Option<BodySource>,
    coding: StreamFraming,
    buffer: Box<[u8]>,
    /// What of the buffer is to be sent.
    start: usize,
    end: usize,
}

/// How the client is to know where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamFraming {
    /// The last chunk tells.
    Chunks,
    /// Its length does, or the end of the connection.
    Plain,
}

/// What came of asking for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refill {
    /// There is more to send.
    More,
    /// That was all.
    End,
    /// The client is gone, and nothing is read for it.
    Gone,
}

impl BodyWriter {
    /// For a body whose head says that it comes in chunks, or says its length, or neither.
    pub(super) fn new(source: BodySource, in_chunks: bool) -> Self {
        Self {
            coding: match in_chunks && source.length.is_none() {
                true => StreamFraming::Chunks,
                false => StreamFraming::Plain,
            },
            source: Some(source),
            buffer: vec![0; LINE + PART + LINE_END.len()].into(),
            start: 0,
            end: 0,
        }
    }

    /// What is to be sent next.
    pub(super) fn ready(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// So much of it has been sent.
    pub(super) fn advance(&mut self, sent: usize) {
        self.start += sent;
        debug_assert!(self.start <= self.end, "only what is ready is sent");
    }

    /// How much memory it keeps.
    pub(super) fn held(&self) -> usize {
        self.buffer.len() + self.source.as_ref().map_or(0, |source| source.held)
    }

    /// Reads the next part, once everything before it has been sent.
    ///
    /// # Errors
    ///
    /// If the reader fails or panics, or ends before its length: what the client has is not the
    /// whole, and it must not take it for that.
    pub(super) fn refill(&mut self, client: &dyn Client) -> io::Result<Refill> {
        let Some(source) = &mut self.source else {
            return Ok(Refill::End);
        };
        let count = match read(source, &mut self.buffer[LINE..LINE + PART], client) {
            Ok(count) => count,
            Err(error) if ClientGone::is_why(&error) => return Ok(Refill::Gone),
            Err(error) => return Err(error),
        };
        (self.start, self.end) = (LINE, LINE + count);
        match (self.coding, count) {
            (StreamFraming::Chunks, 0) => self.put_last_chunk(),
            (StreamFraming::Chunks, _) => self.put_chunk_around(count),
            (StreamFraming::Plain, _) => {}
        }
        if count == 0 {
            self.let_go();
        }
        Ok(match self.ready() {
            [] => Refill::End,
            _ => Refill::More,
        })
    }

    fn put_chunk_around(&mut self, count: usize) {
        let mut line = Vec::with_capacity(LINE);
        chunk_line(count, &mut line);
        self.start = LINE - line.len();
        self.buffer[self.start..LINE].copy_from_slice(&line);
        self.end = LINE + count + LINE_END.len();
        self.buffer[LINE + count..self.end].copy_from_slice(LINE_END);
    }

    fn put_last_chunk(&mut self) {
        self.end = self.start + LAST_CHUNK.len();
        self.buffer[self.start..self.end].copy_from_slice(LAST_CHUNK);
    }

    /// Drops the reader, which is the handler's and may panic.
    fn let_go(&mut self) {
        let source = self.source.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(source)));
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("coding", &self.coding)
            .finish_non_exhaustive()
    }
}

/// Reads some bytes; a panic is a failure like any other.
fn read(source: &mut BodySource, part: &mut [u8], client: &dyn Client) -> io::Result<usize> {
    loop {
        let read = catch_unwind(AssertUnwindSafe(|| source.read_for(part, client)));
        match read.unwrap_or_else(|_| Err(io::Error::other("it panicked"))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::message::body::{Anyone, Reader};

    /// Gives its parts one by one, and fails where one is `None`.
    struct Parts(Vec<Option<&'static [u8]>>);

    impl Read for Parts {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.pop() {
                None => Ok(0),
                Some(None) => Err(io::Error::other("no more")),
                Some(Some(mut part)) => part.read(buffer),
            }
        }
    }

    /// Everything that would be sent, and how it ends.
    fn send(
        length: Option<u64>,
        in_chunks: bool,
        parts: &[Option<&'static [u8]>],
    ) -> (Vec<u8>, bool) {
        let reader = Box::new(Parts(parts.iter().rev().copied().collect()));
        let source = BodySource {
            reader: Reader::Any(reader),
            length,
            held: 0,
        };
        let mut stream = BodyWriter::new(source, in_chunks);
        let mut sent = Vec::new();
        loop {
            match stream.refill(&Anyone) {
                Ok(Refill::Gone) => panic!("it is here"),
                Ok(Refill::End) => return (sent, true),
                Ok(Refill::More) => {}
                Err(_) => return (sent, false),
            }
            // As a socket might take it.
            while let [first, ..] = *stream.ready() {
                sent.push(first);
                stream.advance(1);
            }
        }
    }

    #[track_caller]
    fn check(
        length: Option<u64>,
        in_chunks: bool,
        parts: &[Option<&'static [u8]>],
        expected: &[u8],
        is_whole: bool,
    ) {
        let (sent, ended) = send(length, in_chunks, parts);
        assert_eq!(
            (sent.escape_ascii().to_string(), ended),
            (expected.escape_ascii().to_string(), is_whole)
        );
    }

    #[test]
    fn each_part_is_a_chunk() {
        let parts = [Some(&b"hello"[..]), Some(b"0123456789abcdef")];
        check(
            None,
            true,
            &parts,
            b"5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
            true,
        );
        check(None, false, &parts, b"hello0123456789abcdef", true);
        check(None, true, &[], b"0\r\n\r\n", true);
        check(None, false, &[], b"", true);
    }

    #[test]
    fn a_length_is_kept() {
        check(Some(5), false, &[Some(b"he"), Some(b"llo")], b"hello", true);
        check(Some(4), false, &[Some(b"hello"), None], b"hell", true);
        check(Some(0), false, &[Some(b"hello")], b"", true);
        check(Some(6), false, &[Some(b"hello")], b"hello", false);
    }

    #[test]
    fn a_failure_is_no_end() {
        for in_chunks in [false, true] {
            check(None, in_chunks, &[None], b"", false);
        }
        check(None, true, &[Some(b"a"), None], b"1\r\na\r\n", false);
        check(Some(2), false, &[Some(b"a"), None], b"a", false);
    }

    #[test]
    fn the_largest_part_has_room() {
        let large: &'static [u8] = &[b'x'; 2 * PART];
        let (sent, ended) = send(None, true, &[Some(large)]);
        assert!(ended);
        assert!(sent.starts_with(b"10000\r\nxxx"), "{}", sent.len());
        assert_eq!(sent.len(), 7 + PART + 2 + LAST_CHUNK.len());
    }
}
