//! What a session is during a request, and how it is loaded and saved.

use cookie::Cookie;
use cookie::time::Duration;

use super::payload::{Payload, moment};
use super::store::ClientId;
use super::{Backend, SessionError, SessionStore, Settings};
use crate::web::cookies::Cookies;

/// Ids of one request that the store is asked for. A browser sends several if pages of other paths or
/// hosts have set the name, too.
const MOST_IDS: usize = 3;

/// A session that was loaded.
pub(super) struct State {
    pub(super) payload: Payload,
    /// The session that the client has.
    client: Option<ClientSession>,
    /// A session in the store that must not be used again.
    discarded: Option<ClientId>,
    pub(super) change: Change,
}

/// How the backend knows the session of a client.
enum ClientSession {
    InStore(ClientId),
    InCookie,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Changed,
    /// The client must forget its session, unless there are new values.
    Destroyed,
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

    /// Gives the session another id, and begins its lifetime again.
    pub(super) fn renew(&mut self, now: u64) {
        self.discard();
        self.payload.created = now;
    }

    /// Ends the session. New values begin another one.
    pub(super) fn destroy(&mut self, now: u64) {
        self.discard();
        self.payload = Payload::new(now);
        self.change = Change::Destroyed;
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
pub(super) enum CookieChange {
    None,
    Set(Cookie<'static>),
    Remove(Cookie<'static>),
}

impl Settings {
    /// The session of the client with these cookies, or a new one.
    pub(super) fn load(&self, cookies: &Cookies, now: u64) -> Result<State, SessionError> {
        let name = self.cookie.name();
        let in_cookie = |payload| (payload, ClientSession::InCookie);
        let found = match &self.backend {
            Backend::Store(store) => self.find_in_store(&**store, cookies, now)?,
            Backend::Encrypted(key) => cookies
                .find(name, |value| self.valid(&key.decrypt(name, value)?, now))
                .map(in_cookie),
            Backend::Signed(key) => cookies
                .find(name, |value| self.valid(key.verify(name, value)?, now))
                .map(in_cookie),
        };
        Ok(match found {
            Some((payload, client)) => State {
                payload,
                client: Some(client),
                ..State::new(now)
            },
            None => State::new(now),
        })
    }

    /// The first session of the store whose id the client has sent.
    fn find_in_store(
        &self,
        store: &dyn SessionStore,
        cookies: &Cookies,
        now: u64,
    ) -> Result<Option<(Payload, ClientSession)>, SessionError> {
        let mut ids_left = MOST_IDS;
        let found = cookies.find(self.cookie.name(), |value| {
            let id = ClientId::parse(value)?;
            ids_left = ids_left.checked_sub(1)?;
            let loaded = store.load(&id.hashed()).map_err(SessionError::Store);
            let session = loaded.map(|data| {
                let payload = self.valid(&data?, now)?;
                Some((payload, ClientSession::InStore(id)))
            });
            session.transpose()
        });
        found.transpose()
    }

    /// The content of a session that has not ended.
    fn valid(&self, data: &str, now: u64) -> Option<Payload> {
        Payload::decode(data).filter(|payload| self.ends(payload) > now)
    }

    pub(super) fn save(&self, mut state: State, now: u64) -> Result<CookieChange, SessionError> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::header::{COOKIE, HeaderValue};

    use super::super::{MemoryStore, Sessions};
    use super::*;
    use crate::message::Request;
    use crate::web::cookies::Key;

    const START: u64 = 1_000_000;

    /// A visitor of a server whose clock the test sets.
    struct Visitor {
        settings: Arc<Settings>,
        cookie: String,
    }

    impl Visitor {
        /// Sessions with an idle timeout of 100 seconds and a lifetime of 250.
        fn new(sessions: Sessions) -> Self {
            let seconds = std::time::Duration::from_secs;
            let sessions = sessions.idle_timeout(seconds(100)).lifetime(seconds(250));
            Self {
                settings: sessions.0,
                cookie: String::new(),
            }
        }

        /// A request at this time. Returns the `Max-Age` of the cookie, if it is set.
        fn visit(&mut self, now: u64, using: impl FnOnce(&mut State)) -> Option<i64> {
            let mut request = Request::default();
            let cookie = HeaderValue::try_from(&self.cookie).expect("the cookie is valid");
            request.headers_mut().insert(COOKIE, cookie);
            let loaded = self.settings.load(&Cookies::of(&request), START + now);
            let mut state = loaded.expect("the store does not fail");
            using(&mut state);
            let saved = self.settings.save(state, START + now);
            match saved.expect("the store does not fail") {
                CookieChange::None => None,
                CookieChange::Set(cookie) => {
                    self.cookie = format!("session={}", cookie.value());
                    cookie.max_age().map(Duration::whole_seconds)
                }
                CookieChange::Remove(_) => {
                    self.cookie.clear();
                    Some(0)
                }
            }
        }

        fn insert(&mut self, now: u64, value: u8) -> Option<i64> {
            self.visit(now, |state| {
                state.payload.values.insert("value".into(), value.into());
                state.change = Change::Changed;
            })
        }

        #[track_caller]
        fn expect(&mut self, now: u64, value: Option<u8>) -> Option<i64> {
            let mut found = None;
            let max_age = self.visit(now, |state| {
                found = state.payload.values.get("value").cloned();
            });
            assert_eq!(found, value.map(Into::into), "after {now} seconds");
            max_age
        }
    }

    /// A visitor for each way to keep sessions.
    fn visitors() -> [Visitor; 3] {
        [
            Sessions::new(MemoryStore::new()),
            Sessions::encrypted(Key::generate()),
            Sessions::signed(Key::generate()),
        ]
        .map(Visitor::new)
    }

    #[test]
    fn unused_session_ends_after_the_idle_timeout() {
        for mut visitor in visitors() {
            assert_eq!(visitor.insert(0, 1), Some(250));
            visitor.expect(99, Some(1));
            visitor.expect(198, Some(1));
        }
        for mut visitor in visitors() {
            visitor.insert(0, 1);
            visitor.expect(100, None);
        }
    }

    #[test]
    fn used_session_ends_after_its_lifetime() {
        for mut visitor in visitors() {
            visitor.insert(0, 1);
            for now in [80, 160, 240, 249] {
                visitor.expect(now, Some(1));
            }
            visitor.expect(250, None);
        }
    }

    #[test]
    fn use_is_noted_once_in_a_tenth_of_the_idle_timeout() {
        for mut visitor in visitors() {
            visitor.insert(0, 1);
            assert_eq!(visitor.expect(10, Some(1)), None);
            let is_in_cookie = !matches!(visitor.settings.backend, Backend::Store(_));
            let expected = is_in_cookie.then_some(239);
            assert_eq!(visitor.expect(11, Some(1)), expected);
            assert_eq!(visitor.expect(12, Some(1)), None);
            visitor.expect(110, Some(1));
        }
    }

    #[test]
    fn renewed_session_begins_its_lifetime_again() {
        for mut visitor in visitors() {
            visitor.insert(0, 1);
            let old = visitor.cookie.clone();
            visitor.expect(90, Some(1));
            let max_age = visitor.visit(180, |state| state.renew(START + 180));
            assert_eq!(max_age, Some(250));
            assert_ne!(visitor.cookie, old);
            visitor.expect(270, Some(1));
        }
    }

    #[test]
    fn destroyed_session_stays_destroyed_while_another_request_ends() {
        let mut visitor = Visitor::new(Sessions::new(MemoryStore::new()));
        visitor.insert(0, 1);
        let mut request = Request::default();
        let cookie = HeaderValue::try_from(&visitor.cookie).expect("the cookie is valid");
        request.headers_mut().insert(COOKIE, cookie);
        let loaded = visitor.settings.load(&Cookies::of(&request), START);
        let mut other = loaded.expect("the store does not fail");
        let copy = visitor.cookie.clone();
        let removed = visitor.visit(1, |state| state.destroy(START + 1));
        assert_eq!(removed, Some(0));
        other.change = Change::Changed;
        let saved = visitor.settings.save(other, START + 2);
        assert!(matches!(saved, Ok(CookieChange::None)));
        visitor.cookie = copy;
        visitor.expect(3, None);
    }
}
