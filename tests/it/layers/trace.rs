use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use httpool::http::StatusCode;
use httpool::layers::Trace;
use httpool::testing::Client;
use httpool::{Later, Layered, Request, Response, Router};
use tracing::field::{Empty, Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{Http2Client, TestServer, in_own_process};

/// Keeps the fields of spans, and the events that happen in them.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Debug, Default)]
struct Recorded {
    spans: Vec<Fields>,
    /// The ids of the spans that were entered and not left, in this test one thread at a time.
    entered: Vec<u64>,
    events: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").expect("a String takes all");
        self.0.insert(field.name(), text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "httpool" || metadata.target().starts_with("it")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let mut recorded = self.0.lock().expect("no thread panics with it");
        recorded.spans.push(fields);
        Id::from_u64(recorded.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut recorded = self.0.lock().expect("no thread panics with it");
        let index = usize::try_from(span.into_u64()).expect("it is small") - 1;
        values.record(&mut recorded.spans[index]);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut recorded = self.0.lock().expect("no thread panics with it");
        let (level, message) = (event.metadata().level(), &fields.0["message"]);
        let has_duration = fields.0.contains_key("http.server.request.duration");
        let text = format!("{:?} {level} {message} {has_duration}", recorded.entered);
        recorded.events.push(text);
    }

    fn enter(&self, span: &Id) {
        let mut recorded = self.0.lock().expect("no thread panics with it");
        recorded.entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut recorded = self.0.lock().expect("no thread panics with it");
        recorded
            .entered
            .retain(|entered| *entered != span.into_u64());
    }
}

impl Recorder {
    fn spans(&self) -> Vec<Fields> {
        let recorded = self.0.lock().expect("no thread panics with it");
        recorded.spans.clone()
    }

    fn events(&self) -> Vec<String> {
        let recorded = self.0.lock().expect("no thread panics with it");
        recorded.events.clone()
    }
}

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn handler(request: Request) -> Response {
    use httpool::IntoResponse as _;

    tracing::info!("handled");
    match request.uri().path() {
        "/later" => Later::after(std::time::Duration::ZERO, StatusCode::CREATED).into_response(),
        "/failing" => StatusCode::BAD_GATEWAY.into_response(),
        "/dropped" => {
            let (responder, later) = Later::new();
            drop(responder);
            later.into_response()
        }
        "/panics" => panic!("on purpose"),
        _ => "hello".into_response(),
    }
}

fn client() -> Client {
    Client::new(Layered::new(handler).layer(Trace::new()))
}

#[test]
fn span_has_the_fields_of_the_conventions() {
    let recorder = Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || {
        let client = client();
        let _ = client
            .get("/a?secret")
            .header("user-agent", "it/1")
            .header("x-request-id", "id-7")
            .send();
    });
    let spans = recorder.spans();
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    for (name, value) in [
        ("otel.kind", "server"),
        ("otel.name", "GET"),
        ("http.request.method", "GET"),
        ("url.path", "/a"),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
        ("client.address", "127.0.0.1"),
        ("user_agent.original", "it/1"),
        ("http.request.header.x-request-id", "id-7"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(span.get(name), Some(value), "{name}");
    }
    assert_eq!(span.get("error.type"), None);
    let events = ["[1] INFO handled false", "[1] DEBUG response true"];
    assert_eq!(recorder.events(), events);
}

#[test]
fn errors_and_later_responses_are_recorded() {
    #[track_caller]
    fn check(target: &str, status: Option<&str>, error: Option<&str>, event: &str) {
        let recorder = Recorder::default();
        tracing::subscriber::with_default(recorder.clone(), || {
            let send = || client().get(target).send().status();
            // The test client panics where a server responds 500.
            let _ = std::panic::catch_unwind(send);
        });
        let span = recorder.spans().pop().expect("there is a span");
        assert_eq!(span.get("http.response.status_code"), status, "{target}");
        assert_eq!(span.get("error.type"), error, "{target}");
        assert_eq!(
            span.get("otel.status_code"),
            error.map(|_| "ERROR"),
            "{target}"
        );
        let last = recorder.events().pop();
        assert_eq!(last.as_deref(), Some(event), "{target}");
    }
    check("/later", Some("201"), None, "[1] DEBUG response true");
    check(
        "/failing",
        Some("502"),
        Some("502"),
        "[1] ERROR response true",
    );
    let panic = "[1] ERROR the handler panicked true";
    check("/panics", None, Some("panic"), panic);
}

#[test]
fn route_is_recorded_when_it_is_known() {
    #[track_caller]
    fn check(target: &str, name: &str, route: Option<&str>) {
        let recorder = Recorder::default();
        tracing::subscriber::with_default(recorder.clone(), || {
            let send = || Client::new(router()).get(target).send().status();
            // The test client panics where a server responds 500.
            let _ = std::panic::catch_unwind(send);
        });
        let span = recorder.spans().pop().expect("there is a span");
        assert_eq!(span.get("otel.name"), Some(name), "{target}");
        assert_eq!(span.get("http.route"), route, "{target}");
    }
    fn router() -> Router {
        let users = Router::new().get("/{id}", || "a user");
        let panics = || -> String { panic!("on purpose") };
        let router = Router::new().layer(Trace::new()).nest("/users", users);
        router.get("/panics", panics)
    }
    check("/users/7", "GET /users/{id}", Some("/users/{id}"));
    check("/panics", "GET /panics", Some("/panics"));
    check("/elsewhere", "GET", None);
}

#[test]
fn span_can_be_the_programs_own() {
    let recorder = Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || {
        let trace = Trace::with_span(
            |request| tracing::info_span!(target: "it", "own", path = request.uri().path(), http.route = Empty),
        );
        let router: Router = Router::new().layer(trace).get("/", || "hello");
        let _ = Client::new(router).get("/").send();
    });
    let spans = recorder.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].get("path"), Some("/"));
    assert_eq!(spans[0].get("http.route"), Some("/"));
    assert_eq!(spans[0].get("http.response.status_code"), None);
}

#[test]
fn requests_of_both_protocols_have_spans() {
    in_own_process(
        "layers::trace::requests_of_both_protocols_have_spans",
        || {
            let recorder = Recorder::default();
            tracing::subscriber::set_global_default(recorder.clone()).expect("it is the first");
            let handler = Layered::new(handler).layer(Trace::new());
            let server = TestServer::spawn(|builder| builder.request_ids(true), handler);
            server.connect().get("/").expect_body("hello");
            let mut client = Http2Client::connect(&server);
            let stream = client.get("/failing");
            client.expect_status(stream, 502);
            let stream = client.get("/dropped");
            client.expect_status(stream, 500);
            let spans = recorder.spans();
            let [first, second, third] = &spans[..] else {
                panic!("{spans:?}")
            };
            assert_eq!(first.get("network.protocol.version"), Some("1.1"));
            assert_eq!(second.get("network.protocol.version"), Some("2"));
            assert_eq!(second.get("http.response.status_code"), Some("502"));
            // The responder was dropped.
            assert_eq!(third.get("error.type"), Some("cancelled"));
            for span in &spans {
                assert!(span.get("http.request.header.x-request-id").is_some());
            }
        },
    );
}
