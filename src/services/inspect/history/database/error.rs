//! The error of a file that can't keep a history.

use std::error::Error;
use std::{fmt, io};

/// The error of [`Database::open`](super::Database::open).
///
/// ```
/// use httpool::services::inspect::Database;
///
/// let error = Database::open("/nowhere/history.db").expect_err("there is no such folder");
/// assert!(error.to_string().contains("No such file"));
/// ```
#[derive(Debug)]
pub struct DatabaseError(Cause);

#[derive(Debug)]
enum Cause {
    Io(io::Error),
    InUse,
    Sqlite(rusqlite::Error),
    /// Made by a later version.
    Version(i64),
}

impl DatabaseError {
    pub(super) fn version(version: i64) -> Self {
        Self(Cause::Version(version))
    }
}

impl From<io::Error> for DatabaseError {
    fn from(error: io::Error) -> Self {
        Self(Cause::Io(error))
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self(match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Cause::InUse
            }
            _ => Cause::Sqlite(error),
        })
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Io(error) => error.fmt(f),
            Cause::InUse => f.write_str("another process uses this file"),
            Cause::Sqlite(error) => error.fmt(f),
            Cause::Version(version) => {
                write!(f, "the file has version {version}, which is not known")
            }
        }
    }
}

impl Error for DatabaseError {}
