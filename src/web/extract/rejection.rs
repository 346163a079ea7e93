//! The error of a request that lacks an argument of its function.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use log::error;

use crate::logging::LogLimit;
use crate::message::{IntoResponse, Problem, Request, Response};

/// A request does not have a valid value for an argument of its function. As a response it names
/// the problem, in the format that the client prefers ([`Problem`]).
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::Router;
/// use httpool::extract::{Path, Rejection};
/// use httpool::testing::Client;
///
/// fn show(id: Result<Path<u64>, Rejection>) -> (StatusCode, String) {
///     match id {
///         Ok(Path(id)) => (StatusCode::OK, format!("user {id}")),
///         Err(rejection) => (StatusCode::NOT_FOUND, format!("no such user: {rejection}")),
///     }
/// }
///
/// let router: Router = Router::new().get("/users/{id}", show);
/// assert_eq!(Client::new(router).get("/users/me").send().status(), StatusCode::NOT_FOUND);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    status: StatusCode,
    /// Empty if the response is the status alone.
    reason: Cow<'static, str>,
}

impl Rejection {
    /// Creates a rejection with a status of the 4xx class and a sentence for the client.
    #[must_use]
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            reason: reason.into(),
        }
    }

    /// The rejection of a request whose function fits no request of its route. It is a 500 without
    /// a detail; the reason goes to the log.
    pub(crate) fn program_error(request: &Request, reason: impl fmt::Display) -> Self {
        static LIMIT: LogLimit = LogLimit::new(10, Duration::from_secs(60));
        if let Some(suppressed) = LIMIT.allow(Instant::now()) {
            let (method, path) = (request.method(), request.uri().path());
            error!(
                "{method} {path}: 500 because of a mistake in the program: {reason}{suppressed}"
            );
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "")
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The response to a request with these headers, in the format that the client prefers.
    #[must_use]
    pub fn to_response(&self, request: &HeaderMap) -> Response {
        Problem::from(self.clone()).to_response(request)
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let problem = Self::new(rejection.status);
        if rejection.reason.is_empty() {
            return problem;
        }
        problem.detail(rejection.reason)
    }
}

/// Responds with a [`Problem`], in the format that the client prefers.
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason.is_empty() {
            return self.status.fmt(f);
        }
        f.write_str(&self.reason)
    }
}

impl Error for Rejection {}
