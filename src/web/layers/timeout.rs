//! How long an answer may take.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::message::problem::try_again;
use crate::message::{IntoResponse, Problem, Request, Response};
use crate::sync::CENTURY;
use crate::web::{Layer, Next};

/// Gives each request a [`Deadline`], so long after this layer has seen it.
///
/// A handler is a function that may block, and nothing can stop a function from outside. So this
/// stops none: it tells handlers how much time is left, for the timeouts of what they wait for, and
/// a handler that asks and finds none left gives up with an answer. One that does not ask takes as
/// long as it takes, and its answer is sent.
///
/// ```
/// use std::time::Duration;
///
/// use httpool::layers::{Deadline, Timeout, TooLate};
/// use httpool::{Handler, Layered, Request};
///
/// fn search(request: Request) -> Result<String, TooLate> {
///     let deadline = Deadline::of(&request);
///     let mut found = String::new();
///     for shelf in 1..=3 {
///         let left = deadline.remaining()?;
///         found += &look_at(shelf, left);
///     }
///     Ok(found)
/// }
/// # fn look_at(shelf: u8, _timeout: Duration) -> String { shelf.to_string() }
///
/// let patient = Layered::new(search).layer(Timeout::new(Duration::from_secs(60)));
/// assert_eq!(patient.handle(&mut Request::default()).body().as_bytes(), b"123");
/// let hasty = Layered::new(search).layer(Timeout::new(Duration::ZERO));
/// assert_eq!(hasty.handle(&mut Request::default()).status(), 503);
/// ```
///
/// Of two of these around a handler the stricter counts.
#[derive(Debug, Clone, Copy)]
pub struct Timeout(Duration);

/// Until when an answer is wanted. As an argument of a routed function, or of any request; where no
/// [`Timeout`] has seen the request, it is a century away.
///
/// ```
/// # #[cfg(feature = "router")] {
/// use std::net::{SocketAddr, TcpStream};
/// use std::time::Duration;
///
/// use httpool::layers::{Deadline, Timeout, TooLate};
/// use httpool::Router;
///
/// fn is_shop_open(deadline: Deadline) -> Result<&'static str, TooLate> {
///     let shop = SocketAddr::from(([192, 0, 2, 1], 80));
///     match TcpStream::connect_timeout(&shop, deadline.remaining()?) {
///         Ok(_) => Ok("it is open"),
///         Err(_) => Ok("it is closed"),
///     }
/// }
///
/// let router: Router = Router::new()
///     .layer(Timeout::new(Duration::from_secs(2)))
///     .get("/shop", is_shop_open);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// A [`Deadline`] has passed. As an answer it is a 503 with `Retry-After`; a program that speaks for
/// another one, and has waited for that, may rather answer 504.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::layers::{Deadline, TooLate};
/// use httpool::{Problem, Request};
///
/// fn pass_on(request: Request) -> Result<String, Problem> {
///     let answer = ask_another(Deadline::of(&request));
///     answer.map_err(|_: TooLate| Problem::new(StatusCode::GATEWAY_TIMEOUT))
/// }
/// # fn ask_another(deadline: Deadline) -> Result<String, TooLate> {
/// #     deadline.remaining().map(|left| format!("{left:?}"))
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooLate;

impl Timeout {
    /// A century at most.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self(limit.min(Duration::from_secs(CENTURY)))
    }
}

impl Layer for Timeout {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let deadline = Deadline(Instant::now() + self.0).min(Deadline::of(request));
        request.extensions_mut().insert(deadline);
        next.handle(request)
    }
}

impl Deadline {
    /// The one of this request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let given = request.extensions().get().copied();
        given.unwrap_or_else(|| Self(Instant::now() + Duration::from_secs(CENTURY)))
    }

    /// How much time is left, which is more than none.
    ///
    /// # Errors
    ///
    /// If none is.
    pub fn remaining(self) -> Result<Duration, TooLate> {
        match self.0.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(TooLate),
            left => Ok(left),
        }
    }

    /// The moment itself.
    #[must_use]
    pub fn at(self) -> Instant {
        self.0
    }
}

#[cfg(feature = "router")]
impl<S> crate::web::extract::FromRequest<S> for Deadline {
    fn from_request(
        call: &mut crate::web::extract::RequestContext<'_, S>,
    ) -> Result<Self, crate::web::extract::Rejection> {
        Ok(Self::of(call.request()))
    }
}

impl IntoResponse for TooLate {
    fn into_response(self) -> Response {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE).detail("it took too long");
        try_again(problem.into_response())
    }
}

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl Error for TooLate {}
