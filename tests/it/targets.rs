//! Equivalent request targets.

use std::io;

use httpool::Router;
use httpool::extract::{BodyStream, Path};
use httpool::http::{Method, StatusCode};
use httpool::testing::Client;
use httpool::{IntoResponse as _, Next, RawRequest, Request, ServeDir};

use crate::support::{Random, TempDir, TestServer, request};

const SECRET: &str = "the secret";

fn folder() -> TempDir {
    let folder = TempDir::new();
    folder.file("index.html", "home").file("a.txt", "a text");
    for name in ["admin/secret.html", "c++/secret.html", "café/secret.html"] {
        folder.file(name, SECRET);
    }
    folder
}

/// A site with nested routers that require a key.
fn site(folder: &TempDir) -> Router {
    let files = |name: &str| ServeDir::new(folder.path(name)).expect("the folder exists");
    let room = |name: &str| {
        Router::new()
            .layer(
                |request: Request, next: Next<'_>| match request.headers().get("x-key") {
                    Some(_) => next.run(request),
                    None => StatusCode::UNAUTHORIZED.into_response(),
                },
            )
            .fallback(files(name))
    };
    Router::new()
        .nest("/admin", room("admin"))
        .nest("/c++", room("c++"))
        .nest("/café", room("café"))
        .get("/users/{name}", |Path(name): Path<String>| name)
        .fallback(files(""))
}

#[test]
fn encoded_paths_cannot_bypass_a_nested_layer() {
    let folder = folder();
    let client = Client::new(site(&folder));
    for path in [
        "/admin/secret.html",
        "/%61dmin/secret.html",
        "/admi%6E/secret.html",
        "/%61%64%6d%69%6e/secret.html",
        "/c++/secret.html",
        "/c%2b%2B/secret.html",
        "/caf%C3%A9/secret.html",
        "/%63af%c3%a9/secret.html",
        "http://localhost/%61dmin/secret.html",
        "/x/../admin/secret.html",
        "/x/%2e%2e/admin/secret.html",
        "/users/.%2E/%61dmin/./secret.html",
        "/./admin/secret.html",
        "/%2E/admin/secret.html",
        "/../../admin/secret.html",
        "/admin/x/../secret.html",
        "/c++/../admin/secret.html",
        "http://localhost/x/../admin/secret.html",
    ] {
        assert_eq!(client.get(path).send().status(), 401, "{path}");
        let response = client.get(path).header("x-key", "sesame").send();
        assert_eq!(response.text(), SECRET, "{path}");
    }
    for path in [
        "/%2561dmin/secret.html",
        "/x/..%2Fadmin/secret.html",
        "/x/%252e%252e/admin/secret.html",
        "/.//admin/secret.html",
        "/admin%2Fsecret.html",
    ] {
        assert_eq!(client.get(path).send().status(), 404, "{path}");
    }
}

