//! Lists of routes, handlers beneath a path, layers of one function, responses to wrong methods, and
//! slashes at the end.

use httpool::extract::{Path, State};
use httpool::http::header::{ALLOW, HeaderValue};
use httpool::http::{Method, StatusCode};
use httpool::layers::Cors;
use httpool::testing::Client;
use httpool::{
    BodyMode, Handler, IntoResponse, Later, Layer, Layered, MatchedPath, Next, Request, Response,
    Router,
};

use super::Protocol;
use crate::support::{TestServer, request};

/// A layer that appends its name to the header `x-passed`.
fn named(name: &'static str) -> impl Fn(Request, Next<'_>) -> Response + Send + Sync + 'static {
    move |request, next| {
        let mut response = next.run(request);
        let headers = response.headers_mut();
        headers.append("x-passed", HeaderValue::from_static(name));
        response
    }
}

fn hello() -> &'static str {
    "hello"
}

/// The status, the text, and the layers that the response passed, the innermost first.
#[track_caller]
fn check(client: &Client, (method, target): (Method, &str), expected: (u16, &str, &str)) {
    let response = client.request(method.clone(), target).send();
    let passed = response.headers().get_all("x-passed").iter();
    let passed: Vec<_> = passed.filter_map(|name| name.to_str().ok()).collect();
    let is = (
        response.status().as_u16(),
        response.text(),
        &*passed.join(" "),
    );
    assert_eq!(is, expected, "{method} {target}");
}

#[test]
fn routes_are_listed_with_their_methods() {
    let files = Router::new().fallback(hello);
    let api = Router::new()
        .get("/", hello)
        .delete("/{id}", hello)
        .nest("/files", files)
        .fallback(hello);
    let router: Router = Router::new()
        .get("/", hello)
        .post("/", hello)
        .nest("/api/{version}", api)
        .merge(Router::new().layer(named("merged")).put("/", hello))
        .any("/hook/{*rest}", hello)
        .nest_handler("/old", |_: Request| "old");
    let routes: Vec<_> = router.routes().map(|route| route.to_string()).collect();
    assert_eq!(
        routes,
        [
            "GET, POST, PUT /",
            "GET /api/{version}",
            "DELETE /api/{version}/{id}",
            "any /hook/{*rest}",
            "any /api/{version}/{*rest}",
            "any /api/{version}/files/{*rest}",
            "any /old/{*rest}",
        ]
    );
    let parameters: Vec<_> = router.routes().map(|route| route.parameters()).collect();
    assert_eq!(parameters[2], ["version", "id"]);
    assert_eq!(parameters[3], ["rest"]);
}

/// A handler that shows the method, path and body of a request.
struct Show(BodyMode);

impl Handler for Show {
    fn handle(&self, request: &mut Request) -> Response {
        let body = String::from_utf8_lossy(request.body().as_bytes());
        let target = request.uri();
        format!("{} {target} {body}", request.method()).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        self.0
    }

    fn server_response(&self, _: &Request, response: &mut Response) {
        let value = HeaderValue::from_static("handler");
        response.headers_mut().insert("x-completed", value);
    }

    fn check(&self) -> std::io::Result<()> {
        match self.0 {
            BodyMode::HeadOnly => Err(std::io::Error::other("the test rejects it")),
            _ => Ok(()),
        }
    }
}

#[test]
fn any_handler_can_be_nested() {
    let router: Router = Router::new()
        .layer(named("outer"))
        .get("/show/own", hello)
        .nest_handler(
            "/show",
            Layered::new(Show(BodyMode::Buffered)).layer(named("inner")),
        );
    let server = TestServer::spawn(|builder| builder.max_body(10), router);
    for protocol in Protocol::BOTH {
        let text = |method, target, body: &[u8]| {
            let response = protocol.send(&server, (method, target), &[], body);
            response.text()
        };
        assert_eq!(text("GET", "/show", b""), "GET /show ");
        assert_eq!(text("PUT", "/show/a/b?c", b"body"), "PUT /show/a/b?c body");
        assert_eq!(text("GET", "/show/own", b""), "hello");
        assert!(text("GET", "/shown", b"").starts_with("404"));
        // The handler completes the server's own responses.
        let response = protocol.send(&server, ("PUT", "/show/a"), &[], &[b'x'; 11]);
        assert_eq!(response.status, 413, "{protocol:?}");
        assert_eq!(response.header("x-completed"), Some("handler"));
    }
}

