//! Content codings (RFC 9110 section 8.4.1).

#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
mod decode;
#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
mod encode;
#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
mod polled;

use http::{HeaderMap, HeaderValue};

#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
pub(crate) use self::encode::Flush;
use crate::message::headers::accept_encoding;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "features decide which codings a build uses")]
pub(crate) enum ContentCoding {
    Zstd,
    Brotli,
    Gzip,
}

#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
const SUPPORTED: usize = cfg!(feature = "zstd") as usize
    + cfg!(feature = "brotli") as usize
    + cfg!(feature = "gzip") as usize;

/// The server's order of preference, which decides between codings that a client accepts equally.
/// There are two: a response that is encoded while the client waits should take little time, and a
/// file that was compressed in advance should be small.
impl ContentCoding {
    /// The codings that this build can encode and decode, the fastest first.
    #[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
    pub(crate) const FASTEST_FIRST: [Self; SUPPORTED] = [
        #[cfg(feature = "zstd")]
        Self::Zstd,
        #[cfg(feature = "brotli")]
        Self::Brotli,
        #[cfg(feature = "gzip")]
        Self::Gzip,
    ];

    /// The codings of compressed files, the smallest first.
    #[cfg(feature = "files")]
    const SMALLEST_FIRST: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The coding for a response that is encoded while it is sent: the one with the highest quality
    /// (RFC 9110 section 12.5.3). `None` if the client prefers unencoded content or does not say.
    #[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
    pub(crate) fn preferred(request: &HeaderMap) -> Option<Self> {
        accept_encoding::acceptable(request, Self::FASTEST_FIRST, Self::name).next()
    }

    /// The codings in which a compressed file may be sent, best first: those that the client accepts
    /// at least as much as unencoded content.
    #[cfg(feature = "files")]
    pub(crate) fn of_files(request: &HeaderMap) -> impl Iterator<Item = Self> {
        accept_encoding::acceptable(request, Self::SMALLEST_FIRST, Self::name)
    }
}

impl ContentCoding {
    /// The registered name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// Finds a coding that this build can decode by its name.
    #[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::FASTEST_FIRST.into_iter();
        all.find(|coding| accept_encoding::is_coding(name, coding.name()))
    }

    /// The value of `Content-Encoding`.
    pub(crate) const fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// The extension of a compressed file.
    #[cfg(feature = "files")]
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Zstd => ".zst",
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }

    /// The suffix of a compressed file's entity tag. The tag differs from that of the original even
    /// if both names are links to one file.
    #[cfg(feature = "files")]
    pub(crate) const fn tag_suffix(self) -> &'static str {
        match self {
            Self::Zstd => "-zstd",
            Self::Brotli => "-br",
            Self::Gzip => "-gzip",
        }
    }
}

#[cfg(all(
    test,
    feature = "brotli",
    feature = "files",
    feature = "gzip",
    feature = "zstd"
))]
mod tests {
    use http::header::ACCEPT_ENCODING;

    use super::ContentCoding::{Brotli, Gzip, Zstd};
    use super::*;

    fn accepting(accepted: &'static str) -> HeaderMap {
        let value = HeaderValue::from_static(accepted);
        [(ACCEPT_ENCODING, value)].into_iter().collect()
    }

    #[test]
    fn responses_use_the_clients_preferred_coding() {
        for (accepted, expected) in [
            ("", None),
            ("identity", None),
            ("deflate, compress", None),
            ("gzip", Some(Gzip)),
            ("X-GZip;q=0.1", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip, br", Some(Brotli)),
            ("gzip;q=0.8, br;q=0.5", Some(Gzip)),
            ("gzip;q=0", None),
            ("*", Some(Zstd)),
            ("zstd;q=0, *;q=0.1", Some(Brotli)),
            ("*;q=0", None),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", Some(Gzip)),
            ("gzip;q=nonsense", None),
        ] {
            let preferred = ContentCoding::preferred(&accepting(accepted));
            assert_eq!(preferred, expected, "{accepted}");
        }
    }

    #[test]
    fn files_use_the_clients_preferred_then_smallest_coding() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", &[Brotli, Zstd, Gzip][..]),
            ("gzip, br;q=0.9", &[Gzip, Brotli]),
            ("X-GZip, br;q=0.9", &[Gzip, Brotli]),
            ("gzip;q=0", &[]),
            ("identity, gzip;q=0.5, br", &[Brotli]),
            ("*", &[Brotli, Zstd, Gzip]),
            ("*;q=0.1, gzip;q=0.2, identity;q=0", &[Gzip, Brotli, Zstd]),
            ("", &[]),
        ] {
            let codings: Vec<_> = ContentCoding::of_files(&accepting(accepted)).collect();
            assert_eq!(codings, expected, "{accepted}");
        }
    }
}
