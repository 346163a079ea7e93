//! Keeps sessions in the database, so that they survive restarts.

use std::time::{SystemTime, UNIX_EPOCH};

use httpool::sessions::{SessionId, SessionStore, StoreError};
use rusqlite::{OptionalExtension, params};

use crate::database::Database;

/// The table of the sessions.
pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, \
                                data TEXT NOT NULL, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE INDEX IF NOT EXISTS session_expires ON session (expires)";

/// The sessions of a database.
pub(crate) struct DatabaseSessions(pub(crate) Database);

impl SessionStore for DatabaseSessions {
    fn load(&self, id: &SessionId) -> Result<Option<String>, StoreError> {
        let data = self.0.with(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT data FROM session WHERE id = ?")?;
            statement
                .query_row([id.as_str()], |row| row.get(0))
                .optional()
        });
        Ok(data?)
    }

    fn create(&self, id: &SessionId, data: &str, expires: SystemTime) -> Result<(), StoreError> {
        let now = seconds(SystemTime::now());
        let created = self.0.with(|connection| {
            connection
                .prepare_cached("DELETE FROM session WHERE expires <= ?")?
                .execute([now])?;
            connection
                .prepare_cached("INSERT INTO session (id, data, expires) VALUES (?, ?, ?)")?
                .execute(params![id.as_str(), data, seconds(expires)])
        });
        Ok(created.map(drop)?)
    }

    fn save(&self, id: &SessionId, data: &str, expires: SystemTime) -> Result<(), StoreError> {
        let saved = self.0.with(|connection| {
            connection
                .prepare_cached("UPDATE session SET data = ?, expires = ? WHERE id = ?")?
                .execute(params![data, seconds(expires), id.as_str()])
        });
        Ok(saved.map(drop)?)
    }

    fn destroy(&self, id: &SessionId) -> Result<(), StoreError> {
        let destroyed = self.0.with(|connection| {
            connection
                .prepare_cached("DELETE FROM session WHERE id = ?")?
                .execute([id.as_str()])
        });
        Ok(destroyed.map(drop)?)
    }
}

/// The seconds since 1970.
fn seconds(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
