use std::sync::{Arc, Mutex};

use httpool::http::StatusCode;
use httpool::{
    Body, Builder, IntoResponse, Observer, Outcome, Problem, Request, RequestError, RequestRecord,
    Response,
};

use crate::support::{BoundServer, Client, TestServer, request};

/// An observer that records what it receives.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Line>>);

#[derive(Debug, Clone, PartialEq)]
struct Line {
    request_line: String,
    id: Option<String>,
    outcome: Outcome,
    status: u16,
    received: u64,
    sent: Option<u64>,
}

impl Observer for Recorder {
    fn on_response(&self, record: &RequestRecord<'_>) {
        let line = Line {
            request_line: String::from_utf8_lossy(record.raw_request().request_line()).into_owned(),
            id: record.id().map(str::to_owned),
            outcome: record.outcome(),
            status: record.status().as_u16(),
            received: record.received(),
            sent: record.sent(),
        };
        self.0.lock().expect("no thread panicked").push(line);
    }
}

impl Recorder {
    #[track_caller]
    fn expect(&self, lines: &[(&str, Outcome, u16, u64, Option<u64>)]) {
        let written = self.0.lock().expect("no thread panicked").clone();
        let written: Vec<_> = written
            .iter()
            .map(|line| {
                let Line {
                    outcome,
                    status,
                    received,
                    sent,
                    ..
                } = *line;
                (&*line.request_line, outcome, status, received, sent)
            })
            .collect();
        assert_eq!(written, lines);
    }
}

fn respond(request: Request) -> Response {
    match request.uri().path() {
        "/panic" => panic!("a test asked for this"),
        "/read" => Body::from_reader(&b"read"[..]).into_response(),
        "/sized" => Body::from_sized_reader(&b"sized"[..], 5).into_response(),
        "/interim" => StatusCode::CONTINUE.into_response(),
        "/problem" => Problem::new(StatusCode::GONE).to_response(request.headers()),
        "/timed" => {
            let id = &request.headers()["x-request-id"];
            id.to_str()
                .expect("the value is ASCII")
                .to_owned()
                .into_response()
        }
        _ => "hello".into_response(),
    }
}

fn observed_server(configure: impl FnOnce(Builder) -> Builder) -> (TestServer, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let observer = Arc::clone(&recorder);
    let bound = BoundServer::new(|builder| configure(builder.observer(observer)));
    (bound.run(respond), recorder)
}

#[test]
fn observer_sees_every_request() {
    let (server, recorder) = observed_server(|builder| builder.max_body(100));
    let mut client = server.connect();
    for (target, status) in [
        ("/", 200),
        ("/panic", 500),
        ("/sized", 200),
        ("/interim", 500),
    ] {
        client.get(target).expect_status(status);
    }
    client.get("/read").expect_body("read");
    client.send(request::post_chunked("/", "a body", 2));
    client.expect_body("hello");
    client
        .send(request::post_head("/", 6))
        .send("a b")
        .send("ody");
    client.expect_body("hello");
    client.send("HEAD / HTTP/1.1\r\nHost: it\r\n\r\n");
    client.expect_response_to_head();
    client.send(request::post_head("/large", 101));
    client.expect_status(413);
    server.connect().send("nonsense\r\n\r\n").expect_status(400);
    server.shut_down();
    let handled = Outcome::Handled;
    recorder.expect(&[
        ("GET / HTTP/1.1", handled, 200, 0, Some(5)),
        ("GET /panic HTTP/1.1", Outcome::Panicked, 500, 0, Some(26)),
        ("GET /sized HTTP/1.1", handled, 200, 0, Some(5)),
        ("GET /interim HTTP/1.1", handled, 500, 0, Some(0)),
        ("GET /read HTTP/1.1", handled, 200, 0, None),
        ("POST / HTTP/1.1", handled, 200, 6, Some(5)),
        ("POST / HTTP/1.1", handled, 200, 6, Some(5)),
        ("HEAD / HTTP/1.1", handled, 200, 0, Some(0)),
        (
            "POST /large HTTP/1.1",
            Outcome::Rejected(RequestError::BodyTooLarge.into()),
            413,
            0,
            Some(53),
        ),
        (
            "",
            Outcome::Rejected(RequestError::RequestLine.into()),
            400,
            0,
            Some(47),
        ),
    ]);
}

#[test]
fn valid_request_id_is_kept() {
    let (server, recorder) = observed_server(|builder| builder.request_ids(true));
    let mut client = server.connect();
    let get = |target: &str, id: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: it\r\nX-Request-Id: {id}\r\n\r\n")
    };
    client.send(get("/timed", "from-afar.1"));
    let response = client.expect_body("from-afar.1");
    assert_eq!(response.header("x-request-id"), Some("from-afar.1"));
    client.send(get("/problem", "from-afar.2"));
    let response = client.expect_status(410);
    assert_eq!(response.header("x-request-id"), Some("from-afar.2"));
    assert!(response.text().contains("from-afar.2"));
    // The handler took the request before it panicked.
    client.send(get("/panic", "from-afar.3"));
    assert!(client.expect_status(500).text().contains("from-afar.3"));
    server.shut_down();
    let lines = recorder.0.lock().expect("no thread panicked");
    let ids: Vec<_> = lines.iter().filter_map(|line| line.id.as_deref()).collect();
    assert_eq!(ids, ["from-afar.1", "from-afar.2", "from-afar.3"]);
}

#[test]
fn invalid_or_missing_request_id_is_replaced() {
    #[track_caller]
    fn check(client: &mut Client, headers: &str) -> String {
        client.send(format!("GET /timed HTTP/1.1\r\nHost: it\r\n{headers}\r\n"));
        let response = client.expect_status(200);
        let id = response
            .header("x-request-id")
            .expect("the response has an id")
            .to_owned();
        assert_eq!(response.text(), id, "the handler sees the same id");
        assert!(
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
        id
    }
    let (server, _) = observed_server(|builder| builder.request_ids(true));
    let mut client = server.connect();
    let first = check(&mut client, "");
    assert_ne!(check(&mut client, "X-Request-Id: <script>\r\n"), first);
    check(&mut client, "X-Request-Id: a\r\nX-Request-Id: b\r\n");
    check(
        &mut client,
        &format!("X-Request-Id: {}\r\n", "a".repeat(65)),
    );
    let mut client = server.connect();
    let response = client.send("GET / HTTP/1.1\r\n\r\n").expect_status(400);
    assert!(
        response.header("x-request-id").is_some(),
        "an error response has an id"
    );
}

#[test]
fn request_id_and_timing_are_off_by_default() {
    let (server, _) = observed_server(|builder| builder);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: it\r\nX-Request-Id: a\r\n\r\n");
    let response = client.expect_status(200);
    assert_eq!(response.header("x-request-id"), None);
    assert_eq!(response.header("server-timing"), None);
}

#[test]
fn server_timing_reports_handler_time() {
    let (server, _) = observed_server(|builder| builder.server_timing(true));
    let mut client = server.connect();
    for target in ["/", "/panic"] {
        let response = client.get(target).expect_response();
        let timing = response
            .header("server-timing")
            .expect("the header is present");
        let time = timing
            .strip_prefix("handler;dur=")
            .expect("the metric is named handler");
        assert!(time.parse::<f64>().is_ok_and(|time| time >= 0.0), "{time}");
    }
}
