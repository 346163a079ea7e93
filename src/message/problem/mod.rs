//! Error responses: [`Problem`], its title and layout in each format, and the choice of the format
//! that the client prefers. The detail comes from where the problem is made.

pub(crate) mod error_pages;
pub(crate) mod html_page;
mod members;

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, VARY,
};
use http::{Response as HttpResponse, StatusCode};

use self::html_page::{HtmlPage, POLICY};
use self::members::Members;
use super::headers::media_type;
use super::request_id::{REQUEST_ID, is_safe};
use super::{Body, IntoResponse, Response};
use crate::logging::push_json_string;

/// The `Retry-After` of a 503, in seconds. Most requests that occupy the server take less.
const RETRY: HeaderValue = HeaderValue::from_static("1");

/// An error response: a small page for browsers, `application/problem+json` (RFC 9457) for JSON
/// clients, and a line of plain text otherwise, as `Accept` asks.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::{Problem, Request};
///
/// let request: Request = httpool::http::Request::builder()
///     .header("accept", "application/json")
///     .body(Default::default())?;
/// let response = Problem::new(StatusCode::NOT_FOUND)
///     .detail("there is no such user")
///     .to_response(request.headers());
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// # Ok::<(), httpool::http::Error>(())
/// ```
///
/// JSON can have a [type](Self::with_type), an [instance](Self::with_instance) and members of your
/// own, for example the list of all wrong values of a form.
///
/// It shows the request's `X-Request-Id` if that is [safe](crate::Builder::request_ids).
///
/// As an [`IntoResponse`] it is plain text, because it does not know what the client accepts; the
/// server replaces it with the format that the client prefers. [Error
/// pages](crate::Builder::error_pages) can replace both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    members: Option<Box<Members>>,
}

/// The format of a [`Problem`].
///
/// ```
/// use httpool::ProblemFormat;
/// use httpool::http::{HeaderMap, HeaderValue, header::ACCEPT};
///
/// let mut request = HeaderMap::new();
/// assert_eq!(ProblemFormat::preferred(&request), ProblemFormat::Text);
/// request.insert(ACCEPT, HeaderValue::from_static("application/json"));
/// assert_eq!(ProblemFormat::preferred(&request), ProblemFormat::Json);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemFormat {
    /// An HTML page.
    Html,
    /// `application/problem+json` (RFC 9457).
    Json,
    /// A line of plain text.
    Text,
}

/// The problem that a response was made from, kept in its extensions.
#[derive(Debug, Clone)]
struct AttachedProblem {
    problem: Problem,
    format_choice: FormatChoice,
    /// The content made from the problem. A body that was replaced since is not this one.
    content: Bytes,
}

/// How the format of a response was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FormatChoice {
    /// By the client's `Accept`.
    Negotiated,
    /// Without knowing what the client accepts, so it is plain text.
    Default,
}

impl Problem {
    /// A problem with this status and no detail.
    #[must_use]
    pub const fn new(status: StatusCode) -> Self {
        Self {
            status,
            detail: Cow::Borrowed(""),
            members: None,
        }
    }

    /// Adds a sentence about this occurrence. It is escaped where the format needs it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The problem of this response, unless its content was replaced.
    ///
    /// ```
    /// use httpool::http::StatusCode;
    /// use httpool::{IntoResponse, Problem};
    ///
    /// let response = Problem::new(StatusCode::GONE).detail("sold").into_response();
    /// assert_eq!(Problem::of(&response).map(Problem::message), Some("sold"));
    /// assert_eq!(Problem::of(&StatusCode::GONE.into_response()), None);
    /// ```
    #[must_use]
    pub fn of(response: &Response) -> Option<&Self> {
        AttachedProblem::of(response).map(|attached| &attached.problem)
    }

