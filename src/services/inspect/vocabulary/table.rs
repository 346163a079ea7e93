//! The table of all paths: a router, and the line of each path on the page at `/`.

use std::sync::Arc;

use http::header::{ALLOW, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};
use http::{Method, StatusCode};

use super::Settings;
use crate::message::{Request, Response};
use crate::web::Next;
use crate::web::Router;
use crate::web::layers::SecurityHeaders;
use crate::web::router::{Function, Takes};

/// The [`State`](crate::web::extract::State) of the functions.
pub(super) type Shared = Arc<Settings>;

/// Nothing that a response reflects can run, load or frame anything.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; sandbox");

/// Paths with their functions and descriptions.
pub(super) struct Table {
    router: Router<Shared>,
    entries: Vec<Entry>,
}

/// A line of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// `GET`, or `any`.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) what: &'static str,
}

impl Table {
    pub(super) fn new() -> Self {
        let headers = SecurityHeaders::new()
            .with(CONTENT_SECURITY_POLICY, POLICY)
            .with(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        Self {
            router: Router::new().layer(headers).layer(options),
            entries: Vec::new(),
        }
    }

    /// Adds a function for GET and HEAD.
    #[track_caller]
    pub(super) fn get<A: 'static, C: 'static>(
        self,
        path: &'static str,
        what: &'static str,
        function: impl Takes<A> + Function<Shared, A, C>,
    ) -> Self {
        self.method(Method::GET, path, what, function)
    }

    #[track_caller]
    pub(super) fn method<A: 'static, C: 'static>(
        mut self,
        method: Method,
        path: &'static str,
        what: &'static str,
        function: impl Takes<A> + Function<Shared, A, C>,
    ) -> Self {
        let name = match method {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "",
        };
        self.note(name, path, what);
        self.router = self.router.route(method, path, function);
        self
    }

    /// Adds a function for every method.
    #[track_caller]
    pub(super) fn any<A: 'static, C: 'static>(
        mut self,
        path: &'static str,
        what: &'static str,
        function: impl Takes<A> + Function<Shared, A, C>,
    ) -> Self {
        self.note("any", path, what);
        self.router = self.router.any(path, function);
        self
    }

    fn note(&mut self, method: &'static str, path: &'static str, what: &'static str) {
        self.entries.push(Entry { method, path, what });
    }

    /// The router, and the lines of all paths so far.
    pub(super) fn into_parts(self) -> (Router<Shared>, Vec<Entry>) {
        (self.router, self.entries)
    }
}

/// Gives the response to OPTIONS the status that it has in httpbin. The router's own one is a 204 with
/// `Allow`.
fn options(request: Request, next: Next<'_>) -> Response {
    let is_options = request.method() == Method::OPTIONS;
    let mut response = next.run(request);
    if is_options && response.headers().contains_key(ALLOW) {
        *response.status_mut() = StatusCode::OK;
    }
    response
}
