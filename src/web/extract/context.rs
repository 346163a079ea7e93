//! The request as extractors see it.

use super::Parameters;
use crate::message::{MatchedPath, Request};

/// A request on its way to the function that handles it. [`FromRequest`](super::FromRequest) takes
/// arguments from it.
///
/// ```
/// use httpool::http::Version;
/// use httpool::Router;
/// use httpool::extract::{RequestContext, FromRequest, Rejection};
///
/// /// Whether the client speaks HTTP/1.0.
/// struct IsHttp10(bool);
///
/// impl<S> FromRequest<S> for IsHttp10 {
///     fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
///         Ok(Self(context.request().version() == Version::HTTP_10))
///     }
/// }
///
/// let router: Router = Router::new().get("/", |IsHttp10(is_http10): IsHttp10| is_http10.to_string());
/// ```
#[derive(Debug)]
pub struct RequestContext<'a, S = ()> {
    pub(in crate::web) request: &'a mut Request,
    pub(in crate::web) route: RouteMatch<'a>,
    pub(in crate::web) state: &'a S,
}

/// What the router has found for a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteMatch<'a> {
    pub(crate) parameters: &'a Parameters,
    /// `None` for the fallback of the outermost router.
    pub(crate) path: Option<&'a MatchedPath>,
    /// Length of the path prefix of the router whose fallback is called. Zero for routes.
    #[cfg_attr(
        not(feature = "files"),
        expect(dead_code, reason = "only `ServeDir` reads it")
    )]
    pub(crate) prefix_length: usize,
}

impl<'a, S> RequestContext<'a, S> {
    pub(crate) fn new(request: &'a mut Request, route: RouteMatch<'a>, state: &'a S) -> Self {
        Self {
            request,
            route,
            state,
        }
    }

    /// Length in bytes of the path prefix of the router whose fallback is called.
    #[cfg(feature = "files")]
    pub(crate) fn prefix_length(&self) -> usize {
        self.route.prefix_length
    }

    /// The path of the route.
    pub(crate) fn matched_path(&self) -> Option<&'a MatchedPath> {
        self.route.path
    }

    /// A context with another state, for a function of a nested router.
    pub(crate) fn with_state<'s, T>(&'s mut self, state: &'s T) -> RequestContext<'s, T> {
        RequestContext {
            request: self.request,
            route: self.route,
            state,
        }
    }

    /// The request, without the parts that other arguments have taken.
    #[must_use]
    pub fn request(&self) -> &Request {
        self.request
    }

    /// The request, to take a part of it away.
    pub fn request_mut(&mut self) -> &mut Request {
        self.request
    }

    /// The values of the route's `{names}` in the request's path.
    #[must_use]
    pub fn parameters(&self) -> &'a Parameters {
        self.route.parameters
    }

    /// The state of the router, as given to [`Router::with_state`](crate::Router::with_state).
    ///
    /// An argument that needs a part of the state requires that the state
    /// [has that part](super::HasPart), and takes it like any other argument:
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::sync::Arc;
    ///
    /// use httpool::http::StatusCode;
    /// use httpool::Router;
    /// use httpool::extract::{RequestContext, FromRequest, HasPart, Rejection, State};
    /// use httpool::testing::Client;
    ///
    /// /// Users by their tokens.
    /// type Sessions = Arc<HashMap<String, String>>;
    ///
    /// struct User(String);
    ///
    /// impl<S: HasPart<Sessions>> FromRequest<S> for User {
    ///     fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
    ///         let State(sessions) = State::<Sessions>::from_request(context)?;
    ///         let token = context.request().headers().get("x-token");
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