    /// The status. If the response has another status now, for example `(StatusCode::GONE,
    /// problem)`, the server uses that one.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The text of [`detail`](Self::detail), unescaped; empty if there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.detail
    }

    /// The response to a request with these headers.
    #[must_use]
    pub fn to_response(&self, request: &HeaderMap) -> Response {
        self.encode_for(request, FormatChoice::Negotiated)
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The response to a request with these headers, which remembers this problem.
    fn encode_for(&self, request: &HeaderMap, format_choice: FormatChoice) -> Response {
        let format = ProblemFormat::preferred(request);
        let id = request.get(REQUEST_ID).filter(|id| is_safe(id));
        let id = id.and_then(|id| id.to_str().ok());
        let content = Bytes::from(match format {
            ProblemFormat::Html => self.html(id),
            ProblemFormat::Json => self.json(id),
            ProblemFormat::Text => self.text(id),
        });
        let mut response = HttpResponse::new(Body::from(content.clone()));
        *response.status_mut() = self.status;
        response.extensions_mut().insert(AttachedProblem {
            problem: self.clone(),
            format_choice,
            content,
        });
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, format.content_type());
        headers.insert(VARY, HeaderValue::from_static("accept"));
        if format == ProblemFormat::Html {
            headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        }
        response
    }

    fn text(&self, id: Option<&str>) -> String {
        let separator = if self.detail.is_empty() { "" } else { ": " };
        let mut text = format!(
            "{} {}{separator}{}\n",
            self.status.as_u16(),
            self.title(),
            self.detail
        );
        if let Some(id) = id {
            text.extend(["Request ", id, "\n"]);
        }
        text
    }

    fn json(&self, id: Option<&str>) -> String {
        let mut json = String::from("{");
        push_text_member("type", self.type_uri(), &mut json);
        push_text_member("title", self.title(), &mut json);
        push_member("status", self.status.as_str(), &mut json);
        if !self.detail.is_empty() {
            push_text_member("detail", &self.detail, &mut json);
        }
        if let Some(instance) = self.instance() {
            push_text_member("instance", instance, &mut json);
        }
        for (name, value) in self.extensions() {
            push_member(name, value, &mut json);
        }
        if let Some(id) = id {
            push_text_member("request_id", id, &mut json);
        }
        json.push_str("}\n");
        json
    }

    fn html(&self, id: Option<&str>) -> String {
        let title = format!("{} {}", self.status.as_u16(), self.title());
        let mut page = HtmlPage::new(&title);
        page.markup("<h1>");
        page.text(&title);
        page.markup("</h1>\n");
        if !self.detail.is_empty() {
            page.markup("<p>");
            page.text(&self.detail);
            page.markup("</p>\n");
        }
        if let Some(id) = id {
            page.markup("<p><small>Request ");
            page.text(id);
            page.markup("</small></p>\n");
        }
        page.finish()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.encode_for(&HeaderMap::new(), FormatChoice::Default)
    }
}

/// Appends a member with this text.
fn push_text_member(name: &str, text: &str, json: &mut String) {
    push_member(name, "\"", json);
    push_json_string(text, json);
    json.push('"');
}

/// Appends a member with a value that is JSON.
fn push_member(name: &str, value: &str, json: &mut String) {
    let separator = if json == "{" { "\"" } else { ",\"" };
    json.push_str(separator);
    push_json_string(name, json);
    json.extend(["\":", value]);
}

/// Adds `Retry-After`, for a request that may succeed soon.
pub(crate) fn try_again(mut response: Response) -> Response {
    response.headers_mut().insert(RETRY_AFTER, RETRY);
    response
}

/// The problem that a response was made from, and how its format was chosen. If the status has
/// changed since, the content must be made again, so the choice counts as [`Default`](FormatChoice::Default).
pub(crate) fn attached_problem(response: &Response) -> Option<(&Problem, FormatChoice)> {
    let attached = AttachedProblem::of(response)?;
    let format_choice = if attached.problem.status == response.status() {
        attached.format_choice
    } else {
        FormatChoice::Default
    };
    Some((&attached.problem, format_choice))
}

impl AttachedProblem {
    fn of(response: &Response) -> Option<&Self> {
        let attached = response.extensions().get::<Self>()?;
        let content = response.body().as_bytes();
        std::ptr::eq(content, &*attached.content).then_some(attached)
    }
}

