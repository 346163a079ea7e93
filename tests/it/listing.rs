use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::time::{Duration, UNIX_EPOCH};

use httpool::http::Method;
use httpool::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LOCATION, VARY,
};
use httpool::{Response, ServeDir, Symlinks};
use serde_json::Value;

use crate::support::{
    TempDir, TestServer, call, exhaust_descriptors, expect_status, get, header, in_own_process,
    without_privileges,
};

fn listing(folder: &TempDir) -> ServeDir {
    let files = ServeDir::new(folder).expect("the folder can be opened");
    files.listing(true)
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(response.body().as_bytes()).into_owned()
}

/// A listing in JSON.
#[track_caller]
fn json(files: &ServeDir, target: &str) -> Value {
    let response = get(files, target, &[(ACCEPT, "application/json")]);
    assert_eq!(response.status(), 200, "{target}");
    assert_eq!(header(&response, CONTENT_TYPE), Some("application/json"));
    assert_eq!(header(&response, VARY), Some("accept"));
    serde_json::from_slice(response.body().as_bytes()).expect("the body is JSON")
}

#[track_caller]
fn names(files: &ServeDir, target: &str) -> Vec<String> {
    let json = json(files, target);
    let entries = json["entries"].as_array().expect("the listing has entries");
    let name = |entry: &Value| {
        entry["name"]
            .as_str()
            .expect("every entry has a name")
            .to_owned()
    };
    entries.iter().map(name).collect()
}

