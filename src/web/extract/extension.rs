//! Values that layers add to requests.

use std::any::type_name;

use super::{FromRequest, OptionalFromRequest, Rejection, RequestContext};
use crate::message::{Request, Response};
use crate::web::{Layer, Next};

/// A value that a [`Layer`] has added to the request's [extensions](http::Extensions), for example
/// the user that it has authenticated. The function gets a clone.
///
/// Extensions hold one value of each type. A request without them costs nothing. The first value
/// of a request allocates memory, so a value that is the same for all requests should be the
/// router's [`State`](super::State), which the compiler checks as well.
///
/// ```
/// use httpool::extract::Extension;
/// use httpool::http::StatusCode;
/// use httpool::testing::Client;
/// use httpool::{IntoResponse, Next, Request, Response, Router};
///
/// #[derive(Clone)]
/// struct User(String);
///
/// fn log_in(mut request: Request, next: Next<'_>) -> Response {
///     let Some(name) = request.headers().get("x-user").and_then(|name| name.to_str().ok()) else {
///         return StatusCode::UNAUTHORIZED.into_response();
///     };
///     let user = User(name.to_owned());
///     request.extensions_mut().insert(user);
///     next.run(request)
/// }
///
/// let router: Router = Router::new()
///     .layer(log_in)
///     .get("/", |Extension(User(name)): Extension<User>| format!("hello, {name}"));
/// let client = Client::new(router);
/// assert_eq!(client.get("/").header("x-user", "Ada").send().text(), "hello, Ada");
/// ```
///
/// If no layer has added the value, the response is 500, and the log names the type. The compiler
/// can't find this mistake, because any code around the router may add the value. For a value that
/// may be missing, take `Option<Extension<T>>`.
///
/// # As a layer
///
/// `Extension(value)` is a layer that adds a clone of the value to each request:
///
/// ```
/// use httpool::Router;
/// use httpool::extract::Extension;
/// use httpool::testing::Client;
///
/// #[derive(Clone)]
/// struct Version(u8);
///
/// let version = |Extension(Version(number)): Extension<Version>| format!("version {number}");
/// let first = Router::new().layer(Extension(Version(1))).get("/version", version);
/// let second = Router::new().layer(Extension(Version(2))).get("/version", version);
/// let router: Router = Router::new().nest("/v1", first).nest("/v2", second);
/// assert_eq!(Client::new(router).get("/v2/version").send().text(), "version 2");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extension<T>(
    /// The value.
    pub T,
);

impl<S, T: Clone + Send + Sync + 'static> FromRequest<S> for Extension<T> {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Self::optional_from_request(context)?.ok_or_else(|| {
            let name = type_name::<T>();
            Rejection::program_error(
                context.request(),
                format_args!(
                    "no layer has added the Extension<{name}>: add `.layer(Extension(..))` to the \
                     router, or a layer that calls `request.extensions_mut().insert(..)` with a \
                     value of this type"
                ),
            )
        })
    }
}

/// `None` if no layer has added the value.
impl<S, T: Clone + Send + Sync + 'static> OptionalFromRequest<S> for Extension<T> {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        Ok(context.request().extensions().get().cloned().map(Self))
    }
}

/// Adds a clone of the value to each request.
impl<T: Clone + Send + Sync + 'static> Layer for Extension<T> {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        request.extensions_mut().insert(self.0.clone());
        next.handle(request)
    }
}
