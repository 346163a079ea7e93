//! Tests the program over a socket. The database survives a restart.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Longest wait for a response, generous for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The running program, killed on drop.
struct Notes {
    child: Child,
    address: String,
}

impl Notes {
    fn start(database: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_notes"))
            .arg("127.0.0.1:0")
            .arg(database)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program is built");
        let output = child.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the program prints its address");
        let address = line.trim_end().strip_prefix("listening on http://");
        Self {
            address: address.expect("the first line has the address").to_owned(),
            child,
        }
    }

    /// Sends a request, and returns the status and content of the response.
    fn send(&self, method: &str, target: &str, content: &str) -> (u16, Value) {
        let (status, _, value) = self.exchange(method, target, "", content);
        (status, value)
    }

    /// Sends a request with more headers, and returns the status, head and content of the response.
    fn exchange(
        &self,
        method: &str,
        target: &str,
        headers: &str,
        content: &str,
    ) -> (u16, String, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("the program listens");
        stream
            .set_read_timeout(Some(TIMEOUT))
            .expect("the timeout is not zero");
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        );
        stream
            .write_all(request.as_bytes())
            .expect("the program takes a request");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .expect("the response arrives in time");
        let (head, content) = response
            .split_once("\r\n\r\n")
            .expect("the response has a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let value = serde_json::from_str(content);
        (
            status.expect("the head has a status"),
            head.to_owned(),
            value.unwrap_or_else(|_| content.into()),
        )
    }

    fn add(&self, text: &str) -> (u16, Value) {
        self.send("POST", "/notes", &json!({ "text": text }).to_string())
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn notes_are_kept() {
    let directory = tempfile::tempdir().expect("a directory can be created");
    let database = directory.path().join("notes.sqlite");
    let notes = Notes::start(&database);
    let hostile = "'); DROP TABLE note; --\0é";
    assert_eq!(
        notes.add(hostile),
        (201, json!({ "id": 1, "text": hostile }))
    );
    assert_eq!(notes.add("two").0, 201);
    assert_eq!(notes.send("DELETE", "/notes/2", "").0, 204);
    // This kills the program; it does not shut down cleanly.
    drop(notes);

    let notes = Notes::start(&database);
    let kept = json!([{ "id": 1, "text": hostile }]);
    assert_eq!(notes.send("GET", "/notes", ""), (200, kept));
    assert_eq!(notes.send("GET", "/notes?after=1", ""), (200, json!([])));
    assert_eq!(notes.add("three").1["id"], 3, "ids are not reused");
}

#[test]
fn sessions_survive_a_restart() {
    let directory = tempfile::tempdir().expect("a directory can be created");
    let database = directory.path().join("notes.sqlite");
    let notes = Notes::start(&database);
    let note = json!({ "text": "mine" }).to_string();
    let (status, head, _) = notes.exchange("POST", "/notes", "", &note);
    assert_eq!(status, 201);
    let cookie = head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.expect("the session has begun").split(';').next();
    let cookie = format!("Cookie: {}\r\n", cookie.unwrap_or_default());
    assert_eq!(notes.add("of another visitor").0, 201);
    let mine = |notes: &Notes| notes.exchange("GET", "/mine", &cookie, "").2;
    assert_eq!(mine(&notes), json!([1]));
    drop(notes);

    let notes = Notes::start(&database);
    assert_eq!(mine(&notes), json!([1]));
    let (status, head, _) = notes.exchange("POST", "/notes", &cookie, &note);
    assert_eq!(status, 201);
    assert!(!head.contains("set-cookie"), "{head}");
    assert_eq!(mine(&notes), json!([1, 3]));
    assert_eq!(notes.send("GET", "/mine", ""), (200, json!([])));
}

#[test]
fn errors_name_the_reason() {
    let directory = tempfile::tempdir().expect("a directory can be created");
    let notes = Notes::start(&directory.path().join("notes.sqlite"));
    for (method, target, content, status, reason) in [
        ("GET", "/notes/7", "", 404, "note 7 not found"),
        ("DELETE", "/notes/7", "", 404, "note 7 not found"),
        ("GET", "/notes/x", "", 400, "not a valid id"),
        ("GET", "/notes?after=x", "", 400, "invalid query"),
        ("POST", "/notes", "{", 400, "the body is not JSON"),
        ("POST", "/notes", "{}", 422, "text is missing"),
        ("PUT", "/notes", "", 405, ""),
    ] {
        let (found, content) = notes.send(method, target, content);
        assert_eq!(found, status, "{method} {target}: {content}");
        assert!(content.to_string().contains(reason), "{content}");
    }
}

#[test]
fn all_workers_read_and_write_at_once() {
    const WRITERS: usize = 8;
    const NOTES: usize = 20;
    let directory = tempfile::tempdir().expect("a directory can be created");
    let notes = Notes::start(&directory.path().join("notes.sqlite"));
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let notes = &notes;
            scope.spawn(move || {
                for note in 0..NOTES {
                    let (status, response) = notes.add(&format!("{note} of {writer}"));
                    assert_eq!(status, 201, "{response}");
                    let id = response["id"].as_i64().expect("the note has an id");
                    let (status, read) = notes.send("GET", &format!("/notes/{id}"), "");
                    assert_eq!((status, read), (200, response));
                }
            });
        }
    });
    let (_, first) = notes.send("GET", "/notes", "");
    let (_, rest) = notes.send("GET", "/notes?after=100", "");
    let count = |page: &Value| page.as_array().map_or(0, Vec::len);
    assert_eq!(count(&first) + count(&rest), WRITERS * NOTES);
}
