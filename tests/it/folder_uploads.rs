use std::fs;
use std::os::unix::fs::symlink;

use httpool::http::{Method, StatusCode};
use httpool::layers::BasicAuth;
use httpool::testing::{self, FormData, TestResponse};
use httpool::{Handler, Router, ServeDir, Uploads};

use crate::support::http2::{END_STREAM, request_fields};
use crate::support::{Http2Client, Random, TempDir, TestServer, eventually};

fn uploads(folder: &TempDir) -> Uploads {
    let files = ServeDir::new(folder).expect("the folder exists");
    Uploads::new(files.listing(true))
}

fn client(handler: impl Handler) -> testing::Client {
    testing::Client::new(handler)
}

/// The names in a folder, also the hidden ones.
#[track_caller]
fn names(folder: &TempDir, path: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.path(path)).expect("the folder can be listed");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn content(folder: &TempDir, path: &str) -> Vec<u8> {
    fs::read(folder.path(path)).expect("the file exists")
}

#[track_caller]
fn put(client: &testing::Client, target: &str, content: &str, status: u16) -> TestResponse {
    let response = client.put(target).body(content.to_owned()).send();
    assert_eq!(response.status(), status, "{target}: {}", response.text());
    response
}

#[test]
fn put_stores_a_file() {
    let folder = TempDir::new();
    folder.file("sub/old", "old");
    let client = client(uploads(&folder));
    let created = put(&client, "/sub/a%20b%C3%A9.txt", "new", 201);
    assert_eq!(created.header("location"), Some("/sub/a%20b%C3%A9.txt"));
    assert_eq!(content(&folder, "sub/a bé.txt"), b"new");
    assert_eq!(client.get("/sub/a%20b%C3%A9.txt").send().text(), "new");
    put(&client, "/empty", "", 201);
    assert_eq!(content(&folder, "empty"), b"");
    put(&client, "/sub/old", "new", 409);
    assert_eq!(content(&folder, "sub/old"), b"old");
    assert_eq!(names(&folder, "sub"), ["a bé.txt", "old"]);
}

#[test]
fn put_replaces_a_file_if_it_may() {
    let folder = TempDir::new();
    folder.file("a", "old");
    let client = client(uploads(&folder).overwrite(true));
    put(&client, "/a", "new", 204);
    assert_eq!(content(&folder, "a"), b"new");
    put(&client, "/b", "new", 201);
    assert_eq!(names(&folder, ""), ["a", "b"]);
}

#[test]
fn conditions_are_checked() {
    let folder = TempDir::new();
    folder.file("a", "old");
    let changed = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
    let file = fs::File::options().append(true).open(folder.path("a"));
    (file.and_then(|file| file.set_modified(changed))).expect("it can be set");
    let client = client(uploads(&folder).overwrite(true));
    let etag = client
        .get("/a")
        .send()
        .header("etag")
        .expect("it has one")
        .to_owned();
    let put = |target: &str, header: &str, value: &str| {
        let request = client.put(target).header(header, value);
        request.body("new").send().status().as_u16()
    };
    assert_eq!(put("/a", "if-none-match", "*"), 412);
    assert_eq!(put("/a", "if-match", "\"other\""), 412);
    assert_eq!(put("/missing", "if-match", "*"), 412);
    assert_eq!(content(&folder, "a"), b"old");
    assert_eq!(put("/a", "if-match", &etag), 204);
    assert_eq!(put("/a", "if-match", &etag), 412);
    assert_eq!(put("/a", "if-match", "*"), 204);
    assert_eq!(put("/new", "if-none-match", "*"), 201);
    assert_eq!(names(&folder, ""), ["a", "new"]);
}

