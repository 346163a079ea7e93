//! From a request to the function that answers it, and from the request to its arguments.

mod extract;
mod function;
mod incoming;
mod parameters;
mod rejection;
mod router;

pub use self::extract::{Extract, ExtractOptional, Form, Path, Provides, Query, State};
pub use self::function::Function;
pub use self::incoming::Incoming;
pub use self::parameters::Parameters;
pub use self::rejection::Rejection;
pub use self::router::Router;

#[cfg(feature = "json")]
pub use crate::Json;
use crate::Request;

/// A request on its way to the function that answers it: what [`Extract`] takes arguments from.
///
/// ```
/// use httpool::http::Version;
/// use httpool::routing::{Call, Extract, Rejection, Router};
///
/// /// Whether the client speaks HTTP/1.0.
/// struct IsOld(bool);
///
/// impl<S> Extract<S> for IsOld {
///     fn extract(call: &mut Call<'_, S>) -> Result<Self, Rejection> {
///         Ok(Self(call.request().version() == Version::HTTP_10))
///     }
/// }
///
/// let router: Router = Router::new().get("/", |IsOld(old): IsOld| old.to_string());
/// ```
#[derive(Debug)]
pub struct Call<'a, S = ()> {
    request: &'a mut Request,
    parameters: &'a Parameters,
    state: &'a S,
}

impl<'a, S> Call<'a, S> {
    fn new(request: &'a mut Request, parameters: &'a Parameters, state: &'a S) -> Self {
        Self {
            request,
            parameters,
            state,
        }
    }

    /// The request, without what other arguments have taken from it.
    #[must_use]
    pub fn request(&self) -> &Request {
        self.request
    }

    /// The same, to take something from.
    pub fn request_mut(&mut self) -> &mut Request {
        self.request
    }

    /// What stands in the request's path where the route has `{names}`.
    #[must_use]
    pub fn parameters(&self) -> &'a Parameters {
        self.parameters
    }

    /// What the router [was given](Router::with_state).
    #[must_use]
    pub fn state(&self) -> &'a S {
        self.state
    }
}
