use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use httpool::http::Method;
use httpool::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LOCATION, VARY,
};
use httpool::{Response, Router, ServeDir, Symlinks};
use serde_json::Value;

use crate::support::{
    TempDir, TestServer, call, exhaust_descriptors, expect_status, get, header, in_own_process,
    without_privileges,
};

pub(crate) fn listing(folder: &TempDir) -> ServeDir {
    let files = ServeDir::new(folder).expect("the folder can be opened");
    files.listing(true)
}

pub(crate) fn text(response: &Response) -> String {
    String::from_utf8_lossy(response.body().as_bytes()).into_owned()
}

/// A listing in JSON.
#[track_caller]
pub(crate) fn json(files: &ServeDir, target: &str) -> Value {
    let response = get(files, target, &[(ACCEPT, "application/json")]);
    assert_eq!(response.status(), 200, "{target}");
    assert_eq!(header(&response, CONTENT_TYPE), Some("application/json"));
    assert_eq!(header(&response, VARY), Some("accept"));
    serde_json::from_slice(response.body().as_bytes()).expect("the body is JSON")
}

#[track_caller]
pub(crate) fn names(files: &ServeDir, target: &str) -> Vec<String> {
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
pub(crate) fn all_pages(files: &ServeDir, query: &str) -> Vec<Value> {
    let mut pages = vec![json(files, &format!("/{query}"))];
    while let Some(next) = pages.last().and_then(|page| page["next"].as_str()) {
        let next = json(files, &format!("/{next}"));
        pages.push(next);
    }
    pages
}

/// The names of all pages.
pub(crate) fn names_of(pages: &[Value]) -> Vec<&str> {
    let entries = pages.iter().flat_map(|page| page["entries"].as_array());
    entries
        .flatten()
        .filter_map(|entry| entry["name"].as_str())
        .collect()
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

#[test]
fn each_folder_of_the_path_is_a_link() {
    let folder = TempDir::new();
    folder.file("a b/<c>/x", "");
    let links = |files: &ServeDir, target: &str| {
        let crumbs = &json(files, target)["breadcrumbs"];
        let crumbs = crumbs.as_array().expect("there are breadcrumbs").iter();
        let crumbs = crumbs.map(|crumb| {
            let part = |key: &str| crumb[key].as_str().unwrap_or_default().to_owned();
            (part("name"), part("href"))
        });
        crumbs.collect::<Vec<_>>()
    };
    let pair = |name: &str, href: &str| (name.to_owned(), href.to_owned());
    let below = [pair("a b/", "../"), pair("<c>/", "./")];
    let files = listing(&folder);
    let root = [&[pair("/", "../../")], &below[..]].concat();
    assert_eq!(links(&files, "/a%20b/%3Cc%3E/"), root);
    let under = listing(&folder).under("/files/of");
    let root = [&[pair("/files/of/", "../../")], &below[..]].concat();
    assert_eq!(links(&under, "/files/of/a%20b/%3Cc%3E/"), root);
    let page = text(&expect_status(&files, "/a%20b/%3Cc%3E/", 200));
    let heading = "<h1><a href=\"../../\">/</a><a href=\"../\">a b/</a>";
    assert!(page.contains(heading), "{page}");
    // A router does not know what is above.
    let router: Router = Router::new().nest("/static", listing(&folder));
    let page = text(&expect_status(&router, "/static/", 200));
    assert!(
        page.contains("aria-current=\"page\">/static/</span>"),
        "{page}"
    );
    assert!(!page.contains("../"), "{page}");
}

#[test]
fn names_are_searched_without_case() {
    let folder = TempDir::new();
    for name in ["Straße.txt", "STRASSE", "other", "a+b c", "ΣΟΦΟΣ"] {
        folder.file(name, "x");
    }
    folder.file("strasse/x", "").file(".strasse", "");
    fs::write(folder.as_ref().join(OsStr::from_bytes(b"x\xffSTRASSE")), "").expect("it is valid");
    let files = listing(&folder);
    let mut found = names(&files, "/?search=stra%C3%9Fe&sort=size&order=desc");
    found.sort();
    assert_eq!(
        found,
        ["STRASSE", "Straße.txt", "strasse", "x\u{fffd}STRASSE"]
    );
    assert_eq!(names(&files, "/?search=A%2Bb+C"), ["a+b c"]);
    assert_eq!(
        names(&files, "/?search=%CF%83%CE%BF%CF%86%CE%BF%CF%82"),
        ["ΣΟΦΟΣ"]
    );
    assert_eq!(names(&files, "/?search=").len(), 7);
    let page = text(&expect_status(
        &files,
        "/?sort=size&search=%22%3Cb%3E&order=desc",
        200,
    ));
    for part in [
        "0 folders, 0 files, 0 B with “&quot;&lt;b&gt;” in the name",
        "<a href=\"?sort=size&amp;order=desc\">Show all</a>",
        "<input type=\"hidden\" name=\"sort\" value=\"size\">",
        "value=\"&quot;&lt;b&gt;\"",
        "<a href=\"?sort=modified&amp;search=%22%3Cb%3E\">",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("<b>"));
    let long = format!("/?search={}", "x".repeat(10 * 1024));
    assert_eq!(names(&files, &long), Vec::<String>::new());
    expect_status(&files, &long, 200);
}

#[test]
fn sizes_of_folders_are_counted_on_demand() {
    let outer = TempDir::new();
    outer.file("secret", "x".repeat(1000));
    outer.file("root/big/a", "x".repeat(70));
    outer.file("root/big/deep/deeper/b", "x".repeat(30));
    outer.file("root/big/.hidden", "x".repeat(500));
    outer.file("root/small/c", "x");
    outer.file("root/file", "xx");
    let root = outer.path("root");
    // No link is followed: not outside, not to what is counted already, not in circles.
    for (target, link) in [
        ("../../secret", "big/out"),
        ("a", "big/in"),
        ("..", "big/deep/up"),
        ("nothing", "big/broken"),
        ("../..", "big/outside"),
    ] {
        symlink(target, root.join(link)).expect("a link can be created");
    }
    let files = || ServeDir::new(&root).expect("it is a folder").listing(true);
    let sizes = |query: &str| {
        let json = json(&files(), query);
        let entries = json["entries"]
            .as_array()
            .expect("there are entries")
            .iter();
        let sizes = entries.map(|entry| (entry["size"].as_u64(), entry["size_complete"].as_bool()));
        sizes.collect::<Vec<_>>()
    };
    assert_eq!(sizes("/"), [(None, None), (None, None), (Some(2), None)]);
    let (big, small) = ((Some(100), Some(true)), (Some(1), Some(true)));
    assert_eq!(sizes("/?sizes"), [big, small, (Some(2), None)]);
    assert_eq!(sizes("/?sizes&sort=size"), [small, big, (Some(2), None)]);
    let page = text(&expect_status(&files(), "/", 200));
    assert!(
        page.contains("<a href=\"?sizes\">Sizes of folders</a>"),
        "{page}"
    );
    let page = text(&expect_status(&files(), "/?sizes", 200));
    assert!(page.contains("big/</a></td><td>100 B</td>"), "{page}");
    assert!(!page.contains("Sizes of folders"));
    let all = json(&files().dotfiles(true), "/?sizes");
    assert_eq!(all["entries"][0]["size"], 600);
}

#[test]
fn a_folder_that_is_too_large_is_counted_in_part() {
    let folder = TempDir::new();
    folder
        .file("b/x", "x")
        .file("c/closed/x", "x")
        .file("a/0", "x");
    // Each folder gets a third of the names.
    let names = folder.path("a");
    for index in 1..33_400 {
        File::create(names.join(index.to_string())).expect("a file can be created");
    }
    folder.set_permissions("c/closed", 0o000);
    let files = listing(&folder);
    without_privileges(|| {
        let entries = &json(&files, "/?sizes")["entries"];
        assert_eq!(entries[0]["size_complete"], false);
        assert_eq!(
            (&entries[1]["size"], &entries[1]["size_complete"]),
            (&1.into(), &true.into())
        );
        assert_eq!(
            (&entries[2]["size"], &entries[2]["size_complete"]),
            (&0.into(), &false.into())
        );
        let page = text(&expect_status(&files, "/?sizes", 200));
        assert!(page.contains("c/</a></td><td>unknown</td>"), "{page}");
    });
    folder.set_permissions("c/closed", 0o700);
}

#[test]
fn the_readme_is_below_the_names() {
    let folder = TempDir::new();
    folder.file(
        "a/readme.md",
        "# Title\n\na <script>x</script> [l](javascript:x) ![i](i.png)",
    );
    folder.file("a/README.txt", "not shown");
    folder.file("b/README.txt", b"a\r\n<b>\xff");
    folder.file("c/README.md/x", "");
    folder.file("d/README", "x".repeat(256 * 1024 + 1));
    folder.file("e/README", "");
    let files = listing(&folder);
    let response = expect_status(&files, "/a/", 200);
    let page = text(&response);
    assert!(page.contains("<section class=\"readme\" aria-label=\"readme.md\">\n<h2>Title</h2>"));
    assert!(
        page.contains("a &lt;script&gt;x&lt;/script&gt; l <img src=\"i.png\""),
        "{page}"
    );
    assert!(!page.contains("not shown"));
    let policy = header(&response, CONTENT_SECURITY_POLICY).unwrap_or_default();
    for rule in [
        "default-src 'none'",
        "img-src 'self' data:",
        "form-action 'self'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert_eq!(json(&files, "/a/")["readme"], "readme.md");
    let page = text(&expect_status(&files, "/b/", 200));
    assert!(page.contains("<pre>a\r\n&lt;b&gt;\u{fffd}</pre>"), "{page}");
    for (target, has_readme) in [("/c/", false), ("/e/", true), ("/a/?search=txt", false)] {
        let page = text(&expect_status(&files, target, 200));
        assert_eq!(page.contains("<section"), has_readme, "{target}");
    }
    let page = text(&expect_status(&files, "/d/", 200));
    assert!(page.contains("README is longer than 256 KiB."));
    assert!(page.len() < 300_000, "{}", page.len());
}

/// A file that would not be served is not shown either.
#[test]
fn a_readme_outside_the_folder_is_not_shown() {
    let outer = TempDir::new();
    outer
        .file("README.md", "secret")
        .file("root/a/x", "x")
        .file("root/b/x", "x");
    let root = outer.path("root");
    symlink("../../README.md", root.join("a/README.md")).expect("a link can be created");
    outer.pipe("root/b/README");
    let files = ServeDir::new(&root).expect("it is a folder").listing(true);
    for target in ["/a/", "/b/"] {
        let page = text(&expect_status(&files, target, 200));
        assert!(
            !page.contains("<section") && !page.contains("secret"),
            "{page}"
        );
    }
}

#[test]
fn characters_that_hide_names_are_shown() {
    let folder = TempDir::new();
    folder
        .file("invoice\u{202e}fdp.exe", "")
        .file("a\n\tb", "")
        .file("\u{200b}", "");
    let page = text(&expect_status(&listing(&folder), "/", 200));
    for part in [
        "<a href=\"./invoice%E2%80%AEfdp.exe\">invoice\u{fffd}fdp.exe</a>",
        "<a href=\"./a%0A%09b\">a\u{fffd}\u{fffd}b</a>",
        "<a href=\"./%E2%80%8B\">\u{fffd}</a>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn a_folder_may_change_while_it_is_read() {
    let folder = TempDir::new();
    for index in 0..300 {
        folder.file(&format!("stays{index}"), "x");
    }
    let files = listing(&folder);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0_u32;
            while !is_done.load(Ordering::Relaxed) {
                turn += 1;
                let (file, sub) = (folder.path("moves"), folder.path("folder"));
                // Each may fail, because the last turn has left something else.
                let _ = match turn % 6 {
                    0 => fs::write(&file, "x"),
                    1 => fs::rename(&file, folder.path("moved")),
                    2 => fs::create_dir(&sub),
                    3 => symlink("stays1", sub.join("link")),
                    4 => fs::remove_dir_all(&sub),
                    _ => fs::remove_file(folder.path("moved")),
                };
            }
        });
        for _ in 0..30 {
            let names = names(&files, "/?sizes&sort=size");
            let stays = names.iter().filter(|name| name.starts_with("stays"));
            assert_eq!(stays.count(), 300);
        }
        is_done.store(true, Ordering::Relaxed);
    });
}
