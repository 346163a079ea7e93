//! One visitor's session during a request.

use std::fmt;
use std::iter;
use std::sync::{Arc, Mutex};

use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, SET_COOKIE};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::payload::now;
use super::state::{Change, CookieChange, State};
use super::{SessionError, Settings};
use crate::message::headers::list::items;
use crate::message::headers::vary::vary;
use crate::message::{IntoResponse, Request, Response};
use crate::sync::ignore_poison;
use crate::web::cookies::Cookies;

/// The session of a request's visitor: named values that the server keeps until later requests. It is an
/// argument of routed functions, and needs the layer [`Sessions`](super::Sessions) around them; without
/// it the response is 500, and the log has the reason.
///
/// A visitor without a session has an empty one, which begins with the first value. It is loaded when it
/// is used first, so each method may fail. Clones are the same session.
///
/// ```
/// # #[cfg(feature = "router")] {
/// use httpool::cookies::Key;
/// use httpool::extract::Form;
/// use httpool::http::StatusCode;
/// use httpool::sessions::{Session, SessionError, Sessions};
/// use httpool::testing::Client;
/// use httpool::{IntoResponse, Redirect, Response, Router};
///
/// #[derive(serde::Deserialize)]
/// struct Login {
///     name: String,
///     password: String,
/// }
///
/// fn log_in(session: Session, Form(login): Form<Login>) -> Result<Response, SessionError> {
///     if !is_password(&login.name, &login.password) {
///         return Ok(StatusCode::FORBIDDEN.into_response());
///     }
///     session.renew()?;
///     session.insert("user", &login.name)?;
///     Ok(Redirect::to("/").into_response())
/// }
///
/// fn log_out(session: Session) -> Result<Redirect, SessionError> {
///     session.destroy()?;
///     Ok(Redirect::to("/"))
/// }
///
/// fn home(session: Session) -> Result<String, SessionError> {
///     let user: Option<String> = session.get("user")?;
///     Ok(format!("hello, {}", user.as_deref().unwrap_or("stranger")))
/// }
/// # fn is_password(_: &str, password: &str) -> bool { password == "lovelace" }
///
/// let router: Router = Router::new()
///     .layer(Sessions::encrypted(Key::generate()))
///     .get("/", home)
///     .post("/login", log_in)
///     .post("/logout", log_out);
/// let client = Client::new(router);
/// let login = client
///     .post("/login")
///     .header("content-type", "application/x-www-form-urlencoded")
///     .body("name=ada&password=lovelace");
/// let response = login.send();
/// let cookie = response.header("set-cookie").expect("the session has begun");
/// let request = client.get("/").header("cookie", cookie.split(';').next().unwrap());
/// assert_eq!(request.send().text(), "hello, ada");
/// # }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Shared>);

pub(super) struct Shared {
    settings: Arc<Settings>,
    cookies: Cookies,
    state: Mutex<Option<State>>,
}

