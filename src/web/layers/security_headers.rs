//! Response headers that restrict what browsers do.

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use crate::message::problem::error_pages::SitePolicy;
use crate::message::problem::html_page::POLICY;
use crate::message::{Later, Request, Response};
use crate::web::{Layer, Next};

/// Adds security headers to responses.
///
/// A header that a response already has stays as it is. [Error pages](crate::ErrorPages) and
/// responses that the server makes itself have the headers, too.
///
/// | header | value |
/// |---|---|
/// | `X-Content-Type-Options` | `nosniff`: browsers run only content with the type of a script or a style |
/// | `Referrer-Policy` | `strict-origin-when-cross-origin`: other sites see only the origin |
/// | `Content-Security-Policy` | `base-uri 'self'; frame-ancestors 'self'; object-src 'none'`: no other site can frame a page, and injected markup cannot redirect its links |
///
/// The defaults break hardly any site. A policy that lists the sources of scripts protects much
/// better, but only the program knows them:
///
/// ```
/// use httpool::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
/// use httpool::layers::SecurityHeaders;
///
/// let strict = SecurityHeaders::new().with(
///     CONTENT_SECURITY_POLICY,
///     HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
/// );
/// ```
///
/// `Strict-Transport-Security` is not included: the server that terminates TLS should send it.
#[derive(Debug, Clone)]
pub struct SecurityHeaders(Vec<(HeaderName, HeaderValue)>);

impl SecurityHeaders {
    /// Creates the layer with the headers of the table.
    #[must_use]
    pub fn new() -> Self {
        let value = HeaderValue::from_static;
        Self(vec![
            (X_CONTENT_TYPE_OPTIONS, value("nosniff")),
            (REFERRER_POLICY, value("strict-origin-when-cross-origin")),
            (
                CONTENT_SECURITY_POLICY,
                value("base-uri 'self'; frame-ancestors 'self'; object-src 'none'"),
            ),
        ])
    }

    /// Adds a header, or replaces its value.
    #[must_use]
    pub fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        let mut others = self.without(&name);
        others.0.push((name, value));
        others
    }

    /// Removes a header.
    ///
    /// ```
    /// use httpool::http::header::REFERRER_POLICY;
    /// use httpool::layers::SecurityHeaders;
    ///
    /// // The proxy in front of this server sends this header itself.
    /// let headers = SecurityHeaders::new().without(&REFERRER_POLICY);
    /// ```
    #[must_use]
    pub fn without(mut self, name: &HeaderName) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for SecurityHeaders {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let mut response = next.handle(request);
        if response.body().is_later() {
            let layer = self.clone();
            return Later::map(response, move |mut response| {
                layer.add_headers(&mut response);
                response
            });
        }
        self.add_headers(&mut response);
        response
    }

    fn server_response(&self, _: &Request, response: &mut Response) {
        self.add_headers(response);
    }
}

impl SecurityHeaders {
    fn add_headers(&self, response: &mut Response) {
        for (name, own) in &self.0 {
            match response.headers().get(name) {
                None => {
                    response.headers_mut().insert(name, own.clone());
                }
                Some(value) if *name == CONTENT_SECURITY_POLICY && *value == POLICY => {
                    let policy = SitePolicy(own.clone());
                    response.extensions_mut().insert(policy);
                }
                Some(_) => {}
            }
        }
    }
}
