use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use httpool::http::{self, Method, StatusCode};
use httpool::testing::Client;
use httpool::{
    ClientInfo, Handler, IntoResponse, Layer, Layered, Next, RawRequest, Request, Response,
};

use super::{call, get, text};

/// Prepends its name to the response body.
fn named(name: &'static str) -> impl Layer {
    move |request: Request, next: Next<'_>| {
        let mut response = next.run(request);
        let body = String::from_utf8_lossy(response.body().as_bytes());
        *response.body_mut() = format!("{name}{body}").into();
        response
    }
}

#[test]
fn layers_run_in_the_order_they_are_added() {
    let handler = Layered::new(|_: Request| "z")
        .layer(named("a"))
        .layer(named("b"))
        .layer(named("c"));
    assert_eq!(text(&call(&handler, get("/"))), "abcz");
    let within = Layered::new(handler).layer(named("0"));
    assert_eq!(text(&call(&within, get("/"))), "0abcz");
}

#[test]
fn a_layer_may_respond_itself() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = Layered::new(move |_: Request| {
        counted.fetch_add(1, Ordering::Relaxed);
        "handled"
    })
    .layer(|request: Request, next: Next<'_>| match *request.method() {
        Method::GET => next.run(request),
        _ => StatusCode::IM_A_TEAPOT.into_response(),
    });
    assert_eq!(call(&handler, http::Request::put("/")).status(), 418);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(text(&call(&handler, get("/"))), "handled");
}

/// A layer that borrows the request.
struct Renamed;

impl Layer for Renamed {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        *request.uri_mut() = http::Uri::from_static("/renamed");
        next.handle(request)
    }
}

struct EchoPath;

impl Handler for EchoPath {
    fn handle(&self, request: &mut Request) -> Response {
        request.uri().path().to_owned().into_response()
    }
}

#[test]
fn a_layer_may_change_the_request() {
    let handler = Layered::new(EchoPath).layer(Arc::new(Renamed));
    assert_eq!(text(&call(&handler, get("/"))), "/renamed");
}

mod routers {
    use httpool::Router;
    use httpool::extract::Path;
    use httpool::http::header::ALLOW;

    use super::*;

    #[test]
    fn layers_of_a_router_see_all_its_requests() {
        let router: Router = Router::new()
            .get("/a", || "a")
            .layer(named("1"))
            .get("/b/{x}", |Path(x): Path<String>| x)
            .layer(named("2"));
        for (target, body) in [("/a", "12a"), ("/b/c", "12c"), ("/c", "12404 Not Found\n")] {
            assert_eq!(text(&call(&router, get(target))), body, "{target}");
        }
        let response = call(&router, http::Request::delete("/a"));
        assert_eq!(text(&response), "12405 Method Not Allowed\n");
        assert_eq!(response.headers()[ALLOW], "GET, HEAD, OPTIONS");
        let response = call(&router, http::Request::options("/a"));
        assert_eq!((response.status().as_u16(), text(&response)), (204, "12"));
    }

    #[test]
    fn layers_of_nested_routers_run_inside_the_outer_ones() {
        let inner = Router::new().layer(named("3")).get("/", || "inner");
        let api = Router::new()
            .nest("/inner", inner)
            .layer(named("2"))
            .get("/users", || "users")
            .fallback(|| (StatusCode::NOT_FOUND, "none"))
            .with_state(7);
        let router: Router = Router::new()
            .nest("/api", api)
            .get("/", || "home")
            .layer(named("1"));
        for (target, body) in [
            ("/", "1home"),
            ("/api/users", "12users"),
            ("/api/inner", "123inner"),
            ("/api/nothing", "12none"),
            ("/nothing", "1404 Not Found\n"),
        ] {
            assert_eq!(text(&call(&router, get(target))), body, "{target}");
        }
        let response = call(&router, http::Request::delete("/api/inner"));
        assert_eq!(text(&response), "123405 Method Not Allowed\n");
    }

