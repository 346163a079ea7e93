//! Cookies (RFC 6265): those of a request, and those that a response sets.
//!
//! ```
//! # #[cfg(feature = "router")] {
//! use httpool::Router;
//! use httpool::cookies::Cookies;
//! use httpool::testing::Client;
//!
//! fn count(cookies: Cookies) -> (Cookies, String) {
//!     let visits = cookies.get("visits").and_then(|value| value.parse().ok()).unwrap_or(0) + 1;
//!     (cookies.set(("visits", visits.to_string())), format!("visit {visits}"))
//! }
//!
//! let router: Router = Router::new().get("/", count);
//! let response = Client::new(router).get("/").header("cookie", "visits=41").send();
//! assert_eq!(response.text(), "visit 42");
//! let expected = "visits=42; HttpOnly; SameSite=Lax; Path=/";
//! assert_eq!(response.header("set-cookie"), Some(expected));
//! # }
//! ```
//!
//! The client can read and change a cookie. With the feature `signed-cookies`, a
#![cfg_attr(feature = "signed-cookies", doc = "[`Key`] signs or encrypts values.")]
#![cfg_attr(
    not(feature = "signed-cookies"),
    doc = "`Key` signs or encrypts values."
)]
//! Keep data of one visitor that is larger than a few words in a session (feature `sessions`).

mod encode;
#[cfg(feature = "signed-cookies")]
mod key;
mod received;
#[cfg(feature = "signed-cookies")]
mod signed;

use std::fmt;

pub use cookie::time;
pub use cookie::{Cookie, CookieBuilder, Expiration, SameSite};
use http::StatusCode;
use http::header::SET_COOKIE;
use http::uri::Scheme;
use log::error;

use self::encode::InvalidCookie;
#[cfg(feature = "sessions")]
pub(super) use self::encode::check_template;
#[cfg(feature = "sessions")]
pub(super) use self::key::random;
#[cfg(feature = "signed-cookies")]
pub use self::key::{Key, KeyError};
use self::received::Received;
use crate::message::response::{failed, has_failed};
use crate::message::{ClientInfo, IntoResponse, Later, Request, Response};

