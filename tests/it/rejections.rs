//! Requests without a valid value for an argument, and problems with members of their own.

use httpool::extract::{Form, FromRequest, Path, Query, Rejection, RejectionKind, RequestContext};
use httpool::http::StatusCode;
use httpool::http::header::ACCEPT;
use httpool::testing::Client;
use httpool::{ClientInfo, IntoResponse, Json, Next, Problem, Request, Response, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::http2::request_fields;
use crate::support::{Http2Client, TestServer};

#[derive(Deserialize)]
struct User {
    name: String,
    age: u8,
}

/// A user who may have an account.
struct NewUser(User);

impl<S> FromRequest<S> for NewUser {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let Query(user) = Query::<User>::from_request(context)?;
        let mut errors = Vec::new();
        if user.name.is_empty() {
            errors.push(json!({ "pointer": "#/name", "detail": "must not be empty" }));
        }
        if user.age < 18 {
            errors.push(json!({ "pointer": "#/age", "detail": "must be at least 18" }));
        }
        if errors.is_empty() {
            return Ok(Self(user));
        }
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
            .with_type("https://it.example/invalid-user")
            .with_title("The user is invalid")
            .with_instance("/users#7")
            .with_extension("errors", &errors)
            .into())
    }
}

fn router() -> Router {
    Router::new().get("/users", |NewUser(user): NewUser| user.name)
}

fn expected_problem() -> Value {
    json!({
        "type": "https://it.example/invalid-user",
        "title": "The user is invalid",
        "status": 422,
        "instance": "/users#7",
        "errors": [
            { "pointer": "#/name", "detail": "must not be empty" },
            { "pointer": "#/age", "detail": "must be at least 18" },
        ],
    })
}

#[test]
fn validation_error_lists_its_fields() {
    let server = TestServer::spawn(|builder| builder, router());
    let mut client = server.connect();
    let head = "GET /users?name=&age=7 HTTP/1.1\r\nHost: it\r\nAccept: application/json\r\n\r\n";
    let response = client.send(head).expect_status(422);
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json")
    );
    let problem: Value = serde_json::from_str(&response.text()).expect("the content is JSON");
    assert_eq!(problem, expected_problem());
    client.get("/users?name=&age=7");
    let response = client.expect_status(422);
    assert_eq!(response.text(), "422 The user is invalid\n");
    client.get("/users?name=ada&age=36").expect_body("ada");
}

#[test]
fn validation_error_lists_its_fields_over_http2() {
    let server = TestServer::spawn(|builder| builder, router());
    let mut client = Http2Client::connect(&server);
    let mut fields = request_fields("GET", "/users?name=&age=7");
    fields.push(("accept", "application/json"));
    let stream = client.request(&fields);
    let response = client.expect_status(stream, 422);
    let problem: Value = serde_json::from_str(&response.text()).expect("the content is JSON");
    assert_eq!(problem, expected_problem());
}

/// Responds with kind and name of the rejection.
fn describe<T>(argument: Result<T, Rejection>) -> Result<&'static str, String> {
    match argument {
        Ok(_) => Ok("fine"),
        Err(rejection) => Err(format!(
            "{:?} {} {:?}",
            rejection.kind(),
            rejection.status().as_u16(),
            rejection.value_name()
        )),
    }
}