#[test]
fn a_folder_without_an_index_is_listed_if_enabled() {
    let folder = TempDir::new();
    folder
        .file("sub/a.txt", "abc")
        .file("site/index.html", "index");
    let files = listing(&folder);
    let page = expect_status(&files, "/sub/", 200);
    assert_eq!(
        header(&page, CONTENT_TYPE),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(header(&page, CACHE_CONTROL), Some("no-cache"));
    assert!(text(&page).contains("<a href=\"./a.txt\">a.txt</a>"));
    assert!(text(&page).contains("<a href=\"../\">"));
    assert!(!text(&expect_status(&files, "/", 200)).contains("<a href=\"../\">"));
    assert_eq!(
        expect_status(&files, "/site/", 200).body().length(),
        Some(5)
    );
    assert_eq!(
        header(&expect_status(&files, "/sub", 301), LOCATION),
        Some("./sub/")
    );
    expect_status(&files, "/missing/", 404);
    expect_status(&files, "/sub/a.txt/", 404);
    expect_status(&files.listing(false), "/sub/", 404);
}

#[test]
fn a_listing_can_be_json() {
    let folder = TempDir::new();
    folder.file("b c.txt", "12345").file("a/x", "");
    let file = File::options().write(true).open(folder.path("b c.txt"));
    let then = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    file.and_then(|file| file.set_modified(then))
        .expect("the time can be set");
    let json = json(&listing(&folder), "/");
    assert_eq!(json["path"], "/");
    assert_eq!(json["complete"], true);
    let expected = serde_json::json!({
        "name": "b c.txt",
        "href": "./b%20c.txt",
        "type": "file",
        "size": 5,
        "modified": "2001-09-09T01:46:40Z",
    });
    assert_eq!(json["entries"][1], expected);
    assert_eq!(json["entries"][0]["href"], "./a/");
    assert_eq!(json["entries"][0]["type"], "folder");
    assert_eq!(json["entries"][0]["size"], Value::Null);
}

#[test]
fn a_listing_is_sorted_with_folders_first() {
    let folder = TempDir::new();
    folder
        .file("b", "1")
        .file("A", "333")
        .file("c", "22")
        .file("z/x", "")
        .file("y/x", "");
    for (name, seconds) in [("b", 3), ("A", 2), ("c", 1)] {
        let file = File::options().write(true).open(folder.path(name));
        let then = UNIX_EPOCH + Duration::from_secs(seconds);
        file.and_then(|file| file.set_modified(then))
            .expect("the time can be set");
    }
    let files = listing(&folder);
    for (query, expected) in [
        ("", ["y", "z", "A", "b", "c"]),
        ("?order=desc", ["z", "y", "c", "b", "A"]),
        ("?sort=size", ["y", "z", "b", "c", "A"]),
        ("?sort=size&order=desc", ["z", "y", "A", "c", "b"]),
        ("?sort=modified", ["", "", "c", "A", "b"]),
        ("?sort=name&x=<script>&order=asc", ["y", "z", "A", "b", "c"]),
    ] {
        let names = names(
            &files,
            &format!("/{query}").replace('<', "%3C").replace('>', "%3E"),
        );
        let from = usize::from(query == "?sort=modified") * 2;
        assert_eq!(names[from..], expected[from..], "{query}");
    }
    let page = text(&expect_status(&files, "/?sort=size", 200));
    assert!(page.contains("aria-sort=\"ascending\"><a href=\"?sort=size&amp;order=desc\">Size"));
    assert!(page.contains("<th scope=\"col\"><a href=\"./\">Name"));
}

#[test]
fn names_in_a_listing_are_escaped() {
    let folder = TempDir::new();
    let names = [
        "<script>alert(1)<",
        "\"onmouseover=x",
        "'x'",
        "&amp;",
        "javascript:alert(1)",
        "a\nb",
        "?q#f",
        "%2e%2e",
    ];
    for name in names {
        folder.file(name, "x");
    }
    folder.file("<b>/x", "");
    let odd = folder.as_ref().join(OsStr::from_bytes(b"\xff<i>"));
    fs::write(odd, "x").expect("the name is valid");
    let files = listing(&folder);
    let response = get(
        &files,
        "/?<x>=\"".replace(['<', '>', '"'], "%3C").as_str(),
        &[],
    );
    let page = text(&response);
    for tag in [
        "<script",
        "<b>",
        "<i>",
        "\"onmouse",
        "href=\"javascript",
        "%3C%3C",
    ] {
        assert!(!page.contains(tag), "{tag} in {page}");
    }
    let policy = header(&response, CONTENT_SECURITY_POLICY).unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    // Each link leads to its file.
    let json = json(&files, "/");
    let entries = json["entries"].as_array().expect("the listing has entries");
    assert_eq!(entries.len(), names.len() + 2);
    for entry in entries {
        let href = entry["href"].as_str().expect("every entry has a link");
        expect_status(&files, href.trim_start_matches('.'), 200);
    }
    // The page of a folder shows its name.
    let page = text(&expect_status(&files, "/%3Cb%3E/", 200));
    assert!(page.contains("<h1><a href=\"../\">/</a>"), "{page}");
    assert!(page.contains(">&lt;b&gt;/</span></h1>"), "{page}");
    assert!(!page.contains("<b>"));
}

/// Listings and files follow the same policy.
#[test]
fn listed_files_are_the_served_files() {
    let outer = TempDir::new();
    outer
        .file("secret", "x")
        .file("root/file", "x")
        .file("root/.hidden", "x");
    outer
        .file("root/.well-known/x", "x")
        .file("root/sub/.well-known/x", "x")
        .file("root/sub/y", "x");
    let root = outer.path("root");
    symlink("../secret", root.join("out")).expect("a link can be created");
    symlink("file", root.join("in")).expect("a link can be created");
    symlink("../file", root.join("sub/up")).expect("a link can be created");
    symlink("nothing", root.join("broken")).expect("a link can be created");
    symlink("/etc", root.join("etc")).expect("a link can be created");
    outer.pipe("root/pipe");
    let files = || {
        ServeDir::new(&root)
            .expect("the folder can be opened")
            .listing(true)
    };
    let check = |files: &ServeDir, target: &str, expected: &[&str]| {
        assert_eq!(names(files, target), expected, "{target}");
        for name in expected {
            let status = get(files, &format!("{target}{name}"), &[])
                .status()
                .as_u16();
            assert!(matches!(status, 200 | 301), "{target}{name}: {status}");
        }
    };
    check(&files(), "/", &[".well-known", "sub", "file", "in"]);
    check(&files(), "/sub/", &["up", "y"]);
    let unlinked = files().symlinks(Symlinks::Never);
    check(&unlinked, "/", &[".well-known", "sub", "file"]);
    check(&unlinked, "/sub/", &["y"]);
    check(
        &files().dotfiles(true),
        "/sub/",
        &[".well-known", "up", "y"],
    );
}

#[test]
fn unreadable_files_are_not_listed() {
    let folder = TempDir::new();
    folder
        .file("closed", "x")
        .file("open", "x")
        .file("in/x", "x")
        .file("out/x", "x");
    symlink("closed", folder.path("link")).expect("a link can be created");
    folder
        .set_permissions("closed", 0o000)
        .set_permissions("out", 0o000);
    folder.set_permissions("in", 0o111);
    let files = listing(&folder);
    without_privileges(|| assert_eq!(names(&files, "/"), ["in", "open"]));
    folder
        .set_permissions("in", 0o700)
        .set_permissions("out", 0o700);
}

/// A temporary failure must not look like a missing file.
#[test]
fn a_listing_without_descriptors_gets_503() {
    in_own_process("listing::a_listing_without_descriptors_gets_503", || {
        let folder = TempDir::new();
        folder.file("a", "x");
        let files = listing(&folder);
        let mut all = exhaust_descriptors();
        // One descriptor is enough: the folder is closed before its entries are examined.
        expect_status(&files, "/", 503);
        assert!(all.pop().is_some());
        expect_status(&files, "/", 200);
    });
}

#[test]
fn head_of_a_listing_has_the_length_of_get() {
    let folder = TempDir::new();
    folder.file("sub/a", "x").file("site/index.html", "index");
    let files = listing(&folder);
    for headers in [vec![], vec![(ACCEPT, "application/json")]] {
        let whole = get(&files, "/sub/", &headers);
        let head = call(&files, Method::HEAD, "/sub/", &headers);
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers(), whole.headers());
        assert_eq!(head.body().length(), whole.body().length());
    }
    let index = call(&files, Method::HEAD, "/site/", &[]);
    assert_eq!(index.body().length(), Some(5));
    assert_eq!(call(&files, Method::HEAD, "/none/", &[]).status(), 404);
    let server = TestServer::spawn(|builder| builder, files);
    let mut client = server.connect();
    let length = client
        .get("/sub/")
        .expect_status(200)
        .body
        .len()
        .to_string();
    client.send("HEAD /sub/ HTTP/1.1\r\nHost: it\r\n\r\n");
    let head = client.expect_response_to_head();
    assert_eq!(head.header("content-length"), Some(&*length));
}

