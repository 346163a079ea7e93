//! The echo service: responds with the request's own body.

mod page;

use std::mem;

use http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use http::{Method, StatusCode};
use serde::de::IgnoredAny;

use crate::message::headers::media_type::{MediaType, preferred};
use crate::message::problem::html_page::POLICY;
use crate::message::response::method_not_allowed;
use crate::message::{
    BodyMode, ClientInfo, Handler, Html, IntoResponse, Problem, Request, Response,
};

const PAGE: &str = "<h1>Welcome to my Server</h1>";
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: &str = "text/html";
const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

/// Responds to `POST` with the request's body, byte for byte and with its `Content-Type`
/// (`text/plain` if it has none), and to `GET` with a welcome page, on every path. A browser gets a
/// page that explains this, and any other client one line.
///
/// With the query `?origin`, `GET` returns the request's [`ClientInfo`] as JSON.
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

/// Whether [`Echo`] checks bodies whose content type is JSON.
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
    /// An invalid body (RFC 8259) is answered 400 with line and column.
    #[default]
    Strict,
    /// The body is not parsed.
    Raw,
}

impl Echo {
    /// Creates an echo service with this check of JSON.
    #[must_use]
    pub const fn new(json: JsonCheck) -> Self {
        Self { json }
    }

    fn echo(self, request: &mut Request) -> Response {
        let headers = request.headers();
        if self.json == JsonCheck::Strict
            && MediaType::of_content(headers).is_some_and(MediaType::is_json)
            && let Err(error) = check_json(request.body().as_bytes())
        {
            return Problem::new(StatusCode::BAD_REQUEST)
                .detail(format!("the body is not JSON: {error}"))
                .to_response(headers);
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
                client_info(request)
            }
            Method::GET | Method::HEAD => welcome(request),
            _ => method_not_allowed(request, ALLOWED),
        }
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match *request.method() {
            Method::POST => BodyMode::Buffered,
            _ => BodyMode::HeadOnly,
        }
    }

    fn may_upgrade(&self) -> bool {
        false
    }
}

/// The welcome page: a line, or a page for browsers, which ask for HTML before all others.
fn welcome(request: &Request) -> Response {
    if !prefers_html(request.headers()) {
        return Html(PAGE).into_response();
    }
    let mut response = Html(page::html(request)).into_response();
    let headers = response.headers_mut();
    // The line has no `Vary`: a cache may send it to browsers too, and most clients get it.
    headers.insert(VARY, HeaderValue::from_static("accept"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// Whether the client asks for HTML. `*/*` alone asks for nothing.
fn prefers_html(headers: &HeaderMap) -> bool {
    // Most clients name no type, and weighing types costs more than the rest of the response.
    let names_html = |value: &HeaderValue| {
        let mut parts = value.as_bytes().windows(HTML.len());
        parts.any(|part| part.eq_ignore_ascii_case(HTML.as_bytes()))
    };
    let offers: [(bool, &[&str]); 2] = [(false, &["text/plain"]), (true, &[HTML])];
    headers.get_all(ACCEPT).iter().any(names_html) && preferred(headers, &offers) == Some(true)
}

/// The request's `ClientInfo`, on one line.
fn client_info(request: &Request) -> Response {
    let json = serde_json::to_string(&ClientInfo::of(request)).unwrap_or_default();
    let mut response = Response::new(format!("{json}\n").into());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Checks the grammar without building a value. JSON must be UTF-8 (RFC 8259 section 8.1), and
/// serde_json does not check that in values that it ignores.
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
    fn bodies_are_returned_unchanged() {
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
    fn json_errors_have_line_and_column() {
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
            let text = String::from_utf8_lossy(response.body().as_bytes()).into_owned();
            assert!(text.contains(place), "{text}");
        }
    }

    #[test]
    fn raw_json_is_not_checked() {
        let response = post(JsonCheck::Raw, "application/json", b"{broken");
        assert_eq!(response.status(), StatusCode::OK);
    }

    #[test]
    fn deeply_nested_json_is_rejected() {
        let deep = "[".repeat(1_000_000);
        let response = post(JsonCheck::Strict, "application/json", deep.as_bytes());
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }

    #[track_caller]
    fn page(accept: &str, host: &str) -> Response {
        let mut request = HttpRequest::get("/any")
            .header(ACCEPT, accept)
            .header(http::header::HOST, host)
            .body(Body::default())
            .expect("test requests are valid");
        Echo::default().handle(&mut request)
    }

    #[test]
    fn browsers_get_a_page_and_others_a_line() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let response = page(browser, "echo.example:4000");
        let text = String::from_utf8_lossy(response.body().as_bytes()).into_owned();
        assert!(text.contains(PAGE), "{text}");
        assert!(text.contains("http://echo.example:4000/</kbd>"), "{text}");
        assert_eq!(response.headers()[VARY], "accept");
        assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], POLICY);
        for accept in ["*/*", "text/plain", "application/json", "text/html;q=0"] {
            let response = page(accept, "x");
            assert_eq!(response.body().as_bytes(), PAGE.as_bytes(), "{accept}");
            assert_eq!(response.headers().get(VARY), None, "{accept}");
        }
    }

    #[test]
    fn commands_contain_only_safe_hosts() {
        for host in ["a'b", "a;b", "$(a)", "<b>", "", "a b", "a\"b"] {
            let response = page("text/html", host);
            let text = String::from_utf8_lossy(response.body().as_bytes()).into_owned();
            assert!(text.contains(" http://localhost:4000/</kbd>"), "{text}");
        }
    }

    #[test]
    fn other_methods_get_the_allowed_ones() {
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
