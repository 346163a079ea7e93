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

    fn open(&self) -> (Database, Arc<History>) {
        self.open_for(MAX_AGE)
    }

    /// A history of this file. An earlier one needs a moment to let go of it.
    fn open_for(&self, max_age: Duration) -> (Database, Arc<History>) {
        let until = Instant::now() + Duration::from_secs(10);
        let database = loop {
            match Database::open_for(&self.0, max_age) {
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

/// A writer that is slower than the requests must commit nevertheless.
#[test]
fn batch_ends_while_changes_keep_coming() {
    let (changes, received) = channel::bounded(16);
    // It ends when the receiver is dropped.
    let sender = thread::spawn(move || while changes.send(Change::Forget(1)).is_ok() {});
    let first = received.recv().expect("a change comes");
    let _batch = gather(first, &received);
    drop(received);
    sender.join().expect("the thread does not panic");
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

/// Records a request of this age.
fn record_old(history: &Arc<History>, target: &str, age: Duration) {
    let request = http::Request::get(target).body(crate::message::Body::empty());
    let mut captured = Captured::of(&request.expect("test requests are valid"));
    captured.received -= age;
    drop(history.record(&captured));
}

#[test]
fn old_requests_leave() {
    const HOUR: Duration = Duration::from_secs(3600);
    for (name, max_age) in [("old", MAX_AGE), ("hour", HOUR)] {
        let file = File::new(name);
        let (database, history) = file.open_for(max_age);
        record_old(&history, "/old", max_age + Duration::from_secs(1));
        record_old(&history, "/young", max_age - Duration::from_secs(60));
        record(&history, "/new");
        database.flush();
        drop((database, history));
        assert_eq!(targets(&file.open().1), ["/young", "/new"], "{max_age:?}");
        // A shorter time counts when the file is opened.
        drop(file.open_for(HOUR / 2));
        assert_eq!(targets(&file.open().1), ["/new"], "{max_age:?}");
    }
}

#[test]
fn outcomes_are_the_same_after_a_restart() {
    let file = File::new("outcomes");
    let (database, history) = file.open();
    let after = Duration::from_millis(3);
    let outcomes = [
        Outcome::Rejected {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            reason: "the request body is too large".into(),
            after,
        },
        Outcome::Response {
            status: StatusCode::OK,
            length: Some(5),
            after,
            faults: Some("delay=3ms".into()),
        },
        Outcome::Unsent {
            faults: "reset=before".into(),
            after,
        },
    ];
    let request = http::Request::get("/").body(crate::message::Body::empty());
    let captured = Captured::of(&request.expect("test requests are valid"));
    for outcome in &outcomes {
        history.record_rejected(&captured, 7, outcome.clone());
    }
    database.flush();
    drop((database, history));
    let all = file.open().1.all();
    let found: Vec<_> = all.iter().map(|shown| shown.outcome.clone()).collect();
    assert_eq!(found, outcomes);
    assert_eq!(all[0].entry.body_length, 7);
}

#[test]
fn file_of_the_first_version_is_read() {
    let file = File::new("first");
    let (database, history) = file.open();
    record(&history, "/first");
    database.flush();
    drop((database, history));
    let until = Instant::now() + Duration::from_secs(10);
    let to_first_version = "ALTER TABLE requests DROP COLUMN faults;
         ALTER TABLE requests DROP COLUMN rejected;
         PRAGMA user_version = 1;";
    while let Err(error) =
        Connection::open(&file.0).and_then(|connection| connection.execute_batch(to_first_version))
    {
        assert!(Instant::now() < until, "{error}");
    }
    let all = file.open().1.all();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].outcome.status(), Some(StatusCode::CREATED));
    assert_eq!(all[0].outcome.faults(), None);
}
