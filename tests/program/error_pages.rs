//! A folder of error pages.

use std::fs;
use std::path::PathBuf;

use httpool::ErrorPageDir;
use rustix::process::Signal;

use crate::support::{Program, TempPath, run_program};

/// A folder that is removed on drop with its content.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, pages: &[(&str, &str)]) -> Self {
        let path = TempPath::new(name).as_ref().to_owned();
        fs::create_dir(&path).expect("the name is free");
        let folder = Self(path);
        for (file, page) in pages {
            folder.write(file, page);
        }
        folder
    }

    fn write(&self, file: &str, page: impl AsRef<[u8]>) {
        fs::write(self.0.join(file), page).expect("the folder exists");
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("the path is UTF-8")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn check(program: &Program, request: &str, status: u16, page: &str) {
    let response = program.connect().send(request).expect_status(status);
    assert_eq!(response.text(), page);
}

const PUT: &str = "PUT / HTTP/1.1\r\nHost: it\r\nAccept: text/html\r\n\r\n";
const CODED: &str = "POST / HTTP/1.1\r\nHost: it\r\nAccept: text/html\r\n\
                     Transfer-Encoding: gzip, chunked\r\n\r\n";

#[test]
fn browsers_get_the_error_pages() {
    let pages = [
        ("405.html", "<h1>No &amp; never</h1>"),
        ("5xx.html", "down"),
        ("x.css", ""),
    ];
    let folder = Folder::new("pages", &pages);
    let program = Program::spawn(&["--error-pages", folder.name()]);
    check(&program, PUT, 405, "<h1>No &amp; never</h1>");
    let response = program.connect().send(PUT).expect_status(405);
    assert_eq!(
        response.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(response.header("allow"), Some("GET, HEAD, POST, OPTIONS"));
    let plain = PUT.replace("text/html", "*/*");
    check(&program, &plain, 405, "405 Method Not Allowed\n");
    // A status without a page of its own or of its class has the built-in page.
    let broken = "POST / HTTP/1.1\r\nHost: it\r\nAccept: text/html\r\n\
                  Content-Type: application/json\r\nContent-Length: 1\r\n\r\n{";
    let response = program.connect().send(broken).expect_status(400);
    assert!(response.text().contains("<h1>400 Bad Request</h1>"));
    check(&program, CODED, 501, "down");
}

#[test]
fn error_pages_are_reloaded_on_a_signal() {
    let folder = Folder::new("reloaded", &[("4xx.html", "old")]);
    let mut program = Program::spawn(&["--error-pages", folder.name()]);
    check(&program, PUT, 405, "old");
    folder.write("4xx.html", "new");
    check(&program, PUT, 405, "old");
    program.signal(Signal::USR1);
    program.expect_line("error pages reloaded");
    check(&program, PUT, 405, "new");
    folder.write("404.html", b"\xff");
    program.signal(Signal::USR1);
    let line = program.expect_line("error page reload failed, keeping the old ones");
    assert!(line.contains("404.html: not valid UTF-8"), "{line}");
    check(&program, PUT, 405, "new");
}

#[test]
fn bad_error_page_folder_fails_the_start() {
    let empty = Folder::new("empty", &[("index.html", "no page of an error")]);
    let large = Folder::new("large", &[("500.html", &"x".repeat(256 * 1024 + 1))]);
    let odd = Folder::new("odd", &[]);
    fs::create_dir(odd.0.join("404.html")).expect("the name is free");
    for (folder, reason) in [
        (empty.name(), "no error page found (for example 404.html"),
        (large.name(), "500.html: larger than 256 KiB"),
        (odd.name(), "404.html: not a regular file"),
        ("/nonexistent", "/nonexistent: No such file"),
    ] {
        let listen = ["--listen", "127.0.0.1:0", "--error-pages", folder];
        let exit = run_program(&listen, &[]);
        exit.expect_line(1, "--error-pages ");
        assert!(exit.errors.contains(reason), "{}", exit.errors);
        let checked = run_program(&[&listen[..], &["--check"]].concat(), &[]);
        checked.expect_line(1, reason);
    }
}

#[test]
fn error_page_of_the_maximum_size_is_used() {
    let folder = Folder::new("largest", &[("500.html", &"x".repeat(256 * 1024))]);
    assert!(ErrorPageDir::open(folder.name()).is_ok());
}
