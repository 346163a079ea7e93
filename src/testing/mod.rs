//! Handlers without a server, for tests of one's own.
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
//! let answer = client.get("/elsewhere").header("accept", "text/plain").send();
//! assert_eq!(answer.status(), StatusCode::NOT_FOUND);
//! assert_eq!(answer.text(), "no /elsewhere");
//! ```
//!
//! # What it is
//!
//! A request is written as a client would send it and decoded as the server does it, and the answer
//! encoded as the server does it. So what the server refuses is refused here: a request that is
//! none, or a body that is larger than [the default](crate::defaults::MAX_BODY). The handler sees
//! what it would see, with [`RawRequest`](crate::RawRequest) and [`ClientInfo`], and reads a body that it
//! [streams](crate::BodyMode::Streaming); the answer to HEAD has no content, and the
//! framing is not the handler's.
//!
//! # What it is not
//!
//! A server. There is no connection and no pool, hence no deadline, no drain, nothing that is shed
//! or observed, and nothing that a [`Builder`](crate::Builder) sets. A handler that panics panics
//! in the test. Whether an answer reaches its client is for a server on port 0 to show.

pub(crate) mod response;

mod upload;

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Response as HttpResponse};

pub use self::response::TestResponse;
use self::response::receive;
use self::upload::Upload;
use crate::connection::defaults;
use crate::http1::{Decoder, Event, Input, Limits, RequestBuffer};
#[cfg(feature = "proxy")]
use crate::message::client_info::Scheme;
use crate::message::problem::pages::Pages;
use crate::message::request_error::RequestError;
use crate::message::{ClientInfo, Handler, PeerAddr, Problem, Request, Response};

const LIMITS: Limits = Limits {
    head: defaults::MAX_HEADER_SIZE,
    body: defaults::MAX_BODY,
};

/// Asks a handler. [The module](self) says what that shows.
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

/// A request that has not been sent.
///
/// ```
/// use httpool::Request;
/// use httpool::testing::Client;
///
/// let client = Client::new(|request: Request| format!("{:?}", request.headers()["x-name"]));
/// let request = client.post("/").header("x-name", "Ada").body("content");
/// assert_eq!(request.send().text(), "\"Ada\"");
/// ```
#[must_use = "nobody is asked before it is sent"]
pub struct RequestBuilder<'a> {
    client: &'a Client,
    method: Method,
    target: String,
    fields: HeaderMap,
    body: Bytes,
    origin: ClientInfo,
}

macro_rules! methods {
    ($($name:ident $method:ident)*) => {
        $(
            #[doc = concat!("A ", stringify!($method), " request, as [`request`](Self::request) makes it.")]
            pub fn $name(&self, target: &str) -> RequestBuilder<'_> {
                self.request(Method::$method, target)
            }
        )*
    };
}

impl Client {
    /// A client of this handler. A handler in an `Arc` can have several.
    ///
    /// # Panics
    ///
    /// If no server would start with the handler ([`Handler::check`]).
    #[must_use]
    #[track_caller]
    pub fn new(handler: impl Handler) -> Self {
        if let Err(why) = handler.check() {
            panic!("{why}");
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

    /// A request for this target, which is sent as it is: the path, and perhaps a query.
    pub fn request(&self, method: Method, target: &str) -> RequestBuilder<'_> {
        RequestBuilder {
            client: self,
            method,
            target: target.to_owned(),
            fields: HeaderMap::new(),
            body: Bytes::new(),
            origin: ClientInfo::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 49152)).into()),
        }
    }
}

