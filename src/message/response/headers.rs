//! Responses with additional headers.

use http::header::{Entry, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::{Error, StatusCode};
use log::error;

use super::{failed, has_failed};
use crate::message::{IntoResponse, Later, Response};

/// Headers that a response gets in a tuple: `(headers, response)` or `(status, headers, response)`.
/// They are a [`HeaderMap`] or an array of names and values.
///
/// A header replaces those of the response with the same name, but `Set-Cookie` is added to them.
/// Several values under one name are all sent.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::http::header::{CONTENT_TYPE, ETAG};
/// use httpool::{IntoResponse, Request};
///
/// let table = |_: Request| {
///     let headers = [(CONTENT_TYPE, "text/csv"), (ETAG, "\"7\"")];
///     (StatusCode::OK, headers, "a,b\n1,2\n")
/// };
///
/// let response = ([("x-name", "Zoë\r\nSet-Cookie: a=b")], "hello").into_response();
/// assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// ```
///
/// An invalid name or value (RFC 9110 section 5.5), for example one with a line end, is logged and
/// becomes a 500, whatever status the tuple has. Nothing of such a value is sent.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be used as response headers",
    note = "in a tuple, the elements before the last are a `StatusCode`, or headers, or a \
            `StatusCode` and headers; headers are a `HeaderMap` or an array of names and values, \
            for example `[(CONTENT_TYPE, \"text/csv\")]`"
)]
pub trait Headers {
    /// Converts the headers into a map.
    ///
    /// # Errors
    ///
    /// Returns an error if a name or value is invalid.
    fn into_headers(self) -> Result<HeaderMap, Error>;
}

impl Headers for HeaderMap {
    fn into_headers(self) -> Result<HeaderMap, Error> {
        Ok(self)
    }
}

impl<K, V, const N: usize> Headers for [(K, V); N]
where
    K: TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
    K::Error: Into<Error>,
    V::Error: Into<Error>,
{
    fn into_headers(self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::with_capacity(N);
        for (name, value) in self {
            let name = name.try_into().map_err(Into::into)?;
            headers.append(name, value.try_into().map_err(Into::into)?);
        }
        Ok(headers)
    }
}

impl<R: IntoResponse> IntoResponse for (StatusCode, R) {
    fn into_response(self) -> Response {
        Later::map(self.1.into_response(), move |mut response| {
            if !has_failed(&response) {
                *response.status_mut() = self.0;
            }
            response
        })
    }
}

impl<F: Headers, R: IntoResponse> IntoResponse for (F, R) {
    fn into_response(self) -> Response {
        with_headers(self.0, || self.1.into_response())
    }
}

impl<F: Headers, R: IntoResponse> IntoResponse for (StatusCode, F, R) {
    fn into_response(self) -> Response {
        with_headers(self.1, || (self.0, self.2).into_response())
    }
}

fn with_headers(headers: impl Headers, make_response: impl FnOnce() -> Response) -> Response {
    match headers.into_headers() {
        Ok(headers) => Later::map(make_response(), |mut response| {
            if !has_failed(&response) {
                add(headers, response.headers_mut());
            }
            response
        }),
        Err(error) => {
            error!("response with an invalid header: {error}");
            failed(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Adds headers to a response. Each `Set-Cookie` is for another cookie, so it replaces none.
fn add(mut headers: HeaderMap, response: &mut HeaderMap) {
    if let Entry::Occupied(cookies) = headers.entry(SET_COOKIE) {
        for cookie in cookies.remove_entry_mult().1 {
            response.append(SET_COOKIE, cookie);
        }
    }
    response.extend(headers);
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, RETRY_AFTER};

    use super::*;

    #[test]
    fn tuple_headers_replace_response_headers() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv"));
        let array = || [(CONTENT_TYPE, "text/csv")];
        for response in [
            (StatusCode::ACCEPTED, headers.clone(), "a,b").into_response(),
            (StatusCode::ACCEPTED, (headers, "a,b")).into_response(),
            (StatusCode::ACCEPTED, array(), "a,b").into_response(),
            (array(), (StatusCode::ACCEPTED, "a,b")).into_response(),
        ] {
            assert_eq!(response.status(), StatusCode::ACCEPTED);
            let types: Vec<_> = response.headers().get_all(CONTENT_TYPE).iter().collect();
            assert_eq!(types, ["text/csv"]);
            assert_eq!(response.body().as_bytes(), b"a,b");
        }
    }

    #[test]
    fn names_and_values_convert_from_many_types() {
        let cookies = [("set-cookie", "a=1"), ("Set-Cookie", "b=2")];
        let response = (cookies, ()).into_response();
        let cookies = response.headers().get_all(SET_COOKIE);
        assert!(cookies.iter().eq(["a=1", "b=2"]));
        let response = ([(RETRY_AFTER, 120)], ()).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "120");
        let name = String::from("x-name");
        let response = ([(name, vec![0xE9])], ()).into_response();
        assert_eq!(response.headers()["x-name"].as_bytes(), [0xE9]);
    }

    #[test]
    fn cookies_of_several_tuples_are_all_set() {
        let cookies = |names: [&'static str; 2]| names.map(|name| (SET_COOKIE, name));
        let response = (cookies(["a=1", "b=2"]), (cookies(["c=3", "a=4"]), "")).into_response();
        let cookies = response.headers().get_all(SET_COOKIE);
        assert!(cookies.iter().eq(["c=3", "a=4", "a=1", "b=2"]));
    }

    #[test]
    fn invalid_header_is_never_sent() {
        #[track_caller]
        fn check(name: &str, value: &str) {
            let headers = || [(name, value)];
            for response in [
                (headers(), "secret").into_response(),
                (StatusCode::OK, headers(), "secret").into_response(),
                (StatusCode::CREATED, (headers(), "secret")).into_response(),
                ([("x-more", "secret")], (headers(), "secret")).into_response(),
                (StatusCode::OK, [("x-more", "secret")], (headers(), "")).into_response(),
            ] {
                assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
                let names: Vec<_> = response.headers().keys().collect();
                assert_eq!(names, ["content-type", "vary"]);
                let body = response.body().as_bytes();
                assert_eq!(body, b"500 Internal Server Error\n");
            }
        }
        for value in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\u{7f}"] {
            check("x-name", value);
        }
        for name in ["", "a b", "a:b", "a\r\nb", "é", "a\0"] {
            check(name, "value");
        }
    }
}
