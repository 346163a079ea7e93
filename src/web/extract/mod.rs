//! Function arguments taken from requests.

mod access;
mod arity;
mod body_stream;
mod context;
mod extension;
#[cfg(feature = "json")]
mod json;
mod optional;
mod parameters;
mod parse_error;
mod rejection;
#[cfg(feature = "typed-header")]
mod typed_header;
mod urlencoded;

use std::mem;
use std::ops::RangeInclusive;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use serde::de::DeserializeOwned;

pub use self::access::{Consumes, Reads};
use self::arity::parameter_count;
pub use self::body_stream::BodyStream;
pub use self::context::RequestContext;
pub(crate) use self::context::RouteMatch;
pub use self::extension::Extension;
pub use self::optional::OptionalFromRequest;
pub(crate) use self::optional::take_unless;
pub use self::parameters::Parameters;
#[cfg(feature = "multipart")]
pub(crate) use self::parse_error::ParseError;
pub use self::rejection::{Rejection, RejectionKind};
#[cfg(feature = "typed-header")]
pub use self::typed_header::TypedHeader;
#[cfg(feature = "multipart")]
pub(crate) use self::urlencoded::parse as parse_form;
use crate::message::headers::media_type::MediaType;
use crate::message::{Body, BodyMode, ClientInfo, MatchedPath, Request};

/// An argument of a route's function.
///
/// Besides the types of this module, arguments can be: [`Method`], [`Uri`] and [`HeaderMap`],
/// cloned; the body as [`Bytes`], or as a [`String`] if it is UTF-8; [`ClientInfo`];
/// [`MatchedPath`]; `Option<T>` for an optional argument ([`OptionalFromRequest`]);
/// `Result<T, Rejection>` for a function that responds to rejections itself; and with their features
/// `Cookies`, `Session`, `MultipartForm` and `Multipart`. [`Request`], [`Body`] and forms with files
/// take the body out of the request, so they must be the last argument, which the compiler checks
/// ([`Consumes`]).
///
/// An argument type of your own takes one function:
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::Router;
/// use httpool::extract::{RequestContext, FromRequest, Rejection};
///
/// struct Token(String);
///
/// impl<S> FromRequest<S> for Token {
///     fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
///         let value = context.request().headers().get("x-token");
///         match value.and_then(|value| value.to_str().ok()) {
///             Some(token) => Ok(Self(token.to_owned())),
///             None => Err(Rejection::new(StatusCode::UNAUTHORIZED, "the token is missing")),
///         }
///     }
/// }
///
/// let router: Router = Router::new().get("/", |Token(token): Token| token);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of this function",
    note = "an argument is, for example, `Path<T>`, `Query<T>`, `Json<T>`, `State<S>` of the \
            router's own state, or a type that implements `FromRequest<S>`",
    note = "an argument that takes the request or its body, for example `Request`, `Body` or \
            `BodyStream`, must be the last argument"
)]
pub trait FromRequest<S, Access = Reads>: Sized {
    /// How the request's body is received for this argument. Default: buffered.
    const BODY_MODE: BodyMode = BodyMode::Buffered;

    /// How many parameters the path of a route may have for this argument. Default: any number. A
    /// router rejects a function on a path with another number of parameters.
    #[must_use]
    fn path_parameters() -> RangeInclusive<usize> {
        0..=usize::MAX
    }

    /// Takes the argument from the request.
    ///
    /// # Errors
    ///
    /// If the request does not have a valid value. The rejection becomes the response.
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection>;
}

/// The values of the route's `{names}` in the request's path: a single value for a route with one
/// name, a tuple in the order of the names, or a struct with fields of these names.
///
/// A value that can't be parsed gets a 400. Text is a `String`, because it is percent-decoded.
///
/// A single value or a tuple must match the number of names in the path. With too many names in the
/// path, the router panics when the route is added. With too few, the server does not start (an
/// outer router may have added some). A struct with a field that the path does not name is found
/// only by a request: the response is 500, and the log has the reason.
///
/// ```
/// use httpool::Router;
/// use httpool::extract::Path;
///
/// let router: Router = Router::new()
///     .get("/users/{id}", |Path(id): Path<u64>| format!("user {id}"))
///     .get("/shelves/{shelf}/{title}", |Path((shelf, title)): Path<(u8, String)>| {
///         format!("{title} on {shelf}")
///     });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(
    /// The parsed value.
    pub T,
);

