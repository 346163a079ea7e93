//! Extractor types that no request of a route can satisfy: an error of the program, not of the
//! client.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use httpool::Router;
use httpool::extract::{Form, Path, Query, Rejection};
use httpool::http::StatusCode;
use httpool::testing::Client;
use httpool::{Handler, Layered, Server};
use serde::Deserialize;

use crate::support::log_lines::{capture_errors, lines_with};

type Two = Path<(u8, u8)>;

fn one(Path(one): Path<u8>) -> String {
    one.to_string()
}

fn two(Path((one, two)): Two) -> String {
    format!("{one}+{two}")
}

#[track_caller]
fn expect_panic<T>(build: impl FnOnce() -> T, reason: &str) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(build)) else {
        panic!("building it did not panic with {reason:?}");
    };
    let message = panic
        .downcast_ref::<String>()
        .expect("the message is a string");
    assert_eq!(message, reason);
}

/// Both a server and a test client reject this router at start.
#[track_caller]
fn expect_no_start(router: impl Fn() -> Router, reason: &str) {
    let server = Server::builder().listen("127.0.0.1:0").bind();
    let server = server.expect("the address is free");
    let error = server
        .run(Layered::new(router()))
        .expect_err("the server does not start");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), reason);
    expect_panic(|| Client::new(router()), reason);
}

#[test]
fn too_few_path_parameters_fail_at_start() {
    let hint = "change `Path<..>` or the path";
    expect_no_start(
        || Router::new().get("/users/{id}", two),
        &format!(
            "the function for GET /users/{{id}} takes 2 path parameters, but the path has 1: {hint}"
        ),
    );
    expect_no_start(
        || Router::new().nest("/users", Router::new().any("/", one)),
        &format!(
            "the function for any method /users takes 1 path parameter, but the path has 0: {hint}"
        ),
    );
    expect_no_start(
        || Router::new().nest("/{a}", Router::new().fallback(two)),
        &format!("the fallback in /{{a}} takes 2 path parameters, but the path has 1: {hint}"),
    );
    expect_no_start(
        || Router::new().fallback(|_: Result<Path<u8>, Rejection>| ""),
        &format!("the fallback takes 1 path parameter, but the path has 0: {hint}"),
    );
    expect_no_start(
        || {
            Router::new()
                .get("/{a}/{b}", |_: Two, _: Option<Path<[u8; 2]>>| "")
                .get("/c/{a}", two)
        },
        &format!(
            "the function for GET /c/{{a}} takes 2 path parameters, but the path has 1: {hint}"
        ),
    );
}

#[test]
fn too_many_path_parameters_fail_at_registration() {
    expect_panic(
        || Router::<()>::new().get("/{a}/{b}", one),
        "the function for GET /{a}/{b} takes 1 path parameter, but the path has 2: change \
         `Path<..>` or the path",
    );
    expect_panic(
        || Router::<()>::new().nest("/{a}", Router::new().get("/{b}", one)),
        "the function for GET /{a}/{b} takes 1 path parameter, but the path has 2: change \
         `Path<..>` or the path",
    );
    expect_panic(
        || Router::<()>::new().nest("/{a}/{b}", Router::new().fallback(one)),
        "the fallback in /{a}/{b} takes 1 path parameter, but the path has 2: change `Path<..>` or \
         the path",
    );
    expect_panic(
        || Router::<()>::new().get("/{a}/{b}", |_: Two, _: Path<u8>| ""),
        "the function for GET /{a}/{b} takes different numbers of path parameters, but the path \
         has 2: change `Path<..>` or the path",
    );
}

#[test]
fn parameters_of_outer_routers_count() {
    let shelf = Router::new().get("/{title}", two).fallback(one);
    let router: Router = Router::new().nest("/shelves/{shelf}", shelf).with_state(());
    let client = Client::new(router);
    assert_eq!(client.get("/shelves/1/2").send().text(), "1+2");
    assert_eq!(client.get("/shelves/1/2/3").send().text(), "1");
}

#[test]
fn impossible_path_type_is_500_and_logged() {
    #[derive(Deserialize)]
    struct Place {
        shelf: u8,
        title: String,
    }
    capture_errors();
    let router: Router = Router::new()
        .get("/place/{shelf}", |Path(place): Path<Place>| {
            format!("{} {}", place.shelf, place.title)
        })
        .get("/list/{shelf}", |Path(list): Path<Vec<Vec<u8>>>| {
            list.len().to_string()
        })
        .get(
            "/result/{shelf}",
            |place: Result<Path<Place>, Rejection>| match place {
                Ok(_) => StatusCode::OK,
                Err(rejection) => rejection.status(),
            },
        );
    // Custom handlers need not check their router at start.
    let client = Client::new(router);
    for (target, reason) in [
        ("/place/7", "Place>: the path has no parameter \"title\""),
        (
            "/list/7",
            "shelf: a parameter is text and can't be parsed as a sequence",
        ),
        ("/result/7", "Place>: the path has no parameter \"title\""),
    ] {
        let response = client.get(target).send();
        assert_eq!(response.status(), 500, "{target}");
        let names_field = response.text().contains("title");
        assert!(!names_field, "{target}: {}", response.text());
        let lines = lines_with(&format!("GET {target}: "));
        assert!(
            lines.len() == 1 && lines[0].contains(reason),
            "{target}: {lines:?}"
        );
        assert!(lines[0].starts_with("ERROR"), "{lines:?}");
    }
    // A client error is still answered 400.
    assert_eq!(client.get("/place/x").send().status(), 400);
    assert!(lines_with("GET /place/x").is_empty());
}

#[test]
fn unchecked_router_reports_500_at_the_first_request() {
    struct Own(Router);
    impl Handler for Own {
        fn handle(&self, request: &mut httpool::Request) -> httpool::Response {
            self.0.handle(request)
        }
    }
    capture_errors();
    let client = Client::new(Own(Router::new().get("/own/{id}", two)));
    assert_eq!(client.get("/own/7").send().status(), 500);
    let lines = lines_with("GET /own/7: ");
    assert!(
        lines[0].contains("the type needs 2 parameters, but the path has 1"),
        "{lines:?}"
    );
}

#[test]
fn impossible_query_or_form_type_is_500_and_logged() {
    #[derive(Deserialize)]
    struct Page {
        from: u32,
    }
    #[derive(Deserialize)]
    struct Filter {
        #[serde(flatten)]
        page: Page,
    }
    capture_errors();
    let router: Router = Router::new()
        .get("/flat", |Query(filter): Query<Filter>| {
            filter.page.from.to_string()
        })
        .post("/flat", |Form(filter): Form<Filter>| {
            filter.page.from.to_string()
        });
    let client = Client::new(router);
    let form = client.post("/flat").body("from=7");
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    for (response, line) in [
        (client.get("/flat?from=7").send(), "GET /flat: "),
        (form.send(), "POST /flat: "),
    ] {
        assert_eq!(response.status(), 500, "{line}");
        let lines = lines_with(line);
        let reason = "invalid type: string \"7\", expected u32";
        assert!(lines.len() == 1 && lines[0].contains(reason), "{lines:?}");
        assert!(lines[0].contains("use two arguments"), "{lines:?}");
    }
    assert_eq!(client.get("/flat").send().status(), 400);
}
