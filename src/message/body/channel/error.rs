//! Why content was not sent.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

use bytes::Bytes;

/// The error of [`BodySender::send`](super::BodySender::send), with the content that was not sent:
/// the client has left, the response has failed or is complete, or the server was forced to stop.
///
/// ```
/// use std::io;
/// use httpool::{Body, SendError};
///
/// let (sender, body) = Body::channel(1024);
/// drop(body);
/// assert_eq!(sender.send("too late"), Err(SendError("too late".into())));
/// let error: io::Error = sender.send("too late").unwrap_err().into();
/// assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SendError(
    /// The content.
    pub Bytes,
);

/// The error of [`BodySender::try_send`](super::BodySender::try_send), with the content that was not sent.
///
/// ```
/// use httpool::{Body, TrySendError};
///
/// let (sender, body) = Body::channel(10);
/// assert_eq!(sender.try_send("ten bytes."), Ok(()));
/// assert_eq!(sender.try_send("more"), Err(TrySendError::Full("more".into())));
/// drop(body);
/// assert_eq!(sender.try_send("more"), Err(TrySendError::Closed("more".into())));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum TrySendError {
    /// The queue has no room now: the client reads more slowly than content is sent.
    Full(Bytes),
    /// Nothing more can be sent, as for [`SendError`].
    Closed(Bytes),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client has left, or the response is over")
    }
}

/// Shows no content, which may be large or private.
impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendError({} bytes)", self.0.len())
    }
}

impl Error for SendError {}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        Self::new(ErrorKind::BrokenPipe, error)
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the queue of the response is full"),
            Self::Closed(content) => SendError(content.clone()).fmt(f),
        }
    }
}

/// Shows no content, which may be large or private.
impl fmt::Debug for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(content) => write!(f, "Full({} bytes)", content.len()),
            Self::Closed(content) => write!(f, "Closed({} bytes)", content.len()),
        }
    }
}

impl Error for TrySendError {}
