use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use httpool::http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE,
    ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RANGE, VARY,
};
use httpool::http::{HeaderValue, Method};
use httpool::{EntityTags, ServeDir};

use crate::support::{
    End, HUGE, NEVER, Random, TempDir, Transport, call, eventually, expect_status, get, header,
    over_every_transport,
};

over_every_transport! {
    whole_partial_and_missing_files_share_a_connection,
    a_slow_reader_of_a_large_file_holds_no_worker,
}

fn files(folder: &TempDir) -> ServeDir {
    ServeDir::new(folder).expect("the folder can be opened")
}

#[test]
fn file_responses_have_headers() {
    let folder = TempDir::new();
    folder.file("a b/page.html", "<p>page</p>");
    let files = files(&folder);
    for method in [Method::GET, Method::HEAD] {
        let response = call(&files, method, "/a%20b/page.html?x=y", &[]);
        assert_eq!(response.status(), 200);
        assert_eq!(response.body().length(), Some(11));
        assert_eq!(
            header(&response, CONTENT_TYPE),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(header(&response, CACHE_CONTROL), Some("no-cache"));
        assert_eq!(header(&response, ACCEPT_RANGES), Some("bytes"));
        assert_eq!(header(&response, VARY), None);
        let tag = header(&response, ETAG).expect("the response has an ETag");
        assert!(tag.trim_start_matches("W/").starts_with("\"b-"), "{tag}");
        assert!(header(&response, LAST_MODIFIED).is_some());
    }
}

/// What is known of a file that has not changed is kept, and a file may be served in several forms.
#[test]
fn file_in_several_forms_keeps_the_headers_of_each() {
    let folder = TempDir::new();
    folder.file("page.html", "<p>page</p>");
    let files = files(&folder).fallback("page.html").precompressed(true);
    eventually("the file is old enough", || {
        let response = expect_status(&files, "/page.html", 200);
        header(&response, ETAG).is_some_and(|tag| tag.starts_with('"'))
    });
    let headers_of = |target: &str, headers: &[(HeaderName, &str)]| {
        let response = get(&files, target, headers);
        (response.status().as_u16(), response.headers().clone())
    };
    let html = [(ACCEPT, "text/html")];
    let range = [(RANGE, "bytes=0-1")];
    let all = || {
        [
            headers_of("/page.html", &[]),
            headers_of("/other.page", &html),
            headers_of("/page.html", &range),
        ]
    };
    let first = all();
    assert_eq!(first.each_ref().map(|(status, _)| *status), [200, 200, 206]);
    let vary = first.each_ref().map(|(_, headers)| headers[VARY].clone());
    assert_eq!(
        vary,
        [
            "accept-encoding",
            "accept, accept-encoding",
            "accept-encoding"
        ]
    );
    let same = [first[0].1[ETAG].clone(), first[1].1[ETAG].clone()];
    assert_eq!(same[0], same[1]);
    assert_eq!(all(), first);
    folder.file("page.html", "<p>Page</p>");
    assert_ne!(all()[0].1[ETAG], same[0]);
}

#[test]
fn other_methods_get_405_with_allow() {
    let folder = TempDir::new();
    let files = files(&folder);
    for (method, status) in [
        (Method::OPTIONS, 204),
        (Method::POST, 405),
        (Method::DELETE, 405),
    ] {
        let response = call(&files, method, "/", &[]);
        assert_eq!(response.status(), status);
        assert_eq!(header(&response, ALLOW), Some("GET, HEAD, OPTIONS"));
    }
}

#[test]
fn conditional_requests_get_304() {
    let folder = TempDir::new();
    folder.file("a.txt", "text");
    let files = files(&folder);
    let first = expect_status(&files, "/a.txt", 200);
    let tag = header(&first, ETAG)
        .expect("the response has an ETag")
        .to_owned();
    let date = header(&first, LAST_MODIFIED)
        .expect("the response has a date")
        .to_owned();
    for known in [(IF_NONE_MATCH, &*tag), (IF_MODIFIED_SINCE, &*date)] {
        let response = get(&files, "/a.txt", &[known]);
        assert_eq!(response.status(), 304);
        assert_eq!(response.body().length(), Some(0));
        assert_eq!(header(&response, CACHE_CONTROL), Some("no-cache"));
        assert!(header(&response, ETAG).is_some());
        assert_eq!(header(&response, CONTENT_TYPE), None);
    }
    assert_eq!(
        get(&files, "/a.txt", &[(IF_MATCH, "\"other\"")]).status(),
        412
    );

    // A different file with the same length and time.
    let files = files.entity_tags(EntityTags::Change);
    let first = expect_status(&files, "/a.txt", 200);
    let tag = header(&first, ETAG)
        .expect("the response has an ETag")
        .to_owned();
    let then = fs::metadata(folder.path("a.txt")).and_then(|known| known.modified());
    folder.file("b.txt", "next");
    let new = fs::File::options().write(true).open(folder.path("b.txt"));
    let new = new.and_then(|file| file.set_modified(then.expect("the time is known")));
    new.expect("the time can be set");
    fs::rename(folder.path("b.txt"), folder.path("a.txt")).expect("the folder is writable");
    let response = get(&files, "/a.txt", &[(IF_NONE_MATCH, &tag)]);
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, LAST_MODIFIED), Some(&*date));
}

