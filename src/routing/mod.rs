//! From a request to the function that answers it, and from the request to its arguments.
//!
//! ```
//! use httpool::routing::{Path, Router, State};
//! use httpool::test::Client;
//!
//! fn greet(State(greeting): State<&'static str>, Path(name): Path<String>) -> String {
//!     format!("{greeting}, {name}")
//! }
//!
//! let router: Router = Router::new().get("/greet/{name}", greet).with_state("hello");
//! let client = Client::new(router);
//! assert_eq!(client.get("/greet/ada").send().text(), "hello, ada");
//! ```
//!
//! [`Router`] says how paths are written, [`Extract`] what may be an argument, and
//! [`IntoResponse`](crate::IntoResponse) what may be returned.

mod access;
mod arity;
mod extract;
mod function;
mod incoming;
#[cfg(feature = "json")]
mod json;
mod parameters;
mod path;
mod pattern;
mod rejection;
mod route;
mod router;
mod urlencoded;

pub use self::access::{Consumes, Reads};
pub use self::extract::{Extract, ExtractOptional, Form, Path, Provides, Query, State};
pub use self::function::{Function, Takes};
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
    /// Bytes of the path that have led to a router whose fallback this is for.
    under: usize,
}

impl<'a, S> Call<'a, S> {
    fn new(request: &'a mut Request, parameters: &'a Parameters, state: &'a S) -> Self {
        Self {
            request,
            parameters,
            state,
            under: 0,
        }
    }

    /// How many bytes of the path have led to a router whose fallback this is for.
    #[cfg(feature = "files")]
    pub(crate) fn under(&self) -> usize {
        self.under
    }

    /// The same for functions that share another state.
    fn with_state<'s, T>(&'s mut self, state: &'s T) -> Call<'s, T> {
        Call {
            request: self.request,
            parameters: self.parameters,
            state,
            under: self.under,
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

    /// What the router [was given](Router::with_state). An argument that needs a part of it asks for
    /// what [`Provides`] that part, and may be taken like any other:
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::sync::Arc;
    ///
    /// use httpool::http::StatusCode;
    /// use httpool::routing::{Call, Extract, Provides, Rejection, Router, State};
    /// use httpool::test::Client;
    ///
    /// /// Who has which token.
    /// type Sessions = Arc<HashMap<String, String>>;
    ///
    /// struct User(String);
    ///
    /// impl<S: Provides<Sessions>> Extract<S> for User {
    ///     fn extract(call: &mut Call<'_, S>) -> Result<Self, Rejection> {
    ///         let State(sessions) = State::<Sessions>::extract(call)?;
    ///         let token = call.request().headers().get("x-token");
    ///         let user = token.and_then(|token| sessions.get(token.to_str().ok()?));
    ///         match user {
    ///             Some(name) => Ok(Self(name.clone())),
    ///             None => Err(Rejection::new(StatusCode::UNAUTHORIZED, "log in first")),
    ///         }
    ///     }
    /// }
    ///
    /// let sessions = Sessions::new(HashMap::from([("tea".into(), "Ada".into())]));
    /// let router: Router = Router::new()
    ///     .get("/", |User(name): User| format!("hello, {name}"))
    ///     .with_state(sessions);
    /// let client = Client::new(router);
    /// assert_eq!(client.get("/").header("x-token", "tea").send().text(), "hello, Ada");
    /// assert_eq!(client.get("/").send().status(), StatusCode::UNAUTHORIZED);
    /// ```
    #[must_use]
    pub fn state(&self) -> &'a S {
        self.state
    }
}
