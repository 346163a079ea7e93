//! Responses of nested routers, and the layers that see a request.

use httpool::Router;
use httpool::extract::Path;
use httpool::http::{self, HeaderValue, Method, StatusCode, Uri};
use httpool::testing::{Client, TestResponse};
use httpool::{BodyMode, Next, Request, Response};

use crate::support::TestServer;

/// A layer that appends its name to the header `x-passed`.
fn named(name: &'static str) -> impl Fn(Request, Next<'_>) -> Response + Send + Sync + 'static {
    move |request, next| {
        let mut response = next.run(request);
        let passed = response.headers_mut();
        passed.append("x-passed", HeaderValue::from_static(name));
        response
    }
}

/// The names of the layers that the response passed, innermost first.
fn passed_layers(response: &TestResponse) -> String {
    let names = response.headers().get_all("x-passed").iter();
    let names: Vec<_> = names.filter_map(|name| name.to_str().ok()).collect();
    names.join(" ")
}

#[track_caller]
fn check(router: Router, expected: &[(&str, &str, u16, &str, &str)]) {
    let client = Client::new(router);
    for &(method, target, status, text, layers) in expected {
        let method = Method::from_bytes(method.as_bytes()).expect("the method is valid");
        let response = client.request(method.clone(), target).send();
        let is = (
            response.status().as_u16(),
            response.text(),
            &*passed_layers(&response),
        );
        assert_eq!(is, (status, text, layers), "{method} {target}");
    }
}

fn fallback() -> Router {
    Router::new()
        .layer(named("inner"))
        .fallback(|uri: Uri| format!("fallback {uri}"))
}

const NOT_FOUND: &str = "404 Not Found\n";
const NOT_ALLOWED: &str = "405 Method Not Allowed\n";

#[test]
fn nested_fallback_works_beside_a_parameter_route() {
    let one = || Router::new().get("/static/{n}", |Path(n): Path<String>| n);
    for router in [
        one().nest("/static", fallback()),
        Router::new().nest("/static", fallback()).merge(one()),
        Router::new().merge(one()).nest("/static", fallback()),
    ] {
        check(
            router,
            &[
                ("GET", "/static/a", 200, "a", ""),
                ("GET", "/static/a/b", 200, "fallback /static/a/b", "inner"),
                ("GET", "/static/", 200, "fallback /static/", "inner"),
                ("GET", "/static", 200, "fallback /static", "inner"),
                ("POST", "/static/a", 200, "fallback /static/a", "inner"),
                ("GET", "/staticx", 404, NOT_FOUND, ""),
            ],
        );
    }
}

#[test]
fn nested_fallback_works_beside_its_own_parameter_routes() {
    for (path, matched, below) in [
        ("/{id}", "/api/1", "/api/1/2"),
        ("/{n}.json", "/api/1.json", "/api/1"),
        ("/{a}/x", "/api/1/x", "/api/1/y"),
        ("/v{n}/{*rest}", "/api/v1/x", "/api/v1"),
    ] {
        let route = |router: Router| router.get(path, || "route");
        for inner in [fallback().nest("/other", fallback()), fallback()] {
            let client = Client::new(Router::<()>::new().nest("/api", route(inner)));
            for (target, text) in [
                (matched, "route".to_owned()),
                (below, format!("fallback {below}")),
            ] {
                let response = client.get(target).send();
                assert_eq!(
                    (response.text(), &*passed_layers(&response)),
                    (&*text, "inner"),
                    "{path} {target}"
                );
            }
            let response = client.post(matched).send();
            assert_eq!(
                (response.text(), &*passed_layers(&response)),
                (NOT_ALLOWED, "inner"),
                "{path}"
            );
        }
    }
}

#[test]
fn nested_fallbacks_can_be_added_in_any_order() {
    type Step = fn(Router) -> Router;
    let steps: [Step; 4] = [
        |router| router.nest("/a", fallback()),
        |router| {
            let of_user = |Path(user): Path<String>, uri: Uri| format!("{user}: {uri}");
            router.nest(
                "/a/{user}",
                Router::new().layer(named("user")).fallback(of_user),
            )
        },
        |router| {
            router.nest(
                "/a/b",
                Router::new().layer(named("b")).get("/{x}", || "x of b"),
            )
        },
        |router| {
            router
                .get("/{*path}", || "any path")
                .post("/a/b/made", || "made")
        },
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        let router = order
            .iter()
            .fold(Router::new(), |router, &step| steps[step](router));
        check(
            router,
            &[
                ("GET", "/", 404, NOT_FOUND, ""),
                ("GET", "/z", 200, "any path", ""),
                ("GET", "/a", 200, "fallback /a", "inner"),
                ("GET", "/a/", 200, "fallback /a/", "inner"),
                ("GET", "/a/ada/x", 200, "ada: /a/ada/x", "user"),
                ("GET", "/a/b/x", 200, "x of b", "b"),
                ("POST", "/a/b/made", 200, "made", ""),
                ("GET", "/a/b/x/y", 200, "b: /a/b/x/y", "b user"),
                ("PUT", "/a/b/x", 200, "b: /a/b/x", "b user"),
            ],
        );
    }
}