#[test]
fn precompressed_files_are_sent_if_accepted() {
    let folder = TempDir::new();
    folder
        .file("a.css", "0123456789")
        .file("a.css.br", "br")
        .file("a.css.gz", "gzip")
        .file("b.css", "0")
        .file("c.css.gz", "alone")
        .file("index.html", "page")
        .file("index.html.zst", "z");
    fs::hard_link(folder.path("b.css"), folder.path("b.css.gz")).expect("a link can be created");
    let by_default = get(&files(&folder), "/a.css", &[(ACCEPT_ENCODING, "br")]);
    assert_eq!(header(&by_default, CONTENT_ENCODING), None);
    assert_eq!(by_default.body().length(), Some(10));
    let files = files(&folder).precompressed(true);
    let mut tags = Vec::new();
    for (accepted, coding, length) in [
        ("gzip, br", Some("br"), 2),
        ("gzip", Some("gzip"), 4),
        ("br;q=0.5, gzip", Some("gzip"), 4),
        ("br;q=0", None, 10),
        ("identity", None, 10),
        ("", None, 10),
    ] {
        let response = get(&files, "/a.css", &[(ACCEPT_ENCODING, accepted)]);
        assert_eq!(header(&response, CONTENT_ENCODING), coding, "{accepted}");
        assert_eq!(response.body().length(), Some(length), "{accepted}");
        assert_eq!(
            header(&response, CONTENT_TYPE),
            Some("text/css; charset=utf-8")
        );
        assert_eq!(
            header(&response, VARY),
            Some("accept-encoding"),
            "{accepted}"
        );
        let tag = header(&response, ETAG)
            .expect("the response has an ETag")
            .to_owned();
        let known = [(ACCEPT_ENCODING, accepted), (IF_NONE_MATCH, &*tag)];
        let known = get(&files, "/a.css", &known);
        assert_eq!(
            (known.status().as_u16(), header(&known, VARY)),
            (304, Some("accept-encoding"))
        );
        assert_eq!(header(&known, CONTENT_ENCODING), None);
        tags.push((coding, tag));
    }
    tags.dedup();
    for (index, (_, tag)) in tags.iter().take(3).enumerate() {
        assert!(
            tags[..index]
                .iter()
                .all(|(coding, other)| coding == &tags[index].0 || other != tag)
        );
    }
    let all = [(ACCEPT_ENCODING, "gzip, br, zstd")];
    assert_eq!(
        header(&get(&files, "/", &all), CONTENT_ENCODING),
        Some("zstd")
    );
    assert_eq!(get(&files, "/c.css", &all).status(), 404);
    let (plain, copy) = (get(&files, "/b.css", &[]), get(&files, "/b.css", &all));
    assert_ne!(header(&plain, ETAG), header(&copy, ETAG));
}

