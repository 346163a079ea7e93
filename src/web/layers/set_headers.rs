//! Response headers with fixed values.

use http::Uri;
use http::header::{CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode;

use crate::message::headers::connection::is_of_the_connection;
use crate::message::problem::error_pages::SitePolicy;
use crate::message::problem::html_page::POLICY;
use crate::message::{Later, Request, Response};
use crate::web::{Layer, Next};

/// Sets headers of responses to fixed values, or removes them.
///
/// The value replaces all lines that a response has with this name. Of two rules for the same name,
/// the later one wins. Responses that the server makes itself have the headers, too, so add this layer
/// before all others:
///
/// ```
/// use httpool::http::header::{CACHE_CONTROL, HeaderValue, SERVER};
/// use httpool::layers::SetHeaders;
/// use httpool::testing::Client;
/// use httpool::{Layered, Request};
///
/// let headers = SetHeaders::new()
///     .set(SERVER, HeaderValue::from_static("teapot"))
///     .set_under("/assets/", CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
/// let client = Client::new(Layered::new(|_: Request| "hello").layer(headers));
/// assert_eq!(client.get("/").send().header("server"), Some("teapot"));
/// assert_eq!(client.get("/").send().header("cache-control"), None);
/// assert_eq!(client.get("/assets/a").send().header("cache-control"), Some("max-age=60"));
/// ```
///
/// Prefixes are compared with the decoded path, so `/caf%C3%A9/` and `/café/` are the same. A prefix
/// is a beginning of the path: `/a` covers `/a`, `/a/b` and `/about`, and `/a/` only `/a/b`.
///
/// The built-in error pages and listings keep their own `Content-Security-Policy`: it is strict, and
/// without it their style would not be applied. A policy that this layer sets is in all other
/// responses, and in the [error pages](crate::ErrorPages) of the program.
#[derive(Debug, Clone, Default)]
pub struct SetHeaders {
    rules: Vec<Rule>,
    /// Whether the path of the request matters.
    has_prefixes: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    /// The decoded beginning of the paths; empty for all.
    prefix: Box<[u8]>,
    name: HeaderName,
    /// `None` removes the header.
    value: Option<HeaderValue>,
}

impl SetHeaders {
    /// Creates a layer that sets nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a header of every response.
    ///
    /// # Panics
    ///
    /// If the header [can't be set](Self::can_set).
    #[must_use]
    #[track_caller]
    pub fn set(self, name: HeaderName, value: HeaderValue) -> Self {
        self.with("", name, Some(value))
    }

    /// Sets a header of the responses to requests whose path begins with this prefix.
    ///
    /// # Panics
    ///
    /// If the header [can't be set](Self::can_set).
    #[must_use]
    #[track_caller]
    pub fn set_under(self, prefix: &str, name: HeaderName, value: HeaderValue) -> Self {
        self.with(prefix, name, Some(value))
    }

    /// Removes a header from every response.
    ///
    /// ```
    /// use httpool::http::header::SERVER;
    /// use httpool::layers::SetHeaders;
    ///
    /// let layer = SetHeaders::new().remove(SERVER);
    /// ```
    ///
    /// # Panics
    ///
    /// If the header [can't be set](Self::can_set).
    #[must_use]
    #[track_caller]
    pub fn remove(self, name: HeaderName) -> Self {
        self.with("", name, None)
    }

    /// Removes a header from the responses to requests whose path begins with this prefix.
    ///
    /// # Panics
    ///
    /// If the header [can't be set](Self::can_set).
    #[must_use]
    #[track_caller]
    pub fn remove_under(self, prefix: &str, name: HeaderName) -> Self {
        self.with(prefix, name, None)
    }

    /// Whether a header can be set. The server sets those of the connection and of the framing itself:
    /// `Connection`, `Content-Length`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`,
    /// `Transfer-Encoding` and `Upgrade` (RFC 9110 sections 7.6.1 and 8.6).
    ///
    /// ```
    /// use httpool::http::header::{CONTENT_LENGTH, SERVER};
    /// use httpool::layers::SetHeaders;
    ///
    /// assert!(SetHeaders::can_set(&SERVER));
    /// assert!(!SetHeaders::can_set(&CONTENT_LENGTH));
    /// ```
    #[must_use]
    pub fn can_set(name: &HeaderName) -> bool {
        !is_of_the_connection(name)
    }

    #[track_caller]
    fn with(mut self, prefix: &str, name: HeaderName, value: Option<HeaderValue>) -> Self {
        assert!(Self::can_set(&name), "the server sets {name} itself");
        let prefix: Vec<u8> = percent_decode(prefix.as_bytes()).collect();
        self.has_prefixes |= !prefix.is_empty();
        self.rules.push(Rule {
            prefix: prefix.into(),
            name,
            value,
        });
        self
    }

    fn apply(&self, target: Option<&Uri>, response: &mut Response) {
        let path = target.map_or("", Uri::path);
        for rule in self.rules.iter().filter(|rule| rule.covers(path)) {
            if rule.name == CONTENT_SECURITY_POLICY && has_built_in_policy(response.headers()) {
                rule.set_site_policy(response);
                continue;
            }
            match &rule.value {
                Some(value) => {
                    let name = rule.name.clone();
                    response.headers_mut().insert(name, value.clone());
                }
                None => {
                    response.headers_mut().remove(&rule.name);
                }
            }
        }
    }
}

impl Rule {
    fn covers(&self, path: &str) -> bool {
        let mut path = percent_decode(path.as_bytes());
        self.prefix.iter().all(|byte| path.next() == Some(*byte))
    }

    /// Sets the policy of a page that may replace the built-in one.
    fn set_site_policy(&self, response: &mut Response) {
        match &self.value {
            Some(value) => {
                response.extensions_mut().insert(SitePolicy(value.clone()));
            }
            None => {
                response.extensions_mut().remove::<SitePolicy>();
            }
        }
    }
}

/// Whether this is a page of the server, which is shown correctly only with its own policy.
fn has_built_in_policy(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_SECURITY_POLICY) == Some(&POLICY)
}

impl Layer for SetHeaders {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        // A handler may take the request.
        let target = self.has_prefixes.then(|| request.uri().clone());
        let mut response = next.handle(request);
        if response.body().is_later() {
            let layer = self.clone();
            return Later::map(response, move |mut response| {
                layer.apply(target.as_ref(), &mut response);
                response
            });
        }
        self.apply(target.as_ref(), &mut response);
        response
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        self.apply(Some(request.uri()), response);
    }
}