#[test]
fn layers_see_the_normalized_path() {
    let guard = |request: Request, next: Next<'_>| match request.uri().path().starts_with("/admin/")
    {
        true => StatusCode::FORBIDDEN.into_response(),
        false => next.run(request),
    };
    let router = Router::new()
        .layer(guard)
        .get("/admin/{*rest}", || SECRET)
        .fallback(|request: Request| {
            let raw_request = RawRequest::of(&request).expect("the request came over a socket");
            let line = String::from_utf8_lossy(raw_request.request_line());
            format!("{} of {line}", request.uri())
        });
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    for target in ["/%61dm%69n/x", "/a/../admin/x", "/admin/../%2e/admin/./x"] {
        client.get(target).expect_status(403);
    }
    client
        .get("/%61/%2e%2e/b%2Ec/%2f%3b?%61")
        .expect_body("/b.c/%2F%3B?%61 of GET /%61/%2e%2e/b%2Ec/%2f%3b?%61 HTTP/1.1");
    client
        .send("GET HTTP://x:80/%61?%61 HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect_body("http://x:80/a?%61 of GET HTTP://x:80/%61?%61 HTTP/1.1");
}

/// apt requests `./Packages` in a flat repository, and `curl --path-as-is` sends any path
/// unchanged.
#[test]
fn dot_segments_are_resolved_within_a_folder() {
    let outer = TempDir::new();
    outer
        .file("secret", SECRET)
        .file("root/repo/Packages", "packages")
        .file("root/repo/index.html", "index");
    let files = ServeDir::new(outer.path("root")).expect("the folder can be served");
    let server = TestServer::spawn(|builder| builder, files);
    let mut client = server.connect();
    for target in [
        "/repo/./Packages",
        "/./repo/x/../Packages",
        "/repo/%2E/Packages",
        "/x/%2e%2e/repo/Packages",
        "/../repo/Packages",
    ] {
        client.get(target).expect_body("packages");
    }
    for target in ["/repo/.", "/repo/x/..", "/repo/%2e"] {
        client.get(target).expect_body("index");
    }
    let moved = client.get("/x/../repo").expect_status(301);
    assert_eq!(moved.header("location"), Some("./repo/"));
    for target in [
        "/../secret",
        "/repo/../../secret",
        "/%2e%2e/%2e%2e/secret",
        "/repo/..%2F..%2Fsecret",
        "/..%2fsecret",
        "/repo/%252e%252e/Packages",
    ] {
        client.get(target).expect_status(404);
    }
}

/// Dot segments cannot climb above the prefix of a nested router.
#[test]
fn dot_segments_cannot_leave_a_nested_folder() {
    let folder = folder();
    let files = |name: &str| ServeDir::new(folder.path(name)).expect("the folder exists");
    let router: Router = Router::new()
        .nest("/static", files("admin"))
        .get("/a.txt", || "a route");
    let client = Client::new(router);
    let response = client.get("/static/x/../secret.html").send();
    assert_eq!(response.text(), SECRET);
    assert_eq!(client.get("/static/../a.txt").send().text(), "a route");
    for path in [
        "/static/../static2/../index.html",
        "/static/../../index.html",
    ] {
        assert_eq!(client.get(path).send().status(), 404, "{path}");
    }
}

/// Routes match a reserved character and its encoding alike, while layers see the path as it was
/// sent.
#[test]
fn nested_layer_matches_percent_encoded_paths() {
    let room = || Router::new().get("/{*rest}", || SECRET);
    let compares = |request: Request, next: Next<'_>| {
        if request.uri().path().starts_with("/@admin/") {
            return StatusCode::FORBIDDEN.into_response();
        }
        next.run(request)
    };
    let client = Client::new(Router::new().layer(compares).nest("/@admin", room()));
    assert_eq!(client.get("/@admin/x").send().status(), 403);
    assert_eq!(client.get("/@%61dmin/x").send().status(), 403);
    assert_eq!(client.get("/%40admin/x").send().text(), SECRET);

    let forbids = |_: Request, _: Next<'_>| StatusCode::FORBIDDEN;
    let client = Client::new(Router::new().nest("/@admin", room().layer(forbids)));
    for path in ["/@admin/x", "/@%61dmin/x", "/%40admin/x", "/%40%61dmin/%78"] {
        assert_eq!(client.get(path).send().status(), 403, "{path}");
    }
}

/// The body mode is looked up like the route.
#[test]
fn body_mode_does_not_depend_on_path_encoding() {
    let length = |mut body: BodyStream| {
        let length = io::copy(&mut body, &mut io::sink())?;
        io::Result::Ok(length.to_string())
    };
    let router = Router::new().post("/c++/größe", length);
    let server = TestServer::spawn(|builder| builder.max_body(10), router);
    let mut client = server.connect();
    for path in ["/c++/gr%C3%B6%C3%9Fe", "/%63%2b+/gr%c3%b6%C3%9Fe"] {
        client.send(request::post(path, "more than ten bytes"));
        client.expect_body("19");
    }
}

