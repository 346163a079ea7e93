//! A request of a test client.

use std::fmt;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, Method, Response as HttpResponse};

use super::exchange::exchange;
use super::form_data::urlencoded;
use super::redirects::MAX_REDIRECTS;
use super::{Client, FormData, TestResponse};
#[cfg(feature = "proxy")]
use crate::message::client_info::Scheme;
use crate::message::headers::trailers;
use crate::message::{Body, ClientInfo, PeerAddr};

/// A request that has not been sent yet.
///
/// ```
/// use httpool::Request;
/// use httpool::testing::Client;
///
/// let client = Client::new(|request: Request| format!("{:?}", request.headers()["x-name"]));
/// let request = client.post("/").header("x-name", "Ada").body("content");
/// assert_eq!(request.send().text(), "\"Ada\"");
/// ```
#[must_use = "a request does nothing until it is sent"]
#[derive(Clone)]
pub struct RequestBuilder<'a> {
    pub(super) client: &'a Client,
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) client_info: ClientInfo,
    /// Cookies of this request alone.
    cookies: Vec<(String, String)>,
    follows_redirects: bool,
}

impl<'a> RequestBuilder<'a> {
    pub(super) fn new(client: &'a Client, method: Method, target: &str) -> Self {
        Self {
            client,
            method,
            target: target.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            client_info: ClientInfo::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 49152)).into()),
            cookies: Vec::new(),
            follows_redirects: false,
        }
    }

    /// Adds a header. `Host` and `Content-Length` are set by default.
    ///
    /// # Panics
    ///
    /// If the name or the value is invalid.
    #[track_caller]
    pub fn header<K, V>(mut self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName, Error: fmt::Debug>,
        V: TryInto<HeaderValue, Error: fmt::Debug>,
    {
        let name = name.try_into().expect("valid header name");
        let value = value.try_into().expect("valid header value");
        self.headers.append(name, value);
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to this value as JSON, and the `Content-Type`.
    ///
    /// ```
    /// use httpool::Request;
    /// use httpool::testing::Client;
    ///
    /// let client = Client::new(|request: Request| request.into_body());
    /// assert_eq!(client.post("/").json(&[1, 2, 3]).send().text(), "[1,2,3]");
    /// ```
    ///
    /// # Panics
    ///
    /// If the value can't be serialized.
    #[cfg(feature = "json")]
    #[track_caller]
    pub fn json(self, value: &impl serde::Serialize) -> Self {
        let json = serde_json::to_vec(value).expect("the value can be serialized");
        self.content("application/json", json)
    }

    /// Sets the body to a form of these names and values, and the `Content-Type`.
    ///
    /// ```
    /// use httpool::Request;
    /// use httpool::testing::Client;
    ///
    /// let client = Client::new(|request: Request| request.into_body());
    /// let response = client.post("/login").form([("name", "Ada"), ("tea", "two cups")]).send();
    /// assert_eq!(response.text(), "name=Ada&tea=two+cups");
    /// ```
    pub fn form<N: AsRef<str>, V: AsRef<str>>(
        self,
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.content("application/x-www-form-urlencoded", urlencoded(pairs))
    }

    /// Sets the body to a form with files, and the `Content-Type`.
    pub fn multipart(self, form: &FormData) -> Self {
        let (content_type, body) = form.encode();
        self.content(&content_type, body)
    }

    fn content(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        let content_type = HeaderValue::try_from(content_type).expect("valid content type");
        self.headers.insert(CONTENT_TYPE, content_type);
        self.body(body)
    }

    /// Adds a cookie, beside those that the client [keeps](Client::keep_cookies). It replaces one with
    /// its name, for this request.
    ///
    /// ```
    /// use httpool::Request;
    /// use httpool::testing::Client;
    ///
    /// let client = Client::new(|request: Request| format!("{:?}", request.headers()["cookie"]));
    /// let response = client.get("/").cookie("a", "1").cookie("b", "2").send();
    /// assert_eq!(response.text(), "\"a=1; b=2\"");
    /// ```
    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        self.cookies.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the credentials of Basic authentication (RFC 7617).
    ///
    /// ```
    /// use httpool::Request;
    /// use httpool::testing::Client;
    ///
    /// let client = Client::new(|request: Request| format!("{:?}", request.headers()["authorization"]));
    /// let response = client.get("/").basic_auth("ada", "tea").send();
    /// assert_eq!(response.text(), "\"Basic YWRhOnRlYQ==\"");
    /// ```
    #[cfg(feature = "basic-auth")]
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;

        let credentials = STANDARD.encode(format!("{user}:{password}"));
        let value = HeaderValue::try_from(format!("Basic {credentials}"));
        let value = value.expect("Base64 is valid in a header");
        self.headers.insert(http::header::AUTHORIZATION, value);
        self
    }

    /// Follows redirects within the same host, as browsers do: 303 with GET, 301 and 302 with GET after
    /// POST, and others with the same method and body. The response is the last one.
    ///
    /// ```
    /// # #[cfg(feature = "router")] {
    /// use httpool::testing::Client;
    /// use httpool::{Redirect, Router};
    ///
    /// let router: Router = Router::new()
    ///     .post("/books", || Redirect::to("/books/7"))
    ///     .get("/books/7", || "Afloat");
    /// let response = Client::new(router).post("/books").follow_redirects().send();
    /// assert_eq!((response.target(), response.text()), ("/books/7", "Afloat"));
    /// # }
    /// ```
    ///
    /// [`send`](Self::send) panics after 20 redirects. [`open`](Self::open) follows none.
    pub fn follow_redirects(mut self) -> Self {
        self.follows_redirects = true;
        self
    }

    /// Sets the client's address, which is `127.0.0.1:49152` by default.
    ///
    /// ```
    /// use httpool::testing::Client;
    /// use httpool::{ClientInfo, Request};
    ///
    /// let client = Client::new(|request: Request| match ClientInfo::of(&request) {
    ///     Some(client_info) => client_info.peer().to_string(),
    ///     None => "unknown".into(),
    /// });
    /// let ada = ([192, 0, 2, 1], 4711).into();
    /// assert_eq!(client.get("/").peer(ada).send().text(), "192.0.2.1:4711");
    /// ```
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        self.client_info = ClientInfo::new(peer.into());
        self
    }

    /// Sends the request over a Unix socket, where the client has no address.
    pub fn unix_peer(mut self) -> Self {
        self.client_info = ClientInfo::new(PeerAddr::UNIX);
        self
    }

    /// Makes the peer a trusted proxy that names the client, as with `X-Forwarded-For`, and the scheme
    /// of the request; `None` means that the proxy does not name it. Call [`peer`](Self::peer) before this.
    ///
    /// ```
    /// use std::net::{IpAddr, Ipv4Addr};
    ///
    /// use httpool::http::uri::Scheme;
    /// use httpool::testing::Client;
    /// use httpool::{ClientInfo, Request};
    ///
    /// let client = Client::new(|request: Request| match ClientInfo::of(&request) {
    ///     Some(client_info) => format!("{:?} {:?}", client_info.client(), client_info.scheme()),
    ///     None => "unknown".into(),
    /// });
    /// let ada = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)).into();
    /// let response = client.get("/").on_behalf_of(Some(ada), Some(Scheme::HTTPS)).send();
    /// assert_eq!(response.text(), format!("{:?} {:?}", Some(ada), Some(Scheme::HTTPS)));
    /// ```
    ///
    /// # Panics
    ///
    /// If the scheme is neither `http` nor `https`.
    #[cfg(feature = "proxy")]
    #[track_caller]
    pub fn on_behalf_of(
        mut self,
        client: Option<PeerAddr>,
        scheme: Option<http::uri::Scheme>,
    ) -> Self {
        let scheme = scheme.map(|scheme| match scheme.as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => panic!("the scheme is http or https, not {other}"),
        });
        let peer = ClientInfo::new(self.client_info.peer());
        let source = crate::message::ClientSource::XForwardedFor { hop: 1 };
        self.client_info = peer.with_route(peer.route().on_behalf_of(client, scheme, source));
        self
    }

    /// Sends the request and reads the whole response.
    ///
    /// # Panics
    ///
    /// If the handler panics. If the request is incomplete, because it announces more than it
    /// contains. If the body's reader fails or ends early; a server would reset the connection. If
    /// there are more than 20 redirects.
    #[must_use]
    #[track_caller]
    pub fn send(mut self) -> TestResponse {
        if !self.follows_redirects {
            return self.send_once();
        }
        for _ in 0..=MAX_REDIRECTS {
            let response = self.clone().send_once();
            match self.redirected(&response) {
                Some(request) => self = request,
                None => return response,
            }
        }
        panic!("there were more than {MAX_REDIRECTS} redirects");
    }

    #[track_caller]
    fn send_once(self) -> TestResponse {
        let target = self.target.clone();
        let (response, early_hints) = self.receive();
        let (head, mut body) = response.into_parts();
        let mut content = Vec::new();
        if let Err(error) = body.read_to_end(&mut content) {
            panic!("the reader of the response body failed: {error}");
        }
        let trailers = body.take_trailers().map(|trailers| trailers());
        let sent = trailers.iter().flat_map(trailers::allowed);
        TestResponse {
            response: HttpResponse::from_parts(head, content.into()),
            trailers: sent
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            target,
            early_hints,
        }
    }

    /// Sends the request and returns the response with a reader of its body. Use this for responses
    /// without an end, for example [events](crate::sse).
    ///
    /// ```
    /// use std::io::{BufRead, BufReader};
    ///
    /// use httpool::Request;
    /// use httpool::sse::{Event, Events};
    /// use httpool::testing::Client;
    ///
    /// // These events never end.
    /// let client = Client::new(|_: Request| {
    ///     Events::new((0_u64..).map(|number| Event::data(number.to_string())))
    /// });
    /// let lines = BufReader::new(client.get("/").open().into_body()).lines();
    /// let first: Vec<String> = lines.take(3).collect::<Result<_, _>>()?;
    /// assert_eq!(first, ["data: 0", "", "data: 1"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the handler panics, or if the request is incomplete.
    #[must_use]
    #[track_caller]
    pub fn open(self) -> HttpResponse<Box<dyn Read + Send>> {
        let (response, _) = self.receive();
        response.map(|body| Box::new(body) as Box<dyn Read + Send>)
    }

    /// Sends the request, and keeps the cookies of the response.
    #[track_caller]
    fn receive(self) -> (HttpResponse<Body>, Vec<HeaderMap>) {
        let (client, target) = (self.client, self.target.clone());
        let message = self.message();
        let (response, hints) = exchange(&*client.handler, &message, self.client_info);
        if let Some(cookies) = &client.cookies {
            cookies.store(response.headers(), path(&target));
        }
        (response, hints)
    }

    /// Encodes the request (RFC 9112 section 2.1).
    fn message(&self) -> Vec<u8> {
        let mut message = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut write_header = |name: &HeaderName, value: &[u8]| {
            message.extend([name.as_str().as_bytes(), b": ", value, b"\r\n"].concat());
        };
        if !self.headers.contains_key(HOST) && !self.client.default_headers.contains_key(HOST) {
            write_header(&HOST, b"localhost");
        }
        let has_framing = [CONTENT_LENGTH, TRANSFER_ENCODING]
            .iter()
            .any(|name| self.headers.contains_key(name));
        if !self.body.is_empty() && !has_framing {
            write_header(&CONTENT_LENGTH, self.body.len().to_string().as_bytes());
        }
        let defaults = self.client.default_headers.iter();
        let defaults = defaults.filter(|(name, _)| !self.headers.contains_key(*name));
        for (name, value) in self.headers.iter().chain(defaults) {
            write_header(name, value.as_bytes());
        }
        let cookies = self.all_cookies();
        if !cookies.is_empty() {
            write_header(&COOKIE, cookies.as_bytes());
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&self.body);
        message
    }

    /// The cookies of the client and of this request, as a header.
    fn all_cookies(&self) -> String {
        let kept = self.client.cookies.as_ref();
        let mut pairs = kept.map_or_else(Vec::new, |jar| jar.matching(path(&self.target)));
        for (name, value) in &self.cookies {
            pairs.retain(|(known, _)| known != name);
            pairs.push((name.clone(), value.clone()));
        }
        let pairs = pairs.into_iter().map(|(name, value)| name + "=" + &value);
        pairs.collect::<Vec<_>>().join("; ")
    }
}

/// The path of a target.
fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

impl fmt::Debug for RequestBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.method, self.target, self.headers)
    }
}
