//! A body that is encoded while it is sent.

use std::io::{self, Read, Write};
use std::mem;

use super::ContentCoding;
use super::polled::EncodedSource;
use crate::message::Body;
use crate::message::body::{Client, ReadWatching};

/// The compression levels. Each shrinks most text to a third or less in little time, because
/// responses are encoded while a client waits.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 3;
#[cfg(feature = "brotli")]
const BROTLI_QUALITY: u32 = 4;

/// The brotli window as a power of two. An encoder needs a few times that much memory.
#[cfg(feature = "brotli")]
const BROTLI_WINDOW: u32 = 19;

/// Bytes that the brotli encoder writes at a time.
#[cfg(feature = "brotli")]
const BUFFER: usize = 16 * 1024;

/// Bytes read at a time, as many as a connection asks a body's reader for. With a flush after each
/// read of this size, 1 MiB of JSON lines is as long as without flushes. With reads of 16 KiB it is
/// 1 % longer, of 4 KiB 3 % to 5 %, of 1 KiB 15 % to 26 %. With a flush after each line of 64 bytes
/// it is two to three times as long.
pub(super) const READ_SIZE: usize = 64 * 1024;

/// When the encoder flushes its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// After each read, because the next read may block for long.
    PerRead,
    /// When it has collected enough input. This compresses best.
    WhenFull,
}

/// Reads another body and encodes its content.
struct EncodedBody {
    body: Body,
    flush: Flush,
    /// `None` after the end of the body.
    encoder: Option<Box<dyn Encode>>,
    input: Box<[u8]>,
    output: Vec<u8>,
    /// The number of bytes of the output that were read.
    read: usize,
}

/// Encodes what is written to it, into memory.
pub(super) trait Encode: Write + Send {
    /// The output so far. The caller takes it away.
    fn output(&mut self) -> &mut Vec<u8>;

    /// Ends the content and returns the rest of the output.
    fn finish(self: Box<Self>) -> io::Result<Vec<u8>>;
}

impl ContentCoding {
    /// About how much memory [`encode`](Self::encode) needs beside the body, mostly for the window
    /// and the index into it.
    pub(super) const fn memory(self) -> usize {
        let state = match self {
            Self::Zstd => 4096 * 1024,
            Self::Brotli => 4608 * 1024,
            Self::Gzip => 384 * 1024,
        };
        state + READ_SIZE
    }

    /// Returns a body that encodes this one while it is read. Content from other threads is flushed
    /// whenever there is no more of it.
    pub(crate) fn encode(self, mut body: Body, flush: Flush) -> Body {
        let trailers = body.take_trailers();
        let encoded = match body.take_polled() {
            Some(source) => Body::from_polled(EncodedSource::new(self, source)),
            None => {
                let memory = body.held() + self.memory();
                Body::from_watching(EncodedBody::new(self, body, flush)).holding(memory)
            }
        };
        encoded.with_trailer_source(trailers)
    }

    /// Encodes these bytes.
    pub(crate) fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoder = encoder(self);
        encoder.write_all(bytes)?;
        encoder.finish()
    }
}

impl EncodedBody {
    fn new(coding: ContentCoding, body: Body, flush: Flush) -> Self {
        Self {
            body,
            flush,
            encoder: Some(encoder(coding)),
            input: vec![0; READ_SIZE].into(),
            output: Vec::new(),
            read: 0,
        }
    }

    /// Encodes one read. It may be called again after an error, because the read may have been
    /// interrupted.
    fn advance(&mut self, client: &dyn Client) -> io::Result<()> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(());
        };
        let count = self.body.read_for(&mut self.input, client)?;
        if count > 0 {
            encoder.write_all(&self.input[..count])?;
            if self.flush == Flush::PerRead {
                encoder.flush()?;
            }
            mem::swap(encoder.output(), &mut self.output);
        } else if let Some(encoder) = self.encoder.take() {
            self.output = encoder.finish()?;
        }
        Ok(())
    }
}

