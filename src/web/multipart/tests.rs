use std::fs;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::message::{Handler, IntoResponse};
use crate::web::Router;

/// The status and the text of a response.
pub(super) type Answer = (u16, String);

/// A part that is a text.
pub(super) fn text(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

/// A part that is a file.
pub(super) fn file(name: &str, file_name: &str, content: &str) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
         Content-Type: text/plain\r\n\r\n{content}\r\n"
    )
}

/// Posts parts to `/`.
pub(super) fn post(router: &Router, parts: &[String]) -> Answer {
    send(router, parts.concat() + "--b--\r\n")
}

fn send(router: &Router, body: impl Into<Body>) -> Answer {
    send_as(router, "multipart/form-data; boundary=b", body)
}

/// Posts a body of this content type to `/`.
pub(super) fn send_as(router: &Router, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = http::Request::post("/").header(CONTENT_TYPE, content_type);
    let mut request = request.body(body.into()).expect("the request is valid");
    let response = router.handle(&mut request);
    let content = response.body().as_bytes();
    (
        response.status().as_u16(),
        String::from_utf8_lossy(content).into_owned(),
    )
}

#[track_caller]
fn check(answer: &Answer, status: u16, expected: &str) {
    assert_eq!((answer.0, &*answer.1), (status, expected));
}

/// A folder for one test, removed at its end.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder can be created")
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder can be listed");
    let name = |entry: io::Result<fs::DirEntry>| {
        let name = entry.expect("the entry can be read").file_name();
        name.into_string().expect("names are text")
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

/// A request's form.
fn form<L: MultipartLimits>(body: impl Into<Body>) -> Multipart<L> {
    let request = http::Request::builder().header(CONTENT_TYPE, "multipart/form-data; boundary=b");
    let mut request = request.body(body.into()).expect("the request is valid");
    Multipart::take(&mut request).expect("the boundary is valid")
}

fn describe(mut form: Multipart) -> Result<String, MultipartError> {
    let mut described = String::new();
    while let Some(part) = form.next_part()? {
        let (name, file_name) = (part.name().to_owned(), part.file_name().map(str::to_owned));
        let content = part.text()?;
        described.push_str(&format!("{name} {file_name:?} {content:?}; "));
    }
    Ok(described)
}

#[test]
fn parts_have_names_and_content() {
    let response = post(
        &Router::new().post("/", describe),
        &[
            text("a", "1"),
            file("f", "../x.txt", "hello\r\n"),
            text("a", ""),
        ],
    );
    let expected = "a None \"1\"; f Some(\"../x.txt\") \"hello\\r\\n\"; a None \"\"; ";
    check(&response, 200, expected);
}

#[test]
fn unread_content_is_skipped() {
    let firsts = |mut form: Multipart| -> Result<String, MultipartError> {
        let mut firsts = String::new();
        while let Some(mut part) = form.next_part()? {
            let mut first = [0; 2];
            let count = part.read(&mut first)?;
            firsts.push_str(&String::from_utf8_lossy(&first[..count]));
            drop(form.next_part()?);
        }
        assert!(form.next_part()?.is_none());
        Ok(firsts)
    };
    let long = "x".repeat(200_000);
    let parts = [
        text("a", "one"),
        text("b", &long),
        text("c", "three"),
        text("d", &long),
    ];
    check(&post(&Router::new().post("/", firsts), &parts), 200, "onth");
}

#[test]
fn parts_are_buffered_readers() {
    let body = text("a", "one\ntwo\nthree") + "--b--";
    let mut form: Multipart = form(body);
    let part = form.next_part().expect("the form is valid");
    let lines = part.expect("there is a part").lines();
    let lines: io::Result<Vec<String>> = lines.collect();
    assert_eq!(lines.expect("the part is valid"), ["one", "two", "three"]);
}

#[test]
fn mistakes_of_clients_are_responses() {
    let router = Router::new().post("/", describe);
    let check_as = |content_type: &str, body: &str, status: u16, expected: &str| {
        check(
            &send_as(&router, content_type, body.to_owned()),
            status,
            expected,
        );
    };
    let form = "multipart/form-data; boundary=b";
    check_as(
        form,
        "x",
        400,
        "400 Bad Request: malformed form: the body does not have the boundary of Content-Type\n",
    );
    check_as(
        form,
        &text("a", "1"),
        400,
        "400 Bad Request: malformed form: part 1: the body ends before its last boundary\n",
    );
    let encoding = "\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    check_as(
        form,
        &text("a", "1").replace("\r\n\r\n", encoding),
        415,
        "415 Unsupported Media Type: part 1: Content-Transfer-Encoding must be binary or absent\n",
    );
    check_as(
        "text/plain",
        "x",
        415,
        "415 Unsupported Media Type: Content-Type must be multipart/form-data\n",
    );
    check_as(
        "multipart/form-data",
        "x",
        400,
        "400 Bad Request: malformed form: Content-Type has no boundary\n",
    );
}

