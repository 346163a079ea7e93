use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use httpool::extract::{BodyStream, Form, HasPart, Path, Query, Rejection, State};
use httpool::http::header::{ALLOW, CONTENT_TYPE};
use httpool::http::{self, Method, StatusCode};
use httpool::testing::{Client, TestResponse};
use httpool::{Body, ClientInfo, Handler, Next, Request};
use httpool::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::support::{Gate, TestServer};

/// Fixes the router's state type to `()`.
fn client_of(router: Router) -> Client {
    Client::new(router)
}

#[track_caller]
fn expect_status(client: &Client, target: &str, status: u16, body: &str) {
    let response = client.get(target).send();
    assert_eq!(
        (response.status().as_u16(), response.text()),
        (status, body),
        "{target}"
    );
}

#[test]
fn paths_select_their_handler() {
    let router = Router::new()
        .get("/", || "home")
        .get("/users/{id}", |Path(id): Path<u64>| format!("user {id}"))
        .get("/users/me", || "you")
        .get("/a/{x}/b/{y}", |Path((x, y)): Path<(String, String)>| {
            format!("{x}+{y}")
        })
        .get("/files/{*path}", |Path(path): Path<String>| path);
    let client = client_of(router);
    expect_status(&client, "/", 200, "home");
    expect_status(&client, "/?q", 200, "home");
    expect_status(&client, "/users/7", 200, "user 7");
    expect_status(&client, "/users/me", 200, "you");
    expect_status(&client, "/a/1/b/%C3%A9%2F", 200, "1+é/");
    expect_status(&client, "/files/x/y.txt", 200, "x/y.txt");
    for nothing in ["/users", "/users/", "/users/7/", "//", "/files/", "/a/1/b"] {
        expect_status(&client, nothing, 404, "404 Not Found\n");
    }
    let wrong =
        "400 Bad Request: invalid path: \"x\" is not a valid id: invalid digit found in string\n";
    expect_status(&client, "/users/x", 400, wrong);
    expect_status(
        &client,
        "/a/%FF/b/1",
        400,
        "400 Bad Request: the path is not UTF-8\n",
    );
}

#[test]
fn hostile_paths_reach_no_other_handler() {
    let router = Router::new()
        .get("/public/{name}", |Path(name): Path<String>| name)
        .get("/private", || "secret");
    let client = client_of(router);
    for target in ["/private/", "//private", "/public/..%2fprivate/x"] {
        assert_eq!(client.get(target).send().status(), 404, "{target}");
    }
    for target in ["/private%00", "/public/a%00b", "/private%", "/public/%zz"] {
        assert_eq!(client.get(target).send().status(), 400, "{target}");
    }
    // Dot segments are resolved before routing, and layers see the resolved path.
    for target in ["/public/../private", "/public/%2e%2e/private", "/./private"] {
        expect_status(&client, target, 200, "secret");
    }
    // A parameter matches one segment, whatever the decoded text is; the handler has to judge it.
    for (target, name) in [
        ("/public/..%2F..%2Fprivate", "../../private"),
        ("/public/%252e", "%2e"),
        ("/public/a%01b", "a\u{1}b"),
    ] {
        expect_status(&client, target, 200, name);
    }
}

#[test]
fn methods_select_their_handler() {
    let router = Router::new()
        .get("/both", || "got")
        .post("/both", || (StatusCode::CREATED, "made"))
        .options("/own", || "options of its own")
        .any("/any", |method: Method| method.to_string());
    let client = client_of(router);
    assert_eq!(client.post("/both").send().text(), "made");
    assert_eq!(client.head("/both").send().status(), 200);
    let response = client.delete("/both").send();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()[ALLOW], "GET, HEAD, POST, OPTIONS");
    let response = client.options("/both").send();
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()[ALLOW], "GET, HEAD, POST, OPTIONS");
    assert_eq!(client.options("/own").send().text(), "options of its own");
    assert_eq!(client.head("/own").send().headers()[ALLOW], "OPTIONS");
    let brew = Method::from_bytes(b"BREW").expect("the method is valid");
    assert_eq!(client.request(brew, "/any").send().text(), "BREW");
}