#[test]
fn names_that_are_not_served_are_refused() {
    let folder = TempDir::new();
    folder.file("sub/x", "");
    let client = client(uploads(&folder));
    for (target, status) in [
        ("/.env", 403),
        ("/sub/.htaccess", 403),
        ("/.httpool-upload-0", 403),
        ("/sub/..%2f..%2fx", 403),
        ("/sub//x", 403),
        ("/a%00b", 400),
        ("/a%0ab", 400),
        ("/a%1b[2Jb", 400),
        ("/%ff", 400),
        ("/a%E2%80%AEgnp.exe", 400),
        ("/missing/a", 409),
        ("/sub", 409),
        ("/sub/", 405),
    ] {
        put(&client, target, "new", status);
    }
    let long = format!("/{}", "x".repeat(256));
    put(&client, &long, "new", 400);
    put(&client, &long[..256], "new", 201);
    assert_eq!(names(&folder, "sub"), ["x"]);
    assert_eq!(names(&folder, "").len(), 2);
    let post = client.request(Method::POST, "/sub/x").body("").send();
    assert_eq!(post.status(), 405);
    assert_eq!(post.header("allow"), Some("GET, HEAD, OPTIONS, PUT"));
    let options = client.request(Method::OPTIONS, "/sub/").send();
    assert_eq!(options.header("allow"), Some("GET, HEAD, OPTIONS, POST"));
    let delete = client.delete("/sub/x").send();
    assert_eq!(delete.status(), 405);
}

#[test]
fn parts_and_codings_are_refused() {
    let folder = TempDir::new();
    let client = client(uploads(&folder));
    for (name, value, status) in [
        ("content-range", "bytes 0-2/9", 400),
        ("content-encoding", "gzip", 415),
        ("sec-fetch-site", "cross-site", 403),
    ] {
        let response = client.put("/a").header(name, value).body("new").send();
        assert_eq!(response.status(), status, "{name}");
    }
    assert!(names(&folder, "").is_empty());
}

#[test]
fn links_lead_nowhere() {
    let outside = TempDir::new();
    outside.file("target", "old");
    let folder = TempDir::new();
    folder.file("sub/x", "x");
    let link = |target: &std::path::Path, name: &str| {
        symlink(target, folder.path(name)).expect("a link can be made");
    };
    link(&outside.path("target"), "out");
    link(&outside.path(""), "outside");
    link(&outside.path("new"), "dangling");
    link("sub".as_ref(), "inside");
    folder.pipe("pipe");
    for overwrite in [false, true] {
        let client = client(uploads(&folder).overwrite(overwrite));
        put(&client, "/out", "new", 409);
        put(&client, "/dangling", "new", 409);
        put(&client, "/outside/new", "new", 409);
        put(&client, "/pipe", "new", 409);
        // A folder behind a link that stays inside is served, too.
        put(&client, &format!("/inside/{overwrite}"), "new", 201);
    }
    assert_eq!(content(&outside, "target"), b"old");
    assert_eq!(names(&outside, ""), ["target"]);
    assert_eq!(names(&folder, "sub"), ["false", "true", "x"]);
}

#[test]
fn files_beyond_the_limit_leave_nothing() {
    let folder = TempDir::new();
    let client = client(uploads(&folder).max_file(5));
    put(&client, "/a", "12345", 201);
    put(&client, "/b", "123456", 413);
    assert_eq!(names(&folder, ""), ["a"]);
    let form = FormData::new()
        .file("file", "c", "text/plain", "123456")
        .file("file", "d", "text/plain", "12345");
    let response = client.post("/").multipart(&form).send();
    assert_eq!(response.status(), 413);
    assert_eq!(names(&folder, ""), ["a", "d"]);
}

