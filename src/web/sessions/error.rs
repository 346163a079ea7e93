//! Errors of sessions.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use http::StatusCode;
use log::error;

use super::StoreError;
use crate::logging::LogLimit;
use crate::message::response::failed;
use crate::message::{IntoResponse, Response};

/// A session can't be read or changed. As a response it is a 500, and the log names the reason.
///
/// ```
/// use httpool::sessions::{Session, SessionError};
///
/// fn greet(session: Session) -> Result<String, SessionError> {
///     let name = session.get::<String>("name")?;
///     Ok(format!("hello, {}", name.as_deref().unwrap_or("stranger")))
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// The store has failed.
    Store(StoreError),
    /// A value can't be converted into JSON, or it has another type than the one that was asked for.
    Value {
        /// The name of the value.
        name: String,
        /// The reason.
        source: serde_json::Error,
    },
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the session store has failed: {error}"),
            Self::Value { name, source } => write!(f, "the session's value {name:?}: {source}"),
        }
    }
}

impl Error for SessionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => Some(&**error),
            Self::Value { source, .. } => Some(source),
        }
    }
}

impl SessionError {
    fn log(&self) {
        static LIMIT: LogLimit = LogLimit::new(10, Duration::from_secs(60));
        if let Some(suppressed) = LIMIT.allow(Instant::now()) {
            error!("{self}{suppressed}");
        }
    }
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        self.log();
        failed(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// For an extractor that reads the session: a 500. The log has the reason.
#[cfg(feature = "router")]
impl From<SessionError> for crate::web::extract::Rejection {
    fn from(error: SessionError) -> Self {
        error.log();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "")
    }
}
