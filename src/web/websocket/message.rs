//! Messages, and the codes with which a WebSocket closes.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use tungstenite::Utf8Bytes;

/// A message of a WebSocket. Clones share its memory, so one message can be sent to many clients.
///
/// ```
/// use httpool::websocket::Message;
///
/// let message = Message::from("hello");
/// assert_eq!(message.as_text(), Some("hello"));
/// assert_eq!(message.len(), 5);
/// assert_eq!(Message::from(vec![1, 2, 3]).as_text(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Its text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Into<Text>> From<T> for Message {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

/// The text of a [`Message`]. Clones share its memory.
///
/// ```
/// use httpool::websocket::Text;
///
/// let text = Text::from(format!("{} rooms", 3));
/// assert!(text.ends_with("rooms"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Text(pub(super) Utf8Bytes);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// How a WebSocket has closed, or is to be closed: a code with a text (RFC 6455 section 7.4).
///
/// Codes from 4000 to 4999 are the program's own.
///
/// ```
/// use httpool::websocket::Close;
///
/// let close = Close::new(4001, "the game is over");
/// assert_eq!((close.code(), close.reason()), (4001, "the game is over"));
/// assert_ne!(close.code(), Close::NORMAL);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Close {
    code: u16,
    reason: Text,
}

/// The longest reason in bytes: a control frame has 125, and two are the code's.
const MAX_REASON: usize = 123;

impl Close {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The server shuts down, or the client leaves the page.
    pub const GOING_AWAY: u16 = 1001;
    /// The other side has violated the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// A message of a type that is not understood, for example binary instead of text.
    pub const UNSUPPORTED: u16 = 1003;
    /// The other side has closed without a code. It is never sent.
    pub const NO_CODE: u16 = 1005;
    /// The connection has ended without a closing handshake. It is never sent.
    pub const LOST: u16 = 1006;
    /// A message whose content does not fit its type, for example text that is not UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// A message that violates a rule of the program.
    pub const POLICY: u16 = 1008;
    /// A message that is too large.
    pub const TOO_LARGE: u16 = 1009;
    /// The server has failed.
    pub const INTERNAL_ERROR: u16 = 1011;

    /// A close with this code. A reason of more than 123 bytes is cut.
    ///
    /// # Panics
    ///
    /// If the code can't be sent: below 1000, [`NO_CODE`](Self::NO_CODE), [`LOST`](Self::LOST), a
    /// reserved one, or above 4999.
    #[must_use]
    pub fn new(code: u16, reason: &str) -> Self {
        assert!(
            matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999),
            "{code} can't be sent as the code of a close"
        );
        let mut end = reason.len().min(MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            code,
            reason: reason[..end].into(),
        }
    }

    /// What the other side has sent.
    pub(super) fn received(code: u16, reason: Utf8Bytes) -> Self {
        Self {
            code,
            reason: Text(reason),
        }
    }

    /// The end of a connection that has no code of its own.
    pub(super) fn implied(code: u16) -> Self {
        Self::received(code, Utf8Bytes::default())
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The text, which is for logs and often empty.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(super) fn text(&self) -> Utf8Bytes {
        self.reason.0.clone()
    }
}

impl fmt::Debug for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes the code, and the reason if there is one.
impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            "" => write!(f, "{}", self.code),
            reason => write!(f, "{} {reason:?}", self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_cut_at_a_character() {
        let close = Close::new(Close::NORMAL, &"ä".repeat(100));
        assert_eq!(close.reason(), "ä".repeat(61));
    }

    #[test]
    fn only_codes_that_can_be_sent_are_accepted() {
        for code in [0, 999, 1004, Close::NO_CODE, Close::LOST, 1015, 2999, 5000] {
            let made = std::panic::catch_unwind(|| Close::new(code, ""));
            assert!(made.is_err(), "{code}");
        }
        for code in [1000, 1003, 1007, 1014, 3000, 4999] {
            assert_eq!(Close::new(code, "").code(), code);
        }
    }
}
