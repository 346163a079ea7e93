//! Why an argument was rejected.

use http::StatusCode;

/// Why a request does not have a valid value for an argument of its function.
///
/// ```
/// use httpool::extract::{Rejection, RejectionKind};
/// use httpool::http::StatusCode;
/// use httpool::{Json, Problem, Router};
/// use httpool::testing::Client;
///
/// fn add(numbers: Result<Json<Vec<u8>>, Rejection>) -> Result<String, Problem> {
///     match numbers {
///         Ok(Json(numbers)) => Ok(numbers.len().to_string()),
///         Err(rejection) if rejection.kind() == RejectionKind::MissingBody => Ok("0".into()),
///         Err(rejection) => Err(rejection.into()),
///     }
/// }
///
/// let client = Client::new(Router::new().post("/", add));
/// assert_eq!(client.post("/").send().text(), "0");
/// assert_eq!(client.post("/").json(&[256]).send().status(), StatusCode::UNPROCESSABLE_ENTITY);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// A value of the path can't be parsed ([`Path`](crate::extract::Path)): 400.
    Path,
    /// The query can't be parsed ([`Query`](crate::extract::Query)): 400.
    Query,
    /// The body has another `Content-Type` than the argument needs: 415.
    ContentType,
    /// There is no body, but the argument needs one: 400.
    MissingBody,
    /// The body is not JSON: 400.
    JsonSyntax,
    /// The body is JSON that does not fit the type: 422.
    JsonValue,
    /// The body is a form that does not fit the type ([`Form`](crate::extract::Form)): 422.
    Form,
    /// The body is not UTF-8, but the argument is a [`String`]: 400.
    NotUtf8,
    /// The client's address is unknown ([`ClientInfo`](crate::ClientInfo)): 400.
    UnknownClient,
    /// The function can't handle any request of its route, so the program has a mistake: 500. The log
    /// has the reason.
    ProgramError,
    /// An argument of the program rejected the request ([`Rejection::new`](super::Rejection::new)).
    Custom,
}

impl RejectionKind {
    /// The status of the response. The program chooses that of [`Custom`](Self::Custom).
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Path
            | Self::Query
            | Self::MissingBody
            | Self::JsonSyntax
            | Self::NotUtf8
            | Self::UnknownClient
            | Self::Custom => StatusCode::BAD_REQUEST,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::JsonValue | Self::Form => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ProgramError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