/// pip asks for a package index like this; a JSON listing is none of these types.
#[test]
fn json_is_sent_only_to_clients_that_accept_it() {
    let folder = TempDir::new();
    folder.file("a", "x");
    let files = listing(&folder);
    for (accept, expected) in [
        (
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, \
             text/html; q=0.01",
            "text/html; charset=utf-8",
        ),
        ("application/problem+json", "text/html; charset=utf-8"),
        ("application/ld+json, */*;q=0.1", "text/html; charset=utf-8"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/html;q=0.5, application/*", "application/json"),
    ] {
        let response = get(&files, "/", &[(ACCEPT, accept)]);
        assert_eq!(header(&response, CONTENT_TYPE), Some(expected), "{accept}");
    }
}

#[test]
fn names_with_a_backslash_are_listed_and_served() {
    let folder = TempDir::new();
    folder.file("a\\b.txt", "file").file("c\\d/x", "nested");
    let files = listing(&folder);
    assert_eq!(names(&files, "/"), ["c\\d", "a\\b.txt"]);
    assert_eq!(json(&files, "/")["entries"][1]["href"], "./a%5Cb.txt");
    let server = TestServer::spawn(|builder| builder, files);
    let mut client = server.connect();
    client.get("/a%5Cb.txt").expect_body("file");
    client.get("/c%5cd/x").expect_body("nested");
    let moved = client.get("/c%5Cd").expect_status(301);
    assert_eq!(moved.header("location"), Some("./c%5Cd/"));
}

#[test]
fn a_listing_has_no_validators() {
    let folder = TempDir::new();
    folder.file("a", "x");
    let files = listing(&folder);
    for method in [Method::GET, Method::HEAD] {
        for (name, value, status) in [
            (IF_MATCH, "*", 200),
            (IF_MATCH, "\"x\"", 412),
            (IF_NONE_MATCH, "*", 304),
            (IF_NONE_MATCH, "\"x\"", 200),
            (IF_MODIFIED_SINCE, "Sat, 01 Jan 2050 00:00:00 GMT", 200),
        ] {
            let response = call(&files, method.clone(), "/", &[(name.clone(), value)]);
            assert_eq!(response.status(), status, "{method} {name} {value}");
            if status == 304 {
                assert_eq!(header(&response, VARY), Some("accept"));
                assert_eq!(response.body().length(), Some(0));
            }
        }
    }
}

/// The pages of a listing in JSON, one after the other.
#[track_caller]
fn all_pages(files: &ServeDir, query: &str) -> Vec<Value> {
    let mut pages = vec![json(files, &format!("/{query}"))];
    while let Some(next) = pages.last().and_then(|page| page["next"].as_str()) {
        let next = json(files, &format!("/{next}"));
        pages.push(next);
    }
    pages
}

/// The names of all pages.
fn names_of(pages: &[Value]) -> Vec<&str> {
    let entries = pages.iter().flat_map(|page| page["entries"].as_array());
    entries
        .flatten()
        .filter_map(|entry| entry["name"].as_str())
        .collect()
}

#[test]
fn a_large_folder_is_sorted_as_a_whole() {
    let folder = TempDir::new();
    for index in 0..60_000_u32 {
        let file = File::create(folder.as_ref().join(format!("{index:05}")));
        let mut file = file.expect("a file can be created");
        // Sizes in another order than the names, some of them the same.
        if index % 1000 == 7 {
            let size = (index / 1000) % 7;
            file.write_all(&vec![b'x'; size as usize])
                .expect("a file can be written");
        }
    }
    folder.file("sub/x", "");
    let files = listing(&folder);
    let first = json(&files, "/?sort=size&order=desc");
    assert_eq!(first["complete"], false);
    assert_eq!(first["names"], 60_001);
    assert_eq!(first["folders"], 1);
    assert_eq!(first["files"], 60_000);
    assert_eq!((&first["page"], &first["pages"]), (&1.into(), &61.into()));
    assert_eq!(first["next"], "?sort=size&order=desc&page=2");
    assert_eq!(first["last"], "?sort=size&order=desc&page=61");
    let of_first = names_of(std::slice::from_ref(&first));
    assert_eq!(of_first.len(), 1000);
    assert_eq!(of_first[..4], ["sub", "55007", "48007", "41007"]);
    let last = json(&files, "/?page=99999999");
    assert_eq!((&last["page"], &last["next"]), (&61.into(), &Value::Null));
    assert_eq!(last["previous"], "?page=60");
    assert_eq!(names_of(&[last]), ["59999"]);
    let page = text(&expect_status(&files, "/?page=30&sort=size", 200));
    for part in [
        "1 folder, 60000 files, 174 B",
        "<a href=\"?sort=size\">First</a>",
        "<a href=\"?sort=size&amp;page=29\">Previous</a>",
        "<span aria-current=\"page\">30 of 61</span>",
        "<a href=\"?sort=size&amp;page=61\">Last</a>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let found = json(&files, "/?search=999");
    assert_eq!(
        (&found["names"], &found["complete"]),
        (&114.into(), &true.into())
    );
}

#[test]
fn names_that_are_too_many_are_sorted_by_name() {
    let folder = TempDir::new();
    // Their names have more than 8 MiB.
    let name = |index: usize| format!("{index:05}{}", "x".repeat(250));
    for index in 0..33_000 {
        File::create(folder.as_ref().join(name(index))).expect("a file can be created");
    }
    folder.file("00000 x/in", "");
    let files = listing(&folder);
    let first = json(&files, "/?sort=size&order=desc&page=2");
    assert_eq!(first["complete"], false);
    assert_eq!(first["names"], 33_001);
    assert_eq!(
        (&first["page"], &first["size"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(first["entries"][0]["name"], "00000 x");
    assert_eq!(first["entries"][999]["name"], name(998));
    assert_eq!(
        first["next"],
        format!("?sort=size&order=desc&after={}", name(998))
    );
    let second = json(&files, &format!("/?after={}", name(32_998)));
    assert_eq!(
        (&second["complete"], &second["next"]),
        (&false.into(), &Value::Null)
    );
    assert_eq!(names_of(&[second]), [name(32_999)]);
    let page = text(&expect_status(&files, "/?after=00000", 200));
    assert!(page.contains("33001 names. These are too many"), "{page}");
    assert!(page.contains("<a href=\"./\">First</a>"));
    assert!(page.contains(&format!("<a href=\"?after={}\">Next</a>", name(998))));
    assert!(!page.contains("sort=size"));
    // Few enough names are sorted as a whole.
    let found = json(&files, "/?search=0000&sort=size");
    assert_eq!((&found["names"], &found["pages"]), (&14.into(), &1.into()));
}

#[test]
fn pages_of_a_small_folder_show_each_name_once() {
    let folder = TempDir::new();
    for index in 0..2500 {
        folder.file(&format!("{index}"), "x".repeat(index % 3));
    }
    let files = listing(&folder);
    for query in ["", "?sort=size&order=desc", "?sort=modified", "?after="] {
        let pages = all_pages(&files, query);
        assert_eq!(pages.len(), 3, "{query}");
        let mut names = names_of(&pages);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 2500, "{query}");
    }
    assert_eq!(names(&files, "/?after=zzz"), Vec::<String>::new());
}

#[test]
fn hidden_names_do_not_count_towards_a_page() {
    let folder = TempDir::new();
    for index in 0..1001 {
        folder.file(&format!(".{index}"), "");
    }
    folder.file("a", "");
    let json = json(&listing(&folder), "/");
    assert_eq!(
        (&json["complete"], &json["names"]),
        (&true.into(), &1.into())
    );
    assert_eq!(json["entries"].as_array().map(Vec::len), Some(1));
}
