//! Why a form can't be read.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

use http::StatusCode;

use crate::form_data::{Limit, ScanError};
use crate::message::client_error::ClientError;
use crate::message::response::log_failure;
use crate::message::{IntoResponse, Problem, Response};
use crate::web::extract::{Rejection, RejectionKind};

/// Why a form or one of its parts can't be read or saved.
///
/// As a response it has a 4xx status and names the client's mistake, or is a 500 if the client made
/// none. It converts into an [`io::Error`] and back, so `?` works in functions that return either.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::multipart::{Multipart, MultipartError};
///
/// fn upload(mut form: Multipart) -> Result<StatusCode, MultipartError> {
///     while let Some(mut part) = form.next_part()? {
///         let name = part.safe_file_name().unwrap_or_else(|| "unnamed".into());
///         match part.save_to(format!("uploads/{name}")) {
///             Err(MultipartError::Exists) => println!("{name} was uploaded before"),
///             saved => drop(saved?),
///         }
///     }
///     Ok(StatusCode::CREATED)
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum MultipartError {
    /// 415: the content type is not `multipart/form-data`.
    ContentType,
    /// 400: the body is malformed. The text says where and why.
    Malformed(String),
    /// 415: a part is encoded, as `Content-Transfer-Encoding` or the charset of its content type says.
    Encoding(String),
    /// 422: a field does not fit its type ([`MultipartForm`](super::MultipartForm)). The text names it.
    Field(String),
    /// 413: the body exceeds a limit.
    TooLarge {
        /// The limit.
        limit: Limit,
        /// Its value.
        most: u64,
        /// The name of the part that exceeds it, if one does.
        part: Option<String>,
    },
    /// 409: a file of that name exists ([`Part::save_to`](super::Part::save_to)).
    Exists,
    /// The body can't be received, or a file can't be written. If the client caused it, for example by
    /// a timeout, the server responds with its error; otherwise it is a 500, and the log names it.
    Io(io::Error),
}

impl MultipartError {
    /// The status of the response. The server replaces a 500 if the body could not be received.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::ContentType | Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Field(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Exists => StatusCode::CONFLICT,
            Self::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Adds the name of the part that exceeds the limit.
    pub(super) fn in_part(self, name: &str) -> Self {
        match self {
            Self::TooLarge {
                limit: limit @ (Limit::Part | Limit::Memory),
                most,
                ..
            } => Self::TooLarge {
                limit,
                most,
                part: Some(name.to_owned()),
            },
            other => other,
        }
    }
}

impl fmt::Display for MultipartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContentType => ScanError::ContentType.fmt(f),
            Self::Malformed(reason) | Self::Encoding(reason) | Self::Field(reason) => {
                f.write_str(reason)
            }
            Self::TooLarge { limit, most, part } => {
                if let Some(part) = part {
                    write!(f, "{part:?} is too large: ")?;
                }
                write!(f, "{limit} {most}")
            }
            Self::Exists => f.write_str("a file of that name exists"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl Error for MultipartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ScanError> for MultipartError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::ContentType => Self::ContentType,
            ScanError::Malformed(malformed) => {
                Self::Malformed(format!("malformed form: {malformed}"))
            }
            error @ ScanError::TransferEncoding { .. } => Self::Encoding(error.to_string()),
            ScanError::TooLarge { limit, most } => Self::TooLarge {
                limit,
                most,
                part: None,
            },
        }
    }
}

/// The error that a reader of a part has returned, or another one.
impl From<io::Error> for MultipartError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<ClientError>() {
            Ok(client_error) => match client_error.downcast() {
                Ok(error) => error,
                Err(client_error) => Self::Io(client_error.into()),
            },
            Err(error) => Self::Io(error),
        }
    }
}

/// The error that a reader of a part returns. As a response it is the same.
impl From<MultipartError> for io::Error {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::Io(error) => error,
            error => ClientError::new(error.status(), kind(&error), error).into(),
        }
    }
}

fn kind(error: &MultipartError) -> ErrorKind {
    match error {
        MultipartError::TooLarge { .. } => ErrorKind::FileTooLarge,
        MultipartError::Exists => ErrorKind::AlreadyExists,
        _ => ErrorKind::InvalidData,
    }
}

impl From<MultipartError> for Rejection {
    fn from(error: MultipartError) -> Self {
        match &error {
            MultipartError::Io(failure) => {
                log_failure(failure);
                Self::new(error.status(), "")
            }
            MultipartError::Field(_) => Self::of_kind(RejectionKind::Form, error.to_string()),
            _ => Self::new(error.status(), error.to_string()),
        }
    }
}

impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        Rejection::from(error).into()
    }
}

impl IntoResponse for MultipartError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
