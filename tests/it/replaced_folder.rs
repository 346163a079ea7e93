//! The served folder is replaced by another one.

use std::fs;
use std::os::unix::fs::symlink;

use httpool::ServeDir;
use httpool::http::header::RETRY_AFTER;

use crate::support::{TempDir, eventually, expect_status, get, header};

fn content(files: &ServeDir, target: &str) -> (u16, Option<u64>) {
    let response = get(files, target, &[]);
    (response.status().as_u16(), response.body().length())
}

/// As site generators do: `rm -rf dist && mkdir dist`.
#[test]
fn recreated_folder_is_served() {
    let outer = TempDir::new();
    outer.file("dist/a", "old").file("dist/gone", "old");
    let files = ServeDir::new(outer.path("dist")).expect("the folder can be served");
    assert_eq!(content(&files, "/a"), (200, Some(3)));
    fs::remove_dir_all(outer.path("dist")).expect("the folder can be removed");
    outer.file("dist/a", "newer");
    eventually("the new folder is served", || {
        content(&files, "/a") == (200, Some(5))
    });
    expect_status(&files, "/gone", 404);
}

/// As deployments do: `ln -sfn releases/2 current`.
#[test]
fn switched_symlink_is_followed() {
    let outer = TempDir::new();
    outer
        .file("releases/1/a", "1")
        .file("releases/2/a", "22")
        .file("releases/2/sub/b.txt", "b");
    let switch = |release: &str| {
        symlink(format!("releases/{release}"), outer.path("next")).expect("a link can be created");
        fs::rename(outer.path("next"), outer.path("current")).expect("the folder is writable");
    };
    switch("1");
    let files = ServeDir::new(outer.path("current")).expect("the folder can be served");
    let files = files.listing(true);
    assert_eq!(content(&files, "/a"), (200, Some(1)));
    switch("2");
    eventually("the other release is served", || {
        content(&files, "/a") == (200, Some(2))
    });
    expect_status(&files, "/sub/", 200);
    switch("1");
    files.reload().expect("the folder exists");
    assert_eq!(content(&files, "/a"), (200, Some(1)));
    expect_status(&files, "/sub/", 404);
}

#[test]
fn missing_folder_is_503_with_retry_after() {
    let outer = TempDir::new();
    outer.file("dist/a", "a");
    let files = ServeDir::new(outer.path("dist")).expect("the folder can be served");
    fs::rename(outer.path("dist"), outer.path("aside")).expect("the folder is writable");
    assert!(files.reload().is_err());
    // Files of the old folder are still served.
    assert_eq!(content(&files, "/a"), (200, Some(1)));
    let missing = expect_status(&files, "/b", 503);
    assert_eq!(header(&missing, RETRY_AFTER), Some("1"));
    expect_status(&files, "/", 503);
    fs::write(outer.path("dist"), "no folder").expect("the folder is writable");
    assert!(files.reload().is_err());
    expect_status(&files, "/b", 503);
    fs::remove_file(outer.path("dist")).expect("the file can be removed");
    fs::rename(outer.path("aside"), outer.path("dist")).expect("the folder is writable");
    eventually("the folder is found again", || {
        content(&files, "/b").0 == 404
    });
}
