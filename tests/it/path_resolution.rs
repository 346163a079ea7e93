use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use httpool::http;
use httpool::http::header::LOCATION;
use httpool::{ServeDir, Symlinks};
use rustix::fs::inotify;
use rustix::io::Errno;

use crate::support::{
    Random, TempDir, exhaust_descriptors, expect_status, get, header, in_own_process, rerun_module,
    without_openat2, without_privileges,
};

fn files(folder: &TempDir) -> ServeDir {
    ServeDir::new(folder).expect("the folder can be opened")
}

#[test]
fn a_folder_with_slash_serves_its_index() {
    let folder = TempDir::new();
    folder
        .file("index.html", "root")
        .file("sub/index.html", "sub")
        .file("c:d/index.html", "odd")
        .file("none/x", "");
    let files = files(&folder);
    assert_eq!(expect_status(&files, "/", 200).body().length(), Some(4));
    assert_eq!(expect_status(&files, "/sub/", 200).body().length(), Some(3));
    expect_status(&files, "/none/", 404);
    expect_status(&files, "/index.html/", 404);
    for (target, location) in [
        ("/sub", "./sub/"),
        ("/sub?a=//b&c", "./sub/?a=//b&c"),
        ("/s%75b", "./s%75b/"),
        ("/c:d", "./c:d/"),
        ("/none", "./none/"),
    ] {
        let response = expect_status(&files, target, 301);
        assert_eq!(header(&response, LOCATION), Some(location));
    }
    for target in [
        "//sub",
        "//evil.example/..",
        "/%2fevil.example",
        "/%5cevil.example",
        "/\\sub",
    ] {
        expect_status(&files, target, 404);
    }
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let outer = TempDir::new();
    outer
        .file("secret", "secret")
        .file("root/inner/x", "x")
        .file("root/.env", "secret");
    let root = outer.path("root");
    symlink("../secret", root.join("out")).expect("a link can be created");
    symlink(outer.path("secret"), root.join("absolute")).expect("a link can be created");
    symlink("..", root.join("up")).expect("a link can be created");
    symlink("inner/x", root.join("in")).expect("a link can be created");
    symlink("loop", root.join("loop")).expect("a link can be created");
    symlink("/proc/self/fd/0", root.join("magic")).expect("a link can be created");
    symlink("inner", root.join("folder")).expect("a link can be created");
    let files = ServeDir::new(&root).expect("the folder can be opened");
    expect_status(&files, "/in", 200);
    expect_status(&files, "/folder/x", 200);
    let files = files.symlinks(Symlinks::Never);
    for target in ["/in", "/folder/x", "/out", "/loop"] {
        expect_status(&files, target, 404);
    }
    expect_status(&files, "/inner/x", 200);
    let files = files.symlinks(Symlinks::Inside);
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
        expect_status(&files, target, status);
    }
    let absolute = format!("/{}", outer.path("secret").display());
    expect_status(&files, &absolute, 404);
    expect_status(&files.dotfiles(true), "/.env", 200);
}

/// Magic links are not paths: this one leads to a folder outside /proc.
#[test]
fn magic_links_of_proc_are_not_followed() {
    let inside = TempDir::new();
    let open = File::open(&inside).expect("a folder can be opened");
    let link = Path::new("/proc/self/fd").join(open.as_raw_fd().to_string());
    assert!(fs::read_dir(&link).is_ok(), "the link can be followed");
    let files = ServeDir::new("/proc/self/fd").expect("the folder can be opened");
    expect_status(&files, &format!("/{}/", open.as_raw_fd()), 404);
    expect_status(&files, &format!("/{}", open.as_raw_fd()), 404);
}

/// Every request gets a file of the folder, a redirect or an error.
#[test]
fn no_random_path_leaves_the_folder() {
    const PIECES: [&str; 16] = [
        "/", "..", ".", "%2e", "%2f", "%5c", "\\", "a", "secret", "%00", "%25", "2e", "%c0%ae",
        "up", "out", "%",
    ];
    let outer = TempDir::new();
    outer.file("secret", "secret").file("root/a/a", "a");
    symlink("..", outer.path("root/up")).expect("a link can be created");
    symlink("../secret", outer.path("root/a/out")).expect("a link can be created");
    let files = ServeDir::new(outer.path("root")).expect("the folder can be opened");
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
                let location = header(&response, LOCATION).expect("the redirect has a Location");
                assert!(location.starts_with("./"), "{target}: {location}");
            }
            status => assert!(status == 404 || status == 400, "{target}: {status}"),
        }
    }
}

