//! Which pages of other sites may read answers (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER,
};
use http::{Method, StatusCode, Uri};

use crate::message::headers::vary::vary;
use crate::message::request_id::REQUEST_ID;
use crate::message::{IntoResponse, Request, Response};
use crate::web::{Layer, Next};

/// Allows pages of other origins to read answers, as browsers ask before they let them (CORS).
///
/// It answers a browser's question before a request (a *preflight*) itself, and adds fields to
/// answers to allowed origins. To all others it says nothing, and their browsers keep the answer
/// from the page; the request itself is not stopped, for only browsers say an origin, and they have
/// sent it already. What must not be done for strangers needs another guard.
///
/// It alone says which origins are allowed: it takes `Access-Control-Allow-Origin` and
/// `Access-Control-Allow-Credentials` of a handler away, which would contradict it. Routes with
/// rules of their own are nested in routers with other layers. Where every page is allowed, all
/// answers say so, whoever asks: a cache may keep one that no page has asked for, and give it to a
/// page. Where some are, all answers say by `Vary` that they depend on who asks.
///
/// Responses that the server makes itself say the same (408, 413, 431, 503, the 500 of a panic): a
/// page reads that its upload was too large, and takes no server that is busy for one that is gone.
/// Where the origin is not known, because the header line that names it has not come, a list of
/// origins allows nobody. A preflight that the server would answer 503, as one of too many requests,
/// gets the answer that it would have had: its page sends the request then, and can read the 503 to
/// that.
///
/// Pages may also read `Retry-After` of a response that has it, and `X-Request-Id` where the request
/// has one, as all have with [`Builder::request_ids`](crate::Builder::request_ids).
///
/// It belongs before layers that answer themselves, as [`BasicAuth`](crate::layers) and `RateLimit`
/// do. Browsers ask without credentials, and need an answer of the 2xx class: behind such a layer
/// they would be told 401, and a page could not even read that it asks too often.
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
/// let answer = handler.handle(&mut request);
/// assert_eq!(answer.headers()["access-control-allow-origin"], "https://shop.example");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cors {
    origins: Origins,
    /// Said to whoever is allowed to read an answer.
    always: Vec<(HeaderName, HeaderValue)>,
    /// Said to who asks before.
    preflight: Vec<(HeaderName, HeaderValue)>,
}

/// What a response to a request says.
struct Told {
    /// The origin that may read it.
    allowed: Option<HeaderValue>,
    /// The request has an id, and so has the response.
    has_id: bool,
}

#[derive(Debug, Clone)]
enum Origins {
    Any,
    Some(Vec<HeaderValue>),
}

impl Cors {
    /// Allows every page to read answers that need no credentials.
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

