//! Redirects.

use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::message::IntoResponse;
use crate::message::Response;

/// Characters that a URI can't have (RFC 3986 section 2). `%` is kept, because it belongs to an
/// existing encoding.
const NOT_IN_A_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Sends the client to another target with `Location` (RFC 9110 section 10.2.2).
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::{IntoResponse, Redirect, Request};
///
/// let save = |_: Request| Redirect::to("/users/7");
///
/// let response = Redirect::permanent("/größe").into_response();
/// assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
/// assert_eq!(response.headers()["location"], "/gr%C3%B6%C3%9Fe");
/// ```
///
/// Characters that a URI can't have are percent-encoded: spaces, non-ASCII characters, line ends,
/// and backslashes, which browsers read as slashes. So a target can't start another header. It may
/// still lead to another host, as `//elsewhere.example` and `https://elsewhere.example` do: check a
/// target that comes from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    status: StatusCode,
    target: HeaderValue,
}

impl Redirect {
    /// 303 See Other: the client requests the target with GET. Use it after a form.
    #[must_use]
    pub fn to(target: &str) -> Self {
        Self::new(StatusCode::SEE_OTHER, target)
    }

    /// 307 Temporary Redirect: the client repeats its request at the target, with method and
    /// content, and asks here again next time.
    #[must_use]
    pub fn temporary(target: &str) -> Self {
        Self::new(StatusCode::TEMPORARY_REDIRECT, target)
    }

    /// 308 Permanent Redirect: the client repeats its request at the target and may go there
    /// directly from now on. Browsers remember it for a long time.
    #[must_use]
    pub fn permanent(target: &str) -> Self {
        Self::new(StatusCode::PERMANENT_REDIRECT, target)
    }

    fn new(status: StatusCode, target: &str) -> Self {
        let target = utf8_percent_encode(target, NOT_IN_A_URI).to_string();
        Self {
            status,
            target: HeaderValue::try_from(target).expect("only visible ASCII is left"),
        }
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.headers_mut().insert(LOCATION, self.target);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, expected: &str) {
        for (redirect, status) in [
            (Redirect::to(target), 303),
            (Redirect::temporary(target), 307),
            (Redirect::permanent(target), 308),
        ] {
            let response = redirect.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[LOCATION], expected);
        }
    }

    #[test]
    fn redirect_target_is_encoded() {
        check("/", "/");
        check("", "");
        check(
            "https://[::1]:80/a;b=c/?d=e&f[]=%20#g",
            "https://[::1]:80/a;b=c/?d=e&f[]=%20#g",
        );
        check("/a b/é", "/a%20b/%C3%A9");
    }

    #[test]
    fn redirect_target_cannot_inject_headers() {
        check("/\r\nset-cookie: a=b", "/%0D%0Aset-cookie:%20a=b");
        check("/\0\x7f", "/%00%7F");
        // Browsers drop tabs and read a backslash as a slash.
        check("/\t/elsewhere.example", "/%09/elsewhere.example");
        check("/\\elsewhere.example", "/%5Celsewhere.example");
        check("/<script>\"`{|}^", "/%3Cscript%3E%22%60%7B%7C%7D%5E");
    }
}
