//! The error of a request that lacks an argument of its function.

mod kind;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use log::error;

pub use self::kind::RejectionKind;
use crate::logging::LogLimit;
use crate::message::{IntoResponse, Problem, Request, Response};

/// A request does not have a valid value for an argument of its function. As a response it names
/// the problem, in the format that the client prefers ([`Problem`]).
///
/// A function that takes `Result<T, Rejection>` responds to the rejections of `T` itself:
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
///
/// # All rejections of a router
///
/// A response that was made from a rejection remembers it, so a [layer](crate::Layer) can replace
/// all of them:
///
/// ```
/// use httpool::extract::{Path, Rejection, RejectionKind};
/// use httpool::http::StatusCode;
/// use httpool::testing::Client;
/// use httpool::{IntoResponse, Next, Problem, Request, Response, Router};
///
/// /// No path with an invalid value exists.
/// fn paths_are_404(request: Request, next: Next<'_>) -> Response {
///     let response = next.run(request);
///     match Rejection::of(&response) {
///         Some(rejection) if rejection.kind() == RejectionKind::Path => {
///             Problem::new(StatusCode::NOT_FOUND).into_response()
///         }
///         _ => response,
///     }
/// }
///
/// let router: Router = Router::new()
///     .layer(paths_are_404)
///     .get("/users/{id}", |Path(id): Path<u64>| format!("user {id}"));
/// assert_eq!(Client::new(router).get("/users/me").send().status(), StatusCode::NOT_FOUND);
/// ```
// Boxed, because each argument returns a `Result` with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection(Box<Reason>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reason {
    kind: RejectionKind,
    /// The name of the wrong value.
    value_name: Option<Box<str>>,
    /// Its detail is empty if the response is the status alone.
    problem: Problem,
}

/// The most bytes of a reason. It may quote a value of the client, of any length.
const MAX_REASON: usize = 4096;

fn shortened(reason: Cow<'static, str>) -> Cow<'static, str> {
    if reason.len() <= MAX_REASON {
        return reason;
    }
    let mut end = MAX_REASON;
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &reason[..end]).into()
}

impl Rejection {
    /// Creates a rejection with a status of the 4xx class and a sentence for the client. To list
    /// several errors, convert a [`Problem`] into a rejection:
    ///
    /// ```
    /// use httpool::extract::{FromRequest, Rejection, RejectionKind, RequestContext};
    /// use httpool::http::StatusCode;
    /// use httpool::testing::Client;
    /// use httpool::{Json, Problem, Router};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct User {
    ///     name: String,
    ///     age: u8,
    /// }
    ///
    /// /// A user who can have an account.
    /// struct NewUser(User);
    ///
    /// impl<S> FromRequest<S> for NewUser {
    ///     fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
    ///         let Json(user) = Json::<User>::from_request(context)?;
    ///         let mut errors = Vec::new();
    ///         if user.name.is_empty() {
    ///             errors.push(("#/name", "must not be empty"));
    ///         }
    ///         if user.age < 18 {
    ///             errors.push(("#/age", "must be at least 18"));
    ///         }
    ///         if errors.is_empty() {
    ///             return Ok(Self(user));
    ///         }
    ///         Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
    ///             .with_title("The user is invalid")
    ///             .with_extension("errors", &errors)
    ///             .into())
    ///     }
    /// }
    ///
    /// let router: Router = Router::new().post("/users", |NewUser(user): NewUser| user.name);
    /// let request = Client::new(router);
    /// let request = request.post("/users").header("accept", "application/json");
    /// let response = request.json(&serde_json::json!({ "name": "", "age": 7 })).send();
    /// assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    /// assert_eq!(response.json::<serde_json::Value>()["errors"][1][0], "#/age");
    /// ```
    #[must_use]
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Problem::new(status).detail(reason).into()
    }

    /// A rejection of this kind, with a sentence for the client.
    pub(crate) fn of_kind(kind: RejectionKind, reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Reason {
            kind,
            value_name: None,
            problem: Problem::new(kind.status()).detail(shortened(reason.into())),
        }))
    }

    /// Names the wrong value.
    pub(crate) fn named(mut self, value: impl Into<Box<str>>) -> Self {
        self.0.value_name = Some(value.into());
        self
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
        Self::of_kind(RejectionKind::ProgramError, "")
    }

    /// The rejection that this response was made from, even if its content was replaced since.
    #[must_use]
    pub fn of(response: &Response) -> Option<&Self> {
        response.extensions().get::<Self>()
    }

    /// Why the request was rejected.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.0.kind
    }

    /// The name of the wrong value, if the rejection is about one value that is known: for example
    /// `user.tags[1]` in JSON, `from` in a query or a form, or `id` in a path. Clients choose names in
    /// maps, so a name may have any characters.
    ///
    /// ```
    /// use httpool::extract::{Query, Rejection};
    /// use httpool::Router;
    /// use httpool::testing::Client;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Page {
    ///     from: u32,
    /// }
    ///
    /// fn list(page: Result<Query<Page>, Rejection>) -> String {
    ///     match page {
    ///         Ok(Query(page)) => format!("from {}", page.from),
    ///         Err(rejection) => format!("{:?} is wrong", rejection.value_name()),
    ///     }
    /// }
    ///
    /// let client = Client::new(Router::new().get("/", list));
    /// assert_eq!(client.get("/?from=x").send().text(), "Some(\"from\") is wrong");
    /// ```
    #[must_use]
    pub fn value_name(&self) -> Option<&str> {
        self.0.value_name.as_deref()
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.problem.status()
    }

    /// The response to a request with these headers, in the format that the client prefers.
    #[must_use]
    pub fn to_response(&self, request: &HeaderMap) -> Response {
        self.clone()
            .remembered_by(self.0.problem.to_response(request))
    }

    fn remembered_by(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

/// A rejection of the kind [`Custom`](RejectionKind::Custom).
impl From<Problem> for Rejection {
    fn from(problem: Problem) -> Self {
        Self(Box::new(Reason {
            kind: RejectionKind::Custom,
            value_name: None,
            problem,
        }))
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        rejection.0.problem
    }
}

/// Responds with a [`Problem`], in the format that the client prefers.
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let response = self.0.problem.clone().into_response();
        self.remembered_by(response)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = &self.0.problem;
        match problem.message() {
            "" => write!(f, "{} {}", problem.status().as_u16(), problem.title()),
            reason => f.write_str(reason),
        }
    }
}

impl Error for Rejection {}