#[test]
fn each_argument_has_its_kind_of_rejection() {
    let router: Router = Router::new()
        .get("/path/{id}", describe::<Path<u8>>)
        .get("/query", describe::<Query<User>>)
        .get("/program", describe::<Query<u8>>)
        .get("/own", describe::<NewUser>)
        .post("/json", describe::<Json<User>>)
        .post("/form", describe::<Form<User>>)
        .post("/text", describe::<String>);
    let client = Client::new(router);
    let check = |target: &str, expected: &str| {
        assert_eq!(client.get(target).send().text(), expected, "{target}");
    };
    check("/path/x", "Path 400 Some(\"id\")");
    check("/query?name=a&age=x", "Query 400 Some(\"age\")");
    check("/query?name=a", "Query 400 Some(\"age\")");
    check("/query?name=%FF", "Query 400 None");
    check("/program?a=1", "ProgramError 500 None");
    check("/own?name=", "Query 400 Some(\"age\")");
    check("/own?name=&age=7", "Custom 422 None");
    let check = |target: &str, content_type: &str, body: &'static [u8], expected: &str| {
        let request = client.post(target).header("content-type", content_type);
        assert_eq!(request.body(body).send().text(), expected, "{target}");
    };
    let json = "application/json";
    check("/json", json, b"", "MissingBody 400 None");
    check("/json", "text/plain", b"{}", "ContentType 415 None");
    check("/json", json, b"{", "JsonSyntax 400 None");
    check("/json", json, b"{}", "JsonValue 422 Some(\"name\")");
    check("/json", json, b"[]", "JsonValue 422 None");
    check("/json", json, b"7", "JsonValue 422 None");
    let form = "application/x-www-form-urlencoded";
    check("/form", "text/plain", b"a=b", "ContentType 415 None");
    check("/form", form, b"name=a&age=x", "Form 422 Some(\"age\")");
    check("/text", "text/plain", b"\xff", "NotUtf8 400 None");
}

#[test]
fn request_without_a_client_is_its_own_kind() {
    let layer = |_: Request, next: Next<'_>| next.run(Request::default());
    let router: Router = Router::new().get("/", describe::<ClientInfo>);
    let response = httpool::Handler::handle(
        &httpool::Layered::new(router).layer(layer),
        &mut Request::default(),
    );
    assert_eq!(response.body().as_bytes(), b"UnknownClient 400 None");
}

/// Responds to rejections in another format.
fn own_rejections(request: Request, next: Next<'_>) -> Response {
    let response = next.run(request);
    let Some(rejection) = Rejection::of(&response) else {
        return response;
    };
    let status = match rejection.kind() {
        RejectionKind::Path => StatusCode::NOT_FOUND,
        _ => rejection.status(),
    };
    (status, format!("own: {rejection}")).into_response()
}

#[test]
fn layer_maps_the_rejections_of_all_routes() {
    let nested = Router::new().get("/{id}", |Path(id): Path<u8>| id.to_string());
    let router: Router = Router::new()
        .layer(own_rejections)
        .get("/query", |Query(user): Query<User>| user.name)
        .get("/conflict", || Problem::new(StatusCode::CONFLICT))
        .nest("/books", nested);
    let server = TestServer::spawn(|builder| builder, router);
    let mut client = server.connect();
    let response = client.get("/books/x").expect_status(404);
    assert!(response.text().starts_with("own: invalid path: \"x\""));
    let response = client.get("/query?age=7").expect_status(400);
    assert_eq!(response.text(), "own: invalid query: \"name\" is missing");
    // Other errors stay.
    let response = client.get("/conflict").expect_status(409);
    assert_eq!(response.text(), "409 Conflict\n");
    client.get("/books/7").expect_body("7");
}

#[test]
fn returned_rejection_is_remembered_too() {
    let show = |id: Result<Path<u8>, Rejection>| id.map(|Path(id)| id.to_string());
    let router: Router = Router::new().layer(own_rejections).get("/{id}", show);
    let client = Client::new(router);
    let response = client.get("/x").header(ACCEPT, "text/html").send();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(response.text().starts_with("own: "), "{response:?}");
}

#[test]
fn reasons_quote_only_a_part_of_a_long_value() {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Size {
        Small,
    }

    #[derive(Deserialize)]
    struct Order {
        size: Size,
    }

    let order = |Form(order): Form<Order>| match order.size {
        Size::Small => "small",
    };
    let client = Client::new(Router::<()>::new().post("/", order));
    assert_eq!(
        client.post("/").form([("size", "small")]).send().text(),
        "small"
    );
    let response = client.post("/").form([("size", "é".repeat(5_000))]).send();
    assert_eq!(response.status(), 422);
    let text = response.text();
    assert!(text.contains("unknown variant `éé"), "{text}");
    assert!(text.len() < 4_200, "{} bytes", text.len());
}
