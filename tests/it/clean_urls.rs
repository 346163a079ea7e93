use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use httpool::http::Method;
use httpool::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
};
use httpool::testing::Client;
use httpool::{Router, ServeDir};

use crate::support::{TempDir, TestServer, call, expect_status, get, header};

type Files = Arc<ServeDir>;

fn exact(folder: &TempDir) -> ServeDir {
    ServeDir::new(folder).expect("the folder can be opened")
}

fn pretty(folder: &TempDir) -> Files {
    Arc::new(exact(folder).pretty_urls(true))
}

fn site() -> TempDir {
    let folder = TempDir::new();
    folder
        .file("index.html", "home")
        .file("about.html", "about")
        .file("docs/index.html", "docs")
        .file("docs/a b.html", "a b")
        .file("blog.html", "blog")
        .file("blog/first.html", "first")
        .file("both.html", "page")
        .file("both", "file");
    folder
}

#[track_caller]
fn expect_content(files: &Files, target: &str, content: &str) {
    let response = Client::new(Arc::clone(files)).get(target).send();
    assert_eq!(response.status(), 200, "{target}");
    assert_eq!(response.text(), content, "{target}");
}

#[track_caller]
fn expect_moved(files: &Files, target: &str, location: &str) {
    let response = expect_status(files, target, 308);
    assert_eq!(header(&response, LOCATION), Some(location), "{target}");
    assert_eq!(header(&response, CACHE_CONTROL), Some("no-cache"));
}

#[test]
fn pages_are_served_without_their_extension() {
    let folder = site();
    let files = pretty(&folder);
    expect_content(&files, "/about", "about");
    expect_content(&files, "/docs/a%20b", "a b");
    let page = expect_status(&files, "/about", 200);
    assert_eq!(
        header(&page, CONTENT_TYPE),
        Some("text/html; charset=utf-8")
    );
    expect_content(&files, "/", "home");
    expect_content(&files, "/docs/", "docs");
    for target in [
        "/none",
        "/none.html",
        "/about/x",
        "/docs/about",
        "/about.htm",
        "/.html",
    ] {
        expect_status(&files, target, 404);
    }
    // Without the option, nothing of this is done.
    let exact = Arc::new(exact(&folder).pretty_urls(false));
    expect_status(&exact, "/about", 404);
    expect_content(&exact, "/about.html", "about");
    expect_content(&exact, "/docs/index.html", "docs");
}

#[test]
fn pages_with_extensions_move_to_clean_urls() {
    let folder = site();
    let files = pretty(&folder);
    for (target, location) in [
        ("/about.html", "./about"),
        ("/about.html?a=b&c=/d", "./about?a=b&c=/d"),
        ("/docs/a%20b.html", "./a%20b"),
        ("/index.html", "./"),
        ("/index?x", "./?x"),
        ("/docs/index.html?q", "./?q"),
        ("/docs/index", "./"),
        ("/about/?q", "../about?q"),
    ] {
        expect_moved(&files, target, location);
    }
}

#[test]
fn folders_win_with_a_slash_and_pages_without() {
    let folder = site();
    expect_content(&pretty(&folder), "/blog", "blog");
    expect_content(&pretty(&folder), "/blog/first", "first");
    expect_moved(&pretty(&folder), "/blog/", "../blog");
    expect_status(
        &exact(&folder).pretty_urls(true).listing(true),
        "/blog/",
        200,
    );
    expect_moved(&pretty(&folder), "/blog.html", "./blog");
    folder.file("blog/index.html", "posts");
    expect_content(&pretty(&folder), "/blog/", "posts");
    expect_content(&pretty(&folder), "/blog", "blog");
    let docs = expect_status(&pretty(&folder), "/docs?q", 301);
    assert_eq!(header(&docs, LOCATION), Some("./docs/?q"));
    // A file without an extension has its own path.
    expect_content(&pretty(&folder), "/both", "file");
    expect_content(&pretty(&folder), "/both.html", "page");
    expect_status(&pretty(&folder), "/both/", 404);
}

