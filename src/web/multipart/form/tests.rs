use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use super::*;
use crate::web::Router;
use crate::web::multipart::tests::{file, post, send_as, text};
use crate::web::multipart::{FileBytes, TempFile};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Size {
    Small,
    Large,
}

#[derive(Debug, Deserialize)]
struct Upload {
    title: String,
    #[serde(default)]
    number: Option<u32>,
    #[serde(default)]
    agreed: bool,
    #[serde(default)]
    tags: Vec<String>,
    size: Option<Size>,
    small: Option<FileBytes>,
    #[serde(default)]
    large: Vec<TempFile>,
}

fn describe(MultipartForm(upload): MultipartForm<Upload>) -> String {
    let small = upload.small.map(|file| {
        let content = String::from_utf8_lossy(file.bytes());
        format!("{:?}={content}", file.file_name())
    });
    let large = upload.large.iter().map(|file| {
        let content = fs::read_to_string(file.path()).expect("the file exists");
        assert_eq!(file.length(), content.len() as u64);
        format!("{:?}={content}", file.file_name())
    });
    format!(
        "{:?} {:?} {} {:?} {:?} {small:?} {:?}",
        upload.title,
        upload.number,
        upload.agreed,
        upload.tags,
        upload.size,
        large.collect::<Vec<_>>()
    )
}

#[track_caller]
fn check(parts: &[String], status: u16, expected: &str) {
    let (actual, text) = post(&Router::new().post("/", describe), parts);
    assert_eq!((actual, &*text), (status, expected));
}

#[test]
fn fields_are_parsed_by_their_types() {
    check(
        &[
            text("title", "a&b=c+%20é"),
            text("number", "7"),
            text("agreed", "on"),
            text("tags", "x"),
            file("large", "1.txt", "one"),
            text("tags", "y"),
            file("small", "s.txt", "bytes"),
            file("large", "2.txt", ""),
            text("size", "large"),
        ],
        200,
        "\"a&b=c+%20é\" Some(7) true [\"x\", \"y\"] Some(Large) \
         Some(\"Some(\\\"s.txt\\\")=bytes\") [\"Some(\\\"1.txt\\\")=one\", \"Some(\\\"2.txt\\\")=\"]",
    );
}

#[test]
fn fields_may_be_missing_or_unknown() {
    let nothing = "\"\" None false [] None None []";
    check(&[text("title", "")], 200, nothing);
    check(
        &[
            text("other", "1"),
            file("another", "a", "2"),
            text("title", ""),
            text("number", ""),
            // As browsers send inputs without a file.
            file("small", "", ""),
            file("large", "", ""),
        ],
        200,
        nothing,
    );
}

#[test]
fn the_type_decides_what_is_a_file() {
    check(
        &[
            file("title", "blob", "text in a file"),
            text("small", "file in a text"),
        ],
        200,
        "\"text in a file\" None false [] None Some(\"None=file in a text\") []",
    );
}

#[test]
fn errors_name_the_field() {
    let title = || text("title", "a");
    let check = |parts: &[String], status: u16, expected: &str| {
        let parts = [&[title()], parts].concat();
        let reason = match status {
            422 => "422 Unprocessable Entity: invalid form: ",
            400 => "400 Bad Request: ",
            _ => "415 Unsupported Media Type: ",
        };
        check(&parts, status, &format!("{reason}{expected}\n"));
    };
    check(
        &[text("number", "x")],
        422,
        "\"number\": invalid digit found in string",
    );
    check(&[title()], 422, "\"title\" occurs more than once");
    check(
        &[file("small", "a", "1"), file("small", "b", "2")],
        422,
        "\"small\" occurs more than once",
    );
    check(
        &[text("size", "huge")],
        422,
        "\"size\": unknown variant `huge`, expected `small` or `large`",
    );
    check(
        &[text("_charset_", "windows-1252")],
        415,
        "the form is not encoded in UTF-8 (`_charset_`), but only that is supported",
    );
    let (_, response) = post(&Router::new().post("/", describe), &[text("tags", "a")]);
    let expected = "422 Unprocessable Entity: invalid form: \"title\" is missing\n";
    assert_eq!(response, expected);
}

#[test]
fn a_charset_field_is_accepted_if_it_is_utf_8() {
    check(
        &[text("_charset_", "UTF-8"), text("title", "é")],
        200,
        "\"é\" None false [] None None []",
    );
}

