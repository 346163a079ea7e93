//! The types from which a body in memory can be made.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Body, Content};

impl From<Bytes> for Body {
    fn from(content: Bytes) -> Self {
        Content::Memory(content).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(content: Vec<u8>) -> Self {
        Bytes::from(content).into()
    }
}

impl From<String> for Body {
    fn from(content: String) -> Self {
        Bytes::from(content).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(content: &'static [u8]) -> Self {
        Bytes::from_static(content).into()
    }
}

impl From<&'static str> for Body {
    fn from(content: &'static str) -> Self {
        content.as_bytes().into()
    }
}

impl From<Box<str>> for Body {
    fn from(content: Box<str>) -> Self {
        String::from(content).into()
    }
}

impl From<Box<[u8]>> for Body {
    fn from(content: Box<[u8]>) -> Self {
        Bytes::from(content).into()
    }
}

impl From<Cow<'static, str>> for Body {
    fn from(content: Cow<'static, str>) -> Self {
        match content {
            Cow::Borrowed(content) => content.into(),
            Cow::Owned(content) => content.into(),
        }
    }
}

impl From<Cow<'static, [u8]>> for Body {
    fn from(content: Cow<'static, [u8]>) -> Self {
        match content {
            Cow::Borrowed(content) => content.into(),
            Cow::Owned(content) => content.into(),
        }
    }
}

impl<const N: usize> From<&'static [u8; N]> for Body {
    fn from(content: &'static [u8; N]) -> Self {
        content.as_slice().into()
    }
}