enum Tight {}

impl MultipartLimits for Tight {
    const TOTAL: u64 = 1000;
    const PARTS: usize = 3;
    const PART: u64 = 300;
    const PART_HEAD: usize = 150;
    const IN_MEMORY: u64 = 10;
    // So that the body's own limit does not come first.
    const BODY_MODE: BodyMode = BodyMode::Buffered;
}

#[test]
fn responses_name_the_limit() {
    let read = |mut form: Multipart<Tight>| -> Result<(), MultipartError> {
        while let Some(part) = form.next_part()? {
            if part.file_name().is_none() {
                part.bytes()?;
            }
        }
        Ok(())
    };
    let check = |parts: &[String], expected: &str| {
        let response = post(&Router::new().post("/", read), parts);
        check(
            &response,
            413,
            &format!("413 Payload Too Large: {expected}\n"),
        );
    };
    check(
        &[text("a", "").repeat(4)],
        "the limit for the parts of a form is 3",
    );
    check(
        &[file("a", "b", &"x".repeat(301))],
        "the limit for the bytes of a part is 300",
    );
    check(
        &[file("a", "b", &"x".repeat(300)).repeat(3)],
        "the limit for the bytes of a form is 1000",
    );
    check(
        &[text(&"a".repeat(150), "")],
        "the limit for the bytes of a part's headers is 150",
    );
    check(
        &[text("a", "12345"), text("b", "123456")],
        "\"b\" is too large: the limit for the bytes of a form in memory is 10",
    );
    let headers = text("a", "").replace("\r\n\r\n", &"\r\nA:".repeat(20)) + "\r\n\r\n";
    check(&[headers], "the limit for the header lines of a part is 20");
    let response = post(
        &Router::new().post("/", read),
        &[text("a", "12345").repeat(2)],
    );
    assert_eq!(response.0, 200);
}

#[test]
fn part_before_a_malformed_boundary_is_not_saved() {
    let folder = folder();
    let save = {
        let path = folder.path().join("saved");
        move |mut form: Multipart| -> Result<(), MultipartError> {
            let mut part = form.next_part()?.expect("there is a part");
            part.save_to(&path).map(drop)
        }
    };
    let router = Router::new().post("/", save);
    for line in ["--bb", "--b--b", "--b\n", "--b-"] {
        let body = file("f", "a.txt", "1") + line + "\r\n";
        assert_eq!(send(&router, body).0, 400, "{line:?}");
        assert!(entries(folder.path()).is_empty(), "{line:?}");
    }
    assert_eq!(post(&router, &[file("f", "a.txt", "1")]).0, 200);
    assert_eq!(entries(folder.path()), ["saved"]);
}