/// The path with some unreserved characters percent-encoded, and hexadecimal digits of either
/// case.
fn reencoded(path: &str, random: &mut Random) -> String {
    let mut rest = path.as_bytes();
    let mut written = String::new();
    while let Some((octet, after)) = rest.split_first() {
        match random.below(4) {
            0 if octet.is_ascii_alphanumeric() || b"-._~".contains(octet) => {
                written += &format!("%{octet:02x}");
            }
            1 if octet.is_ascii_alphanumeric() || b"-._~".contains(octet) => {
                written += &format!("%{octet:02X}");
            }
            _ if *octet == b'%' => {
                let digits = String::from_utf8_lossy(&after[..2]);
                written += "%";
                written += &match random.below(2) {
                    0 => digits.to_ascii_lowercase(),
                    _ => digits.to_ascii_uppercase(),
                };
                rest = &after[2..];
                continue;
            }
            _ => written.push(char::from(*octet)),
        }
        rest = after;
    }
    written
}

#[test]
fn equivalent_targets_get_the_same_response() {
    const PARTS: [&str; 16] = [
        "/",
        "admin",
        "secret.html",
        "c++",
        "c%2B%2B",
        "caf%C3%A9",
        "users",
        "a.txt",
        "%2F",
        "%25",
        "%5C",
        "%FF",
        "..",
        "/../",
        "/./",
        "x",
    ];
    let folder = folder();
    let client = Client::new(site(&folder));
    let mut random = Random::new(0x7461_7267_6574);
    for _ in 0..2000 {
        let count = random.below(7);
        let parts: String = (0..count)
            .map(|_| PARTS[random.below(PARTS.len())])
            .collect();
        let path = format!("/{parts}");
        let other = reencoded(&path, &mut random);
        let [one, two] = [&path, &other].map(|path| {
            let response = client.get(path).send();
            (response.status(), response.text().to_owned())
        });
        assert_eq!(one, two, "{path} and {other}");
        assert!(!one.1.contains(SECRET), "{path}");
    }
}

#[test]
fn routes_can_be_written_unencoded() {
    let router = Router::new()
        .get("/café", || "coffee")
        .get("/a b?", || "a and b")
        .get("/{{}}", || "braces")
        .get("/größen/{größe}", |Path(size): Path<String>| size);
    let client = Client::new(router);
    for (path, text) in [
        ("/caf%C3%A9", "coffee"),
        ("/a%20b%3F", "a and b"),
        ("/%7B}", "braces"),
        ("/gr%c3%b6%C3%9Fen/%C3%BC", "ü"),
    ] {
        assert_eq!(client.get(path).send().text(), text);
    }
}

#[test]
fn methods_of_differently_encoded_routes_are_merged() {
    for (path, other, sent) in [
        ("/café", "/%63af%c3%a9", "/caf%C3%A9"),
        ("/a b", "/a%20b", "/a%20b"),
        ("/100%", "/100%25", "/100%25"),
        ("/~ada", "/%7Eada", "/~ada"),
        ("/{{é}}", "/%7Bé%7D", "/%7B%c3%a9%7D"),
        ("/{größe}/é", "/{größe}/%C3%A9", "/xl/%c3%a9"),
        ("/%3Aid", "/%3aid", "/:id"),
    ] {
        let more = Router::new().put(path, || "put").any(other, || "any");
        let inner = Router::new()
            .get(path, || "get")
            .post(path, || "post")
            .patch(other, || "patch")
            .merge(more);
        let router = Router::new()
            .nest("/ü", inner)
            .delete(&format!("/%c3%bc{other}"), || "delete");
        let client = Client::new(router);
        let target = format!("/%C3%BC{sent}");
        for (request, text) in [
            (client.get(&target), "get"),
            (client.post(&target), "post"),
            (client.put(&target), "put"),
            (client.patch(&target), "patch"),
            (client.delete(&target), "delete"),
            (client.request(Method::TRACE, &target), "any"),
        ] {
            assert_eq!(request.send().text(), text, "{path}");
        }
    }
}
