//! Optional arguments.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;

use super::{Form, FromRequest, Path, Query, Reads, Rejection, RequestContext};
use super::{has_empty_body, query};
use crate::message::{BodyMode, ClientInfo, MatchedPath};

/// An argument that can be optional: `Option<T>` is `None` if the value is missing.
///
/// An invalid value is still rejected, because it is a mistake of the client that would otherwise
/// go unnoticed.
///
/// | argument | is missing if |
/// |---|---|
/// | `Option<Path<T>>` | the route has no `{names}` |
/// | `Option<Query<T>>` | the query is empty or missing |
/// | `Option<Json<T>>`, `Option<Form<T>>`, `Option<BodyStream>` | the body is empty |
/// | `Option<ClientInfo>` | the request did not arrive on a connection |
/// | `Option<Extension<T>>` | no layer has set the value |
/// | `Option<TypedHeader<T>>` | the header is missing |
/// | `Option<MatchedPath>` | no route matches the request |
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
    message = "`{Self}` can't be an optional argument",
    note = "`Option<T>` is an argument if `T` implements `OptionalFromRequest<S>`, which defines when \
            it is missing; `Result<T, Rejection>` is an argument for every argument `T`",
    note = "an argument that takes the body, for example `Option<BodyStream>`, must be the last \
            argument"
)]
pub trait OptionalFromRequest<S, Access = Reads>: FromRequest<S, Access> {
    /// Takes the argument from the request, if the request has it.
    ///
    /// # Errors
    ///
    /// If the value is present and invalid. The rejection becomes the response.
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection>;
}

impl<S, A, T: OptionalFromRequest<S, A>> FromRequest<S, A> for Option<T> {
    const BODY_MODE: BodyMode = T::BODY_MODE;

    fn path_parameters() -> RangeInclusive<usize> {
        0..=*T::path_parameters().end()
    }

    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        T::optional_from_request(context)
    }
}

/// `None` if the route has no names in its path.
impl<S, T: DeserializeOwned> OptionalFromRequest<S> for Path<T> {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        take_unless(context.parameters().iter().next().is_none(), context)
    }
}

/// `None` if the query is empty or missing.
impl<S, T: DeserializeOwned> OptionalFromRequest<S> for Query<T> {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        take_unless(query(context).is_empty(), context)
    }
}

/// `None` if the body is empty.
impl<S, T: DeserializeOwned> OptionalFromRequest<S> for Form<T> {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        take_unless(has_empty_body(context), context)
    }
}

/// `None` if the request did not arrive on a connection.
impl<S> OptionalFromRequest<S> for ClientInfo {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        Ok(Self::of(context.request()).cloned())
    }
}

/// `None` if no route matches the request.
impl<S> OptionalFromRequest<S> for MatchedPath {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        Ok(context.matched_path().cloned())
    }
}

/// Takes the argument from the request unless it is missing.
pub(crate) fn take_unless<S, A, T: FromRequest<S, A>>(
    is_missing: bool,
    context: &mut RequestContext<'_, S>,
) -> Result<Option<T>, Rejection> {
    if is_missing {
        return Ok(None);
    }
    T::from_request(context).map(Some)
}