/// Every `Location` is relative and begins with a dot, whatever the name is.
#[test]
fn clean_urls_never_lead_to_another_host() {
    let folder = TempDir::new();
    let names = [
        "\\evil.example",
        "@evil.example",
        "javascript:alert(1)",
        "a\r\nSet-Cookie: x",
        "%2Fevil",
        "?x#y",
        "...",
        "é",
    ];
    for name in names {
        folder.file(&format!("{name}.html"), name);
        folder.file(&format!("sub/{name}/index.html"), name);
    }
    let odd = folder.as_ref().join(OsStr::from_bytes(b"\xff.html"));
    fs::write(odd, "x").expect("the name is valid");
    let files = Arc::new(exact(&folder).pretty_urls(true).dotfiles(true));
    let encode = |name: &str| {
        let encoded = name.bytes().map(|byte| format!("%{byte:02X}"));
        encoded.collect::<String>()
    };
    for name in names {
        let moved = expect_status(&files, &format!("/{}.html", encode(name)), 308);
        let location = header(&moved, LOCATION).unwrap_or_default();
        let clean = location.strip_prefix("./").expect("it is relative");
        assert!(
            !clean.contains(['/', '\\', ':', '@', '?', '#']),
            "{location}"
        );
        expect_content(&files, &format!("/{clean}"), name);
        expect_moved(&files, &format!("/sub/{}/index.html", encode(name)), "./");
        let up = expect_status(&files, &format!("/{}/", encode(name)), 308);
        assert_eq!(header(&up, LOCATION), Some(&*format!("../{clean}")));
    }
    expect_moved(&files, "/%FF.html", "./%FF");
    expect_status(&files, "/%FF", 200);
    for target in [
        "//evil.html",
        "//evil",
        "/%2Fevil.html",
        "/..%2Fevil.html",
        "/x//index.html",
    ] {
        assert_eq!(get(&files, target, &[]).status(), 404, "{target}");
    }
    // A name of dots would be another folder.
    folder.file("...html", "dots").file("..html", "dot");
    for (target, content) in [("/...html", "dots"), ("/..html", "dot")] {
        expect_content(&files, target, content);
    }
}

#[test]
fn clean_urls_keep_their_prefix() {
    let folder = site();
    let files = Arc::new(exact(&folder).pretty_urls(true).under("/static"));
    expect_content(&files, "/static/about", "about");
    expect_moved(&files, "/static/about.html", "./about");
    expect_moved(&files, "/static/index.html", "./");
    let root = expect_status(&files, "/static", 301);
    assert_eq!(header(&root, LOCATION), Some("./static/"));
    let router: Router = Router::new()
        .get("/api", || "api")
        .nest("/static", exact(&folder).pretty_urls(true));
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    client.get("/static/about").expect_body("about");
    client.get("/static/docs/").expect_body("docs");
    let moved = client.get("/static/docs/index.html?a=b").expect_status(308);
    assert_eq!(moved.header("location"), Some("./?a=b"));
    client.get("/api").expect_body("api");
    client.get("/static//evil.html").expect_status(404);
    client.get("//evil.html").expect_status(404);
}

#[test]
fn clean_urls_have_compressed_copies_and_validators() {
    let folder = site();
    folder.file("about.html.gz", "gzip");
    let files = Arc::new(exact(&folder).pretty_urls(true).precompressed(true));
    let copy = get(&files, "/about", &[(ACCEPT_ENCODING, "gzip")]);
    assert_eq!(header(&copy, CONTENT_ENCODING), Some("gzip"));
    assert_eq!(
        header(&copy, CONTENT_TYPE),
        Some("text/html; charset=utf-8")
    );
    let whole = expect_status(&files, "/about", 200);
    let head = call(&files, Method::HEAD, "/about", &[]);
    assert_eq!(head.headers(), whole.headers());
    let tag = header(&whole, ETAG).expect("it has an entity tag");
    assert_eq!(get(&files, "/about", &[(IF_NONE_MATCH, tag)]).status(), 304);
    assert_eq!(call(&files, Method::HEAD, "/about.html", &[]).status(), 308);
    assert_eq!(call(&files, Method::POST, "/about", &[]).status(), 405);
    let app = Arc::new(exact(&folder).pretty_urls(true).fallback("index.html"));
    expect_content(&app, "/about", "about");
    expect_content(&app, "/some/route", "home");
}

#[test]
fn the_first_index_that_exists_is_served() {
    let folder = site();
    folder
        .file("docs/index.htm", "old")
        .file("old/index.htm", "only")
        .file("dir/index.htm/x", "")
        .file("dir/index.html", "second");
    let with_names = |names: &[&str]| exact(&folder).index(names).expect("they are names");
    let names = ["index.htm", "index.html"];
    let both = Arc::new(with_names(&names));
    expect_content(&both, "/docs/", "old");
    expect_content(&both, "/old/", "only");
    expect_content(&both, "/dir/", "second");
    expect_content(&both, "/", "home");
    let pretty = Arc::new(with_names(&names).pretty_urls(true));
    expect_moved(&pretty, "/docs/index.htm", "./");
    // It is not the index of this folder.
    expect_moved(&pretty, "/docs/index.html", "./index");
    expect_content(&pretty, "/docs/index", "docs");
    expect_status(&with_names(&[]), "/docs/", 404);
    expect_status(&with_names(&[]).listing(true), "/docs/", 200);
    folder.file(".index", "hidden");
    expect_status(&with_names(&[".index"]), "/", 404);
    expect_content(
        &Arc::new(with_names(&[".index"]).dotfiles(true)),
        "/",
        "hidden",
    );
    for name in ["", ".", "..", "a/b", "/index.html", "index.html/", "a\0b"] {
        let error = exact(&folder)
            .index(["index.html", name])
            .expect_err("no file name");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
    }
}