impl ProblemFormat {
    /// The format with the highest quality in `Accept` (RFC 9110 section 12.5.1). With equal
    /// qualities the more specific range counts, then the first one. JSON is requested as
    /// `application/problem+json` or `application/json`; another `+json` type is another format. A
    /// client that accepts none of these formats gets plain text.
    ///
    /// ```
    /// use httpool::ProblemFormat;
    /// use httpool::http::{HeaderMap, HeaderValue, header::ACCEPT};
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert(ACCEPT, HeaderValue::from_static("text/html, application/json;q=0.9"));
    /// assert_eq!(ProblemFormat::preferred(&headers), ProblemFormat::Html);
    /// ```
    #[must_use]
    pub fn preferred(request: &HeaderMap) -> Self {
        const FORMATS: [(ProblemFormat, &[&str]); 3] = [
            (ProblemFormat::Text, &["text/plain"]),
            (ProblemFormat::Html, &["text/html"]),
            (
                ProblemFormat::Json,
                &["application/problem+json", "application/json"],
            ),
        ];
        media_type::preferred(request, &FORMATS).unwrap_or(Self::Text)
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/problem+json",
            Self::Text => "text/plain; charset=utf-8",
        })
    }
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;

    use super::*;

    #[track_caller]
    fn check(accept: &str, content_type: &str, content: &str) {
        let mut request = HeaderMap::new();
        if !accept.is_empty() {
            let value = HeaderValue::from_str(accept).expect("test values are valid");
            request.insert(ACCEPT, value);
        }
        let response = Problem::new(StatusCode::BAD_REQUEST)
            .detail("a \"<b>\"\n& 'c'")
            .to_response(&request);
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[CONTENT_TYPE], content_type, "{accept}");
        let body = String::from_utf8_lossy(response.body().as_bytes()).into_owned();
        assert!(body.contains(content), "{accept}: {body}");
    }

    #[test]
    fn client_chooses_the_format() {
        const TEXT: &str = "text/plain; charset=utf-8";
        const HTML: &str = "text/html; charset=utf-8";
        const JSON: &str = "application/problem+json";
        let text = "400 Bad Request: a \"<b>\"\n& 'c'\n";
        let html = "<p>a &quot;&lt;b&gt;&quot;\n&amp; &#39;c&#39;</p>";
        let json = r#""status":400,"detail":"a \"<b>\"\n& 'c'"}"#;
        check("", TEXT, text);
        check("*/*", TEXT, text);
        check("image/png", TEXT, text);
        check("text/html,application/xml;q=0.9,*/*;q=0.8", HTML, html);
        check("application/json", JSON, json);
        check("text/html;q=0.1, application/problem+json", JSON, json);
        check("application/json;q=0, text/plain", TEXT, text);
        check("Text/HTML", HTML, html);
        check("Application/JSON", JSON, json);
        check("application/vnd.api+JSON", TEXT, text);
        check(
            "application/vnd.pypi.simple.v1+json, text/html; q=0.01",
            HTML,
            html,
        );
        check("application/*, text/*;q=0.5", JSON, json);
        check("application/xhtml+xml", TEXT, text);
        check("application/json, text/plain, */*", JSON, json);
        check("application/xml", TEXT, text);
        check("json", TEXT, text);
        check("application/json;q=nonsense", TEXT, text);
    }

    #[test]
    fn problem_shows_the_request_id() {
        #[track_caller]
        fn check(id: &str, accept: &'static str, expected: &str) {
            let mut request = HeaderMap::new();
            request.insert(ACCEPT, HeaderValue::from_static(accept));
            let id = HeaderValue::from_str(id).expect("test values are valid");
            request.insert(REQUEST_ID, id);
            let response = Problem::new(StatusCode::NOT_FOUND).to_response(&request);
            let body = String::from_utf8_lossy(response.body().as_bytes()).into_owned();
            assert!(body.ends_with(expected), "{body}");
        }
        check("a-1", "*/*", "404 Not Found\nRequest a-1\n");
        check(
            "a-1",
            "text/html",
            "<p><small>Request a-1</small></p>\n</main>\n",
        );
        check("a-1", "application/json", ",\"request_id\":\"a-1\"}\n");
        check("a\"1", "application/json", "\"status\":404}\n");
    }
}