#[test]
fn texts_are_utf_8() {
    let latin = |charset: &str, content: &[u8]| {
        let head = format!(
            "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain{charset}\r\n\r\n"
        );
        let body = [head.as_bytes(), content, b"\r\n--b--"].concat();
        send(&Router::new().post("/", describe), body)
    };
    check(&latin("", b"\xc3\xa9"), 200, "a None \"\u{e9}\"; ");
    check(
        &latin("; charset=UTF-8", b"\xc3\xa9"),
        200,
        "a None \"\u{e9}\"; ",
    );
    check(&latin("; charset=ISO-8859-1", b"e"), 200, "a None \"e\"; ");
    check(
        &latin("", b"\xe9"),
        400,
        "400 Bad Request: \"a\" is not UTF-8\n",
    );
    check(
        &latin("; charset=ISO-8859-1", b"\xc3\xa9"),
        415,
        "415 Unsupported Media Type: \"a\" has another charset than UTF-8\n",
    );
}

#[test]
fn errors_pass_through_io_errors() {
    fn copy(mut form: Multipart) -> io::Result<u64> {
        let mut count = 0;
        while let Some(mut part) = form.next_part()? {
            count += io::copy(&mut part, &mut io::sink())?;
        }
        Ok(count)
    }
    let router = Router::new().post("/", |form: Multipart| {
        copy(form).map(|count| count.to_string())
    });
    check(
        &send(&router, text("a", "1")),
        400,
        "400 Bad Request: malformed form: part 1: the body ends before its last boundary\n",
    );
    let error = copy(form(text("a", "1"))).expect_err("the body is cut");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(matches!(
        MultipartError::from(error),
        MultipartError::Malformed(_)
    ));
    let other = MultipartError::from(io::Error::other("disk"));
    assert!(matches!(other, MultipartError::Io(_)));
    assert_eq!(other.into_response().status(), 500);
}

#[test]
fn saved_files_are_complete_or_absent() {
    let folder = folder();
    let path = folder.path().join("a.txt");
    let save = |body: String, replace: bool| {
        let mut form: Multipart = form(body);
        let mut part = form.next_part()?.expect("there is a part");
        match replace {
            false => part.save_to(&path),
            true => part.replace(&path),
        }
    };
    let whole = |content: &str| text("a", content) + "--b--";

    assert!(matches!(
        save(text("a", "cut"), false),
        Err(MultipartError::Malformed(_))
    ));
    assert_eq!(entries(folder.path()), [""; 0]);
    assert_eq!(save(whole("one"), false).expect("the file is new"), 3);
    assert!(matches!(
        save(whole("two"), false),
        Err(MultipartError::Exists)
    ));
    assert!(matches!(
        save(text("a", "cut"), true),
        Err(MultipartError::Malformed(_))
    ));
    assert_eq!(fs::read(&path).expect("the file exists"), b"one");
    assert_eq!(
        save(whole(&"three".repeat(50_000)), true).expect("it is replaced"),
        250_000
    );
    assert_eq!(fs::read(&path).expect("the file exists").len(), 250_000);
    assert_eq!(entries(folder.path()), ["a.txt"]);

    let plain = folder.path().join("plain");
    fs::write(&plain, "").expect("a file can be written");
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("the file exists")
            .permissions()
            .mode()
    };
    assert_eq!(mode(&path), mode(&plain));
}

#[test]
fn a_file_that_cannot_be_written_is_a_500() {
    let save = |mut form: Multipart| -> Result<(), MultipartError> {
        let mut part = form.next_part()?.expect("there is a part");
        part.save_to("/proc/httpool/a").map(drop)
    };
    let response = post(&Router::new().post("/", save), &[text("a", "1")]);
    check(&response, 500, "500 Internal Server Error\n");
}

#[test]
fn an_existing_file_is_a_409() {
    let save = |mut form: Multipart| -> Result<(), MultipartError> {
        let mut part = form.next_part()?.expect("there is a part");
        part.save_to("Cargo.toml").map(drop)
    };
    let response = post(&Router::new().post("/", save), &[text("a", "1")]);
    check(&response, 409, "409 Conflict: a file of that name exists\n");
}

#[test]
fn an_optional_form_may_be_missing() {
    let router = Router::new().post("/", |form: Option<Multipart>| match form {
        Some(form) => describe(form),
        None => Ok("none".into()),
    });
    check(&send_as(&router, "text/plain", ""), 200, "none");
    check(&post(&router, &[text("a", "1")]), 200, "a None \"1\"; ");
}