/// The query of the request's target, parsed into a struct.
///
/// A name that occurs several times becomes a `Vec`. A query that can't be parsed, or is not UTF-8
/// after decoding, gets a 400 with the reason.
///
/// All values are text. For structs with `#[serde(flatten)]`, serde passes them on as text, so
/// numbers and booleans in them can't be parsed. The response is then 500, and the log has the
/// reason. Use two `Query` arguments instead; each takes the names that it knows:
///
/// ```
/// use httpool::Router;
/// use httpool::extract::Query;
/// use httpool::testing::Client;
///
/// #[derive(serde::Deserialize)]
/// struct Page {
///     from: u32,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Filter {
///     author: String,
/// }
///
/// let router: Router = Router::new()
///     .get("/books", |Query(page): Query<Page>, Query(filter): Query<Filter>| {
///         format!("books of {} from {}", filter.author, page.from)
///     });
/// let response = Client::new(router).get("/books?author=ada&from=7").send();
/// assert_eq!(response.text(), "books of ada from 7");
/// ```
///
/// ```
/// use httpool::Router;
/// use httpool::extract::Query;
///
/// #[derive(serde::Deserialize)]
/// struct Page {
///     #[serde(default)]
///     from: u32,
/// }
///
/// let router: Router =
///     Router::new().get("/", |Query(page): Query<Page>| format!("from {}", page.from));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(
    /// The parsed value.
    pub T,
);

/// The [state of the router](super::Router::with_state), or a part of it ([`HasPart`]).
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use httpool::Router;
/// use httpool::extract::State;
///
/// type Visits = Arc<AtomicU64>;
///
/// fn count(State(visits): State<Visits>) -> String {
///     format!("visit {}", visits.fetch_add(1, Ordering::Relaxed))
/// }
///
/// let router: Router = Router::new().get("/", count).with_state(Visits::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State<T>(
    /// The state or its part.
    pub T,
);

/// A state of the router with a part that functions take as [`State<T>`](State).
///
/// Every state that is `Clone` is its own part. Implement this trait for a state with several parts,
/// so that each function can name the part that it needs. It is the counterpart of axum's `FromRef`,
/// in the other direction, so that the compiler can name a part that is missing.
///
/// ```
/// use std::sync::Arc;
///
/// use httpool::Router;
/// use httpool::extract::{HasPart, State};
///
/// #[derive(Clone)]
/// struct Mailer(Arc<str>);
///
/// struct App {
///     name: &'static str,
///     mailer: Mailer,
/// }
///
/// impl HasPart<Mailer> for App {
///     fn part(&self) -> Mailer {
///         self.mailer.clone()
///     }
/// }
///
/// let app = App { name: "shop", mailer: Mailer("mail.example".into()) };
/// let router: Router = Router::new()
///     .get("/mail", |State(Mailer(host)): State<Mailer>| host.to_string())
///     .with_state(app);
/// ```
#[diagnostic::on_unimplemented(
    message = "a router with the state `{Self}` has no `State<{T}>`",
    note = "`with_state` sets the router's state; a state that is `Clone` can be taken whole, and \
            `impl HasPart<{T}> for {Self}` makes its part `{T}` available"
)]
pub trait HasPart<T> {
    /// Returns the part. It should be cheap to clone, for example an `Arc`.
    fn part(&self) -> T;
}

impl<T: Clone> HasPart<T> for T {
    fn part(&self) -> T {
        self.clone()
    }
}

/// The body of a submitted form (`application/x-www-form-urlencoded`), parsed like a [`Query`],
/// with the same limit of `#[serde(flatten)]`.
///
/// Another content type gets a 415, and a body that can't be parsed a 422. A request without a
/// body is a form without fields, whatever its content type.
///
/// ```
/// use httpool::Router;
/// use httpool::extract::Form;
///
/// #[derive(serde::Deserialize)]
/// struct Login {
///     name: String,
///     #[serde(default)]
///     remember: bool,
/// }
///
/// let router: Router = Router::new().post("/login", |Form(login): Form<Login>| login.name);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form<T>(
    /// The parsed value.
    pub T,
);

