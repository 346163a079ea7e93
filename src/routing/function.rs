//! Functions as they are written into what the server calls.

use super::{Call, Claim, Extract};
use crate::{Intake, IntoResponse, Response};

/// A function that a [`Router`](super::Router) may call: up to eight arguments that each implement
/// [`Extract`], and an answer that implements [`IntoResponse`].
///
/// The arguments are taken from the request in their order. The first that the request does not
/// have is answered with its [`Rejection`](super::Rejection), and the function is not called.
///
/// ```
/// use httpool::http::{Method, StatusCode};
/// use httpool::routing::{Path, Router};
///
/// fn show(method: Method, Path(id): Path<u64>) -> Result<String, StatusCode> {
///     if id == 0 { Err(StatusCode::NOT_FOUND) } else { Ok(format!("{method} of {id}")) }
/// }
///
/// let router: Router = Router::new().get("/users/{id}", show);
/// ```
pub trait Function<S, Arguments>: Send + Sync + 'static {
    /// How its arguments want the body of a request.
    const INTAKE: Intake = Intake::Whole;

    /// Takes the arguments from the call, and calls the function.
    fn call(&self, call: &mut Call<'_, S>) -> Response;
}

/// The arguments of a function, whatever they are: `(A, B)` of an `Fn(A, B)`. A
/// [`Router`](super::Router) asks for this beside [`Function`], so that the compiler knows which
/// arguments are meant before it looks what they are, and names the one that can't be taken from a
/// request.
///
/// ```
/// use httpool::routing::Takes;
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
    note = "functions, closures and `Files` answer requests; what answers always the same is a \
            closure, too: `|| \"hello\"`"
)]
pub trait Takes<Arguments> {}

macro_rules! function {
    ($($argument:ident),*) => {
        impl<F, R, $($argument),*> Takes<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> R,
        {
        }

        impl<S, F, R, $($argument),*> Function<S, ($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> R + Send + Sync + 'static,
            R: IntoResponse,
            $($argument: Extract<S>,)*
        {
            const INTAKE: Intake = {
                assert!(
                    Claim::is_last(&[$($argument::CLAIM),*]),
                    "an argument that takes the request or its body away is not the last one"
                );
                Intake::Whole$(.or($argument::INTAKE))*
            };

            #[allow(
                unused_variables,
                non_snake_case,
                reason = "written once for any number of arguments"
            )]
            fn call(&self, call: &mut Call<'_, S>) -> Response {
                $(
                    let $argument = match $argument::extract(call) {
                        Ok(argument) => argument,
                        Err(rejection) => return rejection.answer(call.request().headers()),
                    };
                )*
                self($($argument),*).into_response()
            }
        }
    };
}

function!();
function!(A);
function!(A, B);
function!(A, B, C);
function!(A, B, C, D);
function!(A, B, C, D, E);
function!(A, B, C, D, E, G);
function!(A, B, C, D, E, G, H);
function!(A, B, C, D, E, G, H, I);
