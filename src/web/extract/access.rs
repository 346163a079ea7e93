//! Whether an argument reads the request or consumes it.

/// Marks an argument that leaves the request as it is. This is the default of
/// [`FromRequest`](super::FromRequest).
///
/// ```
/// use httpool::extract::{RequestContext, FromRequest, Reads, Rejection};
///
/// struct Length(Option<u64>);
///
/// // Equal to `FromRequest<S>`.
/// impl<S> FromRequest<S, Reads> for Length {
///     fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
///         Ok(Self(context.request().body().length()))
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {}

/// Marks an argument that takes the request or its body away. It must be the last argument of a
/// function.
///
/// ```
/// use std::mem;
///
/// use httpool::http::request::Parts;
/// use httpool::Router;
/// use httpool::extract::{RequestContext, Consumes, FromRequest, Rejection};
///
/// struct Head(Parts);
///
/// impl<S> FromRequest<S, Consumes> for Head {
///     fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
///         let (head, _) = mem::take(context.request_mut()).into_parts();
///         Ok(Self(head))
///     }
/// }
///
/// let router: Router = Router::new().get("/", |Head(head): Head| format!("{:?}", head.version));
/// ```
///
/// A later argument would find nothing, so such a function does not compile:
///
/// ```compile_fail,E0277
/// use httpool::Request;
/// use httpool::http::HeaderMap;
/// use httpool::Router;
///
/// let router: Router = Router::new().get("/", |_: Request, _: HeaderMap| "hello");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumes {}
