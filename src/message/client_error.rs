//! An error of a client that a reader of its request's body returns.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

use http::StatusCode;

/// The cause of an [`io::Error`] whose response is this status with the error's text.
#[derive(Debug)]
pub(crate) struct ClientError {
    status: StatusCode,
    kind: ErrorKind,
    error: Box<dyn Error + Send + Sync>,
}

impl ClientError {
    pub(crate) fn new(
        status: StatusCode,
        kind: ErrorKind,
        error: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            status,
            kind,
            error: Box::new(error),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The error, if it is an `E`.
    pub(crate) fn downcast<E: Error + 'static>(self) -> Result<E, Self> {
        match self.error.downcast() {
            Ok(error) => Ok(*error),
            Err(error) => Err(Self { error, ..self }),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for ClientError {}

impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        Self::new(error.kind, error)
    }
}