#[test]
fn any_handler_can_be_the_fallback() {
    let router: Router = Router::new()
        .get("/own", hello)
        .fallback_handler(Show(BodyMode::BufferedUpTo { most: 20 }));
    let server = TestServer::spawn(|builder| builder.max_body(10), router);
    for protocol in Protocol::BOTH {
        let send = |target, body: &[u8]| {
            let response = protocol.send(&server, ("PUT", target), &[], body);
            (response.status, response.text())
        };
        let body = "x".repeat(20);
        let text = format!("PUT /a/b {body}");
        assert_eq!(send("/a/b", body.as_bytes()), (200, text), "{protocol:?}");
        assert_eq!(send("/a/b", &[b'x'; 21]).0, 413, "{protocol:?}");
        assert_eq!(send("/own", b"").0, 405, "{protocol:?}");
    }
}

#[test]
fn nested_handler_is_checked_before_the_start() {
    let router: Router = Router::new().nest_handler("/show", Show(BodyMode::HeadOnly));
    let error = router.check().expect_err("the handler is rejected");
    assert_eq!(
        error.to_string(),
        "the fallback in /show can't run: the test rejects it"
    );
}

#[test]
#[should_panic(expected = "/a can't have a nested fallback: /a already has one")]
fn two_handlers_cannot_be_nested_at_one_path() {
    let _: Router = Router::new()
        .nest_handler("/a", |_: Request| "one")
        .nest_handler("/a", |_: Request| "two");
}

#[test]
fn functions_have_layers_of_their_own() {
    let show = |Path(id): Path<u8>, State(name): State<&'static str>| format!("{id} {name}");
    let router: Router = Router::new()
        .layer(named("router"))
        .get(
            "/{id}",
            Layered::new(show)
                .layer(named("second"))
                .layer(named("first")),
        )
        .put("/{id}", |Path(id): Path<u8>| id.to_string())
        .fallback(Layered::new(|| (StatusCode::NOT_FOUND, "nothing")).layer(named("fallback")))
        .with_state("state");
    let router = Router::new().layer(named("outer")).nest("/nested", router);
    let client = Client::new(router);
    let (get, put) = (Method::GET, Method::PUT);
    let passed = "first second router outer";
    check(
        &client,
        (get.clone(), "/nested/7"),
        (200, "7 state", passed),
    );
    check(&client, (put, "/nested/7"), (200, "7", "router outer"));
    check(
        &client,
        (get, "/nested/a/b"),
        (404, "nothing", "fallback router outer"),
    );
    let wrong = (405, "405 Method Not Allowed\n", "router outer");
    check(&client, (Method::DELETE, "/nested/7"), wrong);
}

/// A layer that rejects every request by its head.
struct Closed;

impl Layer for Closed {
    fn handle(&self, _: &mut Request, _: Next<'_>) -> Response {
        StatusCode::FORBIDDEN.into_response()
    }

    fn body_mode(&self, _: &Request, _: BodyMode) -> BodyMode {
        BodyMode::HeadOnly
    }
}