#[test]
fn xml_has_no_charset_and_svgz_has_a_content_coding() {
    let folder = TempDir::new();
    folder
        .file("a.xml", "<?xml version='1.0' encoding='iso-8859-1'?><a/>")
        .file("a.svgz", "gzip")
        .file("a.svgz.br", "br")
        .file("a.ts", "segment");
    let files = files(&folder).precompressed(true);
    let xml = expect_status(&files, "/a.xml", 200);
    assert_eq!(header(&xml, CONTENT_TYPE), Some("text/xml"));
    let svg = get(&files, "/a.svgz", &[(ACCEPT_ENCODING, "br")]);
    assert_eq!(header(&svg, CONTENT_TYPE), Some("image/svg+xml"));
    assert_eq!(header(&svg, CONTENT_ENCODING), Some("gzip"));
    assert_eq!(svg.body().length(), Some(4));
    assert_eq!(
        header(&expect_status(&files, "/a.ts", 200), CONTENT_TYPE),
        Some("video/mp2t")
    );
    let source = HeaderValue::from_static("text/plain; charset=utf-8");
    let files = files
        .media_type("ts", source.clone())
        .media_type(".SVGZ", source);
    for target in ["/a.ts", "/a.svgz"] {
        let response = expect_status(&files, target, 200);
        assert_eq!(
            header(&response, CONTENT_TYPE),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(header(&response, CONTENT_ENCODING), None);
    }
}

#[test]
fn immutable_and_other_files_have_their_cache_control() {
    let folder = TempDir::new();
    folder.file("assets/a.js", "").file("b.js", "");
    let files = files(&folder)
        .cache_control(HeaderValue::from_static("max-age=60"))
        .immutable("/assets/");
    let kept = expect_status(&files, "/assets/a.js", 200);
    assert_eq!(
        header(&kept, CACHE_CONTROL),
        Some("public, max-age=31536000, immutable")
    );
    assert_eq!(
        header(&expect_status(&files, "/b.js", 200), CACHE_CONTROL),
        Some("max-age=60")
    );
}

#[test]
fn the_fallback_page_is_not_sent_for_scripts() {
    let folder = TempDir::new();
    folder
        .file("app.html", "the app")
        .file("real.js", "x")
        .file("empty/x", "");
    let files = files(&folder).fallback("app.html");
    for target in ["/users/7", "/", "/empty/", "/a/b/c?d=e.f"] {
        let response = expect_status(&files, target, 200);
        assert_eq!(response.body().length(), Some(7), "{target}");
        assert_eq!(
            header(&response, CONTENT_TYPE),
            Some("text/html; charset=utf-8")
        );
    }
    expect_status(&files, "/missing.js", 404);
    let browser = [(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")];
    let response = get(&files, "/users/john.doe", &browser);
    assert_eq!(response.body().length(), Some(7));
    assert_eq!(header(&response, VARY), Some("accept, accept-encoding"));
    assert_eq!(
        expect_status(&files, "/real.js", 200).body().length(),
        Some(1)
    );
    expect_status(&files, "/%00", 400);
    fs::remove_file(folder.path("app.html")).expect("the folder is writable");
    expect_status(&files, "/users/7", 404);
}

#[test]
fn the_fallback_applies_under_its_prefix_only() {
    let folder = TempDir::new();
    folder.file("app.html", "the app");
    let files = files(&folder).under("/static").fallback("app.html");
    for (target, status) in [
        ("/static/users/7", 200),
        ("/static/", 200),
        ("/other", 404),
        ("/", 404),
        ("/staticusers", 404),
    ] {
        expect_status(&files, target, status);
    }
}

#[test]
fn the_fallback_must_be_a_file_that_may_be_served() {
    let folder = TempDir::new();
    folder.file(".env", "secret");
    let hidden = files(&folder).fallback(".env");
    assert!(hidden.find(".env").is_err());
    expect_status(&hidden, "/users/7", 404);
    let shown = hidden.dotfiles(true);
    assert!(shown.find(".env").is_ok());
    expect_status(&shown, "/users/7", 200);
}

#[test]
fn opening_an_unservable_folder_or_file_fails() {
    let outer = TempDir::new();
    outer.file("outside", "x").file("root/a", "x");
    let root = outer.path("root");
    assert!(ServeDir::new(root.join("missing")).is_err());
    assert!(ServeDir::new(root.join("a")).is_err());
    let files = ServeDir::new(&root).expect("the folder can be opened");
    assert!(files.find("a").is_ok());
    assert!(files.find(Path::new("/a")).is_ok());
    assert!(files.find("b").is_err());
    assert!(files.find("../outside").is_err());
    symlink("../outside", root.join("link")).expect("a link can be created");
    assert!(files.find("link").is_err());
}

fn whole_partial_and_missing_files_share_a_connection(transport: Transport) {
    let folder = TempDir::new();
    let content = Random::new(3).bytes(300_000);
    folder.file("file", &content);
    let server = transport.spawn(|builder| builder, files(&folder));
    let mut client = server.connect();
    let call = |method: &str, headers: &str| {
        format!("{method} /file HTTP/1.1\r\nHost: it\r\n{headers}\r\n")
    };
    for _ in 0..2 {
        let whole = client.get("/file").expect_body(&content);
        let tag = whole.header("etag").expect("the response has an ETag");
        for (range, part) in [("5-9", &content[5..10]), ("50000-", &content[50_000..])] {
            client.send(call("GET", &format!("Range: bytes={range}\r\n")));
            let response = client.expect_status(206);
            assert!(response.body == part, "{range}");
        }
        client.send(call("GET", &format!("If-None-Match: {tag}\r\n")));
        client.expect_status(304);
        client.send(call("HEAD", ""));
        let head = client.expect_response_to_head();
        assert_eq!(head.header("content-length"), Some("300000"));
        client.get("/none").expect_status(404);
    }
}

fn a_slow_reader_of_a_large_file_holds_no_worker(transport: Transport) {
    let folder = TempDir::new();
    folder.file("small", "small").sparse("large", HUGE as u64);
    let server = transport.spawn(
        |builder| {
            builder
                .workers(1)
                .write_timeout(NEVER)
                .min_rate_grace(NEVER)
        },
        files(&folder),
    );
    let mut slow = server.connect();
    slow.get_and_close("/large").expect_bytes(1);
    let mut other = server.connect();
    for _ in 0..20 {
        other.get("/small").expect_body("small");
    }
    let (rest, end) = slow.read_rest();
    assert_eq!(end, End::Closed);
    let head = rest.windows(4).position(|window| window == b"\r\n\r\n");
    let content = head.map(|at| &rest[at + 4..]);
    assert!(content.is_some_and(|content| content == vec![0; HUGE]));
}

#[test]
fn files_can_be_nested_in_a_router() {
    use httpool::Router;

    use crate::support::TestServer;

    let folder = TempDir::new();
    folder.file("index.html", "index").file("sub/x.txt", "x");
    let nested = Router::new()
        .get("/about", || "about")
        .fallback(files(&folder));
    let router: Router = Router::new().get("/", || "home").nest("/static", nested);
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    client.get("/").expect_body("home");
    client.get("/static/").expect_body("index");
    client.get("/static/sub/x.txt").expect_body("x");
    client.get("/static/about").expect_body("about");
    for (target, location) in [("/static", "./static/"), ("/static/sub", "./sub/")] {
        let response = client.get(target).expect_status(301);
        assert_eq!(response.header("location"), Some(location));
    }
    client.get("/staticsub/x.txt").expect_status(404);
    client.get("/static//sub/x.txt").expect_status(404);
    client.get("/static/../sub/x.txt").expect_status(404);
}

#[test]
fn nested_files_learn_their_prefix() {
    use httpool::{Router, http::StatusCode, testing::Client};

    let folder = TempDir::new();
    folder.file("index.html", "index").file("a/x.txt", "x");
    let shelf = Router::new()
        .nest("/files", files(&folder))
        .with_state::<()>("a state of its own");
    let router: Router = Router::new()
        .nest("/of/{user}", shelf)
        .nest(
            "/explicit",
            Router::new().fallback(files(&folder).under("/explicit/a")),
        )
        .fallback(files(&folder));
    let client = Client::new(router);
    for (target, content) in [
        ("/of/ada/files/a/x.txt", "x"),
        ("/of/%2F%2e%2e/files/a/x.txt", "x"),
        ("/of/ada/files/", "index"),
        ("/explicit/a/a/x.txt", "x"),
        ("/a/x.txt", "x"),
        ("/", "index"),
    ] {
        assert_eq!(client.get(target).send().text(), content, "{target}");
    }
    for target in [
        "/of/ada/a/x.txt",
        "/of/ada/files/files/a/x.txt",
        "/of/ada/files//a/x.txt",
        "/of/ada/files/../a/x.txt",
        "/of/ada/filesa/x.txt",
        "/explicit/x.txt",
    ] {
        let status = client.get(target).send().status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{target}");
    }
    let there = client.get("/of/ada/files").send();
    assert_eq!(there.header("location"), Some("./files/"));
}

/// A layer behind the router may change the path.
#[test]
fn a_path_changed_after_routing_is_not_found() {
    use httpool::{Next, Request, Router, testing::Client};

    let folder = TempDir::new();
    folder.file("x.txt", "x");
    for changed in ["/", "/x.txt", "/static-x.txt", "/stati\u{e9}/x.txt"] {
        let change = move |mut request: Request, next: Next<'_>| {
            *request.uri_mut() = changed.parse().expect("the target is valid");
            next.run(request)
        };
        let nested = Router::new().layer(change).fallback(files(&folder));
        let router: Router = Router::new().nest("/static", nested);
        let response = Client::new(router).get("/static/x.txt").send();
        assert_eq!(response.status(), 404, "{changed}");
    }
}
