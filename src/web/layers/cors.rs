//! Cross-origin resource sharing (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER,
};
use http::{Method, StatusCode, Uri};

use crate::message::headers::vary::vary;
use crate::message::request_id::REQUEST_ID;
use crate::message::{IntoResponse, Later, Request, Response};
use crate::web::{Layer, Next};

/// Allows pages of other origins to read responses (CORS).
///
/// This layer responds to *preflight* requests, which browsers send before some requests, and adds
/// headers to responses for allowed origins. For other origins it adds no headers, and the browser
/// withholds the response from the page. The request itself is still handled: only browsers send an
/// origin, and they have sent the request by then. CORS does not replace authorization.
///
/// This layer alone decides which origins are allowed: it removes `Access-Control-Allow-Origin` and
/// `Access-Control-Allow-Credentials` that a handler has set. For routes with other rules, nest a
/// router with its own layers. With any origin allowed, every response has the header, also to
/// requests without an origin, because a cache may store such a response and serve it to a page.
/// With a list of origins, every response has `Vary: origin`.
///
/// Responses that the server makes itself (408, 413, 431, 503, the 500 of a panic) have the headers
/// too, so a page can tell an upload that was too large or a busy server from a network error. If
/// the request's `Origin` did not arrive, a list of origins allows none. A preflight that the
/// server rejects with 503 because of load gets its usual response instead: the page then sends its
/// request and can read the 503 to that.
///
/// Pages may also read `Retry-After` if the response has it, and `X-Request-Id` if the request has
/// an id ([`Builder::request_ids`](crate::Builder::request_ids)).
///
/// Add this layer before layers that reject requests, for example [`BasicAuth`](crate::layers) and
/// `RateLimit`. Browsers send preflights without credentials and require a 2xx response. Inside
/// such a layer, a preflight would get a 401, and a page could not read a 429.
///
/// ```
/// use httpool::http::{self, Method, header};
/// use httpool::layers::Cors;
/// use httpool::{Handler, Layered, Request};
///
/// let cors = Cors::allow_origins(["https://shop.example", "http://localhost:3000"])
///     .methods([Method::GET, Method::PUT])
///     .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
///     .credentials();
/// let handler = Layered::new(|_: Request| "hello").layer(cors);
///
/// let mut request = http::Request::get("/")
///     .header("origin", "https://shop.example")
///     .body(Default::default())?;
/// let response = handler.handle(&mut request);
/// assert_eq!(response.headers()["access-control-allow-origin"], "https://shop.example");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cors {
    origins: Origins,
    /// Headers of responses to allowed origins.
    common: Vec<(HeaderName, HeaderValue)>,
    /// Headers of responses to preflights.
    preflight: Vec<(HeaderName, HeaderValue)>,
}

/// The properties of a request that decide the CORS headers of its response.
struct Decision {
    /// The value of `Access-Control-Allow-Origin`.
    allow_origin: Option<HeaderValue>,
    /// The request has an id, and so has the response.
    has_id: bool,
}

#[derive(Debug, Clone)]
enum Origins {
    Any,
    List(Vec<HeaderValue>),
}

impl Cors {
    /// Allows every page to read responses, without credentials.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::http::header;
    /// use httpool::layers::Cors;
    ///
    /// let cors = Cors::any_origin()
    ///     .expose_headers([header::ETAG])
    ///     .max_age(Duration::from_secs(2 * 60 * 60));
    /// ```
    #[must_use]
    pub fn any_origin() -> Self {
        Self::new(Origins::Any)
    }

