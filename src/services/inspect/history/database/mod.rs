//! A file that keeps the history over restarts.
//!
//! One thread writes. It gathers changes for [`INTERVAL`] and commits them together. So a request never
//! waits for the file, and a process that is killed loses the changes of that time.

mod error;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use log::{error, warn};
use rusqlite::Connection;

use super::entry::{Entry, Outcome};
use super::{Restored, Store};
use crate::logging::LogLimit;
use crate::sync::channel::{self, Receiver, RecvTimeoutError, Sender};
use crate::sync::{Mutex, ignore_poison};

pub use self::error::DatabaseError;

/// The longest time from a request to the commit that has it, but for the time of a commit.
const INTERVAL: Duration = Duration::from_millis(200);

/// Changes that wait for the thread. If the disk is slower than the requests for long, further ones are
/// not written.
const MAX_WAITING: usize = 2048;

/// Requests hold secrets, so they do not stay for ever.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often old requests are removed while no others arrive.
const SWEEP: Duration = Duration::from_secs(60);

/// The longest wait for the last commit.
const FLUSH: Duration = Duration::from_secs(5);

/// A file that keeps the last requests of an inspector over restarts (feature `inspect-db`). Clones are
/// the same file.
///
/// It keeps as many requests as [the history](super::super::Settings::history), for a week
/// ([`open_for`](Self::open_for) takes another time). Requests of inboxes are not in it. Only its
/// owner may read it, because requests hold secrets. If the process is killed, the requests of the
/// last second may be lost, and the file opens again.
///
/// ```
/// use httpool::services::inspect::{Database, Inspect, Settings};
/// use httpool::testing::Client;
///
/// # let path = std::env::temp_dir().join(format!("httpool-doc-{}.db", std::process::id()));
/// # let _ = std::fs::remove_file(&path);
/// let database = Database::open(&path)?;
/// let client = Client::new(Inspect::new(Settings::default().database(database.clone())));
/// assert_eq!(client.get("/first").send().status(), 200);
/// database.flush();
/// # drop((client, database));
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Database(Arc<Shared>);

struct Shared {
    changes: Sender<Change>,
    /// The requests that were in the file when it was opened. The first history takes them.
    restored: Mutex<Option<Restored>>,
}

/// A change for the thread to write.
enum Change {
    /// A request, and the id of the oldest one that is kept now.
    Insert(Arc<Entry>, u64),
    Outcome(u64, Outcome),
    /// Removes the requests before this id.
    Forget(u64),
    /// Reports when all changes before it are committed.
    Flush(Sender<()>),
}

impl Database {
    /// Opens a file, or creates it. Requests leave it after a week.
    ///
    /// # Errors
    ///
    /// If the file can't be opened or read, is not a database, or is in use by another process.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DatabaseError> {
        Self::open_for(path, MAX_AGE)
    }

    /// Opens a file, or creates it. Requests leave the file when they are older than `max_age`, at the
    /// latest a minute later. The page shows them until newer ones push them out, or the server restarts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use httpool::services::inspect::Database;
    ///
    /// # let path = std::env::temp_dir().join(format!("httpool-doc-age-{}.db", std::process::id()));
    /// # let _ = std::fs::remove_file(&path);
    /// let database = Database::open_for(&path, Duration::from_secs(24 * 60 * 60))?;
    /// # drop(database);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_for(path: impl AsRef<Path>, max_age: Duration) -> Result<Self, DatabaseError> {
        let path = path.as_ref();
        // SQLite gives its other files the permissions of this one.
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        options.open(path)?;
        let mut connection = Connection::open(path)?;
        rows::set_up(&connection)?;
        rows::remove_older(&connection, oldest(max_age))?;
        let restored = rows::load(&mut connection)?;
        let (changes, received) = channel::bounded(MAX_WAITING);
        thread::Builder::new()
            .name("history".into())
            .spawn(move || write(connection, &received, max_age))?;
        Ok(Self(Arc::new(Shared {
            changes,
            restored: Mutex::new(Some(restored)),
        })))
    }

    /// Waits until all requests so far are in the file, at most five seconds. This also happens when the
    /// last clone is dropped.
    pub fn flush(&self) {
        self.0.flush();
    }

    fn send(&self, change: Change) {
        static LIMIT: LogLimit = LogLimit::new(1, Duration::from_secs(60));
        if self.0.changes.try_send(change).is_err()
            && let Some(suppressed) = LIMIT.allow(Instant::now())
        {
            warn!(
                "the history's file is slower than the requests: some are not written{suppressed}"
            );
        }
    }
}