impl ReadWatching for EncodedBody {
    fn read_watching(&mut self, buffer: &mut [u8], client: &dyn Client) -> io::Result<usize> {
        while self.read == self.output.len() {
            self.output.clear();
            self.read = 0;
            if self.encoder.is_none() {
                return Ok(0);
            }
            self.advance(client)?;
        }
        let mut ready = &self.output[self.read..];
        let count = ready.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

/// Creates the encoder of a coding.
pub(super) fn encoder(coding: ContentCoding) -> Box<dyn Encode> {
    match coding {
        #[cfg(feature = "zstd")]
        ContentCoding::Zstd => Box::new(
            zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)
                .expect("the level is valid for zstd"),
        ),
        #[cfg(feature = "brotli")]
        ContentCoding::Brotli => Box::new(brotli::CompressorWriter::new(
            Vec::new(),
            BUFFER,
            BROTLI_QUALITY,
            BROTLI_WINDOW,
        )),
        #[cfg(feature = "gzip")]
        ContentCoding::Gzip => Box::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::default(),
        )),
        #[cfg(not(all(feature = "brotli", feature = "gzip", feature = "zstd")))]
        _ => unreachable!("this build can't encode {}", coding.name()),
    }
}

#[cfg(feature = "zstd")]
impl Encode for zstd::stream::write::Encoder<'static, Vec<u8>> {
    fn output(&mut self) -> &mut Vec<u8> {
        self.get_mut()
    }

    fn finish(self: Box<Self>) -> io::Result<Vec<u8>> {
        (*self).finish()
    }
}

#[cfg(feature = "brotli")]
impl Encode for brotli::CompressorWriter<Vec<u8>> {
    fn output(&mut self) -> &mut Vec<u8> {
        self.get_mut()
    }

    fn finish(self: Box<Self>) -> io::Result<Vec<u8>> {
        Ok(self.into_inner())
    }
}

#[cfg(feature = "gzip")]
impl Encode for flate2::write::GzEncoder<Vec<u8>> {
    fn output(&mut self) -> &mut Vec<u8> {
        self.get_mut()
    }

    fn finish(self: Box<Self>) -> io::Result<Vec<u8>> {
        (*self).finish()
    }
}

#[cfg(all(test, feature = "brotli", feature = "gzip", feature = "zstd"))]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Returns at most this many bytes for each read.
    struct Parts(Cursor<Vec<u8>>, usize);

    impl Read for Parts {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(buffer.len());
            self.0.read(&mut buffer[..count])
        }
    }

    /// The encoded length of 1 MiB of JSON lines with a flush after each read, in thousandths of the
    /// length without flushes.
    fn length_with_flushes(coding: ContentCoding, read_size: usize) -> usize {
        let mut lines = String::new();
        for number in 0_u32.. {
            let hash = number.wrapping_mul(2_654_435_761);
            let line = format!("{{\"id\":{number},\"user\":{hash},\"event\":\"login\"}}\n");
            lines.push_str(&line);
            if lines.len() > 1 << 20 {
                break;
            }
        }
        let length = |flush| {
            let mut encoded = Vec::new();
            let parts = Parts(Cursor::new(lines.clone().into()), read_size);
            let mut body = coding.encode(Body::from_reader(parts), flush);
            let read = body.read_to_end(&mut encoded);
            read.expect("the content can be encoded");
            encoded.len()
        };
        length(Flush::PerRead) * 1000 / length(Flush::WhenFull)
    }

    /// Fails with `Interrupted` before each byte.
    struct Interrupted(&'static [u8], bool);

    impl Read for Interrupted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            match self.1 {
                true => Err(io::ErrorKind::Interrupted.into()),
                false => self.0.read(&mut buffer[..1]),
            }
        }
    }

    #[test]
    fn interrupted_reads_do_not_end_the_content() {
        for coding in ContentCoding::FASTEST_FIRST {
            let body = Body::from_reader(Interrupted(b"tea, and no milk", false));
            let mut encoded = Vec::new();
            // `read_to_end` reads again after an interruption, like a connection.
            let read = coding
                .encode(body, Flush::PerRead)
                .read_to_end(&mut encoded);
            read.expect("the content can be encoded");
            let mut decoded = String::new();
            let read = coding.decode(&encoded[..]).read_to_string(&mut decoded);
            read.expect("the content can be decoded");
            assert_eq!(decoded, "tea, and no milk", "{coding:?}");
        }
    }

    #[test]
    fn flushes_cost_little_if_reads_are_large() {
        for coding in ContentCoding::FASTEST_FIRST {
            assert!(length_with_flushes(coding, READ_SIZE) < 1020, "{coding:?}");
        }
    }
}