    /// Allows pages of these origins. Each is written as browsers send it, for example
    /// `https://shop.example`, with a port if it is not the scheme's default.
    ///
    /// # Panics
    ///
    /// If an origin is invalid.
    #[must_use]
    #[track_caller]
    pub fn allow_origins<'o>(origins: impl IntoIterator<Item = &'o str>) -> Self {
        let mut values = Vec::new();
        for origin in origins {
            assert!(
                is_origin(origin),
                "{origin:?} is not an origin, for example https://shop.example"
            );
            values.push(HeaderValue::try_from(origin).expect("an origin is a valid header value"));
        }
        Self::new(Origins::List(values))
    }

    /// Whether [`allow_origins`](Self::allow_origins) takes this origin: a scheme, a host in lower case,
    /// and a port unless it is the scheme's default, without a slash at the end.
    ///
    /// ```
    /// use httpool::layers::Cors;
    ///
    /// assert!(Cors::is_origin("http://localhost:3000"));
    /// assert!(!Cors::is_origin("https://shop.example/"));
    /// ```
    #[must_use]
    pub fn is_origin(text: &str) -> bool {
        is_origin(text)
    }

    fn new(origins: Origins) -> Self {
        Self {
            origins,
            common: Vec::new(),
            preflight: Vec::new(),
        }
    }

    /// Allows requests with these methods. GET, HEAD and POST need no permission.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        let names = methods.into_iter().map(|method| method.to_string());
        set(&mut self.preflight, ACCESS_CONTROL_ALLOW_METHODS, names);
        self
    }

    /// Allows requests with these headers, for example `Authorization`, or `Content-Type` with a
    /// value other than plain text or a form.
    #[must_use]
    pub fn allow_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = names.into_iter().map(|name| name.to_string());
        set(&mut self.preflight, ACCESS_CONTROL_ALLOW_HEADERS, names);
        self
    }

    /// Lets pages read these response headers, in addition to the few that they can always read.
    #[must_use]
    pub fn expose_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = names.into_iter().map(|name| name.to_string());
        set(&mut self.common, ACCESS_CONTROL_EXPOSE_HEADERS, names);
        self
    }

    /// Allows requests with cookies and other credentials. Pages can then read what their user may
    /// read.
    ///
    /// # Panics
    ///
    /// If [any origin](Self::any_origin) is allowed: every page could act on behalf of its visitor.
    #[must_use]
    #[track_caller]
    pub fn credentials(mut self) -> Self {
        assert!(
            !matches!(self.origins, Origins::Any),
            "credentials need a list of origins"
        );
        let allowed = [String::from("true")];
        set(&mut self.common, ACCESS_CONTROL_ALLOW_CREDENTIALS, allowed);
        self
    }

    /// Sets how long browsers cache a preflight's response, in whole seconds. Most browsers limit
    /// it to two hours, and use five seconds by default.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        let seconds = [age.as_secs().to_string()];
        set(&mut self.preflight, ACCESS_CONTROL_MAX_AGE, seconds);
        self
    }

    /// The value of `Access-Control-Allow-Origin` for this origin, if it is allowed. `*` if any
    /// origin is.
    fn allow_origin(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::List(origins) => origin.filter(|origin| origins.contains(origin)).cloned(),
        }
    }

    fn add_headers(&self, decision: &Decision, headers: &mut HeaderMap) {
        // Headers of the handler could contradict this layer.
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ] {
            headers.remove(name);
        }
        if let Origins::List(_) = self.origins {
            vary(headers, "origin");
        }
        if let Some(origin) = &decision.allow_origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.extend(self.common.iter().cloned());
            let has_retry_after = headers.contains_key(RETRY_AFTER);
            for (name, is_present) in [
                (REQUEST_ID, decision.has_id),
                (RETRY_AFTER, has_retry_after),
            ] {
                if is_present {
                    headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, name.into());
                }
            }
        }
    }

    fn decide(&self, request: &Request) -> Decision {
        let headers = request.headers();
        Decision {
            allow_origin: self.allow_origin(headers.get(ORIGIN)),
            has_id: headers.contains_key(REQUEST_ID),
        }
    }

    fn respond_to_preflight(&self, decision: &Decision) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        if decision.allow_origin.is_some() {
            headers.extend(self.preflight.iter().cloned());
        }
        self.add_headers(decision, headers);
        response
    }
}

impl Layer for Cors {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let decision = self.decide(request);
        if is_preflight(request) {
            return self.respond_to_preflight(&decision);
        }
        let mut response = next.handle(request);
        if response.body().is_later() {
            let layer = self.clone();
            return Later::map(response, move |mut response| {
                layer.add_headers(&decision, response.headers_mut());
                response
            });
        }
        self.add_headers(&decision, response.headers_mut());
        response
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        let decision = self.decide(request);
        let is_overload = response.status() == StatusCode::SERVICE_UNAVAILABLE;
        if is_overload && decision.allow_origin.is_some() && is_preflight(request) {
            *response = self.respond_to_preflight(&decision);
        } else {
            self.add_headers(&decision, response.headers_mut());
        }
    }
}

/// Whether a request is a preflight.
fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    *request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn set(
    headers: &mut Vec<(HeaderName, HeaderValue)>,
    name: HeaderName,
    values: impl IntoIterator<Item = String>,
) {
    let values: Vec<_> = values.into_iter().collect();
    let value = HeaderValue::try_from(values.join(", ")).expect("names and numbers are valid");
    headers.retain(|(other, _)| *other != name);
    headers.push((name, value));
}

/// Whether the text is an origin as browsers write it: a scheme, a host in lower case, and a port
/// unless it is the scheme's default.
pub(super) fn is_origin(text: &str) -> bool {
    if text.contains(|c: char| c.is_ascii_uppercase() || matches!(c, '@' | '*')) {
        return false;
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return false;
    };
    let port = match (scheme, uri.port_u16()) {
        ("http", Some(80)) | ("https", Some(443)) => return false,
        (_, Some(port)) => format!(":{port}"),
        (_, None) => String::new(),
    };
    text == format!("{scheme}://{host}{port}")
}
