//! Rejects cross-origin requests of browsers, by the headers that browsers send with each request.

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, UPGRADE};
use http::uri::Scheme;
use http::{Method, StatusCode};

use super::cors::is_origin;
use crate::message::headers::list::items;
use crate::message::headers::origin::is_of_host;
use crate::message::{BodyMode, ClientInfo, Problem, Request, Response};
use crate::web::{Layer, Next};

/// The relation of a page to the target of its request (<https://www.w3.org/TR/fetch-metadata/>).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Protects users from cross-site request forgery (CSRF): a page of another origin can't submit forms
/// or call methods that change something with the cookies or the password of its visitor. Forms need
/// no tokens.
///
/// A request is rejected with 403 if all of this holds:
///
/// * Its method is not GET, HEAD or OPTIONS, which must not change anything (RFC 9110 section 9.2.1);
///   or it opens a WebSocket or another protocol (`Upgrade`).
/// * The browser says that another origin made it. Browsers send `Sec-Fetch-Site` to servers with
///   TLS and on localhost; its values `same-origin` and `none` (the user entered the address) are
///   accepted. Without it, `Origin` must name the host and port of `Host`; a page of `http:` is
///   another origin if the [client used TLS](ClientInfo::scheme).
/// * Its `Origin` is not [trusted](Self::trust_origins).
///
/// A request with neither header passes: it does not come from a browser of the last years, and other
/// clients have no cookies that a page could use. A request whose `Sec-Fetch-Site` or `Origin` is there
/// twice is rejected.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::layers::CsrfProtection;
/// use httpool::testing::Client;
/// use httpool::{Layered, Request};
///
/// let handler = Layered::new(|_: Request| "transferred").layer(CsrfProtection::new());
/// let client = Client::new(handler);
/// let of_another_site = client.post("/transfer").header("sec-fetch-site", "cross-site");
/// assert_eq!(of_another_site.send().status(), StatusCode::FORBIDDEN);
/// let own = client.post("/transfer").header("sec-fetch-site", "same-origin");
/// assert_eq!(own.send().text(), "transferred");
/// let program = client.post("/transfer");
/// assert_eq!(program.send().text(), "transferred");
/// ```
///
/// Behind a proxy, `Host` must be the host that the browser used. If the proxy replaces it, the proxy
/// must send the original as `X-Forwarded-Host`, which is used if the client came through a [trusted
/// proxy](ClientInfo::proxy).
///
/// This layer does not protect routes that change something on GET, and not from scripts that run in
/// pages of the same origin. Let only pages of your own host read responses, too: [`Cors`](super::Cors)
/// with credentials opens them to others. Redirect `http:` to `https:` and send
/// `Strict-Transport-Security`.
///
/// The body of a rejected request is not received.
#[derive(Debug, Clone, Default)]
pub struct CsrfProtection {
    trusted: Vec<HeaderValue>,
}

impl CsrfProtection {
    /// Creates the layer. It trusts no other origin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts requests of pages of these origins, too. Each is written as browsers send it, for example
    /// `https://shop.example`, with a port if it is not the scheme's default.
    ///
    /// ```
    /// use httpool::layers::CsrfProtection;
    /// use httpool::testing::Client;
    /// use httpool::{Layered, Request};
    ///
    /// let csrf = CsrfProtection::new().trust_origins(["https://login.example"]);
    /// let client = Client::new(Layered::new(|_: Request| "welcome").layer(csrf));
    /// let request = client
    ///     .post("/callback")
    ///     .header("sec-fetch-site", "cross-site")
    ///     .header("origin", "https://login.example");
    /// assert_eq!(request.send().text(), "welcome");
    /// ```
    ///
    /// # Panics
    ///
    /// If an origin is invalid.
    #[must_use]
    #[track_caller]
    pub fn trust_origins<'o>(mut self, origins: impl IntoIterator<Item = &'o str>) -> Self {
        for origin in origins {
            assert!(
                is_origin(origin),
                "{origin:?} is not an origin, for example https://shop.example"
            );
            let value = HeaderValue::try_from(origin).expect("an origin is a valid header value");
            self.trusted.push(value);
        }
        self
    }

    /// Whether no page of an origin that is not trusted has sent the request.
    pub(crate) fn admits(&self, request: &Request) -> bool {
        let headers = request.headers();
        !may_change_something(request)
            || is_same_origin(request)
            || Single::of(headers, &ORIGIN)
                .value()
                .is_some_and(|origin| self.trusted.contains(origin))
    }
}

impl Layer for CsrfProtection {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        if self.admits(request) {
            return next.handle(request);
        }
        let detail = "a page of another origin may not send this request";
        let problem = Problem::new(StatusCode::FORBIDDEN).detail(detail);
        problem.to_response(request.headers())
    }

    fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
        match self.admits(request) {
            true => behind,
            false => BodyMode::HeadOnly,
        }
    }
}

/// A header that a request may have once.
enum Single<'r> {
    Missing,
    Value(&'r HeaderValue),
    Repeated,
}

impl<'r> Single<'r> {
    fn of(headers: &'r HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(value), None) => Self::Value(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }

    fn value(&self) -> Option<&'r HeaderValue> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing | Self::Repeated => None,
        }
    }
}