#[test]
fn forms_store_several_files() {
    let folder = TempDir::new();
    folder.file("sub/old", "old");
    let client = client(uploads(&folder));
    let form = FormData::new()
        .text("note", "ignored")
        .file("file", "a.txt", "text/plain", "a")
        .file("file", "C:\\folder\\b.txt", "text/plain", "b")
        .file("file", "../../c.txt", "text/plain", "c");
    let browser = client.post("/sub/").header("accept", "text/html,*/*;q=0.8");
    let response = browser.multipart(&form).send();
    assert_eq!(response.status(), 303, "{}", response.text());
    assert_eq!(response.header("location"), Some("/sub/"));
    assert_eq!(names(&folder, "sub"), ["a.txt", "b.txt", "c.txt", "old"]);
    assert_eq!(names(&folder, ""), ["sub"]);

    let form = FormData::new()
        .file("file", "new", "text/plain", "n")
        .file("file", "old", "text/plain", "x")
        .file("file", ".env", "text/plain", "secret");
    let response = client.post("/sub/").multipart(&form).send();
    assert_eq!(response.status(), 409);
    let json: serde_json::Value = response.json();
    assert_eq!(json["files"][0]["status"], 201);
    assert_eq!(json["files"][0]["href"], "./new");
    assert_eq!(json["files"][0]["size"], 1);
    assert_eq!(json["files"][1]["status"], 409);
    assert_eq!(json["files"][1]["detail"], "a file of this name exists");
    assert_eq!(json["files"][2]["status"], 403);
    assert_eq!(content(&folder, "sub/old"), b"old");

    let form = FormData::new()
        .file("file", "<b>.txt", "text/plain", "n")
        .file("file", "old", "text/plain", "x");
    let browser = client.post("/sub/").header("accept", "text/html");
    let page = browser.multipart(&form).send();
    assert_eq!(page.status(), 409);
    assert!(
        page.text().contains("a file of this name exists"),
        "{page:?}"
    );
    assert!(!page.text().contains("<b>"), "{page:?}");
}

#[test]
fn forms_that_are_none_are_refused() {
    let folder = TempDir::new();
    folder.file("sub/x", "");
    let client = client(uploads(&folder));
    let post = |target: &str, header: (&str, &str), body: &'static str| {
        let request = client.post(target).header(header.0, header.1);
        request.body(body).send().status().as_u16()
    };
    let typed = ("content-type", "multipart/form-data; boundary=b");
    assert_eq!(post("/", ("content-type", "text/plain"), "x"), 415);
    assert_eq!(post("/", typed, "--b--\r\n"), 400);
    assert_eq!(post("/", typed, "--b\r\nnonsense"), 400);
    assert_eq!(post("/missing/", typed, "--b--\r\n"), 404);
    let form = FormData::new().file("file", "a", "text/plain", "a");
    let other_site = client
        .post("/")
        .header("origin", "https://evil.example")
        .header("host", "a");
    assert_eq!(
        other_site.multipart(&form).send().status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(names(&folder, ""), ["sub"]);
}

#[test]
fn uploads_work_in_a_router_and_behind_layers() {
    let folder = TempDir::new();
    let users = BasicAuth::of("uploads", [("a", "b")]);
    let router: Router = Router::new()
        .layer(users)
        .nest("/files", uploads(&folder).max_file(3));
    let client = client(router);
    assert_eq!(client.put("/files/a").body("new").send().status(), 401);
    let put = |target: &str, content: &'static str| {
        let request = client.put(target).basic_auth("a", "b");
        request.body(content).send()
    };
    let created = put("/files/a", "new");
    assert_eq!(created.status(), 201);
    assert_eq!(created.header("location"), Some("/files/a"));
    assert_eq!(put("/files/b", "four").status(), 413);
    assert_eq!(names(&folder, ""), ["a"]);
}

#[test]
fn listing_has_a_form_only_with_uploads() {
    let folder = TempDir::new();
    let form = "enctype=\"multipart/form-data\"";
    let page = |handler: testing::Client| {
        let response = handler.get("/").header("accept", "text/html").send();
        let policy = response
            .header("content-security-policy")
            .map(str::to_owned);
        (response.text().contains(form), policy.unwrap_or_default())
    };
    let (has_form, policy) = page(client(uploads(&folder)));
    assert!(has_form);
    assert!(policy.contains("form-action 'self'"), "{policy}");
    let files = ServeDir::new(&folder).expect("it exists").listing(true);
    assert!(!page(client(files)).0);
}