#[test]
fn layer_of_a_function_rejects_before_the_body_arrives() {
    let members = Router::new()
        .layer(Closed)
        .put("/joined", |body: String| body);
    let router: Router = Router::new()
        .get("/joined", hello)
        .merge(members)
        .post("/own", Layered::new(|body: String| body).layer(Closed));
    let server = TestServer::spawn(|builder| builder, router);
    for head in ["POST /own", "PUT /joined"] {
        let mut client = server.connect();
        client.send(format!(
            "{head} HTTP/1.1\r\nHost: it\r\nContent-Length: 5\r\n\r\n"
        ));
        client.expect_status(403);
        client.send("later").send(request::get("/joined"));
        client.expect_body("hello");
    }
}

#[test]
fn layers_of_a_function_complete_server_responses() {
    let cors = || Cors::allow_origins(["https://shop.example"]);
    let router: Router = Router::new()
        .post("/shop", Layered::new(|body: String| body).layer(cors()))
        .post("/other", |body: String| body)
        .fallback(Layered::new(|body: String| body).layer(cors()));
    let server = TestServer::spawn(|builder| builder.max_body(3), router);
    for protocol in Protocol::BOTH {
        for (target, has_origin) in [("/shop", true), ("/other", false), ("/elsewhere", true)] {
            let origin = [("origin", "https://shop.example")];
            let response = protocol.send(&server, ("POST", target), &origin, b"long");
            assert_eq!(response.status, 413, "{protocol:?} {target}");
            let allowed = response.header("access-control-allow-origin");
            assert_eq!(allowed.is_some(), has_origin, "{protocol:?} {target}");
        }
    }
}

#[test]
fn wrong_methods_have_a_function() {
    fn wrong(method: Method, path: MatchedPath) -> (StatusCode, String) {
        (StatusCode::METHOD_NOT_ALLOWED, format!("{method} {path}"))
    }

    let inner = Router::new()
        .get("/{id}", hello)
        .method_not_allowed(|| (StatusCode::NOT_FOUND, "hidden"))
        .layer(named("inner"));
    let router: Router = Router::new()
        .method_not_allowed(wrong)
        .get("/a/{id}", hello)
        .post("/a/{id}", hello)
        .merge(Router::new().get("/merged", hello))
        .any("/any", hello)
        .nest("/inner", inner);
    let server = TestServer::spawn(|builder| builder, router);
    for protocol in Protocol::BOTH {
        for (method, target, status, text, allow) in [
            (
                "DELETE",
                "/a/7",
                405,
                "DELETE /a/{id}",
                Some("GET, HEAD, POST, OPTIONS"),
            ),
            (
                "PUT",
                "/merged",
                405,
                "PUT /merged",
                Some("GET, HEAD, OPTIONS"),
            ),
            ("OPTIONS", "/a/7", 204, "", Some("GET, HEAD, POST, OPTIONS")),
            ("DELETE", "/any", 200, "hello", None),
            ("DELETE", "/inner/7", 404, "hidden", None),
            ("DELETE", "/b", 404, "404 Not Found\n", None),
        ] {
            let response = protocol.send(&server, (method, target), &[], b"");
            let is = (response.status, &*response.text(), response.header("allow"));
            assert_eq!(is, (status, text, allow), "{protocol:?} {method} {target}");
        }
    }
}

