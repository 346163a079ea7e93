use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httpool::Layered;
use httpool::layers::{BasicAuth, PasswordHashes, User};
use httpool::{Handler, Request};

use crate::support::{TempDir, TempPath, TestServer, Visitor, eventually};

/// The passwords are `lovelace` and `grace`.
const ADA: &str = "ada:$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K";
const GRACE: &str = "grace:$2a$04$abcdefghijklmnopqrstuusbOCNW3VIzDW4ckvmlDBJU5.wgUnpPS";

fn greet(request: Request) -> String {
    User::of(&request).unwrap_or("nobody").to_owned()
}

fn protected(hashes: PasswordHashes) -> impl Handler {
    Layered::new(greet).layer(BasicAuth::hashed("Library", hashes))
}

#[track_caller]
fn ask(visitor: &mut Visitor, credentials: &str) -> (u16, String) {
    let authorization = format!("Basic {}", STANDARD.encode(credentials));
    let response = visitor.request("GET", "/", &[("authorization", &authorization)]);
    (response.status, response.text())
}

#[test]
fn users_of_a_file_are_accepted() {
    let file = TempPath::new("password-hashes");
    let write =
        |lines: &[&str]| fs::write(&file, lines.join("\n")).expect("the file can be written");
    write(&[ADA]);
    let hashes = PasswordHashes::open(&file).expect("the file is valid");
    let server = TestServer::spawn(|builder| builder, protected(hashes));
    let mut visitors = Visitor::of_both_protocols(&server);
    for visitor in &mut visitors {
        assert_eq!(ask(visitor, "ada:lovelace"), (200, "ada".into()));
        for wrong in ["ada:grace", "ada:", "grace:grace", "eva:lovelace"] {
            assert_eq!(ask(visitor, wrong).0, 401, "{wrong}");
        }
        let challenge = visitor.get("/");
        let expected = "Basic realm=\"Library\", charset=\"UTF-8\"";
        assert_eq!(challenge.header("www-authenticate"), Some(expected));
    }
    write(&["# The file has changed.", GRACE]);
    let [visitor, _] = &mut visitors;
    eventually("the file is read again", || {
        ask(visitor, "grace:grace").0 == 200
    });
    assert_eq!(ask(visitor, "ada:lovelace").0, 401);
}

#[test]
fn wrong_line_of_a_file_is_named() {
    let file = TempPath::new("password-hashes-wrong");
    fs::write(&file, format!("{ADA}\n\ngrace:secret\n")).expect("the file can be written");
    let error = PasswordHashes::open(&file)
        .expect_err("a line is wrong")
        .to_string();
    assert!(
        error.starts_with(&format!("{}:3: ", file.text())),
        "{error}"
    );
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn reload_reads_at_once_and_keeps_the_users_of_a_valid_file() {
    let file = TempPath::new("password-hashes-reload");
    let write = |text: &str| fs::write(&file, text).expect("the file can be written");
    write("");
    let hashes = PasswordHashes::open(&file).expect("there may be no users");
    assert!(hashes.is_empty());
    write(ADA);
    hashes.reload().expect("the file is valid");
    assert!(!hashes.is_empty());
    assert_eq!(hashes.verify("ada", "lovelace"), Ok(true));
    write("ada:lovelace");
    let error = hashes.reload().expect_err("the line has no hash");
    assert!(error.to_string().contains(":1: "), "{error}");
    assert_eq!(hashes.verify("ada", "lovelace"), Ok(true));
    let fixed = PasswordHashes::parse(ADA).expect("the line is valid");
    fixed.reload().expect("there is nothing to read");
    assert_eq!(fixed.verify("ada", "lovelace"), Ok(true));
}

#[test]
fn only_regular_files_of_bounded_size_are_read() {
    let folder = TempDir::new();
    folder.pipe("pipe").sparse("huge", 16 * 1024 * 1024 + 1);
    let reason = |name: &str| {
        let error = PasswordHashes::open(folder.path(name)).expect_err("it is no file of users");
        error.to_string()
    };
    assert!(reason("pipe").ends_with("not a regular file"));
    assert!(reason("").ends_with("not a regular file"));
    assert!(reason("huge").ends_with("larger than 16 MiB"));
}
