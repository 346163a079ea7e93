//! Fields that tell browsers to be careful.

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use crate::message::problem::page::POLICY;
use crate::message::problem::pages::PolicyOfOthers;
use crate::message::{Request, Response};
use crate::web::{Layer, Next};

/// Adds fields that tell browsers to be careful. What an answer says of them itself stays. An
/// [error page](crate::ErrorPages) in the place of an answer has them, too, and so do responses that
/// the server makes itself.
///
/// | field | value |
/// |---|---|
/// | `X-Content-Type-Options` | `nosniff`: what is not said to be a script or a style is none |
/// | `Referrer-Policy` | `strict-origin-when-cross-origin`: other sites learn the origin only |
/// | `Content-Security-Policy` | `base-uri 'self'; frame-ancestors 'self'; object-src 'none'`: no other site may frame a page, and markup that slips in can't move its links |
///
/// These break hardly any site. A policy that names where scripts may come from protects much more,
/// and only the program knows them:
///
/// ```
/// use httpool::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
/// use httpool::layers::SecurityHeaders;
///
/// let careful = SecurityHeaders::new().with(
///     CONTENT_SECURITY_POLICY,
///     HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
/// );
/// ```
///
/// `Strict-Transport-Security` is not among them: who sends it should be whoever speaks TLS.
#[derive(Debug, Clone)]
pub struct SecurityHeaders(Vec<(HeaderName, HeaderValue)>);

impl SecurityHeaders {
    /// Those of the table.
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

    /// Adds a field, or gives it another value.
    #[must_use]
    pub fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        let mut others = self.without(&name);
        others.0.push((name, value));
        others
    }

    /// Leaves a field out.
    ///
    /// ```
    /// use httpool::http::header::REFERRER_POLICY;
    /// use httpool::layers::SecurityHeaders;
    ///
    /// // The proxy in front of this server sends one of its own.
    /// let fields = SecurityHeaders::new().without(&REFERRER_POLICY);
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
        self.server_response(request, &mut response);
        response
    }

    fn server_response(&self, _: &Request, response: &mut Response) {
        for (name, value) in &self.0 {
            match response.headers().get(name) {
                None => {
                    response.headers_mut().insert(name, value.clone());
                }
                Some(said) if *name == CONTENT_SECURITY_POLICY && *said == POLICY => {
                    let policy = PolicyOfOthers(value.clone());
                    response.extensions_mut().insert(policy);
                }
                Some(_) => {}
            }
        }
    }
}
