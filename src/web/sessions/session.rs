//! One visitor's session during a request.

use std::fmt;
use std::sync::{Arc, Mutex};

use cookie::Cookie;
use cookie::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::payload::{Payload, moment, now};
use super::store::ClientId;
use super::{Backend, SessionError, Settings};
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

/// A session that was loaded.
struct State {
    payload: Payload,
    /// The session that the client has.
    client: Option<ClientSession>,
    /// A session in the store that must not be used again.
    discarded: Option<ClientId>,
    change: Change,
}

/// How the backend knows the session of a client.
enum ClientSession {
    InStore(ClientId),
    InCookie,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Changed,
    /// The client must forget its session, unless there are new values.
    Destroyed,
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
            let old = state.payload.values.insert(name.to_owned(), value);
            if old.as_ref() != state.payload.values.get(name) {
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
        self.with(|state| {
            state.discard();
            state.payload.created = now();
        })
    }

    /// Ends the session: its values are gone, the store removes it, and the client's cookie is removed.
    /// Call this at a logout. Values that are inserted afterwards begin a new session.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub fn destroy(&self) -> Result<(), SessionError> {
        self.with(|state| {
            state.discard();
            state.payload = Payload::new(now());
            state.change = Change::Destroyed;
        })
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
        match self.0.settings.save(state, now()) {
            Ok(CookieChange::None) => response,
            Ok(CookieChange::Set(cookie)) => cookies.set(cookie).add_to(response),
            Ok(CookieChange::Remove(cookie)) => match cookies.get(cookie.name()) {
                Some(_) => cookies.remove(cookie).add_to(response),
                None => response,
            },
            Err(error) => error.into_response(),
        }
    }
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

impl State {
    fn new(now: u64) -> Self {
        Self {
            payload: Payload::new(now),
            client: None,
            discarded: None,
            change: Change::None,
        }
    }

    /// Lets the session begin again under another id.
    fn discard(&mut self) {
        match self.client.take() {
            Some(ClientSession::InStore(id)) => self.discarded = Some(id),
            Some(ClientSession::InCookie) => {}
            None => return,
        }
        self.change = Change::Changed;
    }
}

/// What a response does with the cookie.
enum CookieChange {
    None,
    Set(Cookie<'static>),
    Remove(Cookie<'static>),
}

impl Settings {
    /// The session of the client with these cookies, or a new one.
    fn load(&self, cookies: &Cookies, now: u64) -> Result<State, SessionError> {
        let name = self.cookie.name();
        let found = match &self.backend {
            Backend::Store(store) => match cookies.find(name, ClientId::parse) {
                Some(id) => {
                    let data = store.load(&id.hashed()).map_err(SessionError::Store)?;
                    data.map(|data| (data, ClientSession::InStore(id)))
                }
                None => None,
            },
            Backend::Encrypted(key) => {
                let data = cookies.get_private(name, key);
                data.map(|data| (data, ClientSession::InCookie))
            }
            Backend::Signed(key) => {
                let data = cookies.get_signed(name, key);
                data.map(|data| (data, ClientSession::InCookie))
            }
        };
        let session = found.and_then(|(data, client)| {
            let payload = Payload::decode(&data)?;
            (self.ends(&payload) > now).then_some((payload, client))
        });
        Ok(match session {
            Some((payload, client)) => State {
                payload,
                client: Some(client),
                ..State::new(now)
            },
            None => State::new(now),
        })
    }

    fn save(&self, mut state: State, now: u64) -> Result<CookieChange, SessionError> {
        if let (Backend::Store(store), Some(id)) = (&self.backend, state.discarded.take()) {
            store.destroy(&id.hashed()).map_err(SessionError::Store)?;
        }
        if state.client.is_none() && state.payload.values.is_empty() {
            return Ok(match state.change {
                Change::None => CookieChange::None,
                Change::Changed | Change::Destroyed => CookieChange::Remove(self.cookie.clone()),
            });
        }
        if state.change == Change::None && !self.is_use_due(&state.payload, now) {
            return Ok(CookieChange::None);
        }
        state.payload.used = now;
        self.write(&state, now)
    }

    /// Whether the last use that the backend knows is so long ago that this one has to be noted.
    fn is_use_due(&self, payload: &Payload, now: u64) -> bool {
        now.saturating_sub(payload.used) > self.idle_timeout.as_secs() / 10
    }

    fn write(&self, state: &State, now: u64) -> Result<CookieChange, SessionError> {
        let (data, ends) = (state.payload.encode(), self.ends(&state.payload));
        let name = self.cookie.name();
        let value = match (&self.backend, &state.client) {
            (Backend::Store(store), Some(ClientSession::InStore(id))) => {
                let saved = store.save(&id.hashed(), &data, moment(ends));
                saved.map_err(SessionError::Store)?;
                return Ok(CookieChange::None);
            }
            (Backend::Store(store), _) => {
                let id = ClientId::random();
                let created = store.create(&id.hashed(), &data, moment(ends));
                created.map_err(SessionError::Store)?;
                id.as_str().to_owned()
            }
            (Backend::Encrypted(key), _) => key.encrypt(name, &data),
            (Backend::Signed(key), _) => key.sign(name, &data),
        };
        let mut cookie = self.cookie.clone();
        cookie.set_value(value);
        let left = (state
            .payload
            .created
            .saturating_add(self.lifetime.as_secs()))
        .saturating_sub(now);
        cookie.set_max_age(Duration::seconds(i64::try_from(left).unwrap_or(i64::MAX)));
        Ok(CookieChange::Set(cookie))
    }

    fn ends(&self, payload: &Payload) -> u64 {
        payload.ends(self.idle_timeout, self.lifetime)
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
