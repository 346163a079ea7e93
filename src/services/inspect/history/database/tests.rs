use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use http::StatusCode;

use super::*;
use crate::message::IntoResponse as _;
use crate::services::inspect::captured::Captured;
use crate::services::inspect::history::{History, Limits};

const LIMITS: Limits = Limits {
    requests: 3,
    bytes: 1_000_000,
    body: 10,
};

/// A file that is removed with its companions.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let name = format!("httpool-{}-{name}.db", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.remove();
        file
    }

    fn remove(&self) {
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }

    /// A history of this file. An earlier one needs a moment to let go of it.
    fn open(&self) -> (Database, Arc<History>) {
        let until = Instant::now() + Duration::from_secs(10);
        let database = loop {
            match Database::open(&self.0) {
                Ok(database) => break database,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
        };
        let history = History::with_store(LIMITS, Some(Box::new(database.clone())));
        (database, history)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.remove();
    }
}

fn record(history: &Arc<History>, target: &str) {
    let request = http::Request::post(target)
        .header("x-a", "1")
        .body("hello".into());
    let captured = Captured::of(&request.expect("test requests are valid"));
    let _ = history
        .record(&captured)
        .complete(StatusCode::CREATED.into_response());
}

fn targets(history: &History) -> Vec<String> {
    let all = history.all();
    all.iter()
        .map(|shown| shown.entry.captured.target().to_owned())
        .collect()
}

#[test]
fn history_continues_after_a_restart() {
    let file = File::new("restart");
    let (database, history) = file.open();
    for number in 1..=5 {
        record(&history, &format!("/{number}"));
    }
    let before = history.get(5).expect("it is kept");
    database.flush();
    drop((database, history));
    let (database, history) = file.open();
    assert_eq!(targets(&history), ["/3", "/4", "/5"]);
    let after = history.get(5).expect("it is kept");
    assert_eq!(after.outcome.status(), Some(StatusCode::CREATED));
    assert_eq!(
        after.entry.captured.raw.head(),
        before.entry.captured.raw.head()
    );
    assert_eq!(after.entry.captured.body, before.entry.captured.body);
    assert_eq!(
        after.entry.captured.connection,
        before.entry.captured.connection
    );
    record(&history, "/6");
    assert_eq!(targets(&history), ["/4", "/5", "/6"]);
    assert!(history.get(6).is_some());
    history.clear();
    record(&history, "/7");
    database.flush();
    drop((database, history));
    assert_eq!(targets(&file.open().1), ["/7"]);
}

#[test]
fn only_its_owner_may_read_the_file() {
    let file = File::new("mode");
    let _open = file.open();
    let mode = fs::metadata(&file.0)
        .expect("it exists")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn file_of_another_process_or_kind_is_refused() {
    let file = File::new("used");
    let open = file.open();
    let error = Database::open(&file.0).expect_err("it is in use");
    assert_eq!(error.to_string(), "another process uses this file");
    drop(open);
    let other = File::new("other");
    fs::write(&other.0, "x".repeat(5000)).expect("it can be written");
    assert!(Database::open(&other.0).is_err());
}

#[test]
fn old_requests_leave() {
    let file = File::new("old");
    let (database, history) = file.open();
    let request = http::Request::get("/old").body(crate::message::Body::empty());
    let mut captured = Captured::of(&request.expect("test requests are valid"));
    captured.received -= MAX_AGE + Duration::from_secs(1);
    drop(history.record(&captured));
    record(&history, "/new");
    database.flush();
    drop((database, history));
    assert_eq!(targets(&file.open().1), ["/new"]);
}
