//! Tests handlers without a server.
//!
//! ```
//! use httpool::http::StatusCode;
//! use httpool::testing::Client;
//! use httpool::Request;
//!
//! fn greet(request: Request) -> (StatusCode, String) {
//!     match request.uri().path() {
//!         "/" => (StatusCode::OK, "hello".into()),
//!         path => (StatusCode::NOT_FOUND, format!("no {path}")),
//!     }
//! }
//!
//! let client = Client::new(greet);
//! let response = client.get("/elsewhere").header("accept", "text/plain").send();
//! assert_eq!(response.status(), StatusCode::NOT_FOUND);
//! assert_eq!(response.text(), "no /elsewhere");
//! ```
//!
//! # What it tests
//!
//! The client encodes a request as a real client does. It is decoded by the server's code, and the
//! response is encoded by the server's code. So an invalid request is rejected as the server rejects
//! it, and so is a body above [the default limit](crate::defaults::MAX_BODY). The handler receives
//! the same request as in a server, including [`RawRequest`](crate::RawRequest) and [`ClientInfo`],
//! and can [stream](crate::BodyMode::Streaming) the body. The response to HEAD has no content, and
//! the server's code decides the framing. The client waits for a response that comes
//! [later](crate::Later).
//!
//! # What it does not test
//!
//! There is no server: no connection and no thread pool, so no timeout (but for
//! [`Later`](crate::Later)), no drain, no load shedding
//! and no observer. The settings of a [`Builder`](crate::Builder) have no effect. A panic of the
//! handler panics in the test. To test whether a response reaches its client, run a server on port
//! 0.

pub(crate) mod response;

mod later;
mod upload;

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Response as HttpResponse, StatusCode};

pub use self::response::TestResponse;
use self::response::receive;
use self::upload::Upload;
use crate::connection::defaults;
use crate::http1::{Decoder, Event, Input, Limits, RequestBuffer};
#[cfg(feature = "proxy")]
use crate::message::client_info::Scheme;
use crate::message::headers::trailers;
use crate::message::later::LATE;
use crate::message::problem::error_pages::CustomErrorPages;
use crate::message::request_error::RequestError;
use crate::message::{Body, ClientInfo, Handler, PeerAddr, Problem, Request, Response};

const LIMITS: Limits = Limits {
    head: defaults::MAX_HEADER_SIZE,
    body: defaults::MAX_BODY,
};

/// Sends requests to a handler without a server. [The module](self) says what this covers.
///
/// ```
/// # #[cfg(feature = "router")] {
/// use httpool::http::StatusCode;
/// use httpool::Router;
/// use httpool::testing::Client;
///
/// let router: Router = Router::new().get("/", || "hello");
/// let client = Client::new(router);
/// assert_eq!(client.get("/").send().text(), "hello");
/// assert_eq!(client.post("/").send().status(), StatusCode::METHOD_NOT_ALLOWED);
/// # }
/// ```
pub struct Client {
    handler: Box<dyn Handler>,
}

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
pub struct RequestBuilder<'a> {
    client: &'a Client,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
    client_info: ClientInfo,
}

macro_rules! methods {
    ($($name:ident $method:ident)*) => {
        $(
            #[doc = concat!("Creates a ", stringify!($method), " request, as [`request`](Self::request) does.")]
            pub fn $name(&self, target: &str) -> RequestBuilder<'_> {
                self.request(Method::$method, target)
            }
        )*
    };
}

impl Client {
    /// Creates a client for this handler. Several clients can share a handler in an `Arc`.
    ///
    /// # Panics
    ///
    /// If no server would start with this handler ([`Handler::check`]).
    #[must_use]
    #[track_caller]
    pub fn new(handler: impl Handler) -> Self {
        if let Err(error) = handler.check() {
            panic!("{error}");
        }
        Self {
            handler: Box::new(handler),
        }
    }

    methods! {
        get GET
        head HEAD
        post POST
        put PUT
        patch PATCH
        delete DELETE
        options OPTIONS
    }