#[test]
fn nested_routers_keep_their_states() {
    let visits = Arc::new(AtomicUsize::new(0));
    let count = |State(visits): State<Arc<AtomicUsize>>| {
        format!("visit {}", visits.fetch_add(1, Ordering::Relaxed))
    };
    let api = Router::new()
        .get("/", || "api")
        .get("/count", count)
        .fallback(|uri: http::Uri| (StatusCode::NOT_FOUND, format!("no {uri} in the api")))
        .with_state(Arc::clone(&visits));
    let router = Router::new()
        .nest("/api", api)
        .get("/count", |State(name): State<&'static str>| name)
        .fallback(|| (StatusCode::GONE, "nothing"))
        .with_state("outside");
    let client = client_of(router);
    expect_status(&client, "/api", 200, "api");
    expect_status(&client, "/api/count", 200, "visit 0");
    expect_status(&client, "/api/count", 200, "visit 1");
    expect_status(&client, "/count", 200, "outside");
    expect_status(&client, "/api/", 404, "no /api/ in the api");
    expect_status(&client, "/api/x/y", 404, "no /api/x/y in the api");
    expect_status(&client, "/apix", 410, "nothing");
    assert_eq!(client.post("/api").send().status(), 405);
}

#[test]
fn handlers_take_parts_of_a_state() {
    #[derive(Clone)]
    struct App {
        name: &'static str,
        visits: Arc<AtomicUsize>,
    }
    impl HasPart<Arc<AtomicUsize>> for App {
        fn part(&self) -> Arc<AtomicUsize> {
            Arc::clone(&self.visits)
        }
    }
    let count = |State(app): State<App>, State(visits): State<Arc<AtomicUsize>>| {
        format!("{} {}", app.name, visits.fetch_add(1, Ordering::Relaxed))
    };
    let app = App {
        name: "app",
        visits: Arc::default(),
    };
    let router = Router::new().get("/", count).with_state(app);
    let client = client_of(router);
    expect_status(&client, "/", 200, "app 0");
    expect_status(&client, "/", 200, "app 1");
}

#[test]
fn nested_fallback_works_beside_a_catch_all_route() {
    let api = Router::new()
        .get("/{*path}", |Path(path): Path<String>| path)
        .fallback(|| (StatusCode::NOT_FOUND, "none in the api"));
    let router = Router::new().nest("/api", api);
    let client = client_of(router);
    expect_status(&client, "/api/x/y", 200, "x/y");
    expect_status(&client, "/api", 404, "none in the api");
    expect_status(&client, "/api/", 404, "none in the api");
    expect_status(&client, "/", 404, "404 Not Found\n");
}

#[test]
fn nested_fallback_does_not_depend_on_order() {
    let marked = |name: &'static str| {
        move |request: Request, next: Next<'_>| {
            let mut response = next.run(request);
            let mark = http::HeaderValue::from_static(name);
            response.headers_mut().append("x-passed", mark);
            response
        }
    };
    let inner = || Router::new().layer(marked("inner")).fallback(|| "fallback");
    let around = || {
        Router::new()
            .layer(marked("around"))
            .post("/a/", || "post")
            .any("/a", || "any")
    };
    for router in [
        Router::new().nest("/a", inner()).merge(around()),
        Router::new().merge(around()).nest("/a", inner()),
        Router::new()
            .merge(around().nest("/b", inner()))
            .nest("/a", inner()),
    ] {
        let client = client_of(router);
        for (response, text, passed) in [
            (client.get("/a/").send(), "fallback", "inner"),
            (client.put("/a/").send(), "fallback", "inner"),
            (client.post("/a/").send(), "post", "around"),
            (client.get("/a").send(), "any", "around"),
            (client.post("/a").send(), "any", "around"),
            (client.post("/a/x").send(), "fallback", "inner"),
        ] {
            assert_eq!(response.text(), text);
            assert_eq!(response.header("x-passed"), Some(passed));
        }
    }
}

/// The path is a route of the nested router.
#[test]
fn nested_fallback_does_not_answer_other_methods_of_a_route() {
    let inner = || Router::new().get("/", || "root").fallback(|| "fallback");
    for router in [
        Router::new().nest("/a", inner()).post("/a", || "post"),
        Router::new().post("/a", || "post").nest("/a", inner()),
    ] {
        let client = client_of(router);
        expect_status(&client, "/a", 200, "root");
        expect_status(&client, "/a/", 200, "fallback");
        assert_eq!(client.post("/a").send().text(), "post");
        assert_eq!(client.put("/a").send().status(), 405);
    }
}

#[derive(Debug, Deserialize, Serialize)]
struct User {
    name: String,
    #[serde(default)]
    tags: Vec<String>,
}

/// A form whose fields are all optional.
#[derive(Debug, Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Vec<String>,
}

