//! Pages of one's own in the place of error answers.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    ETAG, HeaderName, HeaderValue, LAST_MODIFIED, VARY,
};

use super::page::POLICY;
use super::{Audience, told};
use crate::message::headers::vary::{vary, vary_as};
use crate::message::{Problem, Response};

/// Fields that tell of the content that a page replaces, and go with it. `Content-Range` is none: in
/// an error it tells how long the file is of which there is no such part (RFC 9110 section 14.4).
const OF_CONTENT: [HeaderName; 6] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
];

/// What a response says in the place of the policy of a page that is made here, if another page
/// stands in that one's place.
#[derive(Debug, Clone)]
pub(crate) struct PolicyOfOthers(pub(crate) HeaderValue);

/// Has pages of its own for errors. Every `Fn(&Problem, &HeaderMap) -> Option<Response> + Send +
/// Sync` does:
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
    /// The page for this problem, for a client that has sent these fields; `None` to leave the
    /// answer as it is. Of the page count its content and its fields; the status stays, and so do
    /// the answer's other fields, such as `Allow`. The problem's status is that of the answer.
    ///
    /// Whether there is a page or not, the answer says that it depends on `Accept` (RFC 9110 section
    /// 12.5.5). A page that depends on another field has to say so itself (`Vary`).
    ///
    /// This is called on a worker, or, for who is turned away because no worker is free, on the
    /// thread that runs the server: it should be quick, and not block. One that panics costs the
    /// connection.
    fn page(&self, problem: &Problem, request: &HeaderMap) -> Option<Response>;
}

/// What a server has of them.
#[derive(Default)]
pub(crate) struct Pages(Option<Box<dyn ErrorPages>>);

impl Pages {
    pub(crate) fn new(pages: impl ErrorPages) -> Self {
        Self(Some(Box::new(pages)))
    }

    /// Puts a page in the place of an error answer if there is one for it; and if it tells a problem
    /// in another form than its client may prefer, that form.
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
        let (problem, audience) = match (told(response), &self.0) {
            (Some((_, Audience::Known)), None) | (None, None) => return,
            (Some((problem, audience)), _) => {
                (problem.clone().with_status(response.status()), audience)
            }
            (None, Some(_)) if says_nothing(response) => {
                (Problem::new(response.status()), Audience::Known)
            }
            (None, Some(_)) => return,
        };
        let request = request();
        let pages = self.0.as_ref();
        if let Some(page) = pages.and_then(|pages| pages.page(&problem, &request)) {
            replace(response, page);
        } else if audience == Audience::Unknown {
            replace(response, problem.answer(&request));
        }
        if pages.is_some() {
            vary(response.headers_mut(), "accept");
        }
    }
}

/// Whether it tells of an error by its status alone.
fn says_nothing(response: &Response) -> bool {
    let fields = response.headers();
    response.body().length() == Some(0) && OF_CONTENT.iter().all(|name| !fields.contains_key(name))
}

/// Gives a response the content of another, with the fields that tell of it.
fn replace(response: &mut Response, other: Response) {
    let (mut head, body) = other.into_parts();
    let policy = response.extensions_mut().remove::<PolicyOfOthers>();
    let fields = response.headers_mut();
    // The one that came with a built-in page goes with it; others are of the site.
    if fields.get(CONTENT_SECURITY_POLICY) == Some(&POLICY) {
        fields.remove(CONTENT_SECURITY_POLICY);
        fields.extend(policy.map(|policy| (CONTENT_SECURITY_POLICY, policy.0)));
    }
    for name in &OF_CONTENT {
        fields.remove(name);
    }
    vary_as(fields, &head.headers);
    head.headers.remove(VARY);
    fields.extend(head.headers);
    *response.body_mut() = body;
}

/// The same pages for several servers, or for a server and whoever changes them.
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

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Some(_) => "error pages",
            None => "no error pages",
        })
    }
}