impl RequestBuilder<'_> {
    /// Adds a header field. `Host` and `Content-Length` are there without it.
    ///
    /// # Panics
    ///
    /// If there is no such name or value.
    #[track_caller]
    pub fn header<K, V>(mut self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName, Error: fmt::Debug>,
        V: TryInto<HeaderValue, Error: fmt::Debug>,
    {
        let name = name.try_into().expect("a field has such a name");
        let value = value.try_into().expect("a field has such a value");
        self.fields.append(name, value);
        self
    }

    /// Sets the content.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the content to this value as JSON, and says so.
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
    /// If the value can't be written as JSON.
    #[cfg(feature = "json")]
    #[track_caller]
    pub fn json(self, value: &impl serde::Serialize) -> Self {
        let json = serde_json::to_vec(value).expect("the value can be written as JSON");
        self.header(http::header::CONTENT_TYPE, "application/json")
            .body(json)
    }

    /// Has the request come from this address instead of `127.0.0.1:49152`.
    ///
    /// ```
    /// use httpool::testing::Client;
    /// use httpool::{ClientInfo, Request};
    ///
    /// let client = Client::new(|request: Request| match ClientInfo::of(&request) {
    ///     Some(origin) => origin.peer().to_string(),
    ///     None => "nobody".into(),
    /// });
    /// let ada = ([192, 0, 2, 1], 4711).into();
    /// assert_eq!(client.get("/").peer(ada).send().text(), "192.0.2.1:4711");
    /// ```
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        self.origin = ClientInfo::new(peer.into());
        self
    }

    /// Has the request come through a Unix socket, whose other end has no address.
    pub fn unix_peer(mut self) -> Self {
        self.origin = ClientInfo::new(PeerAddr::UNIX);
        self
    }

    /// Has the peer be a trusted proxy that says whose request it has passed on, and how the client
    /// has come to it; `None` is what it does not say. Set the peer before.
    ///
    /// ```
    /// use std::net::{IpAddr, Ipv4Addr};
    ///
    /// use httpool::http::uri::Scheme;
    /// use httpool::testing::Client;
    /// use httpool::{ClientInfo, Request};
    ///
    /// let client = Client::new(|request: Request| match ClientInfo::of(&request) {
    ///     Some(origin) => format!("{:?} {:?}", origin.client(), origin.scheme()),
    ///     None => "somebody".into(),
    /// });
    /// let ada = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)).into();
    /// let answer = client.get("/").on_behalf_of(Some(ada), Some(Scheme::HTTPS)).send();
    /// assert_eq!(answer.text(), format!("{:?} {:?}", Some(ada), Some(Scheme::HTTPS)));
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
            other => panic!("no client comes by {other}"),
        });
        let peer = ClientInfo::new(self.origin.peer());
        self.origin = peer.with_route(peer.route().on_behalf_of(client, scheme));
        self
    }

    /// Asks, and reads the answer to its end.
    ///
    /// # Panics
    ///
    /// If the handler does. If the request is not complete, because it announces more than it has.
    /// If the answer's reader fails or ends early, where a server would reset the connection.
    #[must_use]
    #[track_caller]
    pub fn send(self) -> TestResponse {
        let (head, mut reader) = self.open().into_parts();
        let mut content = Vec::new();
        match reader.read_to_end(&mut content) {
            Ok(_) => TestResponse(HttpResponse::from_parts(head, content.into())),
            Err(why) => panic!("the answer's reader failed: {why}"),
        }
    }

    /// Asks, and leaves it to the caller to read the content: for answers that go on, as
    /// [events](crate::sse) do.
    ///
    /// ```
    /// use std::io::{BufRead, BufReader};
    ///
    /// use httpool::Request;
    /// use httpool::sse::{Event, Events};
    /// use httpool::testing::Client;
    ///
    /// // Nobody could read all of these.
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
    /// If the handler does, or if the request is not complete.
    #[must_use]
    #[track_caller]
    pub fn open(self) -> HttpResponse<Box<dyn Read + Send>> {
        let (mut slot, mut input) = (RequestBuffer::default(), Input::default());
        input.extend(&self.message());
        let handler = &self.client.handler;
        let mut decoder = Decoder::default();
        let body_mode = |request: &Request| Some(handler.body_mode(request));
        let failure = match decoder.decode_with(&mut input, &mut slot, &LIMITS, body_mode) {
            Ok(Event::Request) => None,
            Ok(Event::Stream) => decoder
                .stream(&mut slot)
                .map(|inflow| Upload::begin(inflow, input, &mut slot)),
            Ok(_) => panic!("the request is not complete"),
            Err(refusal) => {
                let unread = input.unread();
                let why = slot.explain(refusal, unread, &LIMITS);
                let request = slot.original(unread, &LIMITS);
                return receive(refuse(refusal, why, &**handler, &request), &slot);
            }
        };
        slot.request.body_mut().set_origin(self.origin);
        let mut response = handler.handle(&mut slot.request);
        Pages::default().apply(&mut response, || Cow::Owned(slot.headers()));
        // A failure that the handler takes for its own.
        if let Some(refusal) = failure.and_then(|failure| failure.get().copied())
            && response.status().is_server_error()
        {
            let why = refusal.reason().into();
            response = refuse(refusal, why, &**handler, &slot.original(&[], &LIMITS));
        }
        receive(response, &slot)
    }

    /// The request's message (RFC 9112 section 2.1).
    fn message(&self) -> Vec<u8> {
        let mut message = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut field = |name: &HeaderName, value: &[u8]| {
            message.extend([name.as_str().as_bytes(), b": ", value, b"\r\n"].concat());
        };
        if !self.fields.contains_key(HOST) {
            field(&HOST, b"localhost");
        }
        let says_framing = [CONTENT_LENGTH, TRANSFER_ENCODING]
            .iter()
            .any(|name| self.fields.contains_key(name));
        if !self.body.is_empty() && !says_framing {
            field(&CONTENT_LENGTH, self.body.len().to_string().as_bytes());
        }
        for (name, value) in &self.fields {
            field(name, value.as_bytes());
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&self.body);
        message
    }
}

/// The answer to a request that is not taken.
fn refuse(
    refusal: RequestError,
    why: Cow<'static, str>,
    handler: &dyn Handler,
    request: &Request,
) -> Response {
    let problem = Problem::new(refusal.status()).detail(why);
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
        write!(f, "{} {} {:?}", self.method, self.target, self.fields)
    }
}

#[cfg(test)]
mod tests;
