//! Content in fewer bytes (RFC 9110 section 8.4.1).

mod encode;

use std::io::{self, BufRead, Read, Write as _};

#[cfg(feature = "brotli")]
use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use http::HeaderMap;

pub(crate) use self::encode::Flush;
use self::encode::{Encoding, PART, encoder};
use crate::message::Body;
use crate::message::headers::accept_encoding;
use crate::message::headers::accept_encoding::is_coding;

/// A coding that content may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentCoding {
    #[cfg(feature = "zstd")]
    Zstd,
    #[cfg(feature = "brotli")]
    Brotli,
    #[cfg(feature = "gzip")]
    Gzip,
}

/// How hard to try: in each coding what makes most text a third or less and takes little time for
/// it, as answers are made while a client waits.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 3;
#[cfg(feature = "brotli")]
const BROTLI_QUALITY: u32 = 4;

/// How far back brotli looks, as a power of two: what it keeps for each answer is a few times that.
#[cfg(feature = "brotli")]
const BROTLI_WINDOW: u32 = 19;

/// Read at a time.
#[cfg(feature = "brotli")]
const BUFFER: usize = 16 * 1024;

/// The furthest that zstd may have to look back, as a power of two: what every reader of it should
/// take (RFC 8878 section 3.1.1.1.2), and no more, for it is what a request may cost in memory.
#[cfg(feature = "zstd")]
const ZSTD_WINDOW: u32 = 23;

const COUNT: usize = cfg!(feature = "zstd") as usize
    + cfg!(feature = "brotli") as usize
    + cfg!(feature = "gzip") as usize;

impl ContentCoding {
    /// All that are known, in the order in which they are chosen where a client likes several alike.
    pub(crate) const ALL: [Self; COUNT] = [
        #[cfg(feature = "zstd")]
        Self::Zstd,
        #[cfg(feature = "brotli")]
        Self::Brotli,
        #[cfg(feature = "gzip")]
        Self::Gzip,
    ];

    /// The name that is registered for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
            #[cfg(feature = "brotli")]
            Self::Brotli => "br",
            #[cfg(feature = "gzip")]
            Self::Gzip => "gzip",
        }
    }

    /// The one of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|coding| is_coding(name, coding.name()))
    }

    /// Which coding a client with these fields prefers: the first of those with the highest weight
    /// (RFC 9110 section 12.5.3). `None` if it would rather have none, or says nothing.
    pub(crate) fn preferred(request: &HeaderMap) -> Option<Self> {
        accept_encoding::wanted(request, Self::ALL, Self::name).next()
    }

    /// About how much memory [`encode`](Self::encode) keeps for that: most of it is what may be
    /// repeated, and where to find it.
    const fn held(self) -> usize {
        let state = match self {
            #[cfg(feature = "zstd")]
            Self::Zstd => 4096 * 1024,
            #[cfg(feature = "brotli")]
            Self::Brotli => 4608 * 1024,
            #[cfg(feature = "gzip")]
            Self::Gzip => 384 * 1024,
        };
        state + PART
    }

    /// What this body gives, in the coding.
    pub(crate) fn encode(self, body: Body, flush: Flush) -> Body {
        let held = body.held() + self.held();
        Body::from_watching(Encoding::new(self, body, flush)).holding(held)
    }

    /// These bytes in the coding.
    pub(crate) fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoder = encoder(self);
        encoder.write_all(bytes)?;
        encoder.finish()
    }

    /// What this reader gives in the coding, without it.
    pub(crate) fn decode<'r>(self, reader: impl BufRead + 'r) -> Box<dyn Read + 'r> {
        match self {
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)
                    .expect("it takes no more than memory");
                decoder
                    .window_log_max(ZSTD_WINDOW)
                    .expect("it is one of zstd's windows");
                Box::new(decoder)
            }
            #[cfg(feature = "brotli")]
            Self::Brotli => {
                let mut decoder = Decompressor::new(reader, BUFFER);
                // Windows beyond those of RFC 7932, of up to a gigabyte.
                let large = BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW;
                decoder.set_parameter(large, 0);
                Box::new(decoder)
            }
            #[cfg(feature = "gzip")]
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        }
    }
}

#[cfg(all(test, feature = "brotli", feature = "gzip", feature = "zstd"))]
mod tests {
    use std::io::Cursor;

    use http::HeaderValue;
    use http::header::ACCEPT_ENCODING;

    use super::*;

    #[track_caller]
    fn check(accepted: &'static str, expected: Option<ContentCoding>) {
        let mut request = HeaderMap::new();
        request.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        let preferred = ContentCoding::preferred(&request);
        assert_eq!(preferred, expected, "{accepted}");
    }

    #[test]
    fn the_coding_is_what_the_client_prefers() {
        check("", None);
        check("identity", None);
        check("deflate, compress", None);
        check("gzip", Some(ContentCoding::Gzip));
        check("X-GZip;q=0.1", Some(ContentCoding::Gzip));
        check("gzip, deflate, br, zstd", Some(ContentCoding::Zstd));
        check("gzip, br", Some(ContentCoding::Brotli));
        check("gzip;q=0.8, br;q=0.5", Some(ContentCoding::Gzip));
        check("gzip;q=0", None);
        check("*", Some(ContentCoding::Zstd));
        check("zstd;q=0, *;q=0.1", Some(ContentCoding::Brotli));
        check("*;q=0", None);
        check("gzip;q=0.5, identity", None);
        check("gzip;q=0.5, identity;q=0.5", Some(ContentCoding::Gzip));
        check("gzip;q=nonsense", None);
    }

    /// Gives so many bytes at a time.
    struct Parts(Cursor<Vec<u8>>, usize);

    impl Read for Parts {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(buffer.len());
            self.0.read(&mut buffer[..count])
        }
    }

    /// How long 1 MiB of JSON lines is with a flush after each read, in thousandths of its length
    /// without.
    fn length_with_flushes(coding: ContentCoding, part: usize) -> usize {
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
            let parts = Parts(Cursor::new(lines.clone().into()), part);
            let mut body = coding.encode(Body::from_reader(parts), flush);
            let read = body.read_to_end(&mut encoded);
            read.expect("it can be encoded");
            encoded.len()
        };
        length(Flush::PerRead) * 1000 / length(Flush::WhenFull)
    }

    /// Is interrupted before each byte.
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
    fn a_read_that_is_interrupted_ends_no_content() {
        for coding in ContentCoding::ALL {
            let body = Body::from_reader(Interrupted(b"tea, and no milk", false));
            let mut encoded = Vec::new();
            // This reads again after each interruption, as a connection does.
            let read = coding
                .encode(body, Flush::PerRead)
                .read_to_end(&mut encoded);
            read.expect("it can be encoded");
            let mut decoded = String::new();
            let read = coding.decode(&encoded[..]).read_to_string(&mut decoded);
            read.expect("it is in this coding");
            assert_eq!(decoded, "tea, and no milk", "{coding:?}");
        }
    }

    #[test]
    fn a_flush_per_read_costs_little_where_reads_are_large() {
        for coding in ContentCoding::ALL {
            assert!(length_with_flushes(coding, PART) < 1020, "{coding:?}");
        }
    }
}
