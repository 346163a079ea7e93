use httpool::http::StatusCode;
use httpool::http::header::{ALLOW, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue};
use httpool::layers::SecurityHeaders;
use httpool::{Html, IntoResponse, Layered, Problem, ProblemFormat, Request, Response};

use crate::support::{Client, TestServer};

/// Shows the format, the status and the message of the problem.
fn page(problem: &Problem, request: &HeaderMap) -> Option<Response> {
    let format = ProblemFormat::preferred(request);
    let text = format!(
        "{format:?} {} {}",
        problem.status().as_u16(),
        problem.message()
    );
    let replaces = problem.status() != StatusCode::GONE;
    replaces.then(|| Html(text).into_response())
}

fn handler(request: Request) -> Response {
    let headers = request.headers();
    let text = HeaderValue::from_static("text/plain");
    match request.uri().path() {
        "/problem" => Problem::new(StatusCode::NOT_FOUND)
            .detail("no <b>tea</b>")
            .to_response(headers),
        "/unaware" => Problem::new(StatusCode::CONFLICT)
            .detail("tea")
            .into_response(),
        "/status" => StatusCode::FORBIDDEN.into_response(),
        "/own" => (StatusCode::BAD_GATEWAY, "its own").into_response(),
        "/typed" => {
            let mut response = StatusCode::BAD_GATEWAY.into_response();
            response.headers_mut().insert(CONTENT_TYPE, text);
            response
        }
        "/replaced" => {
            let mut response = Problem::new(StatusCode::NOT_FOUND).to_response(headers);
            *response.body_mut() = "other content".into();
            response
        }
        "/allow" => {
            let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
            let get = HeaderValue::from_static("GET");
            response.headers_mut().insert(ALLOW, get);
            response
        }
        "/beyond" => {
            let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE).to_response(headers);
            let length = HeaderValue::from_static("bytes */7");
            response.headers_mut().insert(CONTENT_RANGE, length);
            response
        }
        "/mapped" => (StatusCode::CONFLICT, None::<&str>).into_response(),
        "/known" => {
            let problem = Problem::new(StatusCode::NOT_FOUND).to_response(headers);
            (StatusCode::BAD_GATEWAY, problem).into_response()
        }
        "/no-error" => (StatusCode::OK, None::<&str>).into_response(),
        "/nothing" => StatusCode::GONE.into_response(),
        "/gone" => Problem::new(StatusCode::GONE).into_response(),
        "/panic" => panic!("a test asked for this"),
        _ => "fine".into_response(),
    }
}

fn html(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: it\r\nAccept: text/html\r\n\r\n")
}

#[test]
fn error_pages_replace_error_bodies() {
    let server = TestServer::spawn(|builder| builder.error_pages(page), handler);
    let mut client = server.connect();
    for (target, status, text) in [
        ("/problem", 404, "Html 404 no <b>tea</b>"),
        ("/unaware", 409, "Html 409 tea"),
        ("/status", 403, "Html 403 "),
        ("/panic", 500, "Html 500 "),
        ("/allow", 405, "Html 405 "),
        ("/mapped", 409, "Html 409 "),
        ("/known", 502, "Html 502 "),
        ("/no-error", 200, "404 Not Found\n"),
        ("/own", 502, "its own"),
        ("/typed", 502, ""),
        ("/replaced", 404, "other content"),
        ("/", 200, "fine"),
    ] {
        let response = client.send(html(target)).expect_status(status);
        assert_eq!(response.text(), text, "{target}");
    }
}

#[test]
fn error_pages_keep_other_headers() {
    let server = TestServer::spawn(|builder| builder.error_pages(page), handler);
    let response = server.connect().send(html("/allow")).expect_status(405);
    assert_eq!(response.header("allow"), Some("GET"));
    let html = Some("text/html; charset=utf-8");
    assert_eq!(response.header("content-type"), html);
    assert_eq!(response.header("content-length"), Some("9"));
    let response = server
        .connect()
        .send(self::html("/beyond"))
        .expect_status(416);
    assert_eq!(response.header("content-range"), Some("bytes */7"));
    assert_eq!(response.text(), "Html 416 ");
    // The policy belonged to the page that was replaced.
    let response = server
        .connect()
        .send(self::html("/problem"))
        .expect_status(404);
    assert_eq!(response.header("content-security-policy"), None);
}

#[test]
fn error_pages_keep_layer_headers_but_not_the_built_in_policy() {
    let policy = |builder: fn(httpool::Builder) -> httpool::Builder, target| {
        let handler = Layered::new(handler).layer(SecurityHeaders::new());
        let server = TestServer::spawn(builder, handler);
        let mut client = server.connect();
        client.send(html(target));
        let response = client.expect_response();
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        let policy = response.header("content-security-policy").map(String::from);
        (policy.unwrap_or_default(), response.text())
    };
    let is_site_policy = |policy: &str| policy.starts_with("base-uri 'self'");
    for target in ["/status", "/unaware"] {
        let (policy, page) = policy(|builder| builder.error_pages(page), target);
        assert!(
            is_site_policy(&policy) && page.starts_with("Html 4"),
            "{policy} {page}"
        );
    }
    // The built-in page has its own policy, which allows no script.
    for target in ["/problem", "/unaware"] {
        let (policy, page) = policy(|builder| builder, target);
        assert!(policy.starts_with("default-src 'none'"), "{policy} {page}");
    }
}

