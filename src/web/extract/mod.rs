//! Arguments of functions, from requests.

mod access;
mod arity;
mod body_stream;
mod context;
#[cfg(feature = "json")]
mod json;
mod parameters;
mod rejection;
mod urlencoded;

use std::mem;
use std::ops::RangeInclusive;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::de::DeserializeOwned;

pub use self::access::{Consumes, Reads};
use self::arity::names_for;
pub use self::body_stream::BodyStream;
pub use self::context::RequestContext;
use self::parameters::Mismatch;
pub use self::parameters::Parameters;
pub use self::rejection::Rejection;
use crate::message::headers::media_type::MediaType;
use crate::message::{Body, BodyMode, ClientInfo, Request};

/// What a function may have as an argument.
///
/// Besides those of this module: [`Method`], [`Uri`] and [`HeaderMap`], copied; the body as
/// [`Bytes`], or as a [`String`] if it is UTF-8; [`ClientInfo`]; `Option<T>` for what a request may or
/// may not have ([`OptionalFromRequest`]); `Result<T, Rejection>` for who wants to answer a rejection
/// otherwise. The whole [`Request`] and its [`Body`] are taken out of the call: they are the last
/// argument, which the compiler sees to ([`Consumes`]).
///
/// One's own is one function:
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::Router;
/// use httpool::extract::{RequestContext, FromRequest, Rejection};
///
/// struct Token(String);
///
/// impl<S> FromRequest<S> for Token {
///     fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
///         let value = call.request().headers().get("x-token");
///         match value.and_then(|value| value.to_str().ok()) {
///             Some(token) => Ok(Self(token.to_owned())),
///             None => Err(Rejection::new(StatusCode::UNAUTHORIZED, "there is no token")),
///         }
///     }
/// }
///
/// let router: Router = Router::new().get("/", |Token(token): Token| token);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be taken from a request here",
    note = "arguments of functions are such as `Path<T>`, `Query<T>`, `Json<T>`, `State<S>` of \
            the router's own state, or whatever implements `FromRequest<S>`",
    note = "an argument that takes the request or its body away, such as `Request`, `Body` and \
            `BodyStream`, must be the last argument: write the others before it"
)]
pub trait FromRequest<S, Access = Reads>: Sized {
    /// How the body of a request must be taken for it: whole, unless it says otherwise.
    const BODY_MODE: BodyMode = BodyMode::Buffered;

    /// How many names the path of a route may have for it: any number, unless it says otherwise. A
    /// router refuses a function for a path that does not have so many.
    #[must_use]
    fn path_parameters() -> RangeInclusive<usize> {
        0..=usize::MAX
    }

    /// Takes it from the call.
    ///
    /// # Errors
    ///
    /// What the request lacks, for its client.
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection>;
}

/// What a function may have as an `Option`: `None` if it is missing. What is there and can't be read is
/// rejected all the same, for it is a mistake of who has sent it, and nobody would learn of it.
///
/// | argument | is missing if |
/// |---|---|
/// | `Option<Path<T>>` | the route has no `{names}` |
/// | `Option<Query<T>>` | the query is empty, or there is none |
/// | `Option<Json<T>>`, `Option<Form<T>>`, `Option<BodyStream>` | the body is empty |
/// | `Option<ClientInfo>` | nobody knows where the request comes from |
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
/// let router: Router = Router::new().get("/", |page: Option<Query<Page>>| match page {
///     Some(Query(page)) => format!("from {}", page.from),
///     None => "everything".into(),
/// });
/// let client = Client::new(router);
/// assert_eq!(client.get("/").send().text(), "everything");
/// assert_eq!(client.get("/?from=7").send().text(), "from 7");
/// assert_eq!(client.get("/?from=seven").send().status(), 400);
/// ```
#[diagnostic::on_unimplemented(
    message = "a request can't be without `{Self}`",
    note = "`Option<T>` is an argument if `T` implements `OptionalFromRequest<S>`, which says when it is \
            missing; `Result<T, Rejection>` is one for every argument `T`",
    note = "an argument that takes the body away, such as `Option<BodyStream>`, must be the last \
            argument: write the others before it"
)]
pub trait OptionalFromRequest<S, Access = Reads>: FromRequest<S, Access> {
    /// Takes it from the call, if it is there.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for the request's client.
    fn optional_from_request(call: &mut RequestContext<'_, S>) -> Result<Option<Self>, Rejection>;
}

/// What stands in the path where the route has `{names}`: a value of a route with one, a tuple in
/// their order, or a struct by their names. A value that can't be read as such is answered 400. Text
/// is a `String`, for it is decoded.
///
/// A tuple or a single value for a path with another number of names is a mistake of the program: a
/// router panics where the path has too many names, and does not start where it has too few (a router
/// around it may have added some). A struct with a field that the path does not name is found only by
/// a request, which is answered 500, and the log says why.
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
    /// What was read.
    pub T,
);