#[test]
fn a_missing_file_is_named() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "the test reads only errors")]
    struct Strict {
        photo: FileBytes,
    }
    let check = |parts: &[String], expected: &str| {
        let router = Router::new().post("/", |_: MultipartForm<Strict>| ());
        let expected = format!("422 Unprocessable Entity: invalid form: {expected}\n");
        assert_eq!(post(&router, parts), (422, expected));
    };
    check(&[], "\"photo\" is missing");
    check(&[file("photo", "", "")], "\"photo\" is missing");
    check(
        &[file("photo", "a", "1"), text("other", "1")],
        "\"other\": unknown field `other`, expected `photo`",
    );
}

#[test]
fn memory_counts_names_escapes_and_headers_of_files() {
    enum Tight {}

    impl MultipartLimits for Tight {
        const IN_MEMORY: u64 = 100;
    }

    let parse = |form: Multipart<Tight>| form.parse::<Upload>().map(drop);
    let router = Router::new().post("/", parse);
    let status = |parts: &[String]| post(&router, parts).0;
    // With the name and `=`, these are 6 bytes more.
    assert_eq!(status(&[text("title", &"x".repeat(94))]), 200);
    assert_eq!(status(&[text("title", &"é".repeat(47))]), 200);
    assert_eq!(status(&[text("title", &"x".repeat(95))]), 413);
    assert_eq!(status(&[text("title", &"%".repeat(31))]), 200);
    assert_eq!(status(&[text("title", &"&".repeat(32))]), 413);
    let title = || text("title", "");
    assert_eq!(status(&[title(), text("other", &"x".repeat(200))]), 200);
    for field in ["small", "large"] {
        let file = |name: &str| [title(), file(field, name, "")];
        assert_eq!(status(&file("")), 200);
        let (status, response) = post(&router, &file(&"x".repeat(100)));
        assert_eq!(status, 413);
        let expected = "is too large: the limit for the bytes of a form in memory is 100";
        assert!(
            response.contains(&format!("{field:?} {expected}")),
            "{response}"
        );
    }
}

#[test]
fn temporary_files_vanish_with_their_forms() {
    let seen: Arc<Mutex<Vec<PathBuf>>> = Arc::default();
    let keep = Arc::clone(&seen);
    let router = Router::new().post("/", move |MultipartForm(upload): MultipartForm<Upload>| {
        let paths = upload.large.iter().map(|file| file.path().to_owned());
        keep.lock().expect("no test panics here").extend(paths);
    });
    let (status, _) = post(&router, &[text("title", ""), file("large", "a", "1")]);
    assert_eq!(status, 200);
    let seen = seen.lock().expect("no test panics here");
    assert!(seen.len() == 1 && !seen[0].exists(), "{seen:?}");
}

#[test]
fn temporary_files_can_be_saved() {
    let folder = tempfile::tempdir().expect("a folder can be created");
    let path = folder.path().join("a");
    let save = path.clone();
    let router = Router::new().post("/", move |MultipartForm(upload): MultipartForm<Upload>| {
        let mut files = upload.large.into_iter();
        let file = files.next().expect("there is a file");
        match upload.agreed {
            true => file.replace(&save),
            false => file.save_to(&save),
        }
    });
    let post = |content: &str, agreed: &str| {
        let parts = [
            text("title", ""),
            file("large", "a", content),
            text("agreed", agreed),
        ];
        post(&router, &parts).0
    };
    assert_eq!(post("one", "false"), 200);
    assert_eq!(post("two", "false"), 409);
    assert_eq!(fs::read(&path).expect("the file exists"), b"one");
    assert_eq!(post("three", "true"), 200);
    assert_eq!(fs::read(&path).expect("the file exists"), b"three");
}

#[test]
fn files_come_from_forms_only() {
    for json in ["\"0\"", "{}", "[]", "7", "null"] {
        assert!(serde_json::from_str::<FileBytes>(json).is_err(), "{json}");
        assert!(serde_json::from_str::<TempFile>(json).is_err(), "{json}");
    }
}

#[test]
fn a_file_in_a_flattened_struct_is_a_mistake_of_the_program() {
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "the test reads only errors")]
    struct Flat {
        #[serde(flatten)]
        upload: Upload,
    }
    let router = Router::new().post("/", |_: MultipartForm<Flat>| ());
    let (status, _) = post(&router, &[text("title", ""), file("small", "a", "1")]);
    assert_eq!(status, 500);
}

#[test]
fn an_optional_form_may_be_missing() {
    let router = Router::new().post("/", |form: Option<MultipartForm<Upload>>| {
        form.is_some().to_string()
    });
    assert_eq!(send_as(&router, "text/plain", ""), (200, "false".into()));
}