/// Begins an upload of this file over HTTP/1.1 that lacks its last byte.
fn begin(server: &TestServer, target: &str) -> crate::support::Client {
    let mut client = server.connect();
    client.send(format!(
        "PUT {target} HTTP/1.1\r\nHost: it\r\nContent-Length: 4\r\n\r\nnew"
    ));
    client
}

#[test]
fn uploads_that_break_off_leave_nothing() {
    let folder = TempDir::new();
    let server = TestServer::spawn(|builder| builder, uploads(&folder));
    let client = begin(&server, "/a");
    eventually("the upload has begun", || names(&folder, "").len() == 1);
    assert!(names(&folder, "")[0].starts_with(".httpool-upload-"));
    server.connect().get_and_close("/").expect_status(200);
    drop(client);
    eventually("nothing is left", || names(&folder, "").is_empty());

    let mut client = Http2Client::connect(&server);
    let stream = client.open(&request_fields("PUT", "/a"));
    client.data(stream, "new", 0);
    eventually("the upload has begun", || names(&folder, "").len() == 1);
    client.reset(stream, httpool::http2::ErrorCode::Cancel);
    eventually("nothing is left", || names(&folder, "").is_empty());
    let stream = client.open(&request_fields("PUT", "/a"));
    client.data(stream, "new", END_STREAM);
    client.expect_status(stream, 201);
    assert_eq!(content(&folder, "a"), b"new");
}

#[test]
fn second_upload_of_a_name_at_once_gets_409() {
    let folder = TempDir::new();
    let uploads = uploads(&folder).overwrite(true);
    let server = TestServer::spawn(|builder| builder.workers(4), uploads);
    let mut first = begin(&server, "/a");
    eventually("the upload has begun", || names(&folder, "").len() == 1);
    let mut second = begin(&server, "/a");
    let response = second.expect_status(409);
    assert!(response.text().contains("being uploaded"), "{response:?}");
    first.send("!").expect_status(201);
    assert_eq!(content(&folder, "a"), b"new!");
    begin(&server, "/a").send("?").expect_status(204);
    assert_eq!(names(&folder, ""), ["a"]);
}

#[test]
fn uploads_leave_workers_for_other_requests() {
    let folder = TempDir::new();
    folder.file("x", "x");
    let uploads = uploads(&folder).concurrent(1);
    let server = TestServer::spawn(|builder| builder.workers(2), uploads);
    let mut slow = begin(&server, "/a");
    eventually("the upload has begun", || names(&folder, "").len() == 2);
    let response = begin(&server, "/b").expect_status(503);
    assert!(response.header("retry-after").is_some());
    server.connect().get_and_close("/x").expect_body(b"x");
    slow.send("!").expect_status(201);
    begin(&server, "/b").send("!").expect_status(201);
}

#[test]
fn large_files_are_stored_over_both_protocols() {
    let folder = TempDir::new();
    let server = TestServer::spawn(|builder| builder, uploads(&folder));
    let large = Random::new(4).bytes(3_000_000);
    let mut client = server.connect();
    client.send(format!(
        "PUT /one HTTP/1.1\r\nHost: it\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        large.len()
    ));
    client.expect_status(100);
    client.send(&large).expect_status(201);
    let mut client = Http2Client::connect(&server);
    let stream = client.open(&request_fields("PUT", "/two"));
    client.send_body(stream, &large, END_STREAM);
    client.expect_status(stream, 201);
    assert!(content(&folder, "one") == large && content(&folder, "two") == large);
    // Refused before the content is sent.
    let mut client = server.connect();
    client
        .send("PUT /one HTTP/1.1\r\nHost: it\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
    client.expect_status(409);
}