impl<S, T: DeserializeOwned> FromRequest<S> for Path<T> {
    fn path_parameters() -> RangeInclusive<usize> {
        parameter_count::<T>()
    }

    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let parsed = context.parameters().parse();
        parsed
            .map(Self)
            .map_err(|error| error.reject::<Self>(RejectionKind::Path, "path", context))
    }
}

impl<S, T: DeserializeOwned> FromRequest<S> for Query<T> {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let parsed = urlencoded::parse(query(context).as_bytes());
        parsed
            .map(Self)
            .map_err(|error| error.reject::<Self>(RejectionKind::Query, "query", context))
    }
}

impl<S: HasPart<T>, T> FromRequest<S> for State<T> {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(Self(context.state().part()))
    }
}

impl<S> FromRequest<S> for Method {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(context.request().method().clone())
    }
}

impl<S> FromRequest<S> for Uri {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(context.request().uri().clone())
    }
}

impl<S> FromRequest<S> for HeaderMap {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(context.request().headers().clone())
    }
}

impl<S> FromRequest<S> for ClientInfo {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Self::optional_from_request(context)?.ok_or_else(|| {
            Rejection::of_kind(
                RejectionKind::UnknownClient,
                "the client's address is unknown",
            )
        })
    }
}

/// Of a function of a route, or of the fallback of a nested router. The outermost fallback takes
/// `Option<MatchedPath>`.
impl<S> FromRequest<S> for MatchedPath {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Self::optional_from_request(context)?.ok_or_else(|| {
            let reason = "no route matches a request to the outermost fallback: it can take \
                          `Option<MatchedPath>`, but no `MatchedPath`";
            Rejection::program_error(context.request(), reason)
        })
    }
}

impl<S> FromRequest<S, Consumes> for Request {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(mem::take(context.request_mut()))
    }
}

impl<S> FromRequest<S, Consumes> for Body {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(mem::take(context.request_mut().body_mut()))
    }
}

impl<S> FromRequest<S> for Bytes {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(context.request().body().to_bytes())
    }
}

impl<S> FromRequest<S> for String {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let body = context.request().body().as_bytes();
        std::str::from_utf8(body)
            .map(str::to_owned)
            .map_err(|error| {
                let reason = format!("the body is not UTF-8: {error}");
                Rejection::of_kind(RejectionKind::NotUtf8, reason)
            })
    }
}

impl<S, T: DeserializeOwned> FromRequest<S> for Form<T> {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        const FORM: &str = "application/x-www-form-urlencoded";
        let request = context.request();
        let content_type = MediaType::of_content(request.headers());
        if !has_empty_body(context)
            && !content_type.is_some_and(|content_type| content_type.is(FORM))
        {
            return Err(unsupported_content_type(FORM));
        }
        let parsed = urlencoded::parse(request.body().as_bytes());
        parsed
            .map(Self)
            .map_err(|error| error.reject::<Self>(RejectionKind::Form, "form", context))
    }
}

impl<S, A, T: FromRequest<S, A>> FromRequest<S, A> for Result<T, Rejection> {
    const BODY_MODE: BodyMode = T::BODY_MODE;

    fn path_parameters() -> RangeInclusive<usize> {
        T::path_parameters()
    }

    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(T::from_request(context))
    }
}

pub(crate) fn unsupported_content_type(expected: &str) -> Rejection {
    let reason = format!("Content-Type must be {expected}");
    Rejection::of_kind(RejectionKind::ContentType, reason)
}

fn query<'c, S>(context: &'c RequestContext<'_, S>) -> &'c str {
    context.request().uri().query().unwrap_or_default()
}

pub(crate) fn has_empty_body<S>(context: &RequestContext<'_, S>) -> bool {
    context.request().body().length() == Some(0)
}
