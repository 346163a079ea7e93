//! Types that a handler may return.

pub(crate) mod headers;

mod attachment;
mod redirect;

use std::borrow::Cow;
use std::convert::Infallible;
use std::fs::File;
use std::io;

use bytes::Bytes;
#[cfg(any(feature = "json", feature = "router"))]
use http::Method;
#[cfg(any(feature = "json", feature = "router"))]
use http::header::ALLOW;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response as HttpResponse, StatusCode};
use log::error;

pub use self::attachment::Attachment;
pub use self::headers::Headers;
pub use self::redirect::Redirect;
#[cfg(any(feature = "json", feature = "router"))]
use super::Request;
#[cfg(feature = "multipart")]
use super::client_error::ClientError;
use super::request_error::RequestError;
use super::{Body, Problem, Response};

/// Marks a response that replaces one that could not be made. Status and headers meant for that one
/// do not apply.
#[derive(Debug, Clone, Copy)]
struct Failed;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Converts into a response.
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
/// * Text (`&str`, `String` and similar types) is sent as `text/plain; charset=utf-8`, bytes
///   (`&[u8]`, `Vec<u8>`, [`Bytes`] and similar types) as `application/octet-stream`. A [`Body`]
///   has no content type.
/// * A [`File`] is sent without being read into memory.
/// * A tuple that begins with a [`StatusCode`], with [`Headers`], or with both in that order, adds
///   them to the response at its end. A response that could not be made stays an error.
/// * `Ok`, `Err` and `Some` respond with their value; `None` is 404.
/// * [`http::Response`] is for everything else.
///
/// The server sets `Content-Length`, `Date` and `Connection`. It replaces framing headers that a
/// handler sets.
#[diagnostic::on_unimplemented(
    message = "a handler can't return `{Self}`",
    note = "a handler can return, for example, `&'static str`, `String`, `Json<T>`, `StatusCode`, \
            `(StatusCode, T)`, `Result<T, E>` of two such types, `http::Response<Body>`, or a type \
            that implements `IntoResponse`",
    note = "handlers are ordinary functions and may block: if the function returns a future, remove \
            `async` from it"
)]
pub trait IntoResponse {
    /// Makes the response.
    fn into_response(self) -> Response;
}

/// An HTML page with `Content-Type: text/html; charset=utf-8`. Nothing is escaped: escape text of
/// users before you put it into a page, as template engines do.
///
/// ```
/// use httpool::{Html, Request};
///
/// let page = |_: Request| Html("<!doctype html><title>Hello</title><p>Hello!");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Html<T>(
    /// The source of the page.
    pub T,
);

/// The response if there is nothing to send. A status or headers around it do not change it.
pub(crate) fn failed(status: StatusCode) -> Response {
    let mut response = Problem::new(status).into_response();
    response.extensions_mut().insert(Failed);
    response
}

/// The response to a method that the resource does not have: the allowed methods for OPTIONS (RFC
/// 9110 section 9.3.7), otherwise 405 (section 15.5.6).
#[cfg(any(feature = "json", feature = "router"))]
pub(crate) fn method_not_allowed(request: &Request, allowed: HeaderValue) -> Response {
    let mut response = if *request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED).to_response(request.headers())
    };
    response.headers_mut().insert(ALLOW, allowed);
    response
}

pub(crate) fn has_failed(response: &Response) -> bool {
    response.extensions().get::<Failed>().is_some()
}

