//! [`ErrorPages`]: the pages of a program that replace the built-in error responses.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    ETAG, HeaderName, HeaderValue, LAST_MODIFIED, VARY,
};
use log::error;

use super::html_page::POLICY;
use super::{FormatChoice, attached_problem};
use crate::message::headers::vary::{merge_vary, vary};
use crate::message::{Body, Problem, Response};

/// Headers that describe the content, which a page replaces together with it. `Content-Range` is
/// not among them: in an error it gives the length of the file (RFC 9110 section 14.4).
const CONTENT_HEADERS: [HeaderName; 6] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
];

/// The security policy that a response had before the policy of a built-in page. It applies again
/// if the page is replaced.
#[derive(Debug, Clone)]
pub(crate) struct SitePolicy(pub(crate) HeaderValue);

/// Provides pages for errors. Every `Fn(&Problem, &HeaderMap) -> Option<Response> + Send + Sync`
/// implements it:
///
/// ```
/// use httpool::http::HeaderMap;
/// use httpool::{Html, IntoResponse, Problem, ProblemFormat, Response, Server};
///
/// fn page(problem: &Problem, request: &HeaderMap) -> Option<Response> {
///     let wants_a_page = ProblemFormat::preferred(request) == ProblemFormat::Html;
///     // What is shown on it must be escaped; the status is a number.
///     let page = format!("<h1>Oh no, a {}</h1>", problem.status().as_u16());
///     wants_a_page.then(|| Html(page).into_response())
/// }
///
/// let server = Server::builder()
///     .listen("127.0.0.1:0")
///     .error_pages(page)
///     .bind()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`ErrorPageDir`](crate::ErrorPageDir) takes them from files.
pub trait ErrorPages: Send + Sync + 'static {
    /// The page for this problem and a client that sent these headers, or `None` to keep the
    /// response. The page gives content and headers. The status of the response stays, and so do
    /// its other headers, for example `Allow`. The problem has the status of the response.
    ///
    /// The server adds `Vary: Accept` to the response in either case (RFC 9110 section 12.5.5). A
    /// page that depends on another header must name it in `Vary` itself.
    ///
    /// The server calls this on a worker. If a request is rejected because no worker is free, it
    /// calls this on the thread that runs the server. So it must be quick and must not block. A
    /// panic closes the connection.
    fn page(&self, problem: &Problem, request: &HeaderMap) -> Option<Response>;
}

/// The error pages that the program sets, or none.
#[derive(Default)]
pub(crate) struct CustomErrorPages(Option<Box<dyn ErrorPages>>);

impl CustomErrorPages {
    pub(crate) fn new(pages: impl ErrorPages) -> Self {
        Self(Some(Box::new(pages)))
    }

    /// Replaces an error response by its page, if there is one, or by the format that the client
    /// prefers.
    #[inline]
    pub(crate) fn apply<'r>(
        &self,
        response: &mut Response,
        request: impl FnOnce() -> Cow<'r, HeaderMap>,
    ) {
        if response.status().as_u16() >= 400 {
            self.apply_to_error(response, request);
        }
    }

    #[cold]
    fn apply_to_error<'r>(
        &self,
        response: &mut Response,
        request: impl FnOnce() -> Cow<'r, HeaderMap>,
    ) {
        let (problem, format_choice) = match (attached_problem(response), &self.0) {
            (Some((_, FormatChoice::Negotiated)), None) | (None, None) => return,
            (Some((problem, format_choice)), _) => (
                problem.clone().with_status(response.status()),
                format_choice,
            ),
            (None, Some(_)) if is_bare(response) => {
                (Problem::new(response.status()), FormatChoice::Negotiated)
            }
            (None, Some(_)) => return,
        };
        let request = request();
        let pages = self.0.as_ref();
        if let Some(mut page) = pages.and_then(|pages| pages.page(&problem, &request)) {
            if page.body().is_later() {
                error!("an error page can't come later; it is sent without content");
                *page.body_mut() = Body::empty();
            }
            replace(response, page);
        } else if format_choice == FormatChoice::Default {
            replace(response, problem.to_response(&request));
        }
        if pages.is_some() {
            vary(response.headers_mut(), "accept");
        }
    }
}

/// Whether the response is an error without content.
fn is_bare(response: &Response) -> bool {
    let headers = response.headers();
    response.body().length() == Some(0)
        && CONTENT_HEADERS
            .iter()
            .all(|name| !headers.contains_key(name))
}

/// Gives a response the content of another one and the headers that describe it.
fn replace(response: &mut Response, other: Response) {
    let (mut head, body) = other.into_parts();
    let policy = response.extensions_mut().remove::<SitePolicy>();
    let headers = response.headers_mut();
    // The policy of a built-in page goes with the page; other policies belong to the site.
    if headers.get(CONTENT_SECURITY_POLICY) == Some(&POLICY) {
        headers.remove(CONTENT_SECURITY_POLICY);
        headers.extend(policy.map(|policy| (CONTENT_SECURITY_POLICY, policy.0)));
    }
    for name in &CONTENT_HEADERS {
        headers.remove(name);
    }
    merge_vary(headers, &head.headers);
    head.headers.remove(VARY);
    headers.extend(head.headers);
    *response.body_mut() = body;
}

/// Shares the pages between several servers, or between a server and the code that reloads them.
impl<P: ErrorPages + ?Sized> ErrorPages for Arc<P> {
    fn page(&self, problem: &Problem, request: &HeaderMap) -> Option<Response> {
        (**self).page(problem, request)
    }
}

impl<F> ErrorPages for F
where
    F: Fn(&Problem, &HeaderMap) -> Option<Response> + Send + Sync + 'static,
{
    fn page(&self, problem: &Problem, request: &HeaderMap) -> Option<Response> {
        self(problem, request)
    }
}

impl fmt::Debug for CustomErrorPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Some(_) => "error pages",
            None => "no error pages",
        })
    }
}
