//! Redirects and rewrites: a table of paths, read from the top.
//!
//! Redirects come first, whatever their place in the file. A request that none of them is for may be
//! rewritten, once: a rewritten path is not compared again, so there are no loops.

mod builder;
mod encoding;
mod pattern;
mod target;

use httpool::http::header::{HeaderValue, LOCATION};
use httpool::http::uri::PathAndQuery;
use httpool::http::{StatusCode, Uri};
use httpool::{BodyMode, IntoResponse as _, Layer, Next, Request, Response};

pub(crate) use self::builder::RulesBuilder;
use self::pattern::Pattern;
use self::target::Target;

/// The redirects and rewrites of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) redirects: Vec<Rule>,
    pub(crate) rewrites: Vec<Rule>,
}

/// A redirect or a rewrite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The texts of the configuration file.
    pub(crate) from: String,
    pub(crate) to: String,
    /// The status of a redirect.
    pub(crate) status: StatusCode,
    pattern: Pattern,
    target: Target,
}

impl Rule {
    /// The target of a request, if this rule is for its path.
    fn target(&self, uri: &Uri) -> Option<String> {
        let rest = self.pattern.rest(uri.path())?;
        Some(self.target.expand(rest, uri.query()))
    }
}

impl Rules {
    /// The response that redirects a request, if one does.
    fn redirect(&self, uri: &Uri) -> Option<Response> {
        let found = (self.redirects.iter()).find_map(|rule| Some((rule, rule.target(uri)?)));
        let (rule, target) = found?;
        let mut response = rule.status.into_response();
        match HeaderValue::try_from(target) {
            Ok(location) => {
                response.headers_mut().insert(LOCATION, location);
                Some(response)
            }
            // A query has characters that a header can't have.
            Err(_) => Some(StatusCode::BAD_REQUEST.into_response()),
        }
    }

    /// The address by which a request is handled, if a rewrite is for it.
    fn rewrite(&self, uri: &Uri) -> Option<Uri> {
        let target = self.rewrites.iter().find_map(|rule| rule.target(uri))?;
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
        Uri::from_parts(parts).ok()
    }
}

impl Layer for Rules {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        if let Some(response) = self.redirect(request.uri()) {
            return response;
        }
        if let Some(uri) = self.rewrite(request.uri()) {
            *request.uri_mut() = uri;
        }
        next.handle(request)
    }

    fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
        let path = request.uri().path();
        let is_redirected = |rule: &Rule| rule.pattern.rest(path).is_some();
        match self.redirects.iter().any(is_redirected) {
            true => BodyMode::HeadOnly,
            false => behind,
        }
    }
}

#[cfg(test)]
mod tests;
