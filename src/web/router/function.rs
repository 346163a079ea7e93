//! Functions as they are written into what the server calls.

use std::ops::RangeInclusive;

use crate::message::{BodyMode, IntoResponse, Response};
use crate::web::extract::{FromRequest, Reads, RequestContext};

/// A function that a [`Router`](crate::web::Router) may call: up to eight arguments that each implement
/// [`FromRequest`], and an answer that implements [`IntoResponse`].
///
/// The arguments are taken from the request in their order. The first that the request does not
/// have is answered with its [`Rejection`](crate::web::extract::Rejection), and the function is not called.
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
    /// How its arguments want the body of a request.
    const BODY_MODE: BodyMode = BodyMode::Buffered;

    /// How many names the path of a route may have for its arguments.
    #[must_use]
    fn path_parameters() -> RangeInclusive<usize> {
        0..=usize::MAX
    }

    /// Takes the arguments from the call, and calls the function.
    fn call(&self, call: &mut RequestContext<'_, S>) -> Response;
}

/// The arguments of a function, whatever they are: `(A, B)` of an `Fn(A, B)`. A
/// [`Router`](crate::web::Router) asks for this beside [`Function`], so that the compiler knows which
/// arguments are meant before it looks what they are, and names the one that can't be taken from a
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
    message = "`{Self}` can't answer requests",
    label = "not a function with at most eight arguments",
    note = "functions, closures and `ServeDir` answer requests; what answers always the same is a \
            closure, too: `|| \"hello\"`"
)]
pub trait Takes<Arguments> {}

/// What is there for arguments behind each other, of which the last one may take the request away.
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
                let names = 0..=usize::MAX;
                $(let names = common(names, $argument::path_parameters());)*
                $(let names = common(names, $last::path_parameters());)?
                names
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

fn common(one: RangeInclusive<usize>, other: RangeInclusive<usize>) -> RangeInclusive<usize> {
    *one.start().max(other.start())..=*one.end().min(other.end())
}
