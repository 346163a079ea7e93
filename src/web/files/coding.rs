//! Files that are there compressed, too.

use http::{HeaderMap, HeaderValue};

use crate::message::headers::accept_encoding;

/// A content coding in which a file may lie beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileCoding {
    Brotli,
    Zstd,
    Gzip,
}

impl FileCoding {
    /// Those that are smaller first.
    const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// What the client takes at least as gladly as the file as it is, the best first.
    pub(crate) fn wanted(fields: &HeaderMap) -> impl Iterator<Item = Self> {
        accept_encoding::wanted(fields, Self::ALL, Self::name)
    }

    /// How fields name it.
    const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// How `Content-Encoding` names it.
    pub(crate) const fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// What the name of such a file ends with.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }

    /// What tells its entity tag from the file's own, should both be one file.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => "-br",
            Self::Zstd => "-zstd",
            Self::Gzip => "-gzip",
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT_ENCODING;

    use super::*;

    #[test]
    fn the_client_chooses_and_the_smaller_one_goes_first() {
        use FileCoding::{Brotli, Gzip, Zstd};
        #[track_caller]
        fn check(accepted: &'static str, expected: &[FileCoding]) {
            let value = HeaderValue::from_static(accepted);
            let fields: HeaderMap = [(ACCEPT_ENCODING, value)].into_iter().collect();
            let wanted: Vec<_> = FileCoding::wanted(&fields).collect();
            assert_eq!(wanted, expected, "{accepted}");
        }
        check("gzip, deflate, br, zstd", &[Brotli, Zstd, Gzip]);
        check("gzip, br;q=0.9", &[Gzip, Brotli]);
        check("X-GZip, br;q=0.9", &[Gzip, Brotli]);
        check("gzip;q=0", &[]);
        check("identity, gzip;q=0.5, br", &[Brotli]);
        check("*", &[Brotli, Zstd, Gzip]);
        check("*;q=0.1, gzip;q=0.2, identity;q=0", &[Gzip, Brotli, Zstd]);
        check("", &[]);
    }
}