#[test]
fn bodies_and_queries_are_deserialized() {
    let router = Router::new()
        .post("/json", |Json(user): Json<User>| Json(user))
        .post("/form", |Form(user): Form<User>| Json(user))
        .post("/tags", |Form(tags): Form<Tags>| Json(tags.tags))
        .post("/text", |text: String| text)
        .get("/query", |Query(user): Query<User>| Json(user));
    let client = client_of(router);
    let post = |target: &str, content_type: &str, body: &'static str| {
        let request = client.post(target).header(CONTENT_TYPE, content_type);
        request.body(body).send()
    };
    let json = "application/json; charset=utf-8";
    let response = post("/json", json, r#"{"name":"a","tags":["b"]}"#);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(response.text(), r#"{"name":"a","tags":["b"]}"#);
    let form = "application/x-www-form-urlencoded";
    let response = post("/form", form, "name=a+%26&tags=b&tags=c");
    assert_eq!(response.text(), r#"{"name":"a &","tags":["b","c"]}"#);
    let response = client.get("/query?tags=b&name=%C3%A9").send();
    assert_eq!(response.text(), r#"{"name":"é","tags":["b"]}"#);

    #[track_caller]
    fn expect_rejected(response: TestResponse, status: u16, reason: &str) {
        assert_eq!(response.status(), status, "{response:?}");
        assert!(response.text().contains(reason), "{response:?}");
    }
    expect_rejected(
        post("/json", "text/plain", "{}"),
        415,
        "must be application/json",
    );
    expect_rejected(post("/json", json, "{\n\"name\":}"), 400, "line 2 column 8");
    expect_rejected(
        post("/json", json, r#"{"name":"a","tags":["b",7]}"#),
        422,
        "invalid JSON body: tags[1]: invalid type: integer `7`, expected a string",
    );
    let missing = "invalid JSON body: name is missing";
    expect_rejected(post("/json", json, "{}"), 422, missing);
    expect_rejected(
        post("/form", json, "name=a"),
        415,
        "must be application/x-www-form",
    );
    expect_rejected(post("/form", form, "tags=a"), 422, "\"name\" is missing");
    expect_rejected(client.get("/query").send(), 400, "\"name\" is missing");
    let twice = "\"name\" occurs more than once";
    expect_rejected(post("/form", form, "name=a&name=b"), 422, twice);
    expect_rejected(client.get("/query?name=a&name=b").send(), 400, twice);
    expect_rejected(post("/form", form, "name=%FF"), 422, "not UTF-8");
    expect_rejected(client.get("/query?name=%FF").send(), 400, "not UTF-8");
    // The content type matters only if there is content.
    for content_type in [json, form, "text/plain"] {
        let no_content = "the request has no body";
        expect_rejected(post("/json", content_type, ""), 400, no_content);
        expect_rejected(post("/form", content_type, ""), 422, "\"name\" is missing");
    }
    expect_rejected(client.post("/json").send(), 400, "but JSON is expected");
    assert_eq!(client.post("/tags").send().text(), "[]");
    let latin = client.post("/text").body(vec![b'a', 0xE9]).send();
    expect_rejected(latin, 400, "the body is not UTF-8");
}

#[test]
fn handler_reads_a_streamed_body() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let upload = move |Path(name): Path<String>, mut body: BodyStream<12>| {
        let mut start = [0; 4];
        body.read_exact(&mut start)?;
        waiter.wait();
        let rest = io::copy(&mut body, &mut io::sink())?;
        Ok::<_, io::Error>(format!("{name}: 4 and {rest}"))
    };
    let streaming = Router::new()
        .put("/files/{name}", upload)
        .post("/files/{name}", |body: Bytes| body.len().to_string())
        .fallback(
            |State(name): State<&'static str>, body: Option<BodyStream>| {
                let length = body.map(|BodyStream(body)| body.length());
                format!("{name}: {length:?}")
            },
        )
        .with_state("elsewhere");
    let router = Router::new().nest("/stream", streaming);
    let server = TestServer::spawn(|builder| builder.max_body(9), router);

    let mut client = server.connect();
    let head = |method: &str, target: &str, length: usize| {
        format!("{method} {target} HTTP/1.1\r\nHost: it\r\nContent-Length: {length}\r\n\r\n")
    };
    client.send(head("PUT", "/stream/files/a", 10)).send("half");
    gate.expect_arrived(1);
    gate.open();
    client.send("whole!").expect_body("a: 4 and 6");
    client.send(head("POST", "/stream/files/a", 4)).send("four");
    client.expect_body("4");
    client.send(head("PUT", "/stream/x", 1_000_000));
    let response = client.expect_body("elsewhere: Some(Some(1000000))");
    assert!(response.announces_close());

    // Each handler has its own body limit.
    for (method, most) in [("PUT", 12), ("POST", 9)] {
        let mut client = server.connect();
        client.send(head(method, "/stream/files/a", most + 1));
        client.expect_status(413);
    }
    // A body that arrives with its head is treated the same.
    let mut client = server.connect();
    client.send(head("PUT", "/stream/files/a", 7) + "at once");
    client.expect_body("a: 4 and 3");
}

#[test]
fn optional_extractors_reject_invalid_values() {
    #[derive(Debug, Deserialize)]
    struct Page {
        from: u32,
    }
    fn json(page: Option<Json<Page>>) -> String {
        format!("{:?}", page.map(|Json(page)| page.from))
    }
    fn form(page: Option<Form<Page>>) -> String {
        format!("{:?}", page.map(|Form(page)| page.from))
    }
    fn query(page: Option<Query<Page>>) -> String {
        format!("{:?}", page.map(|Query(page)| page.from))
    }
    fn path(id: Option<Path<u8>>) -> String {
        format!("{:?}", id.map(|Path(id)| id))
    }
    let router = Router::new()
        .get("/path", path)
        .get("/path/{id}", path)
        .get("/query", query)
        .post("/json", json)
        .post("/form", form);
    let client = client_of(router);
    expect_status(&client, "/path", 200, "None");
    expect_status(&client, "/path/7", 200, "Some(7)");
    assert_eq!(client.get("/path/x").send().status(), 400);
    expect_status(&client, "/query", 200, "None");
    expect_status(&client, "/query?", 200, "None");
    expect_status(&client, "/query?from=7", 200, "Some(7)");
    assert_eq!(client.get("/query?from=x").send().status(), 400);
    assert_eq!(client.get("/query?other=7").send().status(), 400);
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    for (target, content_type, body, status, message) in [
        ("/json", json, r#"{"from":7}"#, 200, "Some(7)"),
        ("/json", json, "", 200, "None"),
        ("/json", "text/plain", "", 200, "None"),
        ("/json", json, "{", 400, ""),
        ("/json", json, "7", 422, ""),
        ("/json", "text/plain", r#"{"from":7}"#, 415, ""),
        ("/form", form, "from=7", 200, "Some(7)"),
        ("/form", form, "", 200, "None"),
        ("/form", form, "from=x", 422, ""),
        ("/form", "text/plain", "from=7", 415, ""),
    ] {
        let request = client.post(target).header(CONTENT_TYPE, content_type);
        let response = request.body(body).send();
        assert_eq!(response.status(), status, "{target} {content_type} {body}");
        if status == 200 {
            assert_eq!(response.text(), message);
        }
    }
}

#[test]
fn handler_can_take_the_rejection() {
    let router = Router::new()
        .get("/mine/{id}", |id: Result<Path<u8>, Rejection>| match id {
            Ok(Path(id)) => id.to_string(),
            Err(rejection) => format!("mine: {}", rejection.status()),
        })
        .get("/client_info", |client_info: Option<ClientInfo>| {
            client_info.map_or("none", |_| "some")
        });
    // This request has no connection.
    let mut request = http::Request::get("/client_info")
        .body(Body::empty())
        .expect("the request is valid");
    let response = router.handle(&mut request);
    assert_eq!(response.body().as_bytes(), b"none");
    let client = client_of(router);
    expect_status(&client, "/client_info", 200, "some");
    expect_status(&client, "/mine/x", 200, "mine: 400 Bad Request");
}

/// The asterisk form addresses the server as a whole (RFC 9110 section 9.3.7).
#[test]
fn options_asterisk_is_204() {
    let router = Router::new()
        .get("/", || "home")
        .fallback(|| StatusCode::NOT_FOUND);
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    client.send("OPTIONS * HTTP/1.1\r\nHost: it\r\n\r\n");
    client.expect_status(204);
    client.get("/nothing").expect_status(404);
}

#[test]
fn non_utf8_path_runs_the_layers_of_its_route() {
    let inner = Router::new()
        .layer(|_: Request, _: Next<'_>| StatusCode::UNAUTHORIZED)
        .get("/{x}", |Path(x): Path<String>| x);
    let router = Router::new()
        .get("/{x}", |Path(x): Path<String>| x)
        .nest("/admin", inner);
    let client = client_of(router);
    assert_eq!(client.get("/admin/%FF").send().status(), 401);
    assert_eq!(client.get("/%FF").send().status(), 400);
}

#[test]
fn rejections_respect_the_accept_header() {
    let router = Router::new().get("/{id}", |Path(id): Path<u8>| id.to_string());
    let client = client_of(router);
    let response = client.get("/x").header("accept", "application/json").send();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    // Also for a rejection that the handler returns.
    let router = Router::new().get("/{id}", |id: Result<Path<u8>, Rejection>| {
        id.map(|Path(id)| id.to_string())
    });
    let client = client_of(router);
    let response = client.get("/x").header("accept", "application/json").send();
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json")
    );
}

#[test]
fn ambiguous_routes_panic_when_added() {
    #[track_caller]
    fn expect_rejected(build: impl FnOnce() -> Router + std::panic::UnwindSafe, reason: &str) {
        let panic = std::panic::catch_unwind(build).expect_err("building it panics");
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let message = text.or_else(|| panic.downcast_ref().copied());
        let message = message.expect("the message is a string");
        assert!(message.contains(reason), "{message}");
    }
    let get = || Router::<()>::new().get("/a/{x}", || "");
    expect_rejected(
        move || get().get("/a/{x}", || ""),
        "/a/{x} already has a function for GET",
    );
    let reason = "/a/{y} conflicts with /a/{x}: both match the same requests";
    expect_rejected(move || get().get("/a/{y}", || ""), reason);
    expect_rejected(
        move || get().get("b", || ""),
        "the path \"b\" must begin with /",
    );
    let both = || Router::<()>::new().any("/café", || "").get("/café", || "");
    for same in ["/café", "/%63af%c3%a9"] {
        let reason = "/caf%C3%A9 already has a function for GET";
        expect_rejected(move || both().get(same, || ""), reason);
        expect_rejected(move || both().merge(Router::new().get(same, || "")), reason);
        let reason = "/caf%C3%A9 already has a function for any method";
        expect_rejected(move || both().any(same, || ""), reason);
    }
    for foreign in ["/:id", "/b/*", "/b/*path"] {
        let reason = "write path parameters as {name} and {*rest}";
        expect_rejected(move || get().get(foreign, || ""), reason);
        expect_rejected(move || get().nest(foreign, Router::new()), reason);
    }
    for unreachable in ["/b/../c", "/b/.", "/%2e%2E/b", "/.%2e"] {
        let reason = "requests never have a segment . or ..";
        expect_rejected(move || get().get(unreachable, || ""), reason);
        expect_rejected(move || get().nest(unreachable, Router::new()), reason);
    }
    for (path, reason) in [
        ("/b/", "nest(\"/b/\", ..): write nest(\"/b\", ..)"),
        ("/b//", "nest(\"/b//\", ..): write nest(\"/b\", ..)"),
        ("", "nest(\"\", ..): the path needs a segment"),
        ("/", "nest(\"/\", ..): the path needs a segment"),
        (
            "/b/{*x}",
            "nest(\"/b/{*x}\", ..): write {name} instead of {*name}",
        ),
        ("b", "the path \"b\" must begin with /"),
    ] {
        expect_rejected(move || get().nest(path, Router::new()), reason);
    }
    let inner = || Router::new().get("/{x}", || "");
    expect_rejected(
        move || get().nest("/a", inner()),
        "/a/{x} already has a function for GET",
    );
    expect_rejected(
        move || get().merge(Router::new().get("/a/{x}", || "")),
        "/a/{x} already has a function for GET",
    );
    expect_rejected(
        || Router::new().merge(Router::new().fallback(|| "")),
        "a merged router can't have a fallback",
    );
    let files = || Router::<()>::new().fallback(|| "");
    expect_rejected(
        move || files().nest("/a", files()).nest("/a", files()),
        "/a can't have a nested fallback: /a already has one",
    );
}

#[test]
fn router_serves_over_tcp() {
    let router = Router::new()
        .get("/users/{id}", |Path(id): Path<u64>| format!("user {id}"))
        .get("/who", |client_info: ClientInfo| {
            client_info.peer().to_string()
        });
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    client.get("/users/7").expect_body("user 7");
    client.send("HEAD /users/7 HTTP/1.1\r\nHost: it\r\n\r\n");
    let response = client.expect_response_to_head();
    assert_eq!(
        (response.status, response.header("content-length")),
        (200, Some("6"))
    );
    assert!(
        client
            .get("/who")
            .expect_status(200)
            .text()
            .starts_with("127.0.0.1:")
    );
    client.get("/nothing").expect_status(404);
}
