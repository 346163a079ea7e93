//! The echo server: what is posted comes back.

use std::mem;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde::de::IgnoredAny;

use crate::message::headers::media_type::MediaType;
use crate::message::response::method_not_allowed;
use crate::message::{
    BodyMode, ClientInfo, Handler, Html, IntoResponse, Problem, Request, Response,
};

const PAGE: &str = "<h1>Welcome to my Server</h1>";
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

/// Answers `POST` with the request's own body, byte for byte and with its `Content-Type`
/// (`text/plain` if it has none), and `GET` with a welcome page, on every path. With the query
/// `?origin`, the answer to `GET` is the request's [`ClientInfo`] as JSON.
///
/// ```
/// use httpool::services::{Echo, JsonCheck};
/// use httpool::{Handler, http};
///
/// let echo = Echo::new(JsonCheck::Strict);
/// let mut request = http::Request::post("/")
///     .header("content-type", "application/json")
///     .body(r#"{"a": 1}"#.into())?;
/// assert_eq!(echo.handle(&mut request).body().as_bytes(), br#"{"a": 1}"#);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo {
    json: JsonCheck,
}

/// What [`Echo`] does with a body whose content type is JSON.
///
/// ```
/// use httpool::services::{Echo, JsonCheck};
/// use httpool::testing::Client;
///
/// let status = |check| {
///     let client = Client::new(Echo::new(check));
///     let request = client.post("/").header("content-type", "application/json");
///     request.body("{").send().status()
/// };
/// assert_eq!(status(JsonCheck::Strict), 400);
/// assert_eq!(status(JsonCheck::Raw), 200);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonCheck {
    /// It must be JSON (RFC 8259), or the answer is 400 and names line and column.
    #[default]
    Strict,
    /// It is echoed unread.
    Raw,
}

impl Echo {
    /// An echo that treats JSON like this.
    #[must_use]
    pub const fn new(json: JsonCheck) -> Self {
        Self { json }
    }

    fn echo(self, request: &mut Request) -> Response {
        let fields = request.headers();
        if self.json == JsonCheck::Strict
            && MediaType::of_content(fields).is_some_and(MediaType::is_json)
            && let Err(mistake) = check_json(request.body().as_bytes())
        {
            return Problem::new(StatusCode::BAD_REQUEST)
                .detail(format!("the body is not JSON: {mistake}"))
                .to_response(fields);
        }
        let content_type = request.headers_mut().remove(CONTENT_TYPE);
        let mut response = Response::new(mem::take(request.body_mut()));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, content_type.unwrap_or(TEXT));
        response
    }
}

impl Handler for Echo {
    fn handle(&self, request: &mut Request) -> Response {
        match *request.method() {
            Method::POST => self.echo(request),
            Method::GET | Method::HEAD if request.uri().query() == Some("origin") => {
                origin(request)
            }
            Method::GET | Method::HEAD => Html(PAGE).into_response(),
            _ => method_not_allowed(request, ALLOWED),
        }
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match *request.method() {
            Method::POST => BodyMode::Buffered,
            _ => BodyMode::HeadOnly,
        }
    }
}

/// Where the request comes from, on a line.
fn origin(request: &Request) -> Response {
    let origin = serde_json::to_string(&ClientInfo::of(request)).unwrap_or_default();
    let mut response = Response::new(format!("{origin}\n").into());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Checks the grammar without building anything of it. JSON is UTF-8 (RFC 8259 section 8.1), and
/// what is passed over unread has not been looked at for that.
fn check_json(body: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            .count()
            + 1;
        format!("invalid UTF-8 at line {line} column {column}")
    })?;
    serde_json::from_str::<IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use http::Request as HttpRequest;
    use http::header::ALLOW;

    use super::*;
    use crate::message::Body;

    #[track_caller]
    fn post(json: JsonCheck, content_type: &str, body: &[u8]) -> Response {
        let mut request = HttpRequest::post("/any")
            .header(CONTENT_TYPE, content_type)
            .body(Body::from(body.to_vec()))
            .expect("test requests are valid");
        Echo::new(json).handle(&mut request)
    }

    #[test]
    fn bodies_come_back_as_they_were() {
        for (content_type, body) in [
            (
                "application/json",
                &b" {\"a\" : [1, 2.50, \"\\u00e9\"]}\n"[..],
            ),
            ("application/json; charset=utf-8", b"null"),
            ("application/problem+json", b"[]"),
            ("text/csv", b"{broken"),
            ("application/octet-stream", b"\xff\x00"),
        ] {
            let response = post(JsonCheck::Strict, content_type, body);
            assert_eq!(response.status(), StatusCode::OK, "{content_type}");
            assert_eq!(response.headers()[CONTENT_TYPE], content_type);
            assert_eq!(response.body().as_bytes(), body);
        }
    }

    #[test]
    fn a_mistake_in_json_is_named_with_its_place() {
        for (content_type, body, place) in [
            (
                "application/json",
                &b"{\"a\":1,\n \"b\" 2}"[..],
                "line 2 column 6",
            ),
            ("Application/JSON;charset=utf-8", b"", "line 1 column 0"),
            ("application/hal+json", b"[1] x", "line 1 column 5"),
            (
                "application/x+JSON",
                b"[\"a\",\n\"\xff\"]",
                "line 2 column 2",
            ),
        ] {
            let response = post(JsonCheck::Strict, content_type, body);
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{content_type}");
            let said = String::from_utf8_lossy(response.body().as_bytes()).into_owned();
            assert!(said.contains(place), "{said}");
        }
    }

    #[test]
    fn raw_json_is_not_looked_at() {
        let response = post(JsonCheck::Raw, "application/json", b"{broken");
        assert_eq!(response.status(), StatusCode::OK);
    }

    #[test]
    fn deep_json_is_no_danger() {
        let deep = "[".repeat(1_000_000);
        let response = post(JsonCheck::Strict, "application/json", deep.as_bytes());
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn other_methods_are_told_what_is_allowed() {
        for (method, status) in [
            (Method::OPTIONS, StatusCode::NO_CONTENT),
            (Method::PUT, StatusCode::METHOD_NOT_ALLOWED),
            (Method::DELETE, StatusCode::METHOD_NOT_ALLOWED),
        ] {
            let mut request = Request::default();
            *request.method_mut() = method;
            let response = Echo::default().handle(&mut request);
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[ALLOW], ALLOWED);
        }
    }
}