    #[test]
    fn methods_of_one_path_keep_their_own_layers() {
        let members = || {
            let of_all = Router::new().layer(named("m"));
            of_all
                .post("/books", || "added")
                .get("/account", || "yours")
        };
        let open = || Router::new().get("/books", || "all");
        let files = || Router::new().layer(named("f")).fallback(|| "file");
        let around = || Router::new().layer(named("1"));
        for router in [
            around().merge(open()).merge(members()),
            around().merge(members()).merge(open()),
            around().merge(members()).get("/books", || "all"),
            around().get("/books", || "all").merge(members()),
        ] {
            let router: Router = router
                .nest("/files", files())
                .get("/files", || "folder")
                .with_state(());
            let body = |method: Method, target: &'static str| {
                let request = http::Request::builder().method(method).uri(target);
                text(&call(&router, request)).to_owned()
            };
            assert_eq!(body(Method::GET, "/books"), "1all");
            assert_eq!(body(Method::POST, "/books"), "1madded");
            assert_eq!(body(Method::GET, "/account"), "1myours");
            assert_eq!(body(Method::GET, "/files"), "1folder");
            assert_eq!(body(Method::POST, "/files"), "1ffile");
            assert_eq!(body(Method::GET, "/files/x"), "1ffile");
            assert_eq!(body(Method::PUT, "/account"), "1m405 Method Not Allowed\n");
            // Both routers have this path, so only the outer layer runs.
            assert_eq!(body(Method::PUT, "/books"), "1405 Method Not Allowed\n");
            let response = call(&router, http::Request::options("/books"));
            let allowed = response.headers()[ALLOW]
                .to_str()
                .expect("methods are text");
            let mut allowed: Vec<&str> = allowed.split(", ").collect();
            allowed.sort_unstable();
            assert_eq!(allowed, ["GET", "HEAD", "OPTIONS", "POST"]);
        }
    }

    #[test]
    fn a_layer_before_routing_may_change_the_route() {
        let router: Router = Router::new()
            .layer(Renamed)
            .get("/renamed", || "here")
            .get("/", || "there");
        assert_eq!(text(&call(&router, get("/"))), "here");
    }
}

/// Describes the client, the request line and the body.
fn describe_source(request: &Request) -> String {
    let client_info = ClientInfo::of(request).map(|client_info| client_info.peer().to_string());
    let line = RawRequest::of(request).map(RawRequest::request_line);
    let line = line.map(|line| String::from_utf8_lossy(line).into_owned());
    let content = String::from_utf8_lossy(request.body().as_bytes());
    format!("{client_info:?} {line:?} {content}")
}

/// A layer that replaces the body of the borrowed request.
struct Filled;

impl Layer for Filled {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        *request.body_mut() = "filled".into();
        next.handle(request)
    }
}

#[test]
fn client_info_and_raw_request_survive_a_replaced_body() {
    let replaced = |request: Request, next: Next<'_>| next.run(request.map(|_| "new".into()));
    let other = |_: Request, next: Next<'_>| next.run(Request::new("other".into()));
    let handler = |request: Request| describe_source(&request);
    let call = |handler: Box<dyn Fn(&mut Request) -> Response + Send + Sync>| {
        let handler = move |mut request: Request| handler(&mut request);
        let response = Client::new(handler).post("/a").body("old").send();
        response.text().to_owned()
    };
    let expected = |content: &str| {
        let line = r#"Some("127.0.0.1:49152") Some("POST /a HTTP/1.1")"#;
        format!("{line} {content}")
    };
    let layered = Layered::new(handler).layer(replaced);
    assert_eq!(call(Box::new(move |r| layered.handle(r))), expected("new"));
    let layered = Layered::new(handler).layer(replaced).layer(other);
    assert_eq!(
        call(Box::new(move |r| layered.handle(r))),
        expected("other")
    );
    let layered = Layered::new(handler).layer(Filled);
    assert_eq!(
        call(Box::new(move |r| layered.handle(r))),
        expected("filled")
    );
    let layered = Layered::new(Layered::new(handler).layer(Filled)).layer(other);
    assert_eq!(
        call(Box::new(move |r| layered.handle(r))),
        expected("filled")
    );
    // A later layer sees them, too.
    let responding = |request: Request, _: Next<'_>| describe_source(&request);
    let layered = Layered::new(handler).layer(Filled).layer(responding);
    assert_eq!(
        call(Box::new(move |r| layered.handle(r))),
        expected("filled")
    );
}

#[test]
fn routed_functions_get_client_info_after_a_replaced_body() {
    use httpool::Router;

    let replaced = |request: Request, next: Next<'_>| next.run(request.map(|_| "new".into()));
    let peer = |client_info: ClientInfo, body: String| format!("{} {body}", client_info.peer());
    let nested = Router::new().layer(replaced).post("/nested", peer);
    let router: Router = Router::new()
        .layer(replaced)
        .post("/", peer)
        .nest("/in", nested);
    let client = Client::new(router);
    for target in ["/", "/in/nested"] {
        let response = client.post(target).body("old").send();
        assert_eq!(response.text(), "127.0.0.1:49152 new", "{target}");
    }
}