/// What stands in the target behind the question mark, as a struct of its names. A name that is there
/// several times is a `Vec`. What can't be read as such is answered 400, which names what is wrong;
/// so is what is not UTF-8 when it is decoded.
///
/// All values are text, and serde gives the fields of a struct with `#[serde(flatten)]` no more than
/// that: numbers and booleans among them are never read. Such a function is answered 500, and the log
/// says why. Take two queries instead, of which each finds its names:
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
/// let answer = Client::new(router).get("/books?author=ada&from=7").send();
/// assert_eq!(answer.text(), "books of ada from 7");
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
    /// What was read.
    pub T,
);

/// What the router [was given](super::Router::with_state), or a part of it: what it
/// [provides](FromRef).
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
    /// The state, or the part of it.
    pub T,
);

/// What functions may take of a router's state as their [`State`]. Every state provides a clone of
/// itself. One of several parts says how each is had, so that a function names the part that it
/// wants and nothing else:
///
/// ```
/// use std::sync::Arc;
///
/// use httpool::Router;
/// use httpool::extract::{FromRef, State};
///
/// #[derive(Clone)]
/// struct Mailer(Arc<str>);
///
/// struct App {
///     name: &'static str,
///     mailer: Mailer,
/// }
///
/// impl FromRef<Mailer> for App {
///     fn provide(&self) -> Mailer {
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
    note = "`with_state` gives a router its state; a state that can be cloned provides itself, and \
            `impl FromRef<{T}> for {Self}` has it provide `{T}` too"
)]
pub trait FromRef<T> {
    /// The part, which is best something that is cheap to clone.
    fn provide(&self) -> T;
}

impl<T: Clone> FromRef<T> for T {
    fn provide(&self) -> T {
        self.clone()
    }
}

/// The request's body as a form sends it (`application/x-www-form-urlencoded`), read as a
/// [`Query`] is, with the same limit of `#[serde(flatten)]`. Content of another type is answered 415, and content that can't be read as what is
/// wanted 422. A request without content is a form without fields, whatever type it names.
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
    /// What was read.
    pub T,
);

impl<S, T: DeserializeOwned> FromRequest<S> for Path<T> {
    fn path_parameters() -> RangeInclusive<usize> {
        names_for::<T>()
    }

    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let parsed = call.parameters().parse();
        let reject = |why: Mismatch| why.reject::<Self>(StatusCode::BAD_REQUEST, "path", call);
        parsed.map(Self).map_err(reject)
    }
}

impl<S, T: DeserializeOwned> FromRequest<S> for Query<T> {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let parsed = urlencoded::parse(query(call).as_bytes());
        let reject = |why: Mismatch| why.reject::<Self>(StatusCode::BAD_REQUEST, "query", call);
        parsed.map(Self).map_err(reject)
    }
}

impl<S: FromRef<T>, T> FromRequest<S> for State<T> {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(Self(call.state().provide()))
    }
}

impl<S> FromRequest<S> for Method {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(call.request().method().clone())
    }
}

impl<S> FromRequest<S> for Uri {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(call.request().uri().clone())
    }
}

impl<S> FromRequest<S> for HeaderMap {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(call.request().headers().clone())
    }
}

