//! The content of a request or a response.

use std::fmt;

use bytes::Bytes;

/// The content of a message (RFC 9110 section 6.4).
///
/// A request's body arrives whole: the handler runs only when every byte of it is here, so a slow
/// sender never holds a worker. Its size is bounded by
/// [`Builder::max_body`](crate::Builder::max_body).
///
/// A response's body is given whole; the server sends it while the connection is parked, so a slow
/// reader never holds a worker either.
///
/// ```
/// use httpool::Body;
///
/// let body = Body::from("hello");
/// assert_eq!(body.as_bytes(), b"hello");
/// assert_eq!(body.len(), 5);
/// assert!(Body::empty().is_empty());
/// ```
#[derive(Default)]
pub struct Body {
    content: Bytes,
}

impl Body {
    /// A body without a single byte.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            content: Bytes::new(),
        }
    }

    /// The content, borrowed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.content
    }

    /// The content, without copying it.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.content
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.content.len()
    }

    /// Whether there is no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }
}

/// Shows the length only: bodies are large, and logs are no place for what clients send.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

impl From<Bytes> for Body {
    fn from(content: Bytes) -> Self {
        Self { content }
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
