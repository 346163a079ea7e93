//! What the table's requests are answered by. `README.md` lists the paths.

use httpool::http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use httpool::http::{Method, StatusCode};
use httpool::services::Echo;
use httpool::{Body, BodyMode, Handler, IntoResponse, RawRequest, Request, Response};

/// Longer or shorter than what it announces, if the server lets it.
const BODY: &str = "body";

pub(crate) struct ByPath {
    echo: Echo,
}

impl ByPath {
    pub(crate) fn new() -> Self {
        Self {
            echo: Echo::default(),
        }
    }
}

impl Handler for ByPath {
    fn handle(&self, request: &mut Request) -> Response {
        let path = request.uri().path().to_owned();
        match path.strip_prefix("/rude/") {
            Some(manner) => rude(manner, request),
            None if path == "*" || path.starts_with("/echo") => self.echo.handle(request),
            None if path == "/wire/count" => count(request).into_response(),
            None if path.starts_with("/wire") => tell_wire(request).into_response(),
            None => tell(request).into_response(),
        }
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match request.uri().path() {
            path if path.starts_with("/echo") => self.echo.body_mode(request),
            _ => BodyMode::Buffered,
        }
    }
}

/// Everything that the handler saw.
fn tell(request: &Request) -> Vec<u8> {
    let mut told = format!("{} {}\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        told.extend_from_slice(name.as_str().as_bytes());
        told.extend_from_slice(b": ");
        told.extend_from_slice(value.as_bytes());
        told.push(b'\n');
    }
    told.push(b'\n');
    told.extend_from_slice(request.body().as_bytes());
    told
}

/// How the request was written.
fn tell_wire(request: &Request) -> Vec<u8> {
    let wire = RawRequest::of(request).expect("it came over a connection");
    let mut told = [wire.request_line(), b"\n"].concat();
    for (name, value) in wire.field_lines() {
        told.extend([name, b"=", value, b"\n"].concat());
    }
    for chunk in wire.chunks() {
        told.extend(format!("{} in ", chunk.size).into_bytes());
        told.extend([chunk.line, b"\n"].concat());
    }
    for (name, value) in wire.trailer_lines() {
        told.extend([b"then ", name, b"=", value, b"\n"].concat());
    }
    told
}

/// How many of its chunks are kept, and how many are not.
fn count(request: &Request) -> String {
    let wire = RawRequest::of(request).expect("it came over a connection");
    format!("{} and {}", wire.chunks().count(), wire.unkept_chunks())
}

/// Handlers that say what a server can't let them say.
fn rude(manner: &str, request: &Request) -> Response {
    let mut response = Response::new(Body::from(BODY));
    let mut set = |name: HeaderName, value: &'static str| {
        let value = HeaderValue::from_static(value);
        response.headers_mut().append(name, value);
    };
    match manner.split_once('/').unwrap_or((manner, "")) {
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
            *response.status_mut() = code.parse().expect("the table names status codes");
        }
        // The type of a field's value refuses what would be a second field.
        ("value", _) => match HeaderValue::from_bytes(request.body().as_bytes()) {
            Ok(value) => drop(response.headers_mut().insert("x-value", value)),
            Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        },
        ("name", _) => match HeaderName::from_bytes(request.body().as_bytes()) {
            Ok(name) => set(name, "value"),
            Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        },
        ("panic", _) => panic!("the table asked for it"),
        ("empty", _) => *response.body_mut() = Body::empty(),
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response
}
