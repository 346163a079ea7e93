//! Why a block of headers can't be decoded.

use std::error::Error;
use std::fmt;

use crate::http2::{self, ErrorCode};

/// Why a block of headers can't be decoded. The table of the decoder no longer matches the peer's,
/// so every variant is an error of the connection (RFC 7541 section 2.3.3, RFC 9113 section 4.3).
///
/// ```
/// use std::ops::ControlFlow;
///
/// use httpool::http2::hpack::{Decoder, HpackError};
///
/// let result = Decoder::default().decode(b"\x80", &mut Vec::new(), 1024, |_| {
///     ControlFlow::<()>::Continue(())
/// });
/// assert_eq!(result, Err(HpackError::Index));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HpackError {
    /// The block ends within a header.
    Truncated,
    /// An integer has too many bytes (RFC 7541 section 5.1).
    Integer,
    /// A string has a malformed Huffman code or padding (RFC 7541 section 5.2).
    Huffman,
    /// There is no entry with this index (RFC 7541 section 2.3.3).
    Index,
    /// An update of the table's size exceeds the limit, comes after a header, is the third of its
    /// block, or is missing (RFC 7541 section 4.2, RFC 9113 section 4.3.1).
    TableSize,
    /// The decoded headers exceed the size up to which this block is decoded. The peer is told to
    /// calm down.
    TooLarge,
}

impl HpackError {
    /// The code of the error that ends the connection.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::TooLarge => ErrorCode::EnhanceYourCalm,
            _ => ErrorCode::CompressionError,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Truncated => "the header block ends within a header",
            Self::Integer => "an integer in the header block is too long",
            Self::Huffman => "a Huffman-coded string is malformed",
            Self::Index => "the header block names an entry that the tables do not have",
            Self::TableSize => "the header block sets the size of the table against the rules",
            Self::TooLarge => "the headers of the block are too large",
        }
    }
}

impl From<HpackError> for http2::Error {
    fn from(error: HpackError) -> Self {
        Self::connection(error.code(), error.reason())
    }
}

impl fmt::Display for HpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl Error for HpackError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_end_the_connection() {
        for (error, expected) in [
            (
                HpackError::Index,
                "COMPRESSION_ERROR: the header block names an entry that the tables do not have",
            ),
            (
                HpackError::TooLarge,
                "ENHANCE_YOUR_CALM: the headers of the block are too large",
            ),
        ] {
            let error = http2::Error::from(error);
            assert!(matches!(error, http2::Error::Connection { .. }));
            assert_eq!(error.to_string(), expected);
        }
    }
}
