//! Responses for handlers that panic.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use log::error;

use crate::logging::panic_message;
use crate::message::{IntoResponse, Request, Response};
use crate::web::{Layer, Next};

/// Responds with a response of your own when the handler behind it panics.
///
/// Without this layer the server responds with a [`Problem`](crate::Problem) of status 500, which
/// an [error page](crate::Builder::error_pages) may replace, and reports the panic to observers.
/// With it, observers and outer layers see an ordinary response. Layers that add headers to
/// responses, for example [`Cors`](crate::layers::Cors), should be outside it, so add them first.
/// Panics of a body's reader, which is read while the response is sent, are not caught here.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::layers::CatchPanic;
/// use httpool::{Handler, Layered, Request};
///
/// let handler = Layered::new(|_: Request| -> &str { panic!("no more tea") })
///     .layer(CatchPanic::new(|_| (StatusCode::INTERNAL_SERVER_ERROR, "something broke")));
/// assert_eq!(handler.handle(&mut Request::default()).body().as_bytes(), b"something broke");
/// ```
pub struct CatchPanic<F> {
    respond: F,
}

impl<F, R> CatchPanic<F>
where
    F: Fn(&str) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    /// Creates the layer from a function that makes the response.
    ///
    /// The function receives the panic's message, or an empty string if there is none. The message
    /// is for the program's own use, not for clients.
    pub fn new(respond: F) -> Self {
        Self { respond }
    }
}

impl<F, R> Layer for CatchPanic<F>
where
    F: Fn(&str) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let (method, target) = (request.method().clone(), request.uri().clone());
        match catch_unwind(AssertUnwindSafe(|| next.handle(request))) {
            Ok(response) => response,
            Err(panic) => {
                let message = panic_message(&*panic).unwrap_or_default();
                error!("a handler panicked on {method} {target}: {message}");
                (self.respond)(message).into_response()
            }
        }
    }
}

impl<F> fmt::Debug for CatchPanic<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchPanic").finish_non_exhaustive()
    }
}
