//! Why a request has no arguments for the function that would answer it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use log::error;

use crate::logging::LogLimit;
use crate::message::{IntoResponse, Problem, Request, Response};

/// A request does not have what a function wants to know. As an answer it says what is missing, in
/// the form that the client prefers ([`Problem`]).
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
///         Err(rejection) => (StatusCode::NOT_FOUND, format!("no user, for {rejection}")),
///     }
/// }
///
/// let router: Router = Router::new().get("/users/{id}", show);
/// assert_eq!(Client::new(router).get("/users/me").send().status(), StatusCode::NOT_FOUND);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    status: StatusCode,
    /// Empty where the client is told no more than the status.
    reason: Cow<'static, str>,
}

impl Rejection {
    /// With a status of the 4xx class, and a sentence for the client.
    #[must_use]
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            reason: reason.into(),
        }
    }

    /// A function that can't be called with any request of its route. The log says why, the client is
    /// told that it is not its fault.
    pub(crate) fn of_program(request: &Request, why: impl fmt::Display) -> Self {
        static MISTAKES: LogLimit = LogLimit::new(10, Duration::from_secs(60));
        if let Some(suppressed) = MISTAKES.allow(Instant::now()) {
            let (method, path) = (request.method(), request.uri().path());
            error!("{method} {path}: 500, a mistake of the program: {why}{suppressed}");
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "")
    }

    /// The status of its answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer to a request that had these header fields.
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

/// As a [`Problem`], which a server tells in the form that the client prefers.
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
