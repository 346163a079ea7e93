use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use httpool::http;
use httpool::http::header::LOCATION;
use httpool::{Files, Symlinks};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{OwnFolder, Random, expect, field, get};

fn files(folder: &OwnFolder) -> Files {
    Files::new(folder).expect("the folder can be served")
}

#[test]
fn a_folder_is_its_index_behind_a_slash() {
    let folder = OwnFolder::new();
    folder
        .file("index.html", "root")
        .file("sub/index.html", "sub")
        .file("c:d/index.html", "odd")
        .file("none/x", "");
    let files = files(&folder);
    assert_eq!(expect(&files, "/", 200).body().length(), Some(4));
    assert_eq!(expect(&files, "/sub/", 200).body().length(), Some(3));
    expect(&files, "/none/", 404);
    expect(&files, "/index.html/", 404);
    for (target, location) in [
        ("/sub", "./sub/"),
        ("/sub?a=//b&c", "./sub/?a=//b&c"),
        ("/s%75b", "./s%75b/"),
        ("/c:d", "./c:d/"),
        ("/none", "./none/"),
    ] {
        let response = expect(&files, target, 301);
        assert_eq!(field(&response, LOCATION), Some(location));
    }
    for target in [
        "//sub",
        "//evil.example/..",
        "/%2fevil.example",
        "/%5cevil.example",
        "/\\sub",
    ] {
        expect(&files, target, 404);
    }
}

#[test]
fn nothing_outside_is_served() {
    let outer = OwnFolder::new();
    outer
        .file("secret", "secret")
        .file("root/inner/x", "x")
        .file("root/.env", "secret");
    let root = outer.path("root");
    symlink("../secret", root.join("out")).expect("a link can be made");
    symlink(outer.path("secret"), root.join("absolute")).expect("a link can be made");
    symlink("..", root.join("up")).expect("a link can be made");
    symlink("inner/x", root.join("in")).expect("a link can be made");
    symlink("loop", root.join("loop")).expect("a link can be made");
    symlink("/proc/self/fd/0", root.join("magic")).expect("a link can be made");
    symlink("inner", root.join("folder")).expect("a link can be made");
    let files = Files::new(&root).expect("the folder can be served");
    expect(&files, "/in", 200);
    expect(&files, "/folder/x", 200);
    let files = files.symlinks(Symlinks::None);
    for target in ["/in", "/folder/x", "/out", "/loop"] {
        expect(&files, target, 404);
    }
    expect(&files, "/inner/x", 200);
    let files = files.symlinks(Symlinks::Beneath);
    for target in [
        "/out",
        "/absolute",
        "/up/secret",
        "/up/",
        "/loop",
        "/magic",
        "/../secret",
        "/inner/../../secret",
        "/%2e%2e/secret",
        "/%2E./secret",
        "/inner/%2e%2e/%2e%2e/secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/%252e%252e/secret",
        "/%252e%252e%252fsecret",
        "/..%5csecret",
        "/..%c0%afsecret",
        "/.env",
        "/%2eenv",
        "//secret",
        "/inner//x",
        "/./inner/x",
        "/inner/x/",
        "/inner/x/..",
        "/inner/.",
        "/%00",
        "/%00/../secret",
    ] {
        let status = if target.contains("%00") { 400 } else { 404 };
        expect(&files, target, status);
    }
    let absolute = format!("/{}", outer.path("secret").display());
    expect(&files, &absolute, 404);
    expect(&files.dotfiles(true), "/.env", 200);
}