/// The cookies of a request, and changes to them for its response. It is an argument of routed
/// functions.
///
/// A response sets and removes cookies if it is returned with this value in a tuple: `(cookies,
/// response)` or `(status, cookies, response)`. The `Set-Cookie` headers are added to those that the
/// response has already. [`add_to`](Self::add_to) is for responses in other places. A response that
/// could not be made (500) sets no cookies.
///
/// ```
/// # #[cfg(feature = "router")] {
/// use httpool::cookies::Cookies;
/// use httpool::testing::Client;
/// use httpool::{Redirect, Router};
///
/// fn theme(cookies: Cookies) -> String {
///     format!("the theme is {}", cookies.get("theme").unwrap_or("light"))
/// }
///
/// fn set_dark(cookies: Cookies) -> (Cookies, Redirect) {
///     (cookies.set(("theme", "dark")), Redirect::to("/"))
/// }
///
/// fn reset(cookies: Cookies) -> (Cookies, Redirect) {
///     (cookies.remove("theme"), Redirect::to("/"))
/// }
///
/// let router: Router =
///     Router::new().get("/", theme).post("/dark", set_dark).post("/reset", reset);
/// let client = Client::new(router);
/// let response = client.get("/").header("cookie", "theme=dark; lang=de").send();
/// assert_eq!(response.text(), "the theme is dark");
/// let response = client.post("/reset").send();
/// let removed = response.header("set-cookie").expect("the cookie is removed");
/// assert!(removed.starts_with("theme=; ") && removed.contains("Max-Age=0"), "{removed}");
/// # }
/// ```
///
/// # Attributes
///
/// A cookie that sets no attributes gets safe ones:
///
/// | attribute | default | otherwise |
/// |---|---|---|
/// | `HttpOnly` | set: scripts can't read it | `.http_only(false)` |
/// | `SameSite` | `Lax`: pages of other sites don't send it with forms or scripts | `.same_site(..)` |
/// | `Secure` | set if the [client used TLS](ClientInfo::scheme), or if the cookie needs it | `.secure(..)` |
/// | `Path` | `/` | `.path(..)` |
/// | `Max-Age` | none: the browser removes it when it closes | `.max_age(..)` |
/// | `Domain` | none: only this host | `.domain(..)` |
///
/// A `SameSite=None` cookie and one whose name begins with `__Secure-` or `__Host-` needs `Secure`. The
/// prefix `__Host-` also requires the path `/` and no domain: no other host, not even a subdomain, can
/// set such a cookie. Use it for sessions if all clients use TLS. Browsers accept such a cookie of
/// `http://localhost`, but of no other host without TLS. (RFC 6265bis section 4.1.3)
///
/// Without TLS, and behind a proxy that does not [say](crate::ClientInfo) that its client used TLS,
/// `Secure` is not set by default.
///
/// # Names and values
///
/// A value may be any text: what a cookie can't have (`;`, `,`, spaces, control characters, `%`,
/// non-ASCII characters) is sent percent-encoded, and decoded when the client sends it back.
/// Values of other programs are decoded too, unless the result is not UTF-8. Names are sent as they
/// are, so they must be tokens (RFC 9110 section 5.6.2), and are never decoded.
///
/// A cookie with an invalid name, path or domain, with attributes that contradict its prefix, or with
/// more than 4096 bytes of name and value, which browsers ignore, is logged, and the response becomes a
/// 500.
///
/// A part of the `Cookie` header that is not UTF-8 or has no `=` is ignored. If the client sends a name
/// twice, [`get`](Self::get) returns the first value: browsers send the cookie with the longest path
/// first (RFC 6265 section 5.4). Parts of the header that come on several lines, as in HTTP/2, are
/// joined. In HTTP/2 each of them counts towards the limit of 100 headers, which bounds the cost of many
/// small ones.
#[derive(Clone, Default)]
pub struct Cookies {
    received: Received,
    changes: Vec<Change>,
    is_https: bool,
}