#[test]
fn the_response_is_unchanged_without_an_error_page() {
    let with = TestServer::spawn(|builder| builder.error_pages(page), handler);
    let without = TestServer::spawn(|builder| builder, handler);
    let [paged, plain] = [&with, &without].map(|server| {
        let response = server.connect().send(html("/gone")).expect_status(410);
        response.text()
    });
    assert_eq!(paged, plain);
    assert!(plain.contains("<h1>410 Gone</h1>"), "{plain}");
}

#[test]
fn possible_error_pages_add_vary() {
    let server = TestServer::spawn(|builder| builder.error_pages(page), handler);
    let mut client = server.connect();
    for (target, status, vary) in [
        ("/status", 403, Some("accept")),
        ("/nothing", 410, Some("accept")),
        ("/gone", 410, Some("accept")),
        ("/own", 502, None),
        ("/", 200, None),
    ] {
        let response = client.send(html(target)).expect_status(status);
        assert_eq!(response.header("vary"), vary, "{target}");
    }
}

/// The layer kept the policy of the built-in page, which is replaced later.
#[test]
fn error_pages_have_the_sites_policy() {
    let handler = Layered::new(handler).layer(SecurityHeaders::new());
    let server = TestServer::spawn(|builder| builder.error_pages(page), handler);
    let response = server.connect().send(html("/problem")).expect_status(404);
    assert_eq!(response.text(), "Html 404 no <b>tea</b>");
    let own = "base-uri 'self'; frame-ancestors 'self'; object-src 'none'";
    assert_eq!(response.header("content-security-policy"), Some(own));
}

/// The status of the response replaces the status of the problem.
#[test]
fn a_problem_shows_the_status_of_its_response() {
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    for (target, status, title) in [
        ("/mapped", 409, "<h1>409 Conflict</h1>"),
        ("/known", 502, "<h1>502 Bad Gateway</h1>"),
    ] {
        let response = client.send(html(target)).expect_status(status);
        assert!(response.text().contains(title), "{}", response.text());
    }
}

/// A function that returns a `Problem` does not know which format its client accepts; the server
/// does.
#[test]
fn a_problem_has_the_format_that_the_client_prefers() {
    let server = TestServer::spawn(|builder| builder, handler);
    let mut client = server.connect();
    for (accept, content_type, part) in [
        ("text/html", "text/html; charset=utf-8", "<p>tea</p>"),
        (
            "application/json",
            "application/problem+json",
            r#""detail":"tea""#,
        ),
        ("*/*", "text/plain; charset=utf-8", "409 Conflict: tea\n"),
    ] {
        client.send(format!(
            "GET /unaware HTTP/1.1\r\nHost: it\r\nAccept: {accept}\r\n\r\n"
        ));
        let response = client.expect_status(409);
        assert_eq!(response.header("content-type"), Some(content_type));
        assert_eq!(response.header("vary"), Some("accept"));
        assert!(response.text().contains(part), "{}", response.text());
    }
    // A bare status is a complete response.
    let response = client.send(html("/status")).expect_status(403);
    assert_eq!(response.text(), "");
}

#[test]
fn the_test_client_negotiates_the_problem_format() {
    let client = httpool::testing::Client::new(handler);
    let response = client
        .get("/unaware")
        .header("accept", "application/json")
        .send();
    assert!(response.text().contains(r#""detail":"tea""#));
    let response = client.get("/no-error").header("accept", "text/html").send();
    assert_eq!(response.text(), "404 Not Found\n");
}

#[track_caller]
fn error_text(
    configure: impl FnOnce(httpool::Builder) -> httpool::Builder,
    request: &str,
) -> String {
    let server = TestServer::spawn(|builder| configure(builder.error_pages(page)), handler);
    let mut client = server.connect();
    let _ = client.try_send(request);
    Client::expect_response(&mut client).text()
}

#[test]
fn the_servers_own_errors_have_pages() {
    let host = "Host: it\r\nAccept: text/html\r\n";
    let large = format!("POST / HTTP/1.1\r\n{host}Content-Length: 100\r\n\r\n");
    let text = error_text(|builder| builder.max_body(10), &large);
    assert_eq!(text, "Html 413 the request body is too large");
    let version = format!("GET / HTTP/3.0\r\n{host}\r\n");
    assert!(error_text(|builder| builder, &version).contains("505"));
    let head = format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "x".repeat(2000));
    assert!(error_text(|builder| builder.max_header_size(1024), &head).contains("431"));
    assert!(error_text(|builder| builder, "nonsense\r\n\r\n").contains("400"));
}

#[test]
fn error_pages_show_the_request_id() {
    let server = TestServer::spawn(|builder| builder.request_ids(true), handler);
    let mut client = server.connect();
    client.send(html("/unaware"));
    let response = client.expect_status(409);
    let id = response
        .header("x-request-id")
        .expect("the response has an ID");
    assert!(response.text().contains(id), "{}", response.text());
}

#[test]
fn error_pages_escape_html() {
    let hostile = |request: Request| {
        let target = request.uri().to_string();
        Problem::new(StatusCode::BAD_REQUEST).detail(format!(
            "</p><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;{target}"
        ))
    };
    let server = TestServer::spawn(|builder| builder, hostile);
    let response = server.connect().send(html("/'\"&")).expect_status(400);
    let page = response.text();
    assert!(
        !page.contains("<script") && !page.contains("<img"),
        "{page}"
    );
    let shown = "&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x \
                 onerror=&#39;alert(2)&#39;&gt;&amp;amp;/&#39;&quot;&amp;";
    assert!(page.contains(shown), "{page}");
    let policy = response.header("content-security-policy");
    assert!(policy.is_some_and(|policy| policy.starts_with("default-src 'none'; style-src")));
}