    /// Allows pages of these origins, each written as browsers send it: `https://shop.example`,
    /// with a port if it is another than the scheme's.
    ///
    /// # Panics
    ///
    /// If one of them is no such origin.
    #[must_use]
    #[track_caller]
    pub fn allow_origins<'o>(origins: impl IntoIterator<Item = &'o str>) -> Self {
        let mut values = Vec::new();
        for origin in origins {
            assert!(is_origin(origin), "{origin:?} is no origin");
            values.push(HeaderValue::try_from(origin).expect("an origin is valid in a field"));
        }
        Self::new(Origins::Some(values))
    }

    fn new(origins: Origins) -> Self {
        Self {
            origins,
            always: Vec::new(),
            preflight: Vec::new(),
        }
    }

    /// Allows requests with these methods besides GET, HEAD and POST, for which no browser asks.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        let names = methods.into_iter().map(|method| method.to_string());
        set(&mut self.preflight, ACCESS_CONTROL_ALLOW_METHODS, names);
        self
    }

    /// Allows requests with these fields, such as `Authorization`, or `Content-Type` for anything
    /// but forms and text.
    #[must_use]
    pub fn allow_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = names.into_iter().map(|name| name.to_string());
        set(&mut self.preflight, ACCESS_CONTROL_ALLOW_HEADERS, names);
        self
    }

    /// Lets pages see these fields of answers, besides the few that they always see.
    #[must_use]
    pub fn expose_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = names.into_iter().map(|name| name.to_string());
        set(&mut self.always, ACCESS_CONTROL_EXPOSE_HEADERS, names);
        self
    }

    /// Allows requests with cookies and other credentials: what a page reads then is what its user
    /// may read.
    ///
    /// # Panics
    ///
    /// If [every page](Self::public) is allowed: any of them could act for whoever looks at it.
    #[must_use]
    #[track_caller]
    pub fn credentials(mut self) -> Self {
        assert!(
            !matches!(self.origins, Origins::Any),
            "credentials need a list of origins"
        );
        let allowed = [String::from("true")];
        set(&mut self.always, ACCESS_CONTROL_ALLOW_CREDENTIALS, allowed);
        self
    }

    /// How long browsers need not ask again, in whole seconds. Most take no more than two hours, and
    /// five seconds if nothing is said.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        let seconds = [age.as_secs().to_string()];
        set(&mut self.preflight, ACCESS_CONTROL_MAX_AGE, seconds);
        self
    }

    /// What is said to this origin: itself, if it is allowed, and to nobody in particular what is
    /// said to all.
    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::Some(origins) => origin.filter(|origin| origins.contains(origin)).cloned(),
        }
    }

    fn say(&self, told: &Told, fields: &mut HeaderMap) {
        // What a handler says of this would contradict it.
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ] {
            fields.remove(name);
        }
        if let Origins::Some(_) = self.origins {
            vary(fields, "origin");
        }
        if let Some(origin) = &told.allowed {
            fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            fields.extend(self.always.iter().cloned());
            let has_wait = fields.contains_key(RETRY_AFTER);
            for (name, is_there) in [(REQUEST_ID, told.has_id), (RETRY_AFTER, has_wait)] {
                if is_there {
                    fields.append(ACCESS_CONTROL_EXPOSE_HEADERS, name.into());
                }
            }
        }
    }

    fn told(&self, request: &Request) -> Told {
        let fields = request.headers();
        Told {
            allowed: self.allowed(fields.get(ORIGIN)),
            has_id: fields.contains_key(REQUEST_ID),
        }
    }

    fn answer_preflight(&self, told: &Told) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let fields = response.headers_mut();
        if told.allowed.is_some() {
            fields.extend(self.preflight.iter().cloned());
        }
        self.say(told, fields);
        response
    }
}

impl Layer for Cors {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let told = self.told(request);
        if is_preflight(request) {
            return self.answer_preflight(&told);
        }
        let mut response = next.handle(request);
        self.say(&told, response.headers_mut());
        response
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        let told = self.told(request);
        let is_shed = response.status() == StatusCode::SERVICE_UNAVAILABLE;
        if is_shed && told.allowed.is_some() && is_preflight(request) {
            *response = self.answer_preflight(&told);
        } else {
            self.say(&told, response.headers_mut());
        }
    }
}

/// Whether a browser asks before a request.
fn is_preflight(request: &Request) -> bool {
    let fields = request.headers();
    *request.method() == Method::OPTIONS
        && fields.contains_key(ORIGIN)
        && fields.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn set(
    fields: &mut Vec<(HeaderName, HeaderValue)>,
    name: HeaderName,
    values: impl IntoIterator<Item = String>,
) {
    let values: Vec<_> = values.into_iter().collect();
    let value = HeaderValue::try_from(values.join(", ")).expect("names and numbers are valid");
    fields.retain(|(other, _)| *other != name);
    fields.push((name, value));
}

/// A scheme and a host, perhaps with a port, and nothing else, as browsers write it: in lower case,
/// and without the scheme's own port.
fn is_origin(text: &str) -> bool {
    if text.contains(|c: char| c.is_ascii_uppercase() || c == '@') {
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
