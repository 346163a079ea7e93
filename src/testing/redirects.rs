//! Redirects that a test client follows (RFC 9110 section 15.4).

use http::header::{CONTENT_TYPE, HOST, LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};

use super::{RequestBuilder, TestResponse};

/// Most redirects that are followed for one request, as in browsers.
pub(super) const MAX_REDIRECTS: usize = 20;

impl RequestBuilder<'_> {
    /// The request by which a client follows this response. `None` if it is not a redirect, or leads to
    /// another host.
    pub(super) fn redirected(mut self, response: &TestResponse) -> Option<Self> {
        let location = response.headers().get(LOCATION)?.to_str().ok()?;
        let becomes_get = match response.status() {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return None,
        };
        self.target = resolve(&self.target, location, host(&self.headers))?;
        if becomes_get {
            self.method = Method::GET;
            self.body.clear();
            self.headers.remove(CONTENT_TYPE);
            self.headers.remove(TRANSFER_ENCODING);
        }
        Some(self)
    }
}

/// The host to which a request with these headers goes.
fn host(headers: &HeaderMap) -> &str {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.unwrap_or("localhost")
}

/// The target of a location (RFC 3986 section 5.2). The server resolves dot segments. `None` if it
/// has another host.
fn resolve(target: &str, location: &str, host: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default();
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    let is_scheme =
        |scheme: &str| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let authority = match location.split_once("//") {
        Some(("", rest)) => Some(rest),
        Some((scheme, rest)) if scheme.strip_suffix(':').is_some_and(is_scheme) => Some(rest),
        _ => None,
    };
    if let Some(rest) = authority {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let slash = if target.starts_with('/') { "" } else { "/" };
        return authority
            .eq_ignore_ascii_case(host)
            .then(|| format!("{slash}{target}"));
    }
    let first_segment = location.split(['/', '?']).next().unwrap_or_default();
    if first_segment.contains(':') {
        // Another scheme.
        return None;
    }
    Some(match location.as_bytes().first() {
        None => target.to_owned(),
        Some(b'/') => location.to_owned(),
        Some(b'?') => format!("{path}{location}"),
        Some(_) => {
            let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
            format!("{folder}{location}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        #[track_caller]
        fn check(location: &str, expected: Option<&str>) {
            let resolved = resolve("/a/b?c=/d", location, "it.example");
            assert_eq!(resolved.as_deref(), expected, "{location}");
        }
        check("/x?y", Some("/x?y"));
        check("/x#z", Some("/x"));
        check("x/y", Some("/a/x/y"));
        check("../x", Some("/a/../x"));
        check("?x=1", Some("/a/b?x=1"));
        check("", Some("/a/b?c=/d"));
        check("#top", Some("/a/b?c=/d"));
        check("http://it.example", Some("/"));
        check("HTTPS://IT.example/x", Some("/x"));
        check("http://it.example?x", Some("/?x"));
        check("//it.example/x", Some("/x"));
        check(
            "/x?to=http://else.example",
            Some("/x?to=http://else.example"),
        );
        check("http://else.example/x", None);
        check("//else.example/x", None);
        check("mailto:ada@it.example", None);
        check("ftp://it.example/x", None);
    }
}
