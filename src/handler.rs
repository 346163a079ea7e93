//! What a program gives the server: a function from a request to a response.

use std::mem;
use std::sync::Arc;

use crate::{Body, IntoResponse, Request, Response};

/// Answers requests. One handler is shared by all workers and runs on several of them at once.
///
/// Every `Fn(Request) -> impl IntoResponse + Send + Sync` is a handler, and that is how most
/// programs write theirs:
///
/// ```
/// use httpool::{Handler, Request};
/// use httpool::http::StatusCode;
///
/// fn greet(request: Request) -> (StatusCode, String) {
///     (StatusCode::OK, format!("you asked for {}", request.uri()))
/// }
///
/// let mut request = Request::default();
/// assert_eq!(greet.handle(&mut request).status(), StatusCode::OK);
/// ```
///
/// The trait itself *lends* the request: the worker keeps its header map and gives the same one to
/// the next request, so a handler that implements the trait directly costs no allocation for what
/// it reads. A function owns its request and pays for a new map; both see the same thing.
///
/// ```
/// use httpool::{Body, Handler, Request, Response};
///
/// struct Mirror;
///
/// impl Handler for Mirror {
///     fn handle(&self, request: &mut Request) -> Response {
///         Response::new(std::mem::take(request.body_mut()))
///     }
/// }
/// ```
///
/// A handler may block: that is what the pool is for. A handler that panics costs its client a
/// 500 and nobody else anything.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. What is left in `request` afterwards is thrown away.
    fn handle(&self, request: &mut Request) -> Response;
}

/// One handler for several servers.
impl<H: Handler + ?Sized> Handler for Arc<H> {
    fn handle(&self, request: &mut Request) -> Response {
        (**self).handle(request)
    }
}

impl<F, R> Handler for F
where
    F: Fn(Request<Body>) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn handle(&self, request: &mut Request) -> Response {
        self(mem::take(request)).into_response()
    }
}
