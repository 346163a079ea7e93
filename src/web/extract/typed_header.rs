//! Headers parsed into types.

use headers_core::Header;
use http::{HeaderMap, StatusCode};

use super::{FromRequest, OptionalFromRequest, Rejection, RequestContext};
use crate::message::Headers;

/// A request header, parsed into a type that implements [`Header`]. The crate
/// [headers](https://docs.rs/headers) has such types for common headers; add version 0.4 of it to
/// your program: `TypedHeader<headers::UserAgent>`. A type of your own names the header, decodes
/// its values, and encodes them:
///
/// ```
/// use httpool::Router;
/// use httpool::extract::TypedHeader;
/// use httpool::headers_core::{Error, Header};
/// use httpool::http::{HeaderName, HeaderValue};
/// use httpool::testing::Client;
///
/// /// How many stars a client gives.
/// struct Stars(u8);
///
/// static STARS: HeaderName = HeaderName::from_static("x-stars");
///
/// impl Header for Stars {
///     fn name() -> &'static HeaderName {
///         &STARS
///     }
///
///     fn decode<'v, I: Iterator<Item = &'v HeaderValue>>(values: &mut I) -> Result<Self, Error> {
///         let value = values.next().ok_or_else(Error::invalid)?;
///         let number = value.to_str().ok().and_then(|text| text.parse().ok());
///         number.map(Self).ok_or_else(Error::invalid)
///     }
///
///     fn encode<E: Extend<HeaderValue>>(&self, values: &mut E) {
///         values.extend([HeaderValue::from(u16::from(self.0))]);
///     }
/// }
///
/// let router: Router = Router::new().post("/", |TypedHeader(stars): TypedHeader<Stars>| {
///     (TypedHeader(Stars(stars.0 + 1)), "one more")
/// });
/// let client = Client::new(router);
/// let response = client.post("/").header("x-stars", "4").send();
/// assert_eq!(response.header("x-stars"), Some("5"));
/// let response = client.post("/").send();
/// assert_eq!(response.text(), "400 Bad Request: the header x-stars is missing\n");
/// ```
///
/// A header that is missing or invalid gets a 400, and so does one that occurs several times if
/// its type takes one value. `Option<TypedHeader<T>>` is `None` if the header is missing. In a
/// response it adds the header, as all [`Headers`] do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TypedHeader<T>(
    /// The parsed value.
    pub T,
);

impl<S, T: Header> FromRequest<S> for TypedHeader<T> {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let header = T::name();
        let mut values = context.request().headers().get_all(header).iter();
        let fault = match values.size_hint() {
            (0, Some(0)) => "missing",
            _ => "invalid",
        };
        let decoded = T::decode(&mut values);
        // A value that is left over would be ignored, and another reader might take it.
        let decoded = decoded.ok().filter(|_| values.next().is_none());
        decoded.map(Self).ok_or_else(|| {
            let reason = format!("the header {header} is {fault}");
            Rejection::new(StatusCode::BAD_REQUEST, reason)
        })
    }
}

/// `None` if the header is missing.
impl<S, T: Header> OptionalFromRequest<S> for TypedHeader<T> {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        let is_missing = !context.request().headers().contains_key(T::name());
        super::take_unless(is_missing, context)
    }
}

impl<T: Header> Headers for TypedHeader<T> {
    fn into_headers(self) -> Result<HeaderMap, http::Error> {
        let mut values = Vec::with_capacity(1);
        self.0.encode(&mut values);
        let named = values.into_iter().map(|value| (T::name().clone(), value));
        Ok(named.collect())
    }
}
