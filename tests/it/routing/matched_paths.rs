//! The path of the route as functions, layers, observers, metrics and logs see it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use httpool::http::Uri;
use httpool::services::{AccessFormat, AccessLog, Admin, RequestMetrics};
use httpool::testing::Client;
use httpool::{
    IntoResponse, Later, Layered, MatchedPath, Next, Observer, Request, RequestRecord, Response,
    Router,
};

use super::Protocol;
use crate::support::{TestServer, request};

/// Records the route and status of each request.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<(String, u16)>>);

impl Observer for Recorder {
    fn on_response(&self, record: &RequestRecord<'_>) {
        let path = record.matched_path().map_or("none", MatchedPath::as_str);
        let line = (path.to_owned(), record.status().as_u16());
        self.0.lock().expect("no thread panicked").push(line);
    }
}

impl Recorder {
    #[track_caller]
    fn expect(&self, expected: (&str, u16)) {
        let last = self.0.lock().expect("no thread panicked").pop();
        let last = last.as_ref().map(|(path, status)| (&**path, *status));
        assert_eq!(last, Some(expected));
    }
}

fn router() -> Router {
    let files = Router::new().fallback(|path: Option<MatchedPath>| text(path));
    let users = Router::new()
        .layer(|request: Request, next: Next<'_>| next.run(request))
        .get("/", |path: MatchedPath| path.to_string())
        .get("/{id}", |path: MatchedPath| path.to_string())
        .post("/{id}", |_: Request| "taken")
        .nest("/{id}/files", files);
    Router::new()
        .layer(|request: Request, next: Next<'_>| next.run(request))
        .nest("/users", users)
        .get("/panic/{x}", || -> String {
            panic!("a test asked for this")
        })
        .get("/later/{x}", || {
            Later::after(Duration::from_millis(1), "late")
        })
        .get("/café", |path: MatchedPath| path.to_string())
        .fallback(|path: Option<MatchedPath>| text(path))
}

fn text(path: Option<MatchedPath>) -> String {
    path.map_or_else(|| "none".into(), |path| path.to_string())
}

#[test]
fn functions_take_the_whole_path() {
    let client = Client::new(router());
    for (target, path) in [
        ("/users", "/users"),
        ("/users/7", "/users/{id}"),
        ("/users/7/files", "/users/{id}/files/{*rest}"),
        ("/users/7/files/a/b", "/users/{id}/files/{*rest}"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/elsewhere", "none"),
    ] {
        assert_eq!(client.get(target).send().text(), path, "{target}");
        let is_listed = router().routes().any(|route| route.path() == path);
        assert_eq!(is_listed, path != "none", "{path}");
    }
}

#[test]
fn outermost_fallback_has_no_path() {
    let router: Router = Router::new().fallback(|path: MatchedPath| path.to_string());
    assert_eq!(Client::new(router).get("/").send().status(), 500);
}

#[test]
fn records_have_the_path() {
    let recorder = Arc::new(Recorder::default());
    let observer = Arc::clone(&recorder);
    let server = TestServer::spawn(|builder| builder.observer(observer).max_body(10), router());
    for protocol in Protocol::BOTH {
        for (method, target, expected) in [
            ("GET", "/users/7", ("/users/{id}", 200)),
            ("HEAD", "/elsewhere", ("none", 200)),
            ("POST", "/users/7", ("/users/{id}", 200)),
            ("DELETE", "/users/7", ("/users/{id}", 405)),
            ("OPTIONS", "/users/7", ("/users/{id}", 204)),
            ("GET", "/users/%FF", ("/users/{id}", 400)),
            (
                "GET",
                "/users/7/files/x",
                ("/users/{id}/files/{*rest}", 200),
            ),
            ("GET", "/panic/1", ("/panic/{x}", 500)),
            ("GET", "/later/1", ("/later/{x}", 200)),
        ] {
            if method == "HEAD" && protocol == Protocol::Http1 {
                server
                    .connect()
                    .send(format!("HEAD {target} HTTP/1.1\r\nHost: it\r\n\r\n"))
                    .expect_response_to_head();
            } else {
                protocol.send(&server, (method, target), &[], b"");
            }
            recorder.expect(expected);
        }
        // It is rejected before the handler runs.
        protocol.send(&server, ("POST", "/users/7"), &[], &[b'x'; 11]);
        recorder.expect(("/users/{id}", 413));
    }
    server.connect().send("nonsense\r\n\r\n").expect_status(400);
    recorder.expect(("none", 400));
    server
        .connect()
        .send(request::get("/users/7 x"))
        .expect_status(400);
    recorder.expect(("none", 400));
}

#[test]
fn layers_around_a_router_record_the_path() {
    fn show_path(request: Request, next: Next<'_>) -> Response {
        let (response, path) = MatchedPath::record(|| next.run(request));
        (response.status(), format!("{path:?}")).into_response()
    }

    let inner = Router::new().get("/{x}", || "inner");
    let router: Router = Router::new()
        .get("/{a}/{b}", || "outer")
        .nest_handler("/handler", Layered::new(inner));
    let client = Client::new(Layered::new(router).layer(show_path));
    for (target, path) in [
        ("/1/2", "Some(\"/{a}/{b}\")"),
        ("/", "None"),
        ("/handler/x", "Some(\"/handler/{*rest}\")"),
    ] {
        assert_eq!(client.get(target).send().text(), path, "{target}");
    }
}

#[test]
fn layer_that_changes_the_target_changes_the_path() {
    fn strip_version(mut request: Request, next: Next<'_>) -> Response {
        let path = request.uri().path().trim_start_matches("/v1").to_owned();
        *request.uri_mut() = Uri::try_from(path).expect("the path is valid");
        next.run(request)
    }

    let recorder = Arc::new(Recorder::default());
    let observer = Arc::clone(&recorder);
    let handler = Layered::new(router()).layer(strip_version);
    let server = TestServer::spawn(|builder| builder.observer(observer), handler);
    for protocol in Protocol::BOTH {
        assert_eq!(protocol.get(&server, "/v1/users/7").text(), "/users/{id}");
        recorder.expect(("/users/{id}", 200));
    }
}

#[test]
fn metrics_count_by_route_and_clients_add_none() {
    let metrics = Arc::new(RequestMetrics::new().with_routes(router().routes()));
    let observer = Arc::clone(&metrics);
    let server = TestServer::spawn(|builder| builder.observer(observer), router());
    for number in 0..5 {
        for protocol in Protocol::BOTH {
            protocol.get(&server, &format!("/users/{number}"));
            protocol.get(&server, &format!("/unknown-{number}"));
        }
    }
    let admin = Admin::new(server.handle().clone()).request_metrics(metrics);
    let text = Client::new(admin).get("/metrics").send().text().to_owned();
    for line in [
        r#"httpool_requests_by_route_total{route="/users/{id}",method="GET",status="2xx"} 10"#,
        r#"httpool_requests_by_route_total{route="/users/{id}",method="GET",status="5xx"} 0"#,
        r#"httpool_requests_by_route_total{route="/users/{id}",method="POST",status="2xx"} 0"#,
        r#"httpool_requests_by_route_total{route="none",method="GET",status="2xx"} 10"#,
        r#"httpool_request_duration_by_route_seconds_count{route="/users/{id}"} 10"#,
        r#"httpool_request_duration_by_route_seconds_count{route="none"} 10"#,
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    assert!(!text.contains("unknown-"), "{text}");
    let deletes = r#"route="/users/{id}",method="DELETE""#;
    assert!(!text.contains(deletes), "{text}");
}

/// An output that the test can read.
#[derive(Debug, Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no thread panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn access_log_has_the_route() {
    for (format, expected) in [
        (AccessFormat::Common, ["\"/users/{id}\"\n", "\"-\"\n"]),
        (AccessFormat::Combined, ["\"/users/{id}\"\n", "\"-\"\n"]),
        (
            AccessFormat::Json,
            [r#","route":"/users/{id}","#, r#"HTTP/1.1","host""#],
        ),
    ] {
        let output = Output::default();
        let log = AccessLog::start(format, output.clone()).expect("a thread is free");
        let lines = log.lines().with_route();
        let server = TestServer::spawn(|builder| builder.observer(lines), router());
        for target in ["/users/7", "/unknown"] {
            server.connect().get(target).expect_status(200);
        }
        server.shut_down();
        log.finish();
        let written = output.0.lock().expect("no thread panicked");
        let written = String::from_utf8_lossy(&written);
        for part in expected {
            assert!(written.contains(part), "{part} in {written}");
        }
    }
}