/// Another thread keeps swapping a folder and a link.
#[test]
fn a_link_swapped_in_during_lookup_is_not_followed() {
    let outer = TempDir::new();
    outer.file("out/x", "the secret").file("root/real/x", "x");
    let (root, stop) = (outer.path("root"), AtomicBool::new(false));
    symlink("../out", root.join("link")).expect("a link can be created");
    let files = ServeDir::new(&root).expect("the folder can be opened");
    thread::scope(|scope| {
        scope.spawn(|| {
            let swap = |from: &str, to: &str| fs::rename(root.join(from), root.join(to));
            while !stop.load(Ordering::Relaxed) {
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
        let response = || get(&files, "/real/x", &[]);
        let responses: Vec<_> = (0..20_000)
            .map(|_| response())
            .map(|response| (response.status().as_u16(), response.body().length()))
            .collect();
        stop.store(true, Ordering::Relaxed);
        for response in &responses {
            assert!(
                matches!(response, (200, Some(1)) | (404 | 503, _)),
                "{response:?}"
            );
        }
        assert!(
            responses.iter().any(|(status, _)| *status == 200),
            "no lookup succeeded"
        );
    });
}

/// A file that stays open must not be served from where it is moved.
#[test]
fn a_link_to_a_folder_that_was_moved_out_is_not_followed() {
    for policy in [Symlinks::Inside, Symlinks::Never] {
        let outer = TempDir::new();
        outer.file("root/sub/x", "x").file("root/y", "y");
        let root = outer.path("root");
        let files = ServeDir::new(&root).expect("the folder can be opened");
        let files = files.symlinks(policy);
        for (target, moved) in [("/sub/x", "sub"), ("/y", "y")] {
            for _ in 0..2 {
                expect_status(&files, target, 200);
            }
            fs::rename(root.join(moved), outer.path(moved)).expect("it can be moved");
            symlink(outer.path(moved), root.join(moved)).expect("a link can be created");
            expect_status(&files, target, 404);
            fs::remove_file(root.join(moved)).expect("the link can be removed");
            fs::rename(outer.path(moved), root.join(moved)).expect("it can be moved");
            expect_status(&files, target, 200);
        }
    }
}

#[test]
fn only_regular_files_are_served() {
    let folder = TempDir::new();
    folder.pipe("pipe");
    let _socket = UnixListener::bind(folder.path("socket")).expect("a socket can be created");
    let files = files(&folder);
    expect_status(&files, "/socket", 404);
    // Opening a FIFO would wake a writer that waits for a reader.
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("inotify is available");
    let pipe = folder.path("pipe");
    inotify::add_watch(&watch, pipe, inotify::WatchFlags::OPEN).expect("the file can be watched");
    expect_status(&files, "/pipe", 404);
    expect_status(&files, "/pipe/", 404);
    let opened = rustix::io::read(&watch, &mut [0; 512]);
    assert_eq!(opened, Err(Errno::AGAIN), "the FIFO was opened");
    expect_status(&files, &format!("/{}", "a".repeat(300)), 404);
    expect_status(&files, &format!("/{}", "a/".repeat(3000)), 404);
}

#[test]
fn file_names_with_any_bytes_are_served() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = TempDir::new();
    folder
        .file("%41", "1")
        .file("\u{e9}.txt", "22")
        .file("a\nb", "333");
    fs::write(folder.as_ref().join(OsStr::from_bytes(b"\xff")), "4444").expect("the name is valid");
    let files = files(&folder);
    for (target, length) in [
        ("/%2541", 1),
        ("/%C3%A9.txt", 2),
        ("/a%0Ab", 3),
        ("/%ff", 4),
    ] {
        assert_eq!(
            expect_status(&files, target, 200).body().length(),
            Some(length)
        );
    }
}

#[test]
fn the_well_known_folder_is_served() {
    let folder = TempDir::new();
    folder
        .file(".well-known/security.txt", "x")
        .file("a/.well-known/x", "x");
    let files = files(&folder);
    expect_status(&files, "/.well-known/security.txt", 200);
    expect_status(&files, "/a/.well-known/x", 404);
}

#[test]
fn unreadable_files_are_forbidden() {
    let folder = TempDir::new();
    folder.file("a", "x").file("closed/x", "x");
    folder
        .set_permissions("a", 0o000)
        .set_permissions("closed", 0o000);
    let files = files(&folder);
    without_privileges(|| {
        expect_status(&files, "/a", 403);
        expect_status(&files, "/closed/x", 403);
    });
    folder.set_permissions("closed", 0o700);
}

/// The permission to search a folder is enough to open a file by name.
#[test]
fn files_in_an_unreadable_searchable_folder_are_served() {
    let folder = TempDir::new();
    folder.file("a/x", "x").file("b/index.html", "index");
    folder
        .set_permissions("a", 0o111)
        .set_permissions("b", 0o111);
    let files = files(&folder);
    without_privileges(|| {
        for target in ["/a", "/b"] {
            expect_status(&files, target, 301);
        }
        expect_status(&files, "/a/x", 200);
        expect_status(&files, "/a/", 404);
        assert_eq!(expect_status(&files, "/b/", 200).body().length(), Some(5));
        expect_status(&files.listing(true), "/a/", 403);
    });
    folder
        .set_permissions("a", 0o700)
        .set_permissions("b", 0o700);
}

/// Runs the tests of this module and of listings with the fallback, which walks the path.
#[test]
fn file_tests_pass_without_openat2() {
    without_openat2(|| {
        for module in ["path_resolution::", "listing::"] {
            rerun_module(module, "without_openat2");
        }
    });
}

/// Random links within, out of and into cycles: the walk finds the same files as openat2.
#[test]
fn lookups_without_openat2_find_the_same_files() {
    const PIECES: [&str; 9] = ["..", ".", "", "a", "b", "file", "link0", "link1", "link2"];
    let mut random = Random::new(9);
    let mut found = 0;
    for _ in 0..300 {
        let outer = TempDir::new();
        outer.file("file", "out").file("root/file", "0");
        outer.file("root/a/file", "12").file("root/a/b/file", "345");
        let mut path = |most| {
            let pieces = (0..=random.below(most)).map(|_| PIECES[random.below(PIECES.len())]);
            pieces.collect::<Vec<_>>().join("/")
        };
        for place in ["root", "root/a", "root/a/b"] {
            for link in ["link0", "link1", "link2"] {
                let target = path(5);
                let target = if target.is_empty() { "/" } else { &target };
                symlink(target, outer.path(place).join(link)).expect("a link can be created");
            }
        }
        let open = || ServeDir::new(outer.path("root")).expect("the folder can be opened");
        for symlinks in [Symlinks::Inside, Symlinks::Never] {
            let with_openat2 = open().symlinks(symlinks).listing(true);
            let by_walking = without_openat2(open).symlinks(symlinks).listing(true);
            for _ in 0..40 {
                let target = format!("/{}", path(4));
                let responses = [&with_openat2, &by_walking].map(|files| {
                    let response = get(files, &target, &[]);
                    (
                        response.status(),
                        response.body().as_bytes().to_vec(),
                        response.body().length(),
                    )
                });
                assert_eq!(
                    responses[0],
                    responses[1],
                    "{target} in {}",
                    outer.path("root").display()
                );
                found += usize::from(responses[0].0 == 200);
            }
        }
    }
    assert!(found > 1000, "only {found} lookups succeeded");
}

/// Each worker may walk a path, and 64 spare descriptors must suffice for all workers.
#[test]
fn walking_a_deep_tree_holds_few_descriptors() {
    in_own_process(
        "path_resolution::walking_a_deep_tree_holds_few_descriptors",
        || {
            let folder = TempDir::new();
            let deep = "d/".repeat(500);
            folder.file(&format!("{deep}x"), "x").file("top", "top");
            symlink("../d/../../top", folder.path("d/d/up")).expect("a link can be created");
            let files = without_openat2(|| files(&folder));
            let mut all = exhaust_descriptors();
            // A walk needs two descriptors: the current folder and the next entry.
            for (left, status) in [(0, 503), (1, 503), (2, 200)] {
                expect_status(&files, &format!("/{deep}x"), status);
                assert!(left == 2 || all.pop().is_some());
            }
            expect_status(&files, "/d/d/up", 200);
        },
    );
}

/// A link target of 3 KB can go up and down 600 times.
#[test]
fn lookups_without_openat2_end_at_long_links() {
    let folder = TempDir::new();
    let deep = "d/".repeat(500);
    folder.file(&format!("{deep}x"), "x");
    let target = format!("{}x", "../d/".repeat(600));
    symlink(target, folder.path(&format!("{deep}link"))).expect("a link can be created");
    expect_status(&files(&folder), &format!("/{deep}link"), 200);
    let files = without_openat2(|| files(&folder));
    expect_status(&files, &format!("/{deep}link"), 404);
}

#[test]
fn an_inaccessible_folder_is_an_error() {
    let folder = TempDir::new();
    folder
        .file("closed/x", "x")
        .set_permissions("closed", 0o444);
    let opened = without_openat2(|| {
        let mut opened = None;
        without_privileges(|| opened = Some(ServeDir::new(folder.path("closed"))));
        opened.expect("the closure ran")
    });
    folder.set_permissions("closed", 0o700);
    let error = opened.expect_err("the folder is inaccessible");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    for forbidden in ["openat2", "not implemented", "openat", "denied"] {
        assert!(error.to_string().contains(forbidden), "{error}");
    }
}
