//! The grammar of chunk extensions (RFC 9112 section 7.1.1), byte by byte.
//!
//! The server ignores extensions but checks their grammar: a proxy that sees another end of a
//! quoted string would also see other chunks.

use super::chunked::is_token;

/// The part of the extension that the last byte belongs to. Each part determines what may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Whitespace before a semicolon.
    Padding,
    /// A semicolon, or whitespace after it.
    Semicolon,
    Name,
    /// Whitespace after a name.
    NamePadding,
    /// An equals sign, or whitespace after it.
    Equals,
    Token,
    Quoted,
    /// A backslash in a quoted string.
    Backslash,
    /// The end of a quoted string.
    QuoteEnd,
}

impl Part {
    /// The part that starts with this byte after a size.
    pub(super) fn first(byte: u8) -> Option<Self> {
        Self::QuoteEnd.next(byte)
    }

    /// The part of this byte, if it is allowed here.
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
