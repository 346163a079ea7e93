//! The handler behind the table. `README.md` lists its paths.

use std::io::{self, Cursor, ErrorKind, Read, Write as _};

use httpool::http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use httpool::http::{HeaderMap, Method, StatusCode};
use httpool::services::Echo;
use httpool::{
    Body, BodyMode, DrivenProtocol, DrivenStream, Handler, IntoResponse, NextStep, RawRequest,
    Request, Response, Upgrade,
};

/// Longer or shorter than the announced length, unless the server corrects that.
const BODY: &str = "body";

pub(crate) struct TableHandler {
    echo: Echo,
}

impl TableHandler {
    pub(crate) fn new() -> Self {
        Self {
            echo: Echo::default(),
        }
    }
}

impl Handler for TableHandler {
    fn handle(&self, request: &mut Request) -> Response {
        let path = request.uri().path().to_owned();
        match path.strip_prefix("/invalid/") {
            Some(kind) => invalid(kind, request),
            None if path == "*" || path.starts_with("/echo") => self.echo.handle(request),
            None if path.starts_with("/large/") => Body::from(large(&path)).into_response(),
            None if path.starts_with("/reader/") => {
                Body::from_reader(Cursor::new(large(&path))).into_response()
            }
            None if path == "/fails" => Body::from_reader(Failing).into_response(),
            None if path == "/trailers" => Body::from(BODY).with_trailers(trailers).into_response(),
            None if path == "/trailers/empty" => {
                Body::empty().with_trailers(trailers).into_response()
            }
            None if path == "/websocket" => {
                Upgrade::driven("websocket", |_waker| Back::default()).into_response()
            }
            None if path == "/upgrade" => Upgrade::new("x", drop).into_response(),
            None if path == "/wire/count" => count(request).into_response(),
            None if path.starts_with("/wire") => describe_raw(request).into_response(),
            None => describe(request).into_response(),
        }
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match request.uri().path() {
            path if path.starts_with("/echo") => self.echo.body_mode(request),
            _ => BodyMode::Buffered,
        }
    }
}

/// As many bytes as the path says.
fn large(path: &str) -> Vec<u8> {
    let length = path
        .rsplit('/')
        .next()
        .and_then(|length| length.parse().ok());
    vec![b'x'; length.expect("the table has lengths")]
}

/// The trailers of the response at `/trailers`.
pub(crate) fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(
        HeaderName::from_static("x-sum"),
        HeaderValue::from_static("1"),
    )])
}

/// A reader that fails.
struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("a case asked for this"))
    }
}

/// Gives back what it receives.
#[derive(Default)]
struct Back(Vec<u8>);

impl DrivenProtocol for Back {
    fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep {
        let is_over = stream.read_to_end(&mut self.0).is_ok();
        while !self.0.is_empty() {
            match stream.write(&self.0) {
                Ok(count) => drop(self.0.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return NextStep::Wait,
                Err(_) => return NextStep::Close,
            }
        }
        match is_over {
            true => NextStep::Close,
            false => NextStep::Wait,
        }
    }
}

/// Everything that the handler saw.
fn describe(request: &Request) -> Vec<u8> {
    let mut text = format!("{} {}\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(request.body().as_bytes());
    text
}

/// The raw form of the request.
fn describe_raw(request: &Request) -> Vec<u8> {
    let raw_request = RawRequest::of(request).expect("the request has its raw form");
    let mut text = [raw_request.request_line(), b"\n"].concat();
    for (name, value) in raw_request.header_lines() {
        text.extend([name, b"=", value, b"\n"].concat());
    }
    for chunk in raw_request.chunks() {
        text.extend(format!("{} in ", chunk.size).into_bytes());
        text.extend([chunk.line, b"\n"].concat());
    }
    for (name, value) in raw_request.trailer_lines() {
        text.extend([b"then ", name, b"=", value, b"\n"].concat());
    }
    text
}

/// Numbers of kept and of discarded chunks.
fn count(request: &Request) -> String {
    let raw_request = RawRequest::of(request).expect("the request has its raw form");
    format!(
        "{} and {}",
        raw_request.chunks().count(),
        raw_request.unkept_chunks()
    )
}

/// Responses with headers that a server must correct or reject.
fn invalid(kind: &str, request: &Request) -> Response {
    let mut response = Response::new(Body::from(BODY));
    let mut set = |name: HeaderName, value: &'static str| {
        let value = HeaderValue::from_static(value);
        response.headers_mut().append(name, value);
    };
    match kind.split_once('/').unwrap_or((kind, "")) {
        ("length", "short") => set(CONTENT_LENGTH, "2"),
        ("length", "long") => set(CONTENT_LENGTH, "400"),
        ("length", "twice") => {
            set(CONTENT_LENGTH, "1");
            set(CONTENT_LENGTH, "2");
        }
        ("length", "nonsense") => set(CONTENT_LENGTH, "-1"),
        ("coding", "chunked") => set(TRANSFER_ENCODING, "chunked"),
        ("coding", "gzip") => set(TRANSFER_ENCODING, "gzip"),
        ("coding", "both") => {
            set(CONTENT_LENGTH, "400");
            set(TRANSFER_ENCODING, "chunked");
        }
        ("connection", "close") => set(CONNECTION, "x, Close"),
        ("connection", "keep-alive") => set(CONNECTION, "keep-alive"),
        ("connection", "old") => {
            set(CONNECTION, "keep-alive");
            set(HeaderName::from_static("keep-alive"), "timeout=5");
            set(HeaderName::from_static("proxy-connection"), "keep-alive");
        }
        ("connection", "upgrade") => {
            set(CONNECTION, "upgrade");
            set(UPGRADE, "websocket");
        }
        ("date", _) => set(DATE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("head", "length") if request.method() == Method::HEAD => {
            set(CONTENT_LENGTH, "5000");
            *response.body_mut() = Body::empty();
        }
        ("head", "nonsense") if request.method() == Method::HEAD => {
            set(CONTENT_LENGTH, "many");
            *response.body_mut() = Body::empty();
        }
        ("status", code) => {
            set(CONTENT_LENGTH, "4");
            *response.status_mut() = code.parse().expect("the table has status codes");
        }
        // The type of a header value rejects an injected header.
        ("value", _) => match HeaderValue::from_bytes(request.body().as_bytes()) {
            Ok(value) => drop(response.headers_mut().insert("x-value", value)),
            Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        },
        ("name", _) => match HeaderName::from_bytes(request.body().as_bytes()) {
            Ok(name) => set(name, "value"),
            Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        },
        ("panic", _) => panic!("a case asked for this"),
        ("empty", _) => *response.body_mut() = Body::empty(),
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response
}
