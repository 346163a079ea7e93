//! Stores of sessions.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::web::cookies::random;

/// An error of a [`SessionStore`]. Every error type converts into it, and so does text.
///
/// ```
/// use httpool::sessions::StoreError;
///
/// fn read(path: &str) -> Result<String, StoreError> {
///     if path.is_empty() {
///         return Err("no file is configured".into());
///     }
///     Ok(std::fs::read_to_string(path)?)
/// }
/// # assert!(read("").is_err());
/// ```
pub type StoreError = Box<dyn Error + Send + Sync>;

/// Keeps sessions. The functions may block: they run on the worker of the request.
///
/// `data` is text that the store does not need to understand. Sessions that have expired are not used,
/// so a store may keep them and remove them later.
///
/// An error becomes a [`SessionError`](super::SessionError). A store that prefers a lost session to a
/// failed request returns `Ok(None)` or `Ok(())` instead, and logs the reason itself.
///
/// `examples/sqlite` has a store in a database.
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::{Mutex, PoisonError};
/// use std::time::SystemTime;
///
/// use httpool::sessions::{SessionId, SessionStore, Sessions, StoreError};
///
/// /// A store without limits.
/// #[derive(Default)]
/// struct Table(Mutex<HashMap<SessionId, String>>);
///
/// impl SessionStore for Table {
///     fn load(&self, id: &SessionId) -> Result<Option<String>, StoreError> {
///         Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned())
///     }
///
///     fn create(&self, id: &SessionId, data: &str, _: SystemTime) -> Result<(), StoreError> {
///         let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
///         table.insert(id.clone(), data.to_owned());
///         Ok(())
///     }
///
///     fn save(&self, id: &SessionId, data: &str, _: SystemTime) -> Result<(), StoreError> {
///         let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
///         if let Some(known) = table.get_mut(id) {
///             *known = data.to_owned();
///         }
///         Ok(())
///     }
///
///     fn destroy(&self, id: &SessionId) -> Result<(), StoreError> {
///         self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
///         Ok(())
///     }
/// }
///
/// let sessions = Sessions::new(Table::default());
/// ```
pub trait SessionStore: Send + Sync + 'static {
    /// Returns the data of a session. `None` if there is no such session.
    ///
    /// # Errors
    ///
    /// If the store can't tell.
    fn load(&self, id: &SessionId) -> Result<Option<String>, StoreError>;

    /// Adds a session. Its id is new.
    ///
    /// # Errors
    ///
    /// If the session can't be stored.
    fn create(&self, id: &SessionId, data: &str, expires: SystemTime) -> Result<(), StoreError>;

    /// Replaces the data of a session. If there is no such session, this does nothing: another request
    /// has destroyed it meanwhile.
    ///
    /// # Errors
    ///
    /// If the session can't be stored.
    fn save(&self, id: &SessionId, data: &str, expires: SystemTime) -> Result<(), StoreError>;

    /// Removes a session, if there is one.
    ///
    /// # Errors
    ///
    /// If it can't be removed.
    fn destroy(&self, id: &SessionId) -> Result<(), StoreError>;
}

/// One store for several layers.
impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    fn load(&self, id: &SessionId) -> Result<Option<String>, StoreError> {
        (**self).load(id)
    }

    fn create(&self, id: &SessionId, data: &str, expires: SystemTime) -> Result<(), StoreError> {
        (**self).create(id, data, expires)
    }

    fn save(&self, id: &SessionId, data: &str, expires: SystemTime) -> Result<(), StoreError> {
        (**self).save(id, data, expires)
    }

    fn destroy(&self, id: &SessionId) -> Result<(), StoreError> {
        (**self).destroy(id)
    }
}

/// The id of a session in its store: a hash of the id that the client has. It is 43 characters of
/// letters, digits, `-` and `_`.
///
/// ```
/// use httpool::sessions::SessionId;
///
/// fn file_name(id: &SessionId) -> String {
///     format!("{id}.json")
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Box<str>);

/// The id that the client has. Only the client knows it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ClientId(Box<str>);

impl SessionId {
    /// The id as text.
    ///
    /// ```
    /// use httpool::sessions::SessionId;
    ///
    /// fn key(id: &SessionId) -> String {
    ///     ["session:", id.as_str()].concat()
    /// }
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ClientId {
    pub(super) fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random::<32>()).into())
    }

    /// The id in a cookie, if it is one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Self(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The id in the store.
    pub(super) fn hashed(&self) -> SessionId {
        let hash = Sha256::digest(self.0.as_bytes());
        SessionId(URL_SAFE_NO_PAD.encode(hash).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_read_back() {
        let (one, other) = (ClientId::random(), ClientId::random());
        assert!(one != other && one.hashed() != other.hashed());
        assert!(ClientId::parse(one.as_str()).is_some_and(|id| id == one));
        assert_ne!(one.hashed().as_str(), one.as_str());
        assert_eq!(one.hashed().as_str().len(), 43);
    }

    #[test]
    fn other_text_is_no_id() {
        let id = ClientId::random();
        let long = format!("{}A", id.as_str());
        for text in [
            "",
            "a",
            &id.as_str()[1..],
            &long,
            &"%".repeat(43),
            &"é".repeat(43),
        ] {
            assert!(ClientId::parse(text).is_none(), "{text}");
        }
    }
}
