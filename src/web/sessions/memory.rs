//! A store in memory.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use super::{SessionId, SessionStore, StoreError};
use crate::sync::ignore_poison;

/// Default of [`MemoryStore::max_sessions`].
const MAX_SESSIONS: usize = 100_000;

/// Keeps sessions in the memory of the process: a restart ends them, and other instances don't know
/// them.
///
/// It holds up to [a number](Self::max_sessions) of sessions. If there are more, expired ones are
/// removed, and then those that expire first, which are those that were not used for the longest time.
/// A session takes about 300 bytes besides its values.
///
/// A function that sets values for clients without a login lets any client create sessions, and the
/// oldest of others then make room. Put a [rate limit](crate::layers) before such functions.
///
/// ```
/// use httpool::sessions::{MemoryStore, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new().max_sessions(10_000));
/// ```
pub struct MemoryStore {
    table: Mutex<Table>,
    max_sessions: usize,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<SessionId, Record>,
    /// All sessions in the order in which they expire.
    by_expiry: BTreeSet<(SystemTime, SessionId)>,
}

struct Record {
    data: Box<str>,
    expires: SystemTime,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: Mutex::default(),
            max_sessions: MAX_SESSIONS,
        }
    }

    /// Sets how many sessions are kept. The default is 100,000.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn max_sessions(mut self, count: usize) -> Self {
        assert!(
            count > 0,
            "the number of sessions must be greater than zero"
        );
        self.max_sessions = count;
        self
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        ignore_poison(self.table.lock())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl SessionStore for MemoryStore {
    fn load(&self, id: &SessionId) -> Result<Option<String>, StoreError> {
        let table = self.lock();
        Ok(table
            .sessions
            .get(id)
            .map(|record| String::from(&*record.data)))
    }

    fn create(&self, id: &SessionId, data: &str, expires: SystemTime) -> Result<(), StoreError> {
        let mut table = self.lock();
        table.remove_expired(SystemTime::now());
        while table.sessions.len() >= self.max_sessions {
            table.remove_first();
        }
        table.insert(id, data, expires);
        Ok(())
    }

    fn save(&self, id: &SessionId, data: &str, expires: SystemTime) -> Result<(), StoreError> {
        let mut table = self.lock();
        if table.remove(id) {
            table.insert(id, data, expires);
        }
        Ok(())
    }

    fn destroy(&self, id: &SessionId) -> Result<(), StoreError> {
        self.lock().remove(id);
        Ok(())
    }
}

impl Table {
    fn insert(&mut self, id: &SessionId, data: &str, expires: SystemTime) {
        let data = data.into();
        self.sessions.insert(id.clone(), Record { data, expires });
        self.by_expiry.insert((expires, id.clone()));
    }

    /// Whether there was such a session.
    fn remove(&mut self, id: &SessionId) -> bool {
        let Some(record) = self.sessions.remove(id) else {
            return false;
        };
        self.by_expiry.remove(&(record.expires, id.clone()))
    }

    fn remove_first(&mut self) {
        if let Some((_, id)) = self.by_expiry.pop_first() {
            self.sessions.remove(&id);
        }
    }

    fn remove_expired(&mut self, now: SystemTime) {
        while self
            .by_expiry
            .first()
            .is_some_and(|(expires, _)| *expires <= now)
        {
            self.remove_first();
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("sessions", &self.lock().sessions.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::store::ClientId;
    use super::*;

    fn in_seconds(seconds: u64) -> SystemTime {
        SystemTime::now() + Duration::from_secs(seconds)
    }

    fn load(store: &MemoryStore, id: &SessionId) -> Option<String> {
        store.load(id).expect("the store does not fail")
    }

    fn create(store: &MemoryStore, data: &str, expires: SystemTime) -> SessionId {
        let id = ClientId::random().hashed();
        store
            .create(&id, data, expires)
            .expect("the store does not fail");
        id
    }

    #[test]
    fn sessions_are_replaced_and_destroyed() {
        let store = MemoryStore::new();
        let id = create(&store, "a", in_seconds(60));
        assert_eq!(load(&store, &id).as_deref(), Some("a"));
        store.save(&id, "b", in_seconds(70)).expect("it is saved");
        assert_eq!(load(&store, &id).as_deref(), Some("b"));
        store.destroy(&id).expect("it is destroyed");
        assert_eq!(load(&store, &id), None);
        store
            .save(&id, "c", in_seconds(80))
            .expect("it does nothing");
        assert_eq!(load(&store, &id), None);
        assert!(store.lock().by_expiry.is_empty());
    }

    #[test]
    fn number_of_sessions_is_limited() {
        let store = MemoryStore::new().max_sessions(2);
        let first = create(&store, "1", in_seconds(60));
        let second = create(&store, "2", in_seconds(50));
        store
            .save(&second, "2", in_seconds(70))
            .expect("it is saved");
        let third = create(&store, "3", in_seconds(80));
        let loaded = [first, second, third].map(|id| load(&store, &id).is_some());
        assert_eq!(loaded, [false, true, true]);
        assert_eq!(store.lock().by_expiry.len(), 2);
    }

    #[test]
    fn expired_sessions_make_room() {
        let store = MemoryStore::new();
        let past = SystemTime::now() - Duration::from_secs(1);
        for _ in 0..10 {
            create(&store, "", past);
        }
        assert_eq!(store.lock().sessions.len(), 1);
    }
}
