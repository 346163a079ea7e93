//! Sessions: values that the server keeps for each visitor, from request to request.
//!
//! ```
//! # #[cfg(feature = "router")] {
//! use httpool::Router;
//! use httpool::sessions::{MemoryStore, Session, SessionError, Sessions};
//! use httpool::testing::Client;
//!
//! fn count(session: Session) -> Result<String, SessionError> {
//!     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
//!     session.insert("visits", visits)?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! let router: Router = Router::new().layer(Sessions::new(MemoryStore::new())).get("/", count);
//! let client = Client::new(router);
//! let response = client.get("/").send();
//! assert_eq!(response.text(), "visit 1");
//! let cookie = response.header("set-cookie").expect("the session is new");
//! let (cookie, attributes) = cookie.split_once("; ").expect("it has attributes");
//! assert_eq!(attributes, "HttpOnly; SameSite=Lax; Path=/; Max-Age=1209600");
//!
//! let response = client.get("/").header("cookie", cookie).send();
//! assert_eq!(response.text(), "visit 2");
//! assert_eq!(response.header("set-cookie"), None);
//! # }
//! ```

mod error;
mod memory;
mod payload;
mod session;
mod state;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::error::SessionError;
pub use self::memory::MemoryStore;
pub use self::session::Session;
use self::session::Shared;
pub use self::store::{SessionId, SessionStore, StoreError};
use super::cookies::{Cookie, Cookies, Key, check_template};
use crate::message::{Later, Request, Response};
use crate::web::{Layer, Next};

/// Default of [`Sessions::idle_timeout`].
const IDLE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Default of [`Sessions::lifetime`].
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Gives each request a [`Session`].
///
/// The values of a session are either in a [store](SessionStore) of the server, and the client has a
/// random id; or they are in the cookie itself.
///
/// | | [`new`](Self::new) with a store | [`encrypted`](Self::encrypted) or [`signed`](Self::signed) |
/// |---|---|---|
/// | size | what the store can hold | 3 KB (4096 bytes of cookie) |
/// | a logout | ends the session | a copy of the cookie stays valid until it expires |
/// | several instances, restarts | need a shared store | need the same [`Key`] |
/// | cost | the store, for requests that use the session | bytes in each request |
///
/// A session begins when a value is inserted, and the response to that sets the cookie. Later responses
/// set it again only if its value changes. A request whose handler does not use the session asks no
/// store. Changes are saved after the handler has returned, before the response is sent; for a
/// [`Later`], when the response has arrived. Changes while a body is streamed are not saved.
///
/// A response to a request that used its session is not for others: it gets `Vary: cookie`, and
/// `Cache-Control: private` unless the handler has set this header. Beside a `Set-Cookie`,
/// `Cache-Control` gets `private` in any case, and `public` and `s-maxage` are removed from it.
///
/// If a client sends several cookies of the name, for example one of another path, the first valid
/// session counts. A store is asked for at most three ids of a request.
///
/// If two requests of one session change it at the same time, the one that ends last wins. A session
/// that one of them has destroyed stays destroyed.
///
/// If the store fails, methods of the session return a [`SessionError`], and a failure to save turns the
/// response into a 500. Both are logged, at most ten times per minute.
///
/// # Security
///
/// The cookie has the safe attributes of [`Cookies`]. If all clients use TLS, name it
/// `__Host-session`, so that no other host can set it:
///
/// ```
/// use httpool::sessions::{MemoryStore, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new()).cookie("__Host-session");
/// ```
///
/// Ids have 256 random bits. The store gets only a hash of an id: who reads the store can't use its
/// sessions, and response times of a lookup tell nothing about ids. An id that the store does not know
/// is never adopted. At a login, call [`Session::renew`]. Add
/// [`CsrfProtection`](crate::layers::CsrfProtection), so that pages of other sites can't act for your
/// visitors.
pub struct Sessions(Arc<Settings>);