#[test]
fn allowed_methods_are_added_to_later_responses() {
    let late = || {
        let response = (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "BREW")], "late");
        Later::after(std::time::Duration::from_millis(1), response)
    };
    let router: Router = Router::new().get("/", hello).method_not_allowed(late);
    let response = Client::new(router).put("/").send();
    assert_eq!((response.status().as_u16(), response.text()), (405, "late"));
    assert_eq!(response.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn function_for_wrong_methods_must_fit_every_path() {
    let router: Router = Router::new()
        .get("/", hello)
        .get("/{id}", hello)
        .method_not_allowed(|Path(id): Path<u8>| id.to_string());
    let error = router.check().expect_err("/ has no parameter");
    assert_eq!(
        error.to_string(),
        "the function for other methods of / takes 1 path parameter, but the path has 0: change \
         `Path<..>` or the path"
    );
}

#[test]
fn requests_are_redirected_to_the_other_slash() {
    let folder = Router::new()
        .get("/", hello)
        .get("/deep/", hello)
        .layer(named("folder"));
    let router: Router = Router::new()
        .redirect_final_slash()
        .get("/users", hello)
        .post("/users", |body: String| body)
        .get("/docs/", hello)
        .get("/both", || "without")
        .get("/both/", || "with")
        .get("/a:b/", hello)
        .get("/files/{name}", hello)
        .nest("/folder", folder)
        .fallback(|| (StatusCode::NOT_FOUND, "fallback"));
    let server = TestServer::spawn(|builder| builder, router);
    for protocol in Protocol::BOTH {
        for (method, target, status, location) in [
            ("GET", "/users/", 308, Some("../users")),
            (
                "GET",
                "/users/?page=2&x=%2F",
                308,
                Some("../users?page=2&x=%2F"),
            ),
            ("GET", "/users/?", 308, Some("../users?")),
            ("POST", "/users/", 308, Some("../users")),
            ("GET", "/docs", 308, Some("./docs/")),
            ("GET", "/%64ocs?q", 308, Some("./docs/?q")),
            // A colon does not make a scheme of it.
            ("GET", "/a:b", 308, Some("./a:b/")),
            ("GET", "/files/x/", 308, Some("../x")),
            ("GET", "/folder/", 308, Some("../folder")),
            ("GET", "/folder/deep", 308, Some("./deep/")),
            ("GET", "/both", 200, None),
            ("GET", "/both/", 200, None),
            // The route has no such method, or the path differs by more than a slash.
            ("DELETE", "/users/", 404, None),
            ("GET", "/users//", 404, None),
            ("GET", "//users", 404, None),
            ("GET", "/", 404, None),
            ("GET", "/docs/x", 404, None),
        ] {
            let response = protocol.send(&server, (method, target), &[], b"");
            let is = (response.status, response.header("location"));
            assert_eq!(is, (status, location), "{protocol:?} {method} {target}");
        }
        // The redirect passes the layers of the route.
        let response = protocol.get(&server, "/folder/deep");
        assert_eq!(response.header("x-passed"), Some("folder"));
    }
}

#[test]
fn redirects_never_lead_to_another_host() {
    let router: Router = Router::new()
        .redirect_final_slash()
        .get("/{a}/{b}/", hello)
        .get("/x/{*rest}", hello);
    let client = Client::new(router);
    let only_without: Router = Router::new().redirect_final_slash().get("/{a}", hello);
    let other = Client::new(only_without);
    for client in [&client, &other] {
        for target in [
            "//evil.example/",
            "//evil.example",
            "/\\evil.example/",
            "/%5Cevil.example/",
            "/evil.example%2F/",
            "/https:evil.example/",
            "/..//evil.example/",
            "/%2F%2Fevil.example/",
        ] {
            let response = client.get(target).send();
            let Some(location) = response.header("location") else {
                continue;
            };
            // A reference that begins with a dot is relative to the path (RFC 3986 section 4.2).
            assert!(location.starts_with('.'), "{target}: {location}");
            assert!(!location.contains("//"), "{target}: {location}");
            assert!(!location.contains('\\'), "{target}: {location}");
        }
    }
}

#[test]
fn slashes_are_the_choice_of_each_router() {
    let inner = Router::new().get("/a", hello).redirect_final_slash();
    let router: Router = Router::new().nest("/inner", inner).get("/a", hello);
    let client = Client::new(router);
    assert_eq!(client.get("/inner/a/").send().status(), 308);
    assert_eq!(client.get("/a/").send().status(), 404);
}

#[test]
fn redirect_does_not_wait_for_the_body() {
    let router: Router = Router::new()
        .redirect_final_slash()
        .post("/users", |body: String| body);
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    client
        .send(request::post_head("/users/", 5))
        .expect_status(308);
    client.send("later").send(request::post("/users", "body"));
    client.expect_body("body");
}
