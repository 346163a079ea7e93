//! A response body that is read from a reader while it is sent.

use std::fmt;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use http::HeaderMap;

use crate::http1::{chunk_line, last_chunk};
use crate::message::body::{BodySource, Client, ClientGone};

/// Bytes per read.
const PART: usize = 64 * 1024;

/// Room for the chunk size line before a part.
const LINE: usize = 8;

/// The line end behind a chunk.
const LINE_END: &[u8] = b"\r\n";

/// A reader with the part that it has returned and that is not yet sent.
pub(super) struct BodyWriter {
    source: Option<BodySource>,
    framing: BodyFraming,
    buffer: Vec<u8>,
    /// The range of the buffer that is to be sent.
    start: usize,
    end: usize,
}

/// How the end of the body is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFraming {
    /// By the last chunk.
    Chunks,
    /// By its length or the end of the connection.
    Plain,
}

/// The result of a refill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refill {
    /// There is more to send.
    More,
    /// The body is complete.
    End,
    /// There is nothing to send before the body's waker is called, or until this moment.
    Pending(Option<Instant>),
    /// The client has closed the connection.
    Gone,
}

impl BodyFraming {
    /// The framing of a body of unknown length.
    pub(super) fn new(in_chunks: bool) -> Self {
        match in_chunks {
            true => Self::Chunks,
            false => Self::Plain,
        }
    }

    /// Appends what precedes a part of this size.
    pub(super) fn begin_part(self, size: usize, out: &mut Vec<u8>) {
        if self == Self::Chunks {
            chunk_line(size, out);
        }
    }

    /// Appends what follows a part.
    pub(super) fn end_part(self, out: &mut Vec<u8>) {
        if self == Self::Chunks {
            out.extend_from_slice(LINE_END);
        }
    }

    /// Appends what follows the last part. Only chunks have trailers.
    pub(super) fn end(self, trailers: &HeaderMap, out: &mut Vec<u8>) {
        if self == Self::Chunks {
            last_chunk(trailers, out);
        }
    }
}

impl BodyWriter {
    /// Writes `source`. A body of known length is not sent in chunks, even with `in_chunks`.
    pub(super) fn new(source: BodySource, in_chunks: bool) -> Self {
        Self {
            framing: BodyFraming::new(in_chunks && source.length.is_none()),
            source: Some(source),
            buffer: vec![0; LINE + PART + LINE_END.len()],
            start: 0,
            end: 0,
        }
    }

    /// The bytes to send next.
    pub(super) fn ready(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Notes that `sent` bytes were sent.
    pub(super) fn advance(&mut self, sent: usize) {
        self.start += sent;
        debug_assert!(self.start <= self.end, "only ready bytes are sent");
    }

    /// Bytes of memory that it keeps.
    pub(super) fn held(&self) -> usize {
        self.buffer.capacity() + self.source.as_ref().map_or(0, BodySource::held)
    }

    /// Reads the next part, once everything before it has been sent.
    ///
    /// # Errors
    ///
    /// If the reader or its trailers fail or panic, or the reader ends before its length. The
    /// client must not take the part that it has received for the whole body.
    pub(super) fn refill(&mut self, client: &dyn Client) -> io::Result<Refill> {
        let Some(source) = &mut self.source else {
            return Ok(Refill::End);
        };
        let count = match read(source, &mut self.buffer[LINE..LINE + PART], client) {
            Ok(count) => count,
            Err(error) if ClientGone::is_source_of(&error) => return Ok(Refill::Gone),
            Err(error) => return Err(error),
        };
        (self.start, self.end) = (LINE, LINE + count);
        match (self.framing, count) {
            (BodyFraming::Chunks, 0) => self.put_last_chunk()?,
            (BodyFraming::Chunks, _) => self.put_chunk_around(count),
            (BodyFraming::Plain, _) => {}
        }
        if count == 0 {
            self.drop_source();
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

    fn put_last_chunk(&mut self) -> io::Result<()> {
        let trailers = match &mut self.source {
            Some(source) => take_trailers(source)?,
            None => HeaderMap::new(),
        };
        self.buffer.clear();
        last_chunk(&trailers, &mut self.buffer);
        (self.start, self.end) = (0, self.buffer.len());
        Ok(())
    }

    fn drop_source(&mut self) {
        if let Some(source) = self.source.take() {
            drop_source(source);
        }
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        self.drop_source();
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter")
            .field("framing", &self.framing)
            .finish_non_exhaustive()
    }
}

/// Drops a reader. It is the handler's and may panic.
pub(super) fn drop_source(source: BodySource) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(source)));
}

/// The trailers of a reader that has ended. Their function is the handler's; a panic becomes an
/// error.
pub(super) fn take_trailers(source: &mut BodySource) -> io::Result<HeaderMap> {
    match source.trailers.take() {
        Some(trailers) => catch_unwind(AssertUnwindSafe(trailers))
            .map_err(|_| io::Error::other("the function for the trailers panicked")),
        None => Ok(HeaderMap::new()),
    }
}

/// Reads some bytes. A panic becomes an error.
pub(super) fn read(
    source: &mut BodySource,
    part: &mut [u8],
    client: &dyn Client,
) -> io::Result<usize> {
    loop {
        let read = catch_unwind(AssertUnwindSafe(|| source.read_for(part, client)));
        match read.unwrap_or_else(|_| Err(io::Error::other("the reader panicked"))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::message::body::{Reader, UnknownClient};

    /// Returns its parts one by one, and fails where one is `None`.
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

    /// Everything that would be sent, and whether the body is complete.
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
            trailers: None,
        };
        let mut body = BodyWriter::new(source, in_chunks);
        let mut sent = Vec::new();
        loop {
            match body.refill(&UnknownClient) {
                Ok(Refill::Gone) => panic!("the client is there"),
                Ok(Refill::Pending(_)) => panic!("a reader blocks"),
                Ok(Refill::End) => return (sent, true),
                Ok(Refill::More) => {}
                Err(_) => return (sent, false),
            }
            // A socket may take any number of bytes.
            while let [first, ..] = *body.ready() {
                sent.push(first);
                body.advance(1);
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
    fn each_part_becomes_a_chunk() {
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
    fn body_keeps_its_length() {
        check(Some(5), false, &[Some(b"he"), Some(b"llo")], b"hello", true);
        check(Some(4), false, &[Some(b"hello"), None], b"hell", true);
        check(Some(0), false, &[Some(b"hello")], b"", true);
        check(Some(6), false, &[Some(b"hello")], b"hello", false);
    }

    #[test]
    fn failure_is_not_an_end() {
        for in_chunks in [false, true] {
            check(None, in_chunks, &[None], b"", false);
        }
        check(None, true, &[Some(b"a"), None], b"1\r\na\r\n", false);
        check(Some(2), false, &[Some(b"a"), None], b"a", false);
    }

    #[test]
    fn largest_part_fits_the_buffer() {
        let large: &'static [u8] = &[b'x'; 2 * PART];
        let (sent, ended) = send(None, true, &[Some(large)]);
        assert!(ended);
        assert!(sent.starts_with(b"10000\r\nxxx"), "{}", sent.len());
        assert_eq!(sent.len(), 7 + PART + 2 + b"0\r\n\r\n".len());
    }
}
