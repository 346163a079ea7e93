//! Decoding of content.

use std::io::{BufRead, Read};

#[cfg(feature = "brotli")]
use brotli_decompressor::{BrotliDecoderParameter, Decompressor};

use super::ContentCoding;

/// Bytes that the brotli decoder reads at a time.
#[cfg(feature = "brotli")]
const BUFFER: usize = 16 * 1024;

/// Largest zstd window, as a power of two. RFC 8878 section 3.1.1.1.2 recommends that all decoders
/// support this size. A larger one would cost a request more memory.
#[cfg(feature = "zstd")]
const ZSTD_WINDOW: u32 = 23;

impl ContentCoding {
    /// Returns a reader of the decoded content.
    pub(crate) fn decode<'r>(self, reader: impl BufRead + 'r) -> Box<dyn Read + 'r> {
        match self {
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)
                    .expect("creating a decoder only allocates");
                decoder
                    .window_log_max(ZSTD_WINDOW)
                    .expect("the window is valid for zstd");
                Box::new(decoder)
            }
            #[cfg(feature = "brotli")]
            Self::Brotli => {
                let mut decoder = Decompressor::new(reader, BUFFER);
                // Reject windows beyond RFC 7932, which can be as large as a gigabyte.
                let large = BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW;
                decoder.set_parameter(large, 0);
                Box::new(decoder)
            }
            #[cfg(feature = "gzip")]
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            #[cfg(not(all(feature = "brotli", feature = "gzip", feature = "zstd")))]
            _ => unreachable!("this build can't decode {}", self.name()),
        }
    }
}
