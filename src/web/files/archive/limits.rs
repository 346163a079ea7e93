//! The limits of an archive.

use std::fmt;

/// The largest archive that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) entries: usize,
    pub(super) bytes: u64,
    pub(super) depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            bytes: 10 << 30,
            depth: 64,
        }
    }
}

/// The limit that a folder exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    Entries(usize),
    Bytes(u64),
    Depth(usize),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the folder is too large for an archive: at most ")?;
        match self {
            Self::Entries(most) => write!(f, "{most} files and folders"),
            Self::Bytes(most) => write!(f, "{most} bytes"),
            Self::Depth(most) => write!(f, "{most} folders inside each other"),
        }
    }
}
