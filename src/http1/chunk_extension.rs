//! The grammar of chunk extensions (RFC 9112 section 7.1.1), a byte at a time.
//!
//! Extensions mean nothing here. Their grammar is checked all the same: a reader that finds another
//! end of a quoted string than this one also finds other chunks.

use super::chunked::is_token;

/// What the latest byte behind a chunk's size belongs to. Each part says what may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Whitespace before a semicolon.
    Padding,
    /// A semicolon, or whitespace behind it.
    Semicolon,
    Name,
    /// Whitespace behind a name.
    NamePadding,
    /// An equals sign, or whitespace behind it.
    Equals,
    Token,
    Quoted,
    /// A backslash in a quoted string.
    Backslash,
    /// The end of a quoted string.
    QuoteEnd,
}

impl Part {
    /// What follows a size directly with this byte.
    pub(super) fn first(byte: u8) -> Option<Self> {
        Self::QuoteEnd.next(byte)
    }

    /// What this byte belongs to, if it may stand here.
    pub(super) fn next(self, byte: u8) -> Option<Self> {
        let is_space = matches!(byte, b' ' | b'\t');
        Some(match (self, byte) {
            (Self::Quoted, b'"') => Self::QuoteEnd,
            (Self::Quoted, b'\\') => Self::Backslash,
            (Self::Quoted | Self::Backslash, b'\t' | b' '..=b'~' | 0x80..) => Self::Quoted,
            (Self::Quoted | Self::Backslash, _) => return None,
            (Self::Semicolon | Self::Equals, _) if is_space => self,
            (Self::Name | Self::NamePadding, _) if is_space => Self::NamePadding,
            (_, _) if is_space => Self::Padding,
            (Self::Semicolon | Self::Name, _) if is_token(byte) => Self::Name,
            (Self::Equals | Self::Token, _) if is_token(byte) => Self::Token,
            (Self::Name | Self::NamePadding, b'=') => Self::Equals,
            (Self::Equals, b'"') => Self::Quoted,
            (Self::Semicolon | Self::Equals, _) => return None,
            (_, b';') => Self::Semicolon,
            _ => return None,
        })
    }

    /// Whether the line may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Token | Self::QuoteEnd)
    }
}
