//! The request as extractors see it.

use super::Parameters;
use crate::message::Request;

/// A request on its way to the function that answers it: what [`FromRequest`](super::FromRequest) takes arguments from.
///
/// ```
/// use httpool::http::Version;
/// use httpool::Router;
/// use httpool::extract::{RequestContext, FromRequest, Rejection};
///
/// /// Whether the client speaks HTTP/1.0.
/// struct IsOld(bool);
///
/// impl<S> FromRequest<S> for IsOld {
///     fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
///         Ok(Self(call.request().version() == Version::HTTP_10))
///     }
/// }
///
/// let router: Router = Router::new().get("/", |IsOld(old): IsOld| old.to_string());
/// ```
#[derive(Debug)]
pub struct RequestContext<'a, S = ()> {
    pub(in crate::web) request: &'a mut Request,
    pub(in crate::web) parameters: &'a Parameters,
    pub(in crate::web) state: &'a S,
    /// Bytes of the path that have led to a router whose fallback this is for.
    pub(in crate::web) under: usize,
}

impl<'a, S> RequestContext<'a, S> {
    pub(crate) fn new(request: &'a mut Request, parameters: &'a Parameters, state: &'a S) -> Self {
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
    pub(crate) fn with_state<'s, T>(&'s mut self, state: &'s T) -> RequestContext<'s, T> {
        RequestContext {
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

    /// What the router [was given](crate::Router::with_state). An argument that needs a part of it asks for
    /// what [`FromRef`](super::FromRef) that part, and may be taken like any other:
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::sync::Arc;
    ///
    /// use httpool::http::StatusCode;
    /// use httpool::Router;
    /// use httpool::extract::{RequestContext, FromRequest, FromRef, Rejection, State};
    /// use httpool::testing::Client;
    ///
    /// /// Who has which token.
    /// type Sessions = Arc<HashMap<String, String>>;
    ///
    /// struct User(String);
    ///
    /// impl<S: FromRef<Sessions>> FromRequest<S> for User {
    ///     fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
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
