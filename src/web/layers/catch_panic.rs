//! What a client gets when a handler panics.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use log::error;

use crate::message::{IntoResponse, Request, Response};
use crate::web::{Layer, Next};

/// Answers as one likes when what is behind it panics.
///
/// Without it the server answers with a [`Problem`](crate::Problem) of status 500, for which there
/// may be an [error page](crate::Builder::error_pages), and tells observers of the panic. With it
/// they see an answer like any other, and layers before this one do, too: add it behind those that
/// add fields to answers, such as [`Cors`](crate::layers::Cors). What a body's reader does
/// while it is sent is not seen here.
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
    answer: F,
}

impl<F, R> CatchPanic<F>
where
    F: Fn(&str) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    /// With a function that makes the answer. It is given the panic's message, which is empty if the
    /// panic has none, and is for the program's own eyes rather than the client's.
    pub fn new(answer: F) -> Self {
        Self { answer }
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
                let message = message(&*panic);
                error!("a handler panicked on {method} {target}: {message}");
                (self.answer)(message).into_response()
            }
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => message,
        (None, Some(message)) => message,
        (None, None) => "",
    }
}

impl<F> fmt::Debug for CatchPanic<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchPanic").finish_non_exhaustive()
    }
}
