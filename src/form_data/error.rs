//! Why a body is not read further.

use std::error::Error;
use std::fmt;

/// Why a scan ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanError {
    /// The content type is not `multipart/form-data`.
    ContentType,
    /// The body breaks the grammar.
    Malformed(Malformed),
    /// Part number `part`, from 1, has a content transfer encoding that is not decoded.
    TransferEncoding {
        /// The number of the part.
        part: usize,
    },
    /// The body exceeds a limit.
    TooLarge {
        /// The limit.
        limit: Limit,
        /// Its value.
        most: u64,
    },
}

/// A limit of a body.
#[cfg_attr(
    feature = "multipart",
    doc = r#"
```
use httpool::multipart::{Limit, MultipartError};

fn hint(error: &MultipartError) -> &'static str {
    match error {
        MultipartError::TooLarge { limit: Limit::Parts, .. } => "send fewer files",
        MultipartError::TooLarge { .. } => "send smaller files",
        _ => "try again",
    }
}
```
"#
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of the whole body.
    Total,
    /// Number of parts.
    Parts,
    /// Bytes of the content of one part.
    Part,
    /// Bytes of the headers of one part, with its names.
    PartHead,
    /// Number of header lines of one part.
    PartHeaderLines,
    /// Bytes of all parts that are kept in memory.
    Memory,
}

/// A body that breaks the grammar: where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    part: usize,
    reason: &'static str,
}

impl Malformed {
    /// A mistake in part number `part`, from 1, or outside of all parts for 0.
    pub(crate) const fn new(part: usize, reason: &'static str) -> Self {
        Self { part, reason }
    }

    /// The number of the part, from 1; 0 outside of all parts.
    pub const fn part(&self) -> usize {
        self.part
    }
}

impl From<Malformed> for ScanError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            0 => f.write_str(self.reason),
            part => write!(f, "part {part}: {}", self.reason),
        }
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContentType => f.write_str("Content-Type must be multipart/form-data"),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::TransferEncoding { part } => write!(
                f,
                "part {part}: Content-Transfer-Encoding must be binary or absent"
            ),
            Self::TooLarge { limit, most } => write!(f, "{limit} {most}"),
        }
    }
}

/// The beginning of a sentence that the value of the limit ends.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "the limit for the bytes of a form is",
            Self::Parts => "the limit for the parts of a form is",
            Self::Part => "the limit for the bytes of a part is",
            Self::PartHead => "the limit for the bytes of a part's headers is",
            Self::PartHeaderLines => "the limit for the header lines of a part is",
            Self::Memory => "the limit for the bytes of a form in memory is",
        })
    }
}

impl Error for Malformed {}

impl Error for ScanError {}