#[derive(Clone)]
enum Change {
    Set(Cookie<'static>),
    Remove(Cookie<'static>),
}

impl Cookies {
    /// Largest size of a cookie that browsers store, in bytes: its name and its value as they are sent
    /// (RFC 6265bis section 5.6).
    ///
    /// ```
    /// assert_eq!(httpool::cookies::Cookies::MAX_SIZE, 4096);
    /// ```
    pub const MAX_SIZE: usize = 4096;

    /// The cookies of a request.
    ///
    /// ```
    /// use httpool::cookies::Cookies;
    /// use httpool::testing::Client;
    /// use httpool::{IntoResponse, Request};
    ///
    /// let handler = |request: Request| {
    ///     let cookies = Cookies::of(&request);
    ///     let name = cookies.get("name").unwrap_or("stranger").to_owned();
    ///     (cookies, format!("hello, {name}"))
    /// };
    /// let response = Client::new(handler).get("/").header("cookie", "name=Ada").send();
    /// assert_eq!(response.text(), "hello, Ada");
    /// ```
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let scheme = ClientInfo::of(request).and_then(ClientInfo::scheme);
        Self {
            received: Received::of(request.headers()),
            changes: Vec::new(),
            is_https: scheme == Some(&Scheme::HTTPS),
        }
    }

    /// The value of the cookie with this name, after the changes so far.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.change(name) {
            Some(Change::Set(cookie)) => Some(cookie.value()),
            Some(Change::Remove(_)) => None,
            None => self.received.get(name),
        }
    }

    /// The names and values of the cookies that the client has sent, in their order. A name may occur
    /// several times.
    ///
    /// ```
    /// use httpool::Request;
    /// use httpool::cookies::Cookies;
    ///
    /// let request: Request = httpool::http::Request::get("/")
    ///     .header("cookie", "a=1; b=2; a=3")
    ///     .body(Default::default())?;
    /// let cookies = Cookies::of(&request);
    /// assert!(cookies.iter().eq([("a", "1"), ("b", "2"), ("a", "3")]));
    /// # Ok::<(), httpool::http::Error>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.received.iter()
    }

    /// Sets a cookie: a name and a value, or a [`Cookie`] with attributes.
    ///
    /// ```
    /// use httpool::IntoResponse;
    /// use httpool::cookies::{Cookie, Cookies, SameSite, time};
    ///
    /// let cookie = Cookie::build(("consent", "given; all"))
    ///     .max_age(time::Duration::days(180))
    ///     .same_site(SameSite::Strict);
    /// let response = (Cookies::default().set(cookie), "thank you").into_response();
    /// assert_eq!(
    ///     response.headers()["set-cookie"],
    ///     "consent=given%3B%20all; HttpOnly; SameSite=Strict; Path=/; Max-Age=15552000"
    /// );
    /// ```
    #[must_use = "cookies are set by the response that is returned with them"]
    pub fn set(self, cookie: impl Into<Cookie<'static>>) -> Self {
        self.with(Change::Set(cookie.into()))
    }

    /// Removes a cookie. If it was set with a path or a domain, give a [`Cookie`] with the same ones:
    ///
    /// ```
    /// use httpool::cookies::{Cookie, Cookies};
    ///
    /// let cookies = Cookies::default().remove(Cookie::build("cart").path("/shop"));
    /// assert_eq!(cookies.get("cart"), None);
    /// ```
    #[must_use = "cookies are removed by the response that is returned with them"]
    pub fn remove(self, cookie: impl Into<Cookie<'static>>) -> Self {
        let mut cookie = cookie.into();
        cookie.make_removal();
        self.with(Change::Remove(cookie))
    }

    /// Adds the changes to a response, as a tuple does.
    ///
    /// ```
    /// use httpool::cookies::Cookies;
    /// use httpool::{Next, Request, Response};
    ///
    /// /// A layer that greets each visitor once.
    /// fn greet(request: Request, next: Next<'_>) -> Response {
    ///     let cookies = Cookies::of(&request);
    ///     if cookies.get("greeted").is_some() {
    ///         return next.run(request);
    ///     }
    ///     cookies.set(("greeted", "yes")).add_to(next.run(request))
    /// }
    /// # let _ = httpool::Layered::new(|_: Request| "").layer(greet);
    /// ```
    pub fn add_to(self, response: Response) -> Response {
        if self.changes.is_empty() {
            return response;
        }
        Later::map(response, move |response| self.apply(response))
    }

    fn apply(self, mut response: Response) -> Response {
        if has_failed(&response) {
            return response;
        }
        for change in self.changes {
            match encode::header_value(change.into_cookie(), self.is_https) {
                Ok(value) => drop(response.headers_mut().append(SET_COOKIE, value)),
                Err(error) => return unusable(&error),
            }
        }
        response
    }

    /// The last change of this cookie.
    fn change(&self, name: &str) -> Option<&Change> {
        let mut latest = self.changes.iter().rev();
        latest.find(|change| change.cookie().name() == name)
    }

    /// Adds a change, instead of earlier ones of the same cookie (RFC 6265 section 4.1.1).
    fn with(mut self, change: Change) -> Self {
        let new = change.cookie();
        self.changes.retain(|change| {
            let old = change.cookie();
            (old.name(), old.path(), old.domain()) != (new.name(), new.path(), new.domain())
        });
        self.changes.push(change);
        self
    }
}

impl Change {
    fn cookie(&self) -> &Cookie<'static> {
        match self {
            Self::Set(cookie) | Self::Remove(cookie) => cookie,
        }
    }

    fn into_cookie(self) -> Cookie<'static> {
        match self {
            Self::Set(cookie) | Self::Remove(cookie) => cookie,
        }
    }
}

/// The response instead of one with a cookie that can't be sent.
fn unusable(error: &InvalidCookie) -> Response {
    error!("response with an invalid cookie: {error}");
    failed(StatusCode::INTERNAL_SERVER_ERROR)
}

impl<R: IntoResponse> IntoResponse for (Cookies, R) {
    fn into_response(self) -> Response {
        self.0.add_to(self.1.into_response())
    }
}