/// Including a router without a fallback, and requests that another router's fallback or route
/// would answer.
#[test]
fn nested_layers_see_every_request_under_their_prefix() {
    let guard = |_: Request, _: Next<'_>| StatusCode::UNAUTHORIZED;
    let admin = || Router::new().layer(guard).get("/{page}", || "secret");
    let around = || Router::new().fallback(|| "around");
    for router in [
        around().nest("/admin", admin()),
        Router::new().nest("/admin", admin()),
        Router::new()
            .get("/{*path}", || "all")
            .nest("/admin", admin()),
        Router::new()
            .nest("/admin", admin())
            .get("/{*path}", || "all"),
        Router::new().merge(Router::new().nest("/admin", admin())),
        Router::new().nest("/admin", Router::new().merge(admin()).layer(guard)),
    ] {
        let client = Client::new(router);
        for target in [
            "/admin/x",
            "/admin/x/y",
            "/admin/",
            "/admin",
            "/%61dmin/x/y",
        ] {
            assert_eq!(client.get(target).send().status(), 401, "{target}");
        }
        assert_eq!(client.post("/admin/x").send().status(), 401);
        assert_eq!(client.options("/admin/x").send().status(), 401);
        assert_ne!(client.get("/adminx").send().status(), 401);
    }
}

#[test]
fn routes_under_a_nested_prefix_keep_their_own_layers() {
    let inner = || Router::new().layer(named("inner")).get("/x", || "inner");
    let post = || Router::new().layer(named("post")).post("/a/x", || "post");
    for router in [
        Router::new().nest("/a", inner()).merge(post()),
        Router::new().merge(post()).nest("/a", inner()),
    ] {
        check(
            router,
            &[
                ("GET", "/a/x", 200, "inner", "inner"),
                ("POST", "/a/x", 200, "post", "post"),
                ("PUT", "/a/x", 405, NOT_ALLOWED, "inner"),
                ("PUT", "/a/y", 404, NOT_FOUND, "inner"),
            ],
        );
    }
}

/// Each layer runs once, although both nested routers come from the same outer router.
#[test]
fn nested_routers_share_the_outer_layers_once() {
    let around = || Router::new().layer(named("around"));
    let other = Router::new().layer(named("2")).get("/z", || "z");
    let leaf = |name: &'static str| Router::new().layer(named(name)).get("/x", || "x");
    let router = around()
        .nest("/b", leaf("1"))
        .nest("/b", other)
        .nest("/b/c", leaf("3"));
    check(
        Router::new().nest("/a", router),
        &[
            ("GET", "/a/b/x", 200, "x", "1 around"),
            ("GET", "/a/b/y", 404, NOT_FOUND, "2 1 around"),
            ("GET", "/a/b/c/y", 404, NOT_FOUND, "3 2 1 around"),
            ("GET", "/a/y", 404, NOT_FOUND, "around"),
        ],
    );
}

#[test]
fn body_mode_is_that_of_the_nested_fallback() {
    use httpool::Handler;
    use httpool::extract::BodyStream;

    let uploads = Router::new().fallback(|_: BodyStream<100>| "streamed");
    let router: Router = Router::new()
        .post("/up/{name}", |_: String| "whole")
        .nest("/up", uploads);
    let body_mode = |method: &str, target: &str| {
        let request = http::Request::builder().method(method).uri(target);
        router.body_mode(
            &request
                .body(httpool::Body::empty())
                .expect("the request is valid"),
        )
    };
    assert_eq!(body_mode("POST", "/up/x"), BodyMode::Buffered);
    assert_eq!(body_mode("POST", "/elsewhere"), BodyMode::HeadOnly);
    for (method, target) in [("POST", "/up/x/y"), ("PUT", "/up/x"), ("POST", "/up")] {
        assert_eq!(
            body_mode(method, target),
            BodyMode::Streaming { most: 100 },
            "{target}"
        );
    }
}

#[test]
fn nesting_errors_name_the_paths_as_written() {
    #[track_caller]
    fn expect_rejected(build: impl FnOnce() -> Router + std::panic::UnwindSafe, reason: &str) {
        let panic = std::panic::catch_unwind(build).expect_err("building it panics");
        let message = panic
            .downcast_ref::<String>()
            .expect("the message is a string");
        assert_eq!(message, reason);
    }
    expect_rejected(
        || {
            Router::new()
                .nest("/a/{x}", fallback())
                .nest("/a/{y}", fallback())
        },
        "/a/{y} can't have a nested fallback: /a/{x} already has one",
    );
    expect_rejected(
        || {
            Router::new()
                .merge(Router::new().nest("/a", fallback()))
                .nest("/a", fallback())
        },
        "/a can't have a nested fallback: /a already has one",
    );
    expect_rejected(
        || Router::new().nest("/{a}-{b}", fallback()),
        "invalid path /{a}-{b}: Only one parameter is allowed per path segment",
    );
    expect_rejected(
        || Router::new().get("/a/{x}", || "").get("/a/{*rest}", || ""),
        "/a/{*rest} conflicts with /a/{x}: both match the same requests",
    );
}

#[test]
fn nested_fallback_responds_over_a_socket() {
    let router = Router::new()
        .get("/static/{n}", |Path(n): Path<String>| n)
        .nest("/static", fallback());
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    client.get("/static/a").expect_body("a");
    client
        .get("/static/a/b")
        .expect_body("fallback /static/a/b");
}
