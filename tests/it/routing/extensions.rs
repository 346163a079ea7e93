//! Values that layers add to requests.

use std::mem::size_of;

use httpool::extract::{Extension, Path};
use httpool::http::StatusCode;
use httpool::testing::Client;
use httpool::{Body, IntoResponse, Layered, Next, Request, Response, Router};

use super::Protocol;
use crate::support::{Http2Client, TestServer};

#[derive(Debug, Clone, PartialEq, Eq)]
struct User(String);

/// Adds the user of the header `x-user`.
fn log_in(mut request: Request, next: Next<'_>) -> Response {
    let name = request.headers().get("x-user");
    if let Some(name) = name.and_then(|name| name.to_str().ok()) {
        let user = User(name.to_owned());
        request.extensions_mut().insert(user);
    }
    next.run(request)
}

fn greet(user: Option<Extension<User>>) -> String {
    match user {
        Some(Extension(User(name))) => format!("hello, {name}"),
        None => "who are you?".into(),
    }
}

#[test]
fn layers_add_values_to_requests() {
    let router: Router = Router::new()
        .layer(log_in)
        .get("/", greet)
        .get("/must", |Extension(User(name)): Extension<User>| name);
    let server = TestServer::spawn(|builder| builder, router);
    for protocol in Protocol::BOTH {
        let send = |target, headers: &[_]| {
            let response = protocol.send(&server, ("GET", target), headers, b"");
            (response.status, response.text())
        };
        let ada = [("x-user", "Ada")];
        assert_eq!(send("/", &ada), (200, "hello, Ada".into()), "{protocol:?}");
        assert_eq!(send("/", &[]), (200, "who are you?".into()));
        assert_eq!(send("/must", &ada), (200, "Ada".into()));
        assert_eq!(send("/must", &[]).0, 500, "{protocol:?}");
    }
}

#[test]
fn values_end_with_their_request() {
    let router: Router = Router::new().layer(log_in).get("/", greet);
    let server = TestServer::spawn(|builder| builder.workers(1), router);
    let mut client = server.connect();
    client.send(
        "GET / HTTP/1.1\r\nHost: it\r\nX-User: Ada\r\n\r\nGET / HTTP/1.1\r\nHost: it\r\n\r\n",
    );
    client.expect_body("hello, Ada");
    client.expect_body("who are you?");
    let mut client = Http2Client::connect(&server);
    let mut fields = crate::support::http2::request_fields("GET", "/");
    fields.push(("x-user", "Ada"));
    let (first, second) = (client.request(&fields), client.get("/"));
    client.expect_body(first, "hello, Ada");
    client.expect_body(second, "who are you?");
}

#[test]
fn missing_value_is_a_mistake_of_the_program() {
    let router: Router = Router::new().get("/", |_: Extension<User>| "hello");
    let response = Client::new(router).get("/").send();
    assert_eq!(
        (response.status(), response.text()),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "500 Internal Server Error\n"
        )
    );
}

#[test]
fn inner_layers_replace_values_of_their_type() {
    let show = |Extension(number): Extension<u8>, Extension(text): Extension<&'static str>| {
        format!("{number} {text}")
    };
    let inner = Router::new().layer(Extension(2_u8)).get("/", show);
    let router: Router = Router::new()
        .layer(Extension(1_u8))
        .layer(Extension("text"))
        .get("/", show)
        .get("/own", Layered::new(show).layer(Extension(3_u8)))
        .nest("/inner", inner);
    let client = Client::new(router);
    for (target, text) in [("/", "1 text"), ("/inner", "2 text"), ("/own", "3 text")] {
        assert_eq!(client.get(target).send().text(), text, "{target}");
    }
}

#[test]
fn values_stay_when_a_layer_replaces_the_body() {
    let replace = |request: Request, next: Next<'_>| next.run(request.map(|_| Body::from("other")));
    let show = |Path(id): Path<u8>, user: Option<Extension<User>>, body: String| {
        (StatusCode::OK, format!("{id} {user:?} {body}")).into_response()
    };
    let router: Router = Router::new()
        .layer(log_in)
        .layer(replace)
        .post("/{id}", show);
    let response = Client::new(router)
        .post("/7")
        .header("x-user", "Ada")
        .body("a")
        .send();
    assert_eq!(response.text(), "7 Some(Extension(User(\"Ada\"))) other");
}

/// Extensions are one pointer of `http::Request`, which is null without them.
#[test]
fn extensions_make_requests_no_larger() {
    use httpool::http::{HeaderMap, Method, Uri, Version};

    let head =
        size_of::<Method>() + size_of::<Uri>() + size_of::<HeaderMap>() + size_of::<Version>();
    let most = head + size_of::<Body>() + 2 * size_of::<usize>();
    assert!(size_of::<Request>() <= most, "{}", size_of::<Request>());
}