fn typed(content_type: HeaderValue, body: Body) -> Response {
    let mut response = HttpResponse::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

impl<B: Into<Body>> IntoResponse for HttpResponse<B> {
    fn into_response(self) -> Response {
        self.map(Into::into)
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

/// For a `Result` that can't fail.
impl IntoResponse for Infallible {
    fn into_response(self) -> Response {
        match self {}
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

macro_rules! content {
    ($($content_type:ident: $($content:ty),+;)+) => {
        $($(
            impl IntoResponse for $content {
                fn into_response(self) -> Response {
                    typed($content_type, self.into())
                }
            }
        )+)+
    };
}

content! {
    TEXT: &'static str, String, Box<str>, Cow<'static, str>;
    BYTES: &'static [u8], Vec<u8>, Box<[u8]>, Cow<'static, [u8]>, Bytes;
}

impl<const N: usize> IntoResponse for &'static [u8; N] {
    fn into_response(self) -> Response {
        typed(BYTES, self.into())
    }
}

/// The whole file, up to its current end. A file that is not regular, for example a pipe, is read
/// until it ends. A folder is a 404. A file whose metadata can't be read is a 500.
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
            Ok(metadata) if metadata.is_dir() => failed(StatusCode::NOT_FOUND),
            Ok(_) => typed(BYTES, Body::from_reader(self)),
            Err(error) => {
                error!("a file can't be sent: {error}");
                failed(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// A failure of the handler: 500, and the log names the error. If the client caused it while its
/// body was [streamed](crate::BodyMode::Streaming), the client receives its own error instead.
impl IntoResponse for io::Error {
    fn into_response(self) -> Response {
        #[cfg(feature = "multipart")]
        if let Some(error) = self
            .get_ref()
            .and_then(|cause| cause.downcast_ref::<ClientError>())
        {
            let problem = Problem::new(error.status()).detail(error.to_string());
            return problem.into_response();
        }
        log_failure(&self);
        failed(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Logs an error, unless the client caused it while its body was received.
pub(crate) fn log_failure(error: &io::Error) {
    let request_error = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<RequestError>());
    if request_error.is_none() {
        error!("a handler failed: {error}");
    }
}

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        typed(HTML, self.0.into())
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

/// The value, or 404.
impl<T: IntoResponse> IntoResponse for Option<T> {
    fn into_response(self) -> Response {
        self.ok_or(Problem::new(StatusCode::NOT_FOUND))
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: impl IntoResponse, status: u16, content_type: &str, content: &str) {
        let response = value.into_response();
        let content_type_header = response.headers().get(CONTENT_TYPE);
        let content_type_header =
            content_type_header.map_or("", |value| value.to_str().expect("the header is text"));
        let body = String::from_utf8_lossy(response.body().as_bytes());
        assert_eq!(
            (response.status().as_u16(), content_type_header, &*body),
            (status, content_type, content)
        );
    }

    #[test]
    fn content_has_its_type() {
        const TEXT: &str = "text/plain; charset=utf-8";
        const BYTES: &str = "application/octet-stream";
        check("a", 200, TEXT, "a");
        check(String::from("a"), 200, TEXT, "a");
        check(Box::<str>::from("a"), 200, TEXT, "a");
        check(Cow::Borrowed("a"), 200, TEXT, "a");
        check(Cow::<str>::Owned("a".into()), 200, TEXT, "a");
        check(b"a", 200, BYTES, "a");
        check(&b"a"[..], 200, BYTES, "a");
        check(vec![b'a'], 200, BYTES, "a");
        check(Box::<[u8]>::from(*b"a"), 200, BYTES, "a");
        check(Cow::Borrowed(&b"a"[..]), 200, BYTES, "a");
        check(Bytes::from_static(b"a"), 200, BYTES, "a");
        check(Html("<p>"), 200, "text/html; charset=utf-8", "<p>");
        check(Body::from("a"), 200, "", "a");
        check((), 200, "", "");
        check(StatusCode::IM_A_TEAPOT, 418, "", "");
        check(HttpResponse::new("a"), 200, "", "a");
    }

    #[test]
    fn result_responds_with_either_side() {
        check(
            Ok::<_, StatusCode>("tea"),
            200,
            "text/plain; charset=utf-8",
            "tea",
        );
        check(Err::<&str, _>(StatusCode::IM_A_TEAPOT), 418, "", "");
        check(Ok::<_, Infallible>(()), 200, "", "");
    }

    #[test]
    fn none_is_404() {
        let text = "text/plain; charset=utf-8";
        check(Some("tea"), 200, text, "tea");
        check(None::<&str>, 404, text, "404 Not Found\n");
    }

    #[test]
    fn folder_is_404() {
        let folder = || File::open(env!("CARGO_MANIFEST_DIR")).expect("the folder exists");
        let text = "text/plain; charset=utf-8";
        check(folder(), 404, text, "404 Not Found\n");
        check((StatusCode::OK, folder()), 404, text, "404 Not Found\n");
    }
}