impl<R: IntoResponse> IntoResponse for (StatusCode, Cookies, R) {
    fn into_response(self) -> Response {
        self.1.add_to((self.0, self.2).into_response())
    }
}

#[cfg(feature = "router")]
impl<S> crate::web::extract::FromRequest<S> for Cookies {
    fn from_request(
        context: &mut crate::web::extract::RequestContext<'_, S>,
    ) -> Result<Self, crate::web::extract::Rejection> {
        Ok(Self::of(context.request()))
    }
}

/// Shows names only: values may be secrets.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |changes: fn(&Change) -> bool| -> Vec<_> {
            let changed = self.changes.iter().filter(|change| changes(change));
            changed.map(|change| change.cookie().name()).collect()
        };
        f.debug_struct("Cookies")
            .field(
                "received",
                &self.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            )
            .field("set", &names(|change| matches!(change, Change::Set(_))))
            .field(
                "removed",
                &names(|change| matches!(change, Change::Remove(_))),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderMap, HeaderValue};

    use super::*;

    fn cookies(header: &str) -> Cookies {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::try_from(header).expect("the header is valid");
        headers.insert(http::header::COOKIE, value);
        Cookies {
            received: Received::of(&headers),
            ..Cookies::default()
        }
    }

    fn set_by(response: &Response) -> Vec<&str> {
        let values = response.headers().get_all(SET_COOKIE).iter();
        values
            .map(|value| value.to_str().expect("it is text"))
            .collect()
    }

    #[test]
    fn changes_are_visible_at_once() {
        let cookies = cookies("a=1; b=2").set(("a", "3"));
        assert_eq!(cookies.get("a"), Some("3"));
        let cookies = cookies.remove("b").set(("c", "4"));
        assert_eq!((cookies.get("b"), cookies.get("c")), (None, Some("4")));
        assert_eq!(cookies.iter().count(), 2);
    }

    #[test]
    fn one_cookie_is_sent_once() {
        let cookies = Cookies::default()
            .set(("a", "1"))
            .set(Cookie::build(("a", "2")).path("/x"))
            .set(("a", "3"));
        let response = (cookies, "").into_response();
        assert_eq!(
            set_by(&response),
            [
                "a=2; HttpOnly; SameSite=Lax; Path=/x",
                "a=3; HttpOnly; SameSite=Lax; Path=/"
            ]
        );
    }

    #[test]
    fn tuples_with_cookies_compose() {
        let set = |name: &'static str| Cookies::default().set((name, "1"));
        let response = (
            StatusCode::CREATED,
            set("a"),
            ([("x-name", "1")], (set("b"), "done")),
        );
        let response = response.into_response();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()["x-name"], "1");
        let names: Vec<_> = set_by(&response)
            .iter()
            .map(|cookie| &cookie[..1])
            .collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!((Cookies::default(), "x").into_response().headers().len(), 1);
    }

    #[test]
    fn failed_response_sets_no_cookie() {
        let failing = || std::io::Error::other("disk");
        let cookies = Cookies::default().set(("a", "1"));
        let response = (StatusCode::OK, cookies, failing()).into_response();
        assert_eq!(response.status(), 500);
        assert!(set_by(&response).is_empty());
    }

    #[test]
    fn invalid_cookie_is_a_500() {
        for cookie in [
            Cookie::from(("a b", "1")),
            Cookie::build(("a", "1"))
                .path("/; Domain=evil.example")
                .build(),
        ] {
            let response = (Cookies::default().set(cookie), "secret").into_response();
            assert_eq!(response.status(), 500);
            assert!(set_by(&response).is_empty());
            assert_eq!(response.body().as_bytes(), b"500 Internal Server Error\n");
        }
    }

    #[test]
    fn debug_output_shows_no_value() {
        let cookies = cookies("a=secret").set(("b", "secret")).remove("c");
        assert_eq!(
            format!("{cookies:?}"),
            r#"Cookies { received: ["a"], set: ["b"], removed: ["c"] }"#
        );
    }
}
