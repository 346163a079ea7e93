//! Keeps one database connection for each worker.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Result};

use crate::sessions;

/// How long a writer waits for the current writer. SQLite allows one writer at a time.
const BUSY: Duration = Duration::from_secs(5);

/// Connections to one database file, cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// A connection in use. Dropping it returns the connection, even if the handler panics.
struct Checkout<'a> {
    database: &'a Database,
    connection: Option<Connection>,
}

impl Database {
    /// Opens one connection for each worker, and creates the tables if they are missing.
    pub(crate) fn open(path: &Path, workers: usize) -> Result<Self> {
        let connect = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(BUSY)?;
            // In WAL mode, readers and the writer do not block each other.
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
            connection.execute_batch(sessions::TABLE)?;
        }
        Ok(Self {
            idle: Arc::new(Mutex::new(idle)),
        })
    }

    /// Runs `work` with a connection. A worker runs one handler at a time, so a connection is always
    /// available without waiting.
    ///
    /// # Panics
    ///
    /// Panics if a handler calls this again inside `work`.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let mut checkout = Checkout {
            database: self,
            connection: self.lock().pop(),
        };
        let connection = checkout.connection.as_mut();
        work(connection.expect("a handler uses one connection at a time"))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Checkout<'_> {
    fn drop(&mut self) {
        self.database.lock().extend(self.connection.take());
    }
}