fn may_change_something(request: &Request) -> bool {
    let is_safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    !is_safe || request.headers().contains_key(UPGRADE)
}

/// Whether no page of another origin made this request, as far as the browser says so.
fn is_same_origin(request: &Request) -> bool {
    let headers = request.headers();
    match Single::of(headers, &SEC_FETCH_SITE) {
        Single::Value(site) => return site == "same-origin" || site == "none",
        Single::Repeated => return false,
        Single::Missing => {}
    }
    match Single::of(headers, &ORIGIN) {
        Single::Missing => true,
        Single::Repeated => false,
        Single::Value(origin) => is_own(origin.as_bytes(), request),
    }
}

/// Whether this is the origin of the request's target.
fn is_own(origin: &[u8], request: &Request) -> bool {
    let client_info = ClientInfo::of(request);
    let used_tls = client_info.and_then(ClientInfo::scheme) == Some(&Scheme::HTTPS);
    if used_tls && !origin.starts_with(b"https:") {
        return false;
    }
    let headers = request.headers();
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    if host.is_some_and(|host| is_of_host(origin, host)) {
        return true;
    }
    // The first host is that of the outermost proxy. A page can't set this header.
    let forwarded = headers.get(X_FORWARDED_HOST);
    let forwarded = forwarded.and_then(|hosts| items(hosts.as_bytes()).next());
    client_info.and_then(ClientInfo::proxy).is_some()
        && forwarded.is_some_and(|host| is_of_host(origin, host))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `METHOD header=value ..`
    #[track_caller]
    fn request(text: &str) -> Request {
        let mut words = text.split(' ');
        let method = words.next().expect("the text has a method");
        let mut request = http::Request::builder().method(method);
        for word in words {
            let (name, value) = word.split_once('=').expect("a header has a value");
            request = request.header(name, value);
        }
        request.body(Default::default()).expect("it is valid")
    }

    #[track_caller]
    fn check(text: &str, is_admitted: bool) {
        let layer = CsrfProtection::new().trust_origins(["https://b.example"]);
        assert_eq!(layer.admits(&request(text)), is_admitted, "{text}");
    }

    #[test]
    fn fetch_metadata_decides() {
        check("POST sec-fetch-site=same-origin", true);
        check("POST sec-fetch-site=none", true);
        check("POST sec-fetch-site=same-site", false);
        check("POST sec-fetch-site=cross-site", false);
        check("POST sec-fetch-site=", false);
        check("POST sec-fetch-site=Same-Origin", false);
        check(
            "POST sec-fetch-site=same-origin sec-fetch-site=same-origin",
            false,
        );
        // It decides before the origin, which is opaque for pages without referrer.
        check("POST sec-fetch-site=same-origin origin=null", true);
        check(
            "POST sec-fetch-site=cross-site origin=https://a.example host=a.example",
            false,
        );
    }

    #[test]
    fn origin_decides_without_fetch_metadata() {
        check("POST origin=https://a.example host=a.example", true);
        check("POST origin=http://a.example:80 host=a.example", true);
        check("POST origin=http://a.example:8080 host=a.example", false);
        check("POST origin=https://evil.example host=a.example", false);
        check("POST origin=null host=a.example", false);
        check("POST origin=https://a.example", false);
        check(
            "POST origin=https://a.example origin=https://a.example host=a.example",
            false,
        );
    }

    #[test]
    fn requests_of_other_clients_and_safe_methods_pass() {
        check("POST host=a.example", true);
        for method in ["GET", "HEAD", "OPTIONS"] {
            check(&format!("{method} sec-fetch-site=cross-site"), true);
        }
        for method in ["PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "BREW"] {
            check(&format!("{method} sec-fetch-site=cross-site"), false);
        }
    }

    #[test]
    fn upgrade_of_another_origin_is_rejected() {
        check("GET upgrade=websocket sec-fetch-site=cross-site", false);
        check("GET upgrade=websocket sec-fetch-site=same-origin", true);
        check("GET upgrade=websocket", true);
    }

    #[test]
    fn trusted_origins_pass() {
        check("POST origin=https://b.example host=a.example", true);
        check(
            "POST sec-fetch-site=cross-site origin=https://b.example",
            true,
        );
        check("POST origin=http://b.example host=a.example", false);
        check(
            "POST sec-fetch-site=cross-site origin=https://b.example origin=https://b.example",
            false,
        );
    }

    #[cfg(feature = "proxy")]
    #[test]
    fn forwarded_host_counts_behind_a_trusted_proxy() {
        use crate::message::ClientSource;
        use crate::message::client_info::ProxyRoute;

        let text = "POST origin=https://a.example host=backend x-forwarded-host=a.example,proxy";
        let layer = CsrfProtection::new();
        let mut request = request(text);
        assert!(!layer.admits(&request));
        let peer = std::net::IpAddr::from([127, 0, 0, 1]).into();
        let direct = ClientInfo::new(peer);
        request.body_mut().set_client_info(direct.clone());
        assert!(!layer.admits(&request));
        let route = ProxyRoute {
            proxy: Some(peer),
            client: None,
            scheme: None,
            source: ClientSource::Peer,
        };
        request.body_mut().set_client_info(direct.with_route(route));
        assert!(layer.admits(&request));
    }
}
