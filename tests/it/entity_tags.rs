use std::fs;
use std::time::{Duration, SystemTime};

use httpool::http::header::{ETAG, LAST_MODIFIED};
use httpool::{EntityTags, Response, ServeDir};

use crate::support::{TempDir, eventually, expect_status, header};

fn files(folder: &TempDir) -> ServeDir {
    ServeDir::new(folder).expect("the folder can be opened")
}

#[test]
fn entity_tags_become_strong_with_age() {
    let folder = TempDir::new();
    folder.file("a.txt", "text");
    let files = files(&folder);
    let tag = |response: &Response| {
        header(response, ETAG)
            .map(str::to_owned)
            .expect("the response has an ETag")
    };
    let weak = tag(&expect_status(&files, "/a.txt", 200));
    assert!(weak.starts_with("W/\""), "{weak}");
    eventually("the file is old enough", || {
        tag(&expect_status(&files, "/a.txt", 200)).starts_with('"')
    });
    let strong = tag(&expect_status(&files, "/a.txt", 200));
    assert_eq!(weak, format!("W/{strong}"));
    // A time in the future is unreliable and must not be sent as Last-Modified.
    let file = fs::File::options().write(true).open(folder.path("a.txt"));
    let later = SystemTime::now() + Duration::from_secs(100_000);
    file.and_then(|file| file.set_modified(later))
        .expect("the time can be set");
    let response = expect_status(&files, "/a.txt", 200);
    assert!(tag(&response).starts_with("W/\""));
    let date = header(&response, LAST_MODIFIED).map(httpdate::parse_http_date);
    assert!(date.is_some_and(|date| date.is_ok_and(|date| date <= SystemTime::now())));
}

fn set_modified(folder: &TempDir, name: &str, seconds: u64, nanos: u32) {
    let file = fs::File::options().write(true).open(folder.path(name));
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
    file.and_then(|file| file.set_modified(time))
        .expect("the time can be set");
}

fn tag_of(files: &ServeDir, target: &str) -> String {
    let response = expect_status(files, target, 200);
    header(&response, ETAG)
        .expect("the response has an ETag")
        .to_owned()
}

#[test]
fn copies_of_a_file_have_the_same_entity_tag() {
    let (one, other) = (TempDir::new(), TempDir::new());
    for folder in [&one, &other] {
        folder.file("a.txt", "text");
        set_modified(folder, "a.txt", 1_600_000_000, 123_456_789);
    }
    let tags = || [&one, &other].map(|folder| tag_of(&files(folder), "/a.txt"));
    let tag = "\"4-961fb0d277a2739a\"";
    assert_eq!(tags(), [tag, tag]);
    // Changes of the metadata do not change the tag.
    other.set_permissions("a.txt", 0o600);
    fs::hard_link(other.path("a.txt"), other.path("link")).expect("a link can be created");
    assert_eq!(tags(), [tag, tag]);
    set_modified(&other, "a.txt", 1_600_000_000, 123_456_790);
    assert_ne!(tags()[1], tag);
    // Build tools set these times on every file, whatever its content.
    for seconds in [0, 1, 499_162_500] {
        for folder in [&one, &other] {
            set_modified(folder, "a.txt", seconds, 0);
        }
        let [one, other] = tags();
        assert_ne!(one, other, "{seconds}");
    }
}

#[test]
fn content_entity_tags_ignore_times() {
    let folder = TempDir::new();
    folder
        .file("a.txt", "text")
        .file("b.txt", "text")
        .file("c.txt", "next")
        .file("none", "")
        .file("large", [7; 200_000]);
    for (name, seconds) in [
        ("a.txt", 1_600_000_000),
        ("b.txt", 1_700_000_000),
        ("c.txt", 1),
    ] {
        set_modified(&folder, name, seconds, 0);
    }
    let files = files(&folder).entity_tags(EntityTags::Content);
    let tag = |target: &str| tag_of(&files, target).trim_start_matches("W/").to_owned();
    // The first half of the output of sha256sum.
    assert_eq!(tag("/a.txt"), "\"4-982d9e3eb996f559e633f4d194def376\"");
    assert_eq!(tag("/b.txt"), tag("/a.txt"));
    assert_ne!(tag("/c.txt"), tag("/a.txt"));
    assert_eq!(tag("/none"), "\"0-e3b0c44298fc1c149afbf4c8996fb924\"");
    assert_eq!(tag("/large"), tag("/large"));
    folder.file("a.txt", "next");
    set_modified(&folder, "a.txt", 1_600_000_000, 0);
    assert_eq!(tag("/a.txt"), tag("/c.txt"));
    eventually("the file is old enough", || {
        tag_of(&files, "/a.txt").starts_with('"')
    });
    assert_eq!(tag("/a.txt"), tag("/c.txt"));
}