/// The settings of the layer, shared with its sessions.
struct Settings {
    backend: Backend,
    /// The name and the attributes of the cookie.
    cookie: Cookie<'static>,
    idle_timeout: Duration,
    lifetime: Duration,
}

/// Where the values are.
enum Backend {
    Store(Box<dyn SessionStore>),
    Encrypted(Key),
    Signed(Key),
}

impl Sessions {
    /// Keeps sessions in a store.
    #[must_use]
    pub fn new(store: impl SessionStore) -> Self {
        Self::with(Backend::Store(Box::new(store)))
    }

    /// Keeps sessions in an encrypted cookie. The client can neither read nor change the values, but it
    /// can send an older cookie again.
    ///
    /// ```
    /// use httpool::cookies::Key;
    /// use httpool::sessions::Sessions;
    ///
    /// let sessions = Sessions::encrypted(Key::generate());
    /// ```
    #[must_use]
    pub fn encrypted(key: Key) -> Self {
        Self::with(Backend::Encrypted(key))
    }

    /// Keeps sessions in a signed cookie. The client can read the values but not change them, and it can
    /// send an older cookie again.
    ///
    /// ```
    /// use httpool::cookies::Key;
    /// use httpool::sessions::Sessions;
    ///
    /// let sessions = Sessions::signed(Key::generate());
    /// ```
    #[must_use]
    pub fn signed(key: Key) -> Self {
        Self::with(Backend::Signed(key))
    }

    fn with(backend: Backend) -> Self {
        Self(Arc::new(Settings {
            backend,
            cookie: Cookie::from("session"),
            idle_timeout: IDLE_TIMEOUT,
            lifetime: LIFETIME,
        }))
    }

    /// Sets after which time without use a session ends. The default is 24 hours.
    ///
    /// A request counts as use if its handler uses the session. A use is noted at most once in a tenth
    /// of this time, so a session may end earlier by that much.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::sessions::{MemoryStore, Sessions};
    ///
    /// let bank = Sessions::new(MemoryStore::new())
    ///     .idle_timeout(Duration::from_secs(15 * 60))
    ///     .lifetime(Duration::from_secs(8 * 60 * 60));
    /// ```
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.change(|settings| settings.idle_timeout = timeout)
    }

    /// Sets after which time a session ends even if it is used. The default is 14 days. Its cookie has
    /// the same `Max-Age`. [`Session::renew`] begins it again.
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.change(|settings| settings.lifetime = lifetime)
    }

    /// Sets the name of the cookie, and perhaps attributes. The default name is `session`.
    ///
    /// ```
    /// use httpool::cookies::{Cookie, SameSite};
    /// use httpool::sessions::{MemoryStore, Sessions};
    ///
    /// let cookie = Cookie::build("__Host-admin").same_site(SameSite::Strict);
    /// let sessions = Sessions::new(MemoryStore::new()).cookie(cookie);
    /// ```
    ///
    /// # Panics
    ///
    /// If browsers would ignore such a cookie ([`Cookies`] has the rules).
    #[must_use]
    #[track_caller]
    pub fn cookie(self, cookie: impl Into<Cookie<'static>>) -> Self {
        let cookie = cookie.into();
        if let Err(reason) = check_template(cookie.clone()) {
            panic!("{reason}");
        }
        self.change(|settings| settings.cookie = cookie)
    }

    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        let settings = Arc::get_mut(&mut self.0);
        change(settings.expect("the layer has no requests yet"));
        self
    }
}

impl Layer for Sessions {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let session = Session::new(Shared::new(Arc::clone(&self.0), Cookies::of(request)));
        request.extensions_mut().insert(session.clone());
        let response = next.handle(request);
        Later::map(response, move |response| session.finish(response))
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.backend {
            Backend::Store(_) => "store",
            Backend::Encrypted(_) => "encrypted cookie",
            Backend::Signed(_) => "signed cookie",
        };
        f.debug_struct("Sessions")
            .field("values", &kind)
            .field("cookie", &self.0.cookie.name())
            .finish_non_exhaustive()
    }
}