impl Session {
    pub(super) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// The session of a request. `None` without the layer [`Sessions`](super::Sessions).
    ///
    /// ```
    /// use httpool::sessions::{MemoryStore, Session, Sessions};
    /// use httpool::{Handler, Layered, Request};
    ///
    /// let handler = |request: Request| match Session::of(&request) {
    ///     Some(session) => session.insert("seen", true).is_ok().to_string(),
    ///     None => "no layer".into(),
    /// };
    /// assert_eq!(handler.handle(&mut Request::default()).body().as_bytes(), b"no layer");
    /// let handler = Layered::new(handler).layer(Sessions::new(MemoryStore::new()));
    /// assert_eq!(handler.handle(&mut Request::default()).body().as_bytes(), b"true");
    /// ```
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        request.extensions().get().cloned()
    }

    /// Returns a value. `None` if the session does not have it.
    ///
    /// # Errors
    ///
    /// If the store fails, or if the value has another type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SessionError> {
        self.with(|state| {
            let value = state.payload.values.get(name);
            value.map(T::deserialize).transpose()
        })?
        .map_err(|source| value_error(name, source))
    }

    /// Sets a value.
    ///
    /// # Errors
    ///
    /// If the store fails, or if the value can't be converted into JSON.
    pub fn insert(&self, name: &str, value: impl Serialize) -> Result<(), SessionError> {
        let value = serde_json::to_value(value).map_err(|source| value_error(name, source))?;
        self.with(|state| {
            if state.payload.values.get(name) != Some(&value) {
                state.payload.values.insert(name.to_owned(), value);
                state.change = Change::Changed;
            }
        })
    }

    /// Removes a value, if the session has it.
    ///
    /// ```
    /// use httpool::sessions::{Session, SessionError};
    ///
    /// /// A message that the next page shows once.
    /// fn take_message(session: &Session) -> Result<Option<String>, SessionError> {
    ///     let message = session.get("message")?;
    ///     session.remove("message")?;
    ///     Ok(message)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn remove(&self, name: &str) -> Result<(), SessionError> {
        self.with(|state| {
            if state.payload.values.remove(name).is_some() {
                state.change = Change::Changed;
            }
        })
    }

    /// Gives the session a new id, and begins its lifetime again. The values stay; the old id becomes
    /// invalid. Call this when a visitor gets more rights, for example at a login: an attacker may have
    /// given them a session whose id the attacker knows (session fixation).
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn renew(&self) -> Result<(), SessionError> {
        self.with(|state| state.renew(now()))
    }

    /// Ends the session: its values are gone, the store removes it, and the client's cookie is removed.
    /// Call this at a logout. Values that are inserted afterwards begin a new session.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn destroy(&self) -> Result<(), SessionError> {
        self.with(|state| state.destroy(now()))
    }

    /// Uses the session, after loading it if that has not happened.
    fn with<T>(&self, using: impl FnOnce(&mut State) -> T) -> Result<T, SessionError> {
        let shared = &*self.0;
        let mut state = ignore_poison(shared.state.lock());
        if let Some(state) = &mut *state {
            return Ok(using(state));
        }
        let loaded = shared.settings.load(&shared.cookies, now());
        Ok(using(state.insert(loaded?)))
    }

    /// Saves the changes, and adds the cookie to the response if it changes.
    pub(super) fn finish(&self, response: Response) -> Response {
        let state = ignore_poison(self.0.state.lock()).take();
        let Some(state) = state else {
            return response;
        };
        let cookies = self.0.cookies.clone();
        let mut response = match self.0.settings.save(state, now()) {
            Ok(CookieChange::None) => response,
            Ok(CookieChange::Set(cookie)) => cookies.set(cookie).add_to(response),
            Ok(CookieChange::Remove(cookie)) => match cookies.get(cookie.name()) {
                Some(_) => cookies.remove(cookie).add_to(response),
                None => response,
            },
            Err(error) => error.into_response(),
        };
        keep_out_of_shared_caches(response.headers_mut());
        response
    }
}

/// A cache between the server and its clients would send the page of one visitor, or their cookie, to
/// others. A handler may know better about a page, but not beside a cookie (RFC 9111 section 7.3).
fn keep_out_of_shared_caches(headers: &mut HeaderMap) {
    vary(headers, "cookie");
    let private = HeaderValue::from_static("private");
    match headers.contains_key(SET_COOKIE) {
        true => make_private(headers),
        false => drop(headers.entry(CACHE_CONTROL).or_insert(private)),
    }
}

/// Adds `private` to `Cache-Control`, instead of what lets shared caches keep the response.
fn make_private(headers: &mut HeaderMap) {
    let lines = headers.get_all(CACHE_CONTROL).iter();
    let given = lines.flat_map(|line| items(line.as_bytes()));
    let kept = given.filter(|item| {
        let name = item.split(|byte| *byte == b'=').next().unwrap_or(item);
        let is_for_shared_caches =
            name.eq_ignore_ascii_case(b"public") || name.eq_ignore_ascii_case(b"s-maxage");
        !item.is_empty() && !is_for_shared_caches && !item.eq_ignore_ascii_case(b"private")
    });
    let directives: Vec<&[u8]> = iter::once(&b"private"[..]).chain(kept).collect();
    let value = HeaderValue::from_bytes(&directives.join(&b", "[..]));
    headers.insert(
        CACHE_CONTROL,
        value.expect("parts of valid values are valid"),
    );
}

fn value_error(name: &str, source: serde_json::Error) -> SessionError {
    let name = name.to_owned();
    SessionError::Value { name, source }
}

impl Shared {
    pub(super) fn new(settings: Arc<Settings>, cookies: Cookies) -> Self {
        Self {
            settings,
            cookies,
            state: Mutex::new(None),
        }
    }
}

#[cfg(feature = "router")]
impl<S> crate::web::extract::FromRequest<S> for Session {
    fn from_request(
        context: &mut crate::web::extract::RequestContext<'_, S>,
    ) -> Result<Self, crate::web::extract::Rejection> {
        let request = context.request();
        Self::of(request).ok_or_else(|| {
            let reason = "an argument is a `Session`, but the layer `Sessions` is missing";
            crate::web::extract::Rejection::program_error(request, reason)
        })
    }
}

/// Shows no values.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
