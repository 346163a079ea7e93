//! Time limits for responses.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::message::problem::try_again;
use crate::message::{IntoResponse, Later, Problem, Request, Response};
use crate::sync::CENTURY;
use crate::web::{Layer, Next};

/// Gives each request a [`Deadline`]: the time at which this layer sees the request, plus a
/// timeout.
///
/// A handler is a function that may block, and a function can't be stopped from outside. So this
/// layer stops no function. It tells handlers how much time is left, which they use as a timeout for
/// operations that block. A handler that finds no time left returns an error response. A handler
/// that does not ask takes its time, and its response is sent.
///
/// A [`Later`](crate::Later) needs no function that waits, so this layer does end its wait: if the
/// response has not come by the deadline, the client receives that of [`TooLate`]. An earlier deadline
/// that the `Later` has set itself holds.
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
///         let timeout = deadline.remaining()?;
///         found += &search_shelf(shelf, timeout);
///     }
///     Ok(found)
/// }
/// # fn search_shelf(shelf: u8, _timeout: Duration) -> String { shelf.to_string() }
///
/// let long = Layered::new(search).layer(Timeout::new(Duration::from_secs(60)));
/// assert_eq!(long.handle(&mut Request::default()).body().as_bytes(), b"123");
/// let none = Layered::new(search).layer(Timeout::new(Duration::ZERO));
/// assert_eq!(none.handle(&mut Request::default()).status(), 503);
/// ```
///
/// ```
/// use std::time::Duration;
///
/// use httpool::layers::Timeout;
/// use httpool::testing::Client;
/// use httpool::{Later, Layered, Request};
///
/// let slow = |_: Request| Later::after(Duration::from_secs(3600), "late");
/// let handler = Layered::new(slow).layer(Timeout::new(Duration::from_millis(20)));
/// assert_eq!(Client::new(handler).get("/").send().status(), 503);
/// ```
///
/// With two of these layers around a handler, the earlier deadline holds.
#[derive(Debug, Clone, Copy)]
pub struct Timeout(Duration);

/// The time by which a response is wanted. It is an argument of routed functions, and available
/// from any request. Without a [`Timeout`] around the handler it is a century away.
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

/// A [`Deadline`] has passed. As a response it is a 503 with `Retry-After`. A gateway that waited
/// for another server may return 504 instead.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::layers::{Deadline, TooLate};
/// use httpool::{Problem, Request};
///
/// fn forward(request: Request) -> Result<String, Problem> {
///     let response = ask_another(Deadline::of(&request));
///     response.map_err(|_: TooLate| Problem::new(StatusCode::GATEWAY_TIMEOUT))
/// }
/// # fn ask_another(deadline: Deadline) -> Result<String, TooLate> {
/// #     deadline.remaining().map(|left| format!("{left:?}"))
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooLate;

impl Timeout {
    /// Creates the layer. The timeout is at most a century.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self(limit.min(Duration::from_secs(CENTURY)))
    }
}

impl Layer for Timeout {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let deadline = Deadline(Instant::now() + self.0).min(Deadline::of(request));
        request.extensions_mut().insert(deadline);
        let mut response = next.handle(request);
        Later::limit(&mut response, deadline.0, || TooLate.into_response());
        response
    }
}

impl Deadline {
    /// The deadline of this request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let deadline = request.extensions().get().copied();
        deadline.unwrap_or_else(|| Self(Instant::now() + Duration::from_secs(CENTURY)))
    }

    /// The time left, which is never zero.
    ///
    /// # Errors
    ///
    /// If no time is left.
    pub fn remaining(self) -> Result<Duration, TooLate> {
        match self.0.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(TooLate),
            left => Ok(left),
        }
    }

    /// The point in time.
    #[must_use]
    pub fn at(self) -> Instant {
        self.0
    }
}

#[cfg(feature = "router")]
impl<S> crate::web::extract::FromRequest<S> for Deadline {
    fn from_request(
        context: &mut crate::web::extract::RequestContext<'_, S>,
    ) -> Result<Self, crate::web::extract::Rejection> {
        Ok(Self::of(context.request()))
    }
}

impl IntoResponse for TooLate {
    fn into_response(self) -> Response {
        let problem =
            Problem::new(StatusCode::SERVICE_UNAVAILABLE).detail("the request took too long");
        try_again(problem.into_response())
    }
}

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl Error for TooLate {}