/// Whatever a client writes, it gets a file of the folder or an error.
#[test]
fn no_random_path_leads_out() {
    const PIECES: [&str; 16] = [
        "/", "..", ".", "%2e", "%2f", "%5c", "\\", "a", "secret", "%00", "%25", "2e", "%c0%ae",
        "up", "out", "%",
    ];
    let outer = OwnFolder::new();
    outer.file("secret", "secret").file("root/a/a", "a");
    symlink("..", outer.path("root/up")).expect("a link can be made");
    symlink("../secret", outer.path("root/a/out")).expect("a link can be made");
    let files = Files::new(outer.path("root")).expect("the folder can be served");
    let mut random = Random::new(4);
    for _ in 0..20_000 {
        let count = 1 + random.below(8);
        let pieces: Vec<&str> = (0..count)
            .map(|_| PIECES[random.below(PIECES.len())])
            .collect();
        let target = format!("/{}", pieces.concat());
        let Ok(uri) = target.parse::<http::Uri>() else {
            continue;
        };
        let response = get(&files, &uri.to_string(), &[]);
        match response.status().as_u16() {
            200 => assert_eq!(response.body().length(), Some(1), "{target}"),
            301 => {
                let location = field(&response, LOCATION).expect("it leads somewhere");
                assert!(location.starts_with("./"), "{target}: {location}");
            }
            status => assert!(status == 404 || status == 400, "{target}: {status}"),
        }
    }
}

/// Somebody puts a link in the place of a folder, again and again.
#[test]
fn a_link_that_is_put_there_meanwhile_leads_nowhere() {
    let outer = OwnFolder::new();
    outer.file("out/x", "the secret").file("root/real/x", "x");
    let (root, ends) = (outer.path("root"), AtomicBool::new(false));
    symlink("../out", root.join("link")).expect("a link can be made");
    let files = Files::new(&root).expect("the folder can be served");
    thread::scope(|scope| {
        scope.spawn(|| {
            let swap = |from: &str, to: &str| fs::rename(root.join(from), root.join(to));
            while !ends.load(Ordering::Relaxed) {
                for (from, to) in [
                    ("real", "x"),
                    ("link", "real"),
                    ("real", "link"),
                    ("x", "real"),
                ] {
                    swap(from, to).expect("the folder is writable");
                }
            }
        });
        let answer = || get(&files, "/real/x", &[]);
        let answers: Vec<_> = (0..20_000)
            .map(|_| answer())
            .map(|answer| (answer.status().as_u16(), answer.body().length()))
            .collect();
        ends.store(true, Ordering::Relaxed);
        for answer in &answers {
            assert!(
                matches!(answer, (200, Some(1)) | (404 | 503, _)),
                "{answer:?}"
            );
        }
        assert!(
            answers.iter().any(|(status, _)| *status == 200),
            "it was never there"
        );
    });
}

#[test]
fn only_regular_files_are_served() {
    let folder = OwnFolder::new();
    mknodat(CWD, folder.path("pipe"), FileType::Fifo, Mode::RWXU, 0).expect("a pipe can be made");
    let _socket = UnixListener::bind(folder.path("socket")).expect("a socket can be made");
    let files = files(&folder);
    expect(&files, "/pipe", 404);
    expect(&files, "/socket", 404);
    expect(&files, &format!("/{}", "a".repeat(300)), 404);
    expect(&files, &format!("/{}", "a/".repeat(3000)), 404);
}

#[test]
fn names_of_any_bytes_are_served() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = OwnFolder::new();
    folder
        .file("%41", "1")
        .file("\u{e9}.txt", "22")
        .file("a\nb", "333");
    fs::write(folder.as_ref().join(OsStr::from_bytes(b"\xff")), "4444").expect("it is a name");
    let files = files(&folder);
    for (target, length) in [
        ("/%2541", 1),
        ("/%C3%A9.txt", 2),
        ("/a%0Ab", 3),
        ("/%ff", 4),
    ] {
        assert_eq!(expect(&files, target, 200).body().length(), Some(length));
    }
}

#[test]
fn the_well_known_folder_is_no_secret() {
    let folder = OwnFolder::new();
    folder
        .file(".well-known/security.txt", "x")
        .file("a/.well-known/x", "x");
    let files = files(&folder);
    expect(&files, "/.well-known/security.txt", 200);
    expect(&files, "/a/.well-known/x", 404);
}

#[test]
fn what_may_not_be_read_is_forbidden() {
    let folder = OwnFolder::new();
    folder.file("a", "x");
    let nobody = fs::Permissions::from_mode(0o000);
    fs::set_permissions(folder.path("a"), nobody).expect("it is ours");
    // Whoever may do everything reads it all the same.
    let may_all = fs::File::open(folder.path("a")).is_ok();
    expect(&files(&folder), "/a", if may_all { 200 } else { 403 });
}