    /// Creates a request for this target: a path, perhaps with a query. The target is sent
    /// unchanged.
    pub fn request(&self, method: Method, target: &str) -> RequestBuilder<'_> {
        RequestBuilder {
            client: self,
            method,
            target: target.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            client_info: ClientInfo::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 49152)).into()),
        }
    }
}

impl RequestBuilder<'_> {
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
        self.header(http::header::CONTENT_TYPE, "application/json")
            .body(json)
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
    /// contains. If the body's reader fails or ends early; a server would reset the connection.
    #[must_use]
    #[track_caller]
    pub fn send(self) -> TestResponse {
        let (head, mut body) = self.receive().into_parts();
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
        self.receive()
            .map(|body| Box::new(body) as Box<dyn Read + Send>)
    }

    #[track_caller]
    fn receive(self) -> HttpResponse<Body> {
        let (mut buffer, mut input) = (RequestBuffer::default(), Input::default());
        input.extend(&self.message());
        let handler = &self.client.handler;
        let mut decoder = Decoder::default();
        let body_mode = |request: &Request| Some(handler.body_mode(request));
        let body_error = match decoder.decode_with(&mut input, &mut buffer, &LIMITS, body_mode) {
            Ok(Event::Request) => None,
            Ok(Event::Stream) => decoder
                .stream(&mut buffer)
                .map(|body_decoder| Upload::begin(body_decoder, input, &mut buffer)),
            Ok(_) => panic!("the request is incomplete"),
            Err(error) => {
                let unread = input.unread();
                let reason = buffer.explain(error, unread, &LIMITS);
                let request = buffer.original(unread, &LIMITS);
                return receive(reject(error, reason, &**handler, &request), &buffer);
            }
        };
        buffer.request.body_mut().set_client_info(self.client_info);
        let response = handler.handle(&mut buffer.request);
        let mut response = later::wait(response, || {
            let problem = Problem::new(StatusCode::GATEWAY_TIMEOUT).detail(LATE);
            respond(&problem, &**handler, &buffer.original(&[], &LIMITS))
        });
        CustomErrorPages::default().apply(&mut response, || Cow::Owned(buffer.headers()));
        // The streamed body failed, and the handler may have responded with its own error.
        if let Some(error) = body_error.and_then(|body_error| body_error.get().copied())
            && response.status().is_server_error()
        {
            let reason = error.reason().into();
            response = reject(error, reason, &**handler, &buffer.original(&[], &LIMITS));
        }
        receive(response, &buffer)
    }

    /// Encodes the request (RFC 9112 section 2.1).
    fn message(&self) -> Vec<u8> {
        let mut message = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut write_header = |name: &HeaderName, value: &[u8]| {
            message.extend([name.as_str().as_bytes(), b": ", value, b"\r\n"].concat());
        };
        if !self.headers.contains_key(HOST) {
            write_header(&HOST, b"localhost");
        }
        let has_framing = [CONTENT_LENGTH, TRANSFER_ENCODING]
            .iter()
            .any(|name| self.headers.contains_key(name));
        if !self.body.is_empty() && !has_framing {
            write_header(&CONTENT_LENGTH, self.body.len().to_string().as_bytes());
        }
        for (name, value) in &self.headers {
            write_header(name, value.as_bytes());
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&self.body);
        message
    }
}

/// Returns the response to a rejected request.
fn reject(
    error: RequestError,
    reason: Cow<'static, str>,
    handler: &dyn Handler,
    request: &Request,
) -> Response {
    let problem = Problem::new(error.status()).detail(reason);
    respond(&problem, handler, request)
}

/// Returns a response that the server makes itself.
fn respond(problem: &Problem, handler: &dyn Handler, request: &Request) -> Response {
    let mut response = problem.to_response(request.headers());
    handler.server_response(request, &mut response);
    response
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl fmt::Debug for RequestBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.method, self.target, self.headers)
    }
}

#[cfg(test)]
mod tests;