impl<S> FromRequest<S> for ClientInfo {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Self::optional_from_request(call)?.ok_or_else(|| {
            Rejection::new(StatusCode::BAD_REQUEST, "nobody knows who has sent this")
        })
    }
}

impl<S> FromRequest<S, Consumes> for Request {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(mem::take(call.request_mut()))
    }
}

impl<S> FromRequest<S, Consumes> for Body {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(mem::take(call.request_mut().body_mut()))
    }
}

impl<S> FromRequest<S> for Bytes {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(call.request().body().to_bytes())
    }
}

impl<S> FromRequest<S> for String {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let body = call.request().body().as_bytes();
        std::str::from_utf8(body).map(str::to_owned).map_err(|why| {
            Rejection::new(
                StatusCode::BAD_REQUEST,
                format!("the body is no text: {why}"),
            )
        })
    }
}

impl<S, T: DeserializeOwned> FromRequest<S> for Form<T> {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        const FORM: &str = "application/x-www-form-urlencoded";
        let request = call.request();
        let said = MediaType::of_content(request.headers());
        if !is_bodiless(call) && !said.is_some_and(|said| said.is(FORM)) {
            return Err(wanted(FORM));
        }
        let parsed = urlencoded::parse(request.body().as_bytes());
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let reject = |why: Mismatch| why.reject::<Self>(status, "form", call);
        parsed.map(Self).map_err(reject)
    }
}

impl<S, A, T: OptionalFromRequest<S, A>> FromRequest<S, A> for Option<T> {
    const BODY_MODE: BodyMode = T::BODY_MODE;

    fn path_parameters() -> RangeInclusive<usize> {
        0..=*T::path_parameters().end()
    }

    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        T::optional_from_request(call)
    }
}

/// A path of a route without names has none.
impl<S, T: DeserializeOwned> OptionalFromRequest<S> for Path<T> {
    fn optional_from_request(call: &mut RequestContext<'_, S>) -> Result<Option<Self>, Rejection> {
        unless(call.parameters().iter().next().is_none(), call)
    }
}

/// A query that is empty is missing.
impl<S, T: DeserializeOwned> OptionalFromRequest<S> for Query<T> {
    fn optional_from_request(call: &mut RequestContext<'_, S>) -> Result<Option<Self>, Rejection> {
        unless(query(call).is_empty(), call)
    }
}

/// A body that is empty is missing.
impl<S, T: DeserializeOwned> OptionalFromRequest<S> for Form<T> {
    fn optional_from_request(call: &mut RequestContext<'_, S>) -> Result<Option<Self>, Rejection> {
        unless(is_bodiless(call), call)
    }
}

/// A request that did not come over a connection has none.
impl<S> OptionalFromRequest<S> for ClientInfo {
    fn optional_from_request(call: &mut RequestContext<'_, S>) -> Result<Option<Self>, Rejection> {
        Ok(Self::of(call.request()).cloned())
    }
}

impl<S, A, T: FromRequest<S, A>> FromRequest<S, A> for Result<T, Rejection> {
    const BODY_MODE: BodyMode = T::BODY_MODE;

    fn path_parameters() -> RangeInclusive<usize> {
        T::path_parameters()
    }

    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(T::from_request(call))
    }
}

pub(crate) fn wanted(content_type: &str) -> Rejection {
    let reason = format!("the body must be {content_type}, and say so");
    Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason)
}

/// The argument of a request that has something to read it from.
pub(crate) fn unless<S, A, T: FromRequest<S, A>>(
    is_missing: bool,
    call: &mut RequestContext<'_, S>,
) -> Result<Option<T>, Rejection> {
    if is_missing {
        return Ok(None);
    }
    T::from_request(call).map(Some)
}

fn query<'c, S>(call: &'c RequestContext<'_, S>) -> &'c str {
    call.request().uri().query().unwrap_or_default()
}

pub(crate) fn is_bodiless<S>(call: &RequestContext<'_, S>) -> bool {
    call.request().body().length() == Some(0)
}
