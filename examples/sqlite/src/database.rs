//! A connection to the database for each worker.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Result};

/// How long a writer waits for another one. SQLite has one at a time.
const BUSY: Duration = Duration::from_secs(5);

/// Connections to one database file, cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// A connection that goes back when this is dropped, also by a handler that panics.
struct Lent<'a> {
    database: &'a Database,
    connection: Option<Connection>,
}

impl Database {
    /// Opens the file once for each worker, and makes what is missing in it.
    pub(crate) fn open(path: &Path, workers: usize) -> Result<Self> {
        let connect = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(BUSY)?;
            // Readers and a writer don't wait for each other.
            connection.pragma_update(None, "journal_mode", "wal")?;
            Ok(connection)
        };
        let idle = (0..workers)
            .map(|_| connect())
            .collect::<Result<Vec<_>>>()?;
        if let Some(connection) = idle.first() {
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY AUTOINCREMENT, \
                 text TEXT NOT NULL) STRICT",
            )?;
        }
        Ok(Self {
            idle: Arc::new(Mutex::new(idle)),
        })
    }

    /// Lends a connection. A worker runs one handler at a time, so with one for each worker there
    /// always is one, and nobody waits here.
    ///
    /// # Panics
    ///
    /// If a handler that has one asks for another.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let mut lent = Lent {
            database: self,
            connection: self.lock().pop(),
        };
        let connection = lent.connection.as_mut();
        work(connection.expect("each handler asks for one, and there is one for each"))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.database.lock().extend(self.connection.take());
    }
}
