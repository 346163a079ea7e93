//! Converts between requests and the rows of the file.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::StatusCode;
use rusqlite::{Connection, Row, params};

use super::DatabaseError;
use crate::message::RawRequest;
use crate::services::inspect::captured::{Captured, microseconds};
use crate::services::inspect::history::Restored;
use crate::services::inspect::history::entry::{Entry, Outcome, Shown};

/// Each makes the table of the next version. A file of a later version is left alone.
const STEPS: [&str; 2] = [
    "CREATE TABLE requests (
         id INTEGER PRIMARY KEY,
         received_us INTEGER NOT NULL,
         head BLOB NOT NULL,
         body BLOB NOT NULL,
         body_length INTEGER NOT NULL,
         chunks BLOB NOT NULL,
         unkept_chunks INTEGER NOT NULL,
         trailers BLOB NOT NULL,
         connection TEXT NOT NULL,
         times TEXT NOT NULL,
         status INTEGER,
         length INTEGER,
         after_us INTEGER
     ) STRICT;
     CREATE INDEX by_age ON requests (received_us);",
    "ALTER TABLE requests ADD COLUMN faults TEXT;
     ALTER TABLE requests ADD COLUMN rejected TEXT;",
];

/// Prepares the file. No other process may use it meanwhile, and removed rows are overwritten.
pub(super) fn set_up(connection: &Connection) -> Result<(), DatabaseError> {
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         PRAGMA secure_delete = ON;
         PRAGMA journal_size_limit = 4194304;",
    )?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let steps = usize::try_from(version)
        .ok()
        .and_then(|version| STEPS.get(version..));
    let Some(steps) = steps else {
        return Err(DatabaseError::version(version));
    };
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {} PRAGMA user_version = {}; COMMIT;",
        steps.concat(),
        STEPS.len()
    ))?;
    Ok(())
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn since_1970(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH);
    number(microseconds(since.unwrap_or_default()))
}

pub(super) fn insert<'a>(
    connection: &Connection,
    entries: impl Iterator<Item = &'a Arc<Entry>>,
) -> rusqlite::Result<()> {
    let json = |value: serde_json::Result<String>| value.unwrap_or_else(|_| "{}".into());
    let mut statement = connection.prepare(
        "INSERT OR REPLACE INTO requests
         (id, received_us, head, body, body_length, chunks, unkept_chunks, trailers, connection, times)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for entry in entries {
        let Captured { raw, body, .. } = &entry.captured;
        statement.execute(params![
            number(entry.id),
            since_1970(entry.captured.received),
            raw.head(),
            &body[..],
            number(entry.body_length as u64),
            raw.chunk_section(),
            number(raw.unkept_chunks()),
            raw.trailer_section(),
            json(serde_json::to_string(&*entry.captured.connection)),
            json(serde_json::to_string(&entry.captured.times)),
        ])?;
    }
    Ok(())
}

pub(super) fn set_outcomes<'a>(
    connection: &Connection,
    outcomes: impl Iterator<Item = (&'a u64, &'a Outcome)>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "UPDATE requests SET status = ?, length = ?, after_us = ?, faults = ?, rejected = ?
         WHERE id = ?",
    )?;
    for (id, outcome) in outcomes {
        statement.execute(params![
            outcome.status().map(|status| status.as_u16()),
            outcome.length().map(number),
            outcome.after().map(|after| number(microseconds(after))),
            outcome.faults(),
            outcome.rejected(),
            number(*id),
        ])?;
    }
    Ok(())
}

pub(super) fn remove_before(connection: &Connection, id: u64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("DELETE FROM requests WHERE id < ?")?;
    statement.execute([number(id)]).map(|_| ())
}

pub(super) fn remove_older(connection: &Connection, moment: SystemTime) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("DELETE FROM requests WHERE received_us < ?")?;
    statement.execute([since_1970(moment)]).map(|_| ())
}

/// All requests, oldest first.
pub(super) fn load(connection: &mut Connection) -> rusqlite::Result<Restored> {
    let mut statement = connection.prepare(
        "SELECT id, received_us, head, body, body_length, chunks, unkept_chunks, trailers, connection,
         times, status, length, after_us, faults, rejected FROM requests ORDER BY id",
    )?;
    let requests = statement
        .query_map([], request)?
        .collect::<Result<_, _>>()?;
    Ok(Restored(requests))
}

fn request(row: &Row<'_>) -> rusqlite::Result<Shown> {
    let connection: String = row.get(8)?;
    let times: String = row.get(9)?;
    let raw = RawRequest::stored(
        Bytes::from(row.get::<_, Vec<u8>>(2)?),
        row.get(5)?,
        unsigned(row.get(6)?),
        row.get(7)?,
    );
    let captured = Captured {
        received: UNIX_EPOCH + Duration::from_micros(unsigned(row.get(1)?)),
        raw,
        body: Bytes::from(row.get::<_, Vec<u8>>(3)?),
        connection: Arc::new(serde_json::from_str(&connection).unwrap_or_default()),
        times: serde_json::from_str(&times).unwrap_or_default(),
        begun: None,
    };
    let entry = Entry {
        id: unsigned(row.get(0)?),
        captured,
        body_length: usize::try_from(row.get::<_, i64>(4)?).unwrap_or_default(),
    };
    Ok(Shown {
        entry: Arc::new(entry),
        outcome: outcome(row)?,
    })
}

fn outcome(row: &Row<'_>) -> rusqlite::Result<Outcome> {
    let status = row.get::<_, Option<u16>>(10)?;
    let length: Option<i64> = row.get(11)?;
    let after = Duration::from_micros(unsigned(row.get::<_, Option<i64>>(12)?.unwrap_or_default()));
    let faults: Option<Arc<str>> = row.get(13)?;
    let rejected: Option<Arc<str>> = row.get(14)?;
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    Ok(match (status, rejected, faults) {
        (Some(status), Some(reason), _) => Outcome::Rejected {
            status,
            reason,
            after,
        },
        (Some(status), None, faults) => Outcome::Response {
            status,
            length: length.map(unsigned),
            after,
            faults,
        },
        (None, _, Some(faults)) => Outcome::Unsent { faults, after },
        // A request that was open when its server ended has no response.
        (None, _, None) => Outcome::Nothing { after },
    })
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
