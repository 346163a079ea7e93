//! What a handler may return.

use std::fs::File;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response as HttpResponse, StatusCode};
use log::error;

use crate::{Body, Response};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Anything a handler may return.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::{Html, IntoResponse};
///
/// assert_eq!("hello".into_response().status(), StatusCode::OK);
/// assert_eq!(StatusCode::NOT_FOUND.into_response().body().length(), Some(0));
///
/// let page = (StatusCode::CREATED, Html("<p>done</p>")).into_response();
/// assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
/// ```
///
/// The server adds `Content-Length`, `Date` and `Connection` itself; what a handler sets of
/// framing fields is replaced.
pub trait IntoResponse {
    /// Makes the response.
    fn into_response(self) -> Response;
}

/// An HTML page: the content with `Content-Type: text/html; charset=utf-8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Html<T>(
    /// The page's source.
    pub T,
);

fn typed(content_type: HeaderValue, body: Body) -> Response {
    let mut response = HttpResponse::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        HttpResponse::new(self)
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Response {
        Body::empty().into_response()
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

impl IntoResponse for &'static str {
    fn into_response(self) -> Response {
        typed(TEXT, self.into())
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Response {
        typed(TEXT, self.into())
    }
}

impl IntoResponse for &'static [u8] {
    fn into_response(self) -> Response {
        typed(BYTES, self.into())
    }
}

impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Response {
        typed(BYTES, self.into())
    }
}

impl IntoResponse for Bytes {
    fn into_response(self) -> Response {
        typed(BYTES, self.into())
    }
}

/// The whole of a file, from its first byte to what is its last one now. What is no regular file, as
/// a pipe, is read until it ends. A file that can't be asked what it is is a 500.
///
/// ```no_run
/// use std::fs::File;
/// use httpool::http::StatusCode;
/// use httpool::Request;
///
/// let report = |_: Request| File::open("report.pdf").map_err(|_| StatusCode::NOT_FOUND);
/// ```
impl IntoResponse for File {
    fn into_response(self) -> Response {
        match self.metadata() {
            Ok(metadata) if metadata.is_file() => {
                typed(BYTES, Body::from_file(self, 0..metadata.len()))
            }
            Ok(_) => typed(BYTES, Body::from_reader(self)),
            Err(error) => {
                error!("a file can't be sent: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        typed(HTML, self.0.into())
    }
}

impl<R: IntoResponse> IntoResponse for (StatusCode, R) {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        *response.status_mut() = self.0;
        response
    }
}

/// Adds the fields to the response, each name replacing what the response had under it.
impl<R: IntoResponse> IntoResponse for (HeaderMap, R) {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        response.headers_mut().extend(self.0);
        response
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(answer) => answer.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_tuple_replace_those_of_the_answer() {
        let mut fields = HeaderMap::new();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv"));
        let response = (StatusCode::ACCEPTED, (fields, "a,b")).into_response();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let types: Vec<_> = response.headers().get_all(CONTENT_TYPE).iter().collect();
        assert_eq!(types, ["text/csv"]);
    }

    #[test]
    fn a_result_answers_with_either_side() {
        let wrong: Result<&'static str, StatusCode> = Err(StatusCode::IM_A_TEAPOT);
        assert_eq!(wrong.into_response().status(), StatusCode::IM_A_TEAPOT);
        let right: Result<&'static str, StatusCode> = Ok("tea");
        assert_eq!(right.into_response().body().as_bytes(), b"tea");
    }
}
