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
//! It sends forms, files ([`FormData`]) and JSON, keeps cookies and follows redirects, if a test asks
//! for it:
//!
//! ```
//! # #[cfg(feature = "router")] {
//! use httpool::extract::Form;
//! use httpool::http::HeaderMap;
//! use httpool::http::header::{COOKIE, SET_COOKIE};
//! use httpool::testing::Client;
//! use httpool::{Redirect, Router};
//!
//! #[derive(serde::Deserialize)]
//! struct Login {
//!     name: String,
//! }
//!
//! let router: Router = Router::new()
//!     .post("/login", |Form(login): Form<Login>| {
//!         ([(SET_COOKIE, format!("user={}; Path=/", login.name))], Redirect::to("/"))
//!     })
//!     .get("/", |headers: HeaderMap| format!("{:?}", headers.get(COOKIE)));
//!
//! let client = Client::new(router).keep_cookies();
//! let response = client.post("/login").form([("name", "ada")]).follow_redirects().send();
//! assert_eq!((response.target(), response.text()), ("/", "Some(\"user=ada\")"));
//! # }
//! ```
//!
//! # What it tests
//!
//! The client encodes a request as a real client does. It is decoded by the server's code, and the
//! response is encoded by the server's code. So an invalid request is rejected as the server rejects
//! it, and so is a body above [the default limit](crate::defaults::MAX_BODY). The handler receives
//! the same request as in a server, including [`RawRequest`](crate::RawRequest) and
//! [`ClientInfo`](crate::ClientInfo), and can [stream](crate::BodyMode::Streaming) the body. The
//! response to HEAD has no content, and the server's code decides the framing. The client waits for
//! a response that comes [later](crate::Later).
//!
//! # What it does not test
//!
//! There is no server: no connection and no thread pool. So there is no timeout (except that of a
//! [`Later`](crate::Later)), no drain, no load shedding and no observer. The settings of a
//! [`Builder`](crate::Builder) have no effect. A panic of the handler panics in the test. To test
//! whether a response reaches its client, run a server on port 0.

pub(crate) mod response;

mod cookies;
mod exchange;
mod form_data;
mod later;
mod redirects;
mod request;
mod upload;

use std::fmt;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use self::cookies::CookieJar;
pub use self::form_data::FormData;
pub use self::request::RequestBuilder;
pub use self::response::TestResponse;
use crate::message::Handler;

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
    default_headers: HeaderMap,
    /// `None` if cookies are not kept.
    cookies: Option<CookieJar>,
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
            default_headers: HeaderMap::new(),
            cookies: None,
        }
    }

    /// Adds a header to each request that does not set it.
    ///
    /// ```
    /// use httpool::Request;
    /// use httpool::testing::Client;
    ///
    /// let client = Client::new(|request: Request| format!("{:?}", request.headers()["accept"]))
    ///     .default_header("accept", "application/json");
    /// assert_eq!(client.get("/").send().text(), "\"application/json\"");
    /// assert_eq!(client.get("/").header("accept", "*/*").send().text(), "\"*/*\"");
    /// ```
    ///
    /// # Panics
    ///
    /// If the name or the value is invalid.
    #[must_use]
    #[track_caller]
    pub fn default_header<K, V>(mut self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName, Error: fmt::Debug>,
        V: TryInto<HeaderValue, Error: fmt::Debug>,
    {
        let name = name.try_into().expect("valid header name");
        let value = value.try_into().expect("valid header value");
        self.default_headers.append(name, value);
        self
    }

    /// Keeps the cookies of responses and sends them with later requests, as a browser does (RFC 6265
    /// section 5). `Path`, `Max-Age` and `Expires` decide which are sent; `Domain`, `Secure`,
    /// `HttpOnly` and `SameSite` have no effect. An age that passes during the test has none either.
    ///
    /// ```
    /// # #[cfg(feature = "router")] {
    /// use httpool::http::HeaderMap;
    /// use httpool::http::header::{COOKIE, SET_COOKIE};
    /// use httpool::testing::Client;
    /// use httpool::Router;
    ///
    /// let router: Router = Router::new()
    ///     .post("/login", || ([(SET_COOKIE, "session=7; Path=/; HttpOnly")], "welcome"))
    ///     .get("/", |headers: HeaderMap| headers.contains_key(COOKIE).to_string());
    /// let client = Client::new(router).keep_cookies();
    /// assert_eq!(client.get("/").send().text(), "false");
    /// let _ = client.post("/login").send();
    /// assert_eq!(client.get("/").send().text(), "true");
    /// assert_eq!(client.cookie("session").as_deref(), Some("7"));
    /// # }
    /// ```
    #[must_use]
    pub fn keep_cookies(mut self) -> Self {
        self.cookies.get_or_insert_default();
        self
    }

    /// Returns the value of a cookie that the client [keeps](Self::keep_cookies). If it has several with
    /// this name, it is the newest one.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.as_ref()?.get(name)
    }

    /// Forgets all cookies, as a browser of another user.
    pub fn clear_cookies(&self) {
        if let Some(cookies) = &self.cookies {
            cookies.clear();
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
        RequestBuilder::new(self, method, target)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
