//! The functions that a router calls.

use std::ops::RangeInclusive;

use super::endpoint::lacks_body;
use crate::message::{BodyMode, IntoResponse, Request, Response};
use crate::web::Layered;
use crate::web::extract::{FromRequest, Reads, RequestContext};

/// A function that a [`Router`](crate::web::Router) can call. It has up to eight arguments, which
/// each implement [`FromRequest`], and returns a type that implements [`IntoResponse`].
///
/// The arguments are extracted from the request in order. If one can't be extracted, the response
/// is its [`Rejection`](crate::web::extract::Rejection), and the function is not called.
///
/// ```
/// use httpool::http::{Method, StatusCode};
/// use httpool::Router;
/// use httpool::extract::Path;
///
/// fn show(method: Method, Path(id): Path<u64>) -> Result<String, StatusCode> {
///     if id == 0 { Err(StatusCode::NOT_FOUND) } else { Ok(format!("{method} of {id}")) }
/// }
///
/// let router: Router = Router::new().get("/users/{id}", show);
/// ```
pub trait Function<S, Arguments, Access = Reads>: Send + Sync + 'static {
    /// How the arguments need the body of a request.
    const BODY_MODE: BodyMode = BodyMode::Buffered;

    /// The numbers of path parameters with which the arguments can be extracted.
    #[must_use]
    fn path_parameters() -> RangeInclusive<usize> {
        0..=usize::MAX
    }

    /// Extracts the arguments and calls the function.
    fn call(&self, call: &mut RequestContext<'_, S>) -> Response;

    /// How the body of this request is received: [`BODY_MODE`](Self::BODY_MODE), unless a layer
    /// around the function changes that.
    fn body_mode(&self, request: &Request) -> BodyMode {
        let _ = request;
        Self::BODY_MODE
    }

    /// Completes a response that the server makes itself
    /// ([`Handler::server_response`](crate::Handler::server_response)). The default changes nothing.
    fn server_response(&self, request: &Request, response: &mut Response) {
        let _ = (request, response);
    }
}

/// Names the arguments of a function, of any types: `(A, B)` for an `Fn(A, B)`. A
/// [`Router`](crate::web::Router) requires this in addition to [`Function`]. The compiler then
/// infers the argument types first, and its error names the argument that can't be extracted from a
/// request.
///
/// ```
/// use httpool::router::Takes;
///
/// fn count_arguments<A>(_: impl Takes<A>) -> &'static str {
///     std::any::type_name::<A>()
/// }
///
/// assert_eq!(count_arguments(|_: u8, _: bool| "hello"), "(u8, bool)");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't handle requests",
    label = "not a function with at most eight arguments",
    note = "functions, closures and `ServeDir` handle requests; for a constant response, write a \
            closure: `|| \"hello\"`"
)]
pub trait Takes<Arguments> {}

/// Implements both traits for one number of arguments. The last argument may consume the request.
macro_rules! function {
    ([$($argument:ident)*] [$($last:ident $any:ident)?] $access:ident) => {
        impl<F, R, $($argument,)* $($last)?> Takes<($($argument,)* $($last,)?)> for F
        where
            F: Fn($($argument,)* $($last)?) -> R,
        {
        }

        impl<S, F, R, $($argument,)* $($last, $any)?>
            Function<S, ($($argument,)* $($last,)?), $access> for F
        where
            F: Fn($($argument,)* $($last)?) -> R + Send + Sync + 'static,
            R: IntoResponse,
            $($argument: FromRequest<S>,)*
            $($last: FromRequest<S, $any>,)?
        {
            const BODY_MODE: BodyMode =
                BodyMode::Buffered$(.or($argument::BODY_MODE))*$(.or($last::BODY_MODE))?;

            fn path_parameters() -> RangeInclusive<usize> {
                let counts = 0..=usize::MAX;
                $(let counts = intersection(counts, $argument::path_parameters());)*
                $(let counts = intersection(counts, $last::path_parameters());)?
                counts
            }

            #[allow(
                unused_variables,
                non_snake_case,
                reason = "written once for any number of arguments"
            )]
            fn call(&self, call: &mut RequestContext<'_, S>) -> Response {
                $(
                    let $argument = match $argument::from_request(call) {
                        Ok(argument) => argument,
                        Err(rejection) => return rejection.to_response(call.request().headers()),
                    };
                )*
                $(
                    let $last = match $last::from_request(call) {
                        Ok(argument) => argument,
                        Err(rejection) => return rejection.to_response(call.request().headers()),
                    };
                )?
                self($($argument,)* $($last)?).into_response()
            }
        }
    };
}

function!([] [] Reads);
function!([] [A Access] Access);
function!([A] [B Access] Access);
function!([A B] [C Access] Access);
function!([A B C] [D Access] Access);
function!([A B C D] [E Access] Access);
function!([A B C D E] [G Access] Access);
function!([A B C D E G] [H Access] Access);
function!([A B C D E G H] [I Access] Access);

#[diagnostic::do_not_recommend]
impl<A, F: Takes<A>> Takes<A> for Layered<F> {}

/// A function with layers of its own.
#[diagnostic::do_not_recommend]
impl<S, A, C, F: Function<S, A, C>> Function<S, A, C> for Layered<F> {
    const BODY_MODE: BodyMode = F::BODY_MODE;

    fn path_parameters() -> RangeInclusive<usize> {
        F::path_parameters()
    }

    fn call(&self, context: &mut RequestContext<'_, S>) -> Response {
        let (route, state) = (context.route, context.state);
        self.layers().run(context.request, &|request| {
            if lacks_body(request, |request| self.inner().body_mode(request)) {
                return Response::default();
            }
            let mut context = RequestContext::new(request, route, state);
            self.inner().call(&mut context)
        })
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        self.layers()
            .body_mode(request, self.inner().body_mode(request))
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        self.inner().server_response(request, response);
        self.layers().server_response(request, response);
    }
}

fn intersection(one: RangeInclusive<usize>, other: RangeInclusive<usize>) -> RangeInclusive<usize> {
    *one.start().max(other.start())..=*one.end().min(other.end())
}