impl Shared {
    fn flush(&self) {
        let (done, committed) = channel::bounded(1);
        if self
            .changes
            .send_timeout(Change::Flush(done), FLUSH)
            .is_ok()
        {
            let _ = committed.recv_timeout(FLUSH);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Store for Database {
    fn restore(&self) -> Option<Restored> {
        ignore_poison(self.0.restored.lock()).take()
    }

    fn insert(&self, entry: &Arc<Entry>, oldest: u64) {
        self.send(Change::Insert(Arc::clone(entry), oldest));
    }

    fn set_outcome(&self, id: u64, outcome: Outcome) {
        self.send(Change::Outcome(id, outcome));
    }

    fn forget_before(&self, id: u64) {
        self.send(Change::Forget(id));
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

/// The changes of one commit. Requests that have left the history again are not in it, so it takes at
/// most the memory of the history.
#[derive(Default)]
struct Batch {
    requests: BTreeMap<u64, Arc<Entry>>,
    outcomes: BTreeMap<u64, Outcome>,
    /// The id of the oldest request that stays.
    oldest: u64,
    /// The callers that wait for the commit.
    flushed: Vec<Sender<()>>,
}

impl Batch {
    fn add(&mut self, change: Change) {
        match change {
            Change::Insert(entry, oldest) => {
                self.requests.insert(entry.id, entry);
                self.forget(oldest);
            }
            Change::Outcome(id, outcome) => {
                self.outcomes.insert(id, outcome);
            }
            Change::Forget(oldest) => self.forget(oldest),
            Change::Flush(done) => self.flushed.push(done),
        }
    }

    fn forget(&mut self, oldest: u64) {
        if oldest > self.oldest {
            self.oldest = oldest;
            self.requests = self.requests.split_off(&oldest);
            self.outcomes = self.outcomes.split_off(&oldest);
        }
    }

    fn commit(&self, connection: &mut Connection, max_age: Duration) -> rusqlite::Result<()> {
        let transaction = connection.transaction()?;
        rows::insert(&transaction, self.requests.values())?;
        rows::set_outcomes(&transaction, self.outcomes.iter())?;
        rows::remove_before(&transaction, self.oldest)?;
        rows::remove_older(&transaction, oldest(max_age))?;
        transaction.commit()
    }
}

/// Writes until all senders are dropped.
fn write(mut connection: Connection, changes: &Receiver<Change>, max_age: Duration) {
    static LIMIT: LogLimit = LogLimit::new(1, Duration::from_secs(60));
    loop {
        let batch = match changes.recv_timeout(SWEEP) {
            Ok(first) => gather(first, changes),
            Err(RecvTimeoutError::Timeout) => Batch::default(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Err(error) = batch.commit(&mut connection, max_age)
            && let Some(suppressed) = LIMIT.allow(Instant::now())
        {
            error!("the history can't be written to its file: {error}{suppressed}");
        }
        for done in batch.flushed {
            let _ = done.send(());
        }
    }
}

/// The moment before which requests are too old.
fn oldest(max_age: Duration) -> SystemTime {
    let moment = SystemTime::now().checked_sub(max_age);
    moment.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The changes of one interval. It ends early if a caller waits for the commit.
fn gather(first: Change, changes: &Receiver<Change>) -> Batch {
    let until = Instant::now() + INTERVAL;
    let mut batch = Batch::default();
    batch.add(first);
    // A channel with changes returns them after the deadline, too.
    while batch.flushed.is_empty()
        && Instant::now() < until
        && let Ok(change) = changes.recv_deadline(until)
    {
        batch.add(change);
    }
    batch
}
