mod bodies;

use super::*;
use crate::http1::{MAX_FIELDS, Persistence};

const LIMITS: Limits = Limits {
    head: 512,
    body: 100,
};

/// The result of decoding: the requests, in a form to compare, and the end.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    requests: Vec<String>,
    continues: usize,
    end: Result<Progress, RequestError>,
}

/// How bodies are received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyPath {
    ThroughInput,
    Direct,
    Streamed,
}

/// A request whose body is decoded while it arrives.
struct Streaming {
    shown: String,
    body: BodyDecoder,
}

impl Streaming {
    /// Decodes the available input. Returns whether the body is complete.
    fn advance(&mut self, input: &mut Input) -> Result<bool, RequestError> {
        let mut part = [0; 3];
        loop {
            let count = self.body.take(input, &mut part)?;
            if count == 0 {
                return Ok(self.body.is_done());
            }
            self.shown += &String::from_utf8_lossy(&part[..count]);
        }
    }
}

fn run<'a>(parts: impl IntoIterator<Item = &'a [u8]>, path: BodyPath) -> Outcome {
    let mut streaming: Option<Streaming> = None;
    let body_mode = match path {
        BodyPath::Streamed => BodyMode::Streaming {
            most: LIMITS.body as u64,
        },
        BodyPath::ThroughInput | BodyPath::Direct => BodyMode::Buffered,
    };
    let (mut decoder, mut buffer, mut input) = (
        Decoder::default(),
        RequestBuffer::default(),
        Input::default(),
    );
    let mut outcome = Outcome {
        requests: Vec::new(),
        continues: 0,
        end: Ok(Progress::Nothing),
    };
    for part in parts {
        match decoder.body_room() {
            Some(room) if path == BodyPath::Direct => room.extend_from_slice(part),
            _ => input.room().extend_from_slice(part),
        }
        loop {
            if let Some(mut request) = streaming.take() {
                match request.advance(&mut input) {
                    Ok(true) => outcome.requests.push(request.shown),
                    Ok(false) => {
                        streaming = Some(request);
                        outcome.end = Ok(Progress::Body);
                        break;
                    }
                    Err(error) => {
                        outcome.end = Err(error);
                        return outcome;
                    }
                }
            }
            match decoder.decode_with(&mut input, &mut buffer, &LIMITS, |_| Some(body_mode)) {
                Ok(Event::Request) => outcome.requests.push(show(&buffer)),
                Ok(Event::Stream) => {
                    let again = decoder.decode(&mut input, &mut buffer, &LIMITS);
                    assert_eq!(again, Ok(Event::Stream), "until it is taken");
                    streaming = decoder.stream(&mut buffer).map(|body| Streaming {
                        shown: show(&buffer),
                        body,
                    });
                }
                Ok(Event::Continue) => outcome.continues += 1,
                Ok(event @ (Event::HeadOnly | Event::Discarded(_))) => panic!("{event:?}"),
                Ok(Event::Incomplete(progress)) => {
                    outcome.end = Ok(progress);
                    break;
                }
                Err(error) => {
                    outcome.end = Err(error);
                    return outcome;
                }
            }
        }
    }
    outcome
}

fn show(buffer: &RequestBuffer) -> String {
    let request = &buffer.request;
    let mut fields: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    fields.sort();
    let close = match buffer.context.persistence {
        Persistence::Close => " close",
        Persistence::KeepAlive => "",
    };
    format!(
        "{} {} {:?}{close} [{}] {}",
        request.method(),
        request.uri(),
        request.version(),
        fields.join(" "),
        String::from_utf8_lossy(request.body().as_bytes()),
    )
}

/// Feeds the bytes whole, cut in two at every place, and byte by byte, with the body received
/// directly, through the input and as a stream, and expects the same each time.
#[track_caller]
fn check(bytes: &[u8], requests: &[&str], end: Result<Progress, RequestError>) {
    let expected = |continues| Outcome {
        requests: requests.iter().map(ToString::to_string).collect(),
        continues,
        end,
    };
    for path in [BodyPath::ThroughInput, BodyPath::Direct, BodyPath::Streamed] {
        let whole = run([bytes], path);
        assert_eq!(whole, expected(whole.continues), "whole");
        for cut in 1..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let outcome = run([first, second], path);
            assert_eq!(outcome, expected(outcome.continues), "cut at {cut}");
        }
        let outcome = run(bytes.chunks(1), path);
        assert_eq!(outcome, expected(outcome.continues), "byte by byte");
    }
}

#[track_caller]
fn check_rejected(bytes: &[u8], error: RequestError) {
    check(bytes, &[], Err(error));
}

#[test]
fn get_without_a_body() {
    check(
        b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
        &["GET /a?b=c HTTP/1.1 [accept=*/* host=x] "],
        Ok(Progress::Nothing),
    );
}

#[test]
fn empty_lines_before_a_request_are_nothing_of_it() {
    check(b"\r\n\r\n\r", &[], Ok(Progress::Nothing));
    check(
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n",
        &["GET / HTTP/1.1 [host=x] "],
        Ok(Progress::Nothing),
    );
}

#[test]
fn repeated_headers_and_empty_values_are_kept() {
    check(
        b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA:\r\nA: 2 \r\n\r\n",
        &["GET / HTTP/1.1 [a= a=1 a=2 host=x] "],
        Ok(Progress::Nothing),
    );
}

#[test]
fn body_with_a_length() {
    check(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        &["POST / HTTP/1.1 [content-length=5 host=x] hello"],
        Ok(Progress::Nothing),
    );
}

#[test]
fn chunked_body() {
    check(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n",
        &["POST / HTTP/1.1 [host=x transfer-encoding=chunked] hello"],
        Ok(Progress::Nothing),
    );
}

#[test]
fn pipelined_requests_with_bodies_are_in_order() {
    check(
        b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na\
          \r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n\
          POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n\
          GET /4 HTTP/1.1\r\nHo",
        &[
            "POST /1 HTTP/1.1 [content-length=1 host=x] a",
            "GET /2 HTTP/1.1 [host=x] ",
            "POST /3 HTTP/1.1 [host=x transfer-encoding=chunked] b",
        ],
        Ok(Progress::Head),
    );
}

#[test]
fn persistence_follows_version_and_connection() {
    check(
        b"GET /1 HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive, CLOSE\r\n\r\n\
          GET /2 HTTP/1.0\r\n\r\n\
          GET /3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        &[
            "GET /1 HTTP/1.1 close [connection=Keep-Alive, CLOSE host=x] ",
            "GET /2 HTTP/1.0 close [] ",
            "GET /3 HTTP/1.0 [connection=keep-alive] ",
        ],
        Ok(Progress::Nothing),
    );
}

#[test]
fn client_that_expects_100_receives_it_once() {
    let head: &[u8] =
        b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    let waiting = run([head], BodyPath::ThroughInput);
    assert_eq!((waiting.continues, waiting.end), (1, Ok(Progress::Body)));
    assert_eq!(run([head, b"h", b"i"], BodyPath::Direct).continues, 1);
    assert_eq!(
        run([&[head, b"h"].concat()[..], b"i"], BodyPath::Direct).continues,
        0
    );
}

#[test]
fn malformed_heads_are_rejected() {
    check_rejected(
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        RequestError::RequestLine,
    );
    check_rejected(b"G\x00T / HTTP/1.1\r\n", RequestError::RequestLine);
    check_rejected(b"\x16\x03\x01\x02\x00", RequestError::RequestLine);
    check_rejected(b"GET /\r\n", RequestError::RequestLine);
    check_rejected(b"GET / HTTP/2.0\r\n", RequestError::Version);
    check_rejected(b"GET / HTTX/1.1\r\n", RequestError::RequestLine);
    check_rejected(
        b"GET /#f HTTP/1.1\r\nHost: x\r\n\r\n",
        RequestError::RequestTarget,
    );
    check_rejected(
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        RequestError::FieldLine,
    );
    check_rejected(
        b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        RequestError::FieldLine,
    );
    check_rejected(b"GET / HTTP/1.1\r\n\r\n", RequestError::Host);
    check_rejected(
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        RequestError::Host,
    );
    check_rejected(
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n",
        RequestError::Expectation,
    );
}

#[test]
fn lines_end_in_crlf() {
    check_rejected(
        b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        RequestError::LineEnd,
    );
    check_rejected(b"GET / HTTP/1.1\nHost: x\r\n\r\n", RequestError::LineEnd);
    check_rejected(
        b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
        RequestError::LineEnd,
    );
    check_rejected(b"GET / HTTP/1.1\r\nHost: x\n\r\n", RequestError::LineEnd);
    check_rejected(b"GET / HTTP/1.1\r\nHost: x\r\n\n", RequestError::LineEnd);
    check_rejected(b"GET / HTTP/1.1\n\n", RequestError::LineEnd);
    check_rejected(b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", RequestError::LineEnd);
    check_rejected(b"GET / HTTP/1.1\r\nHost: x\r\r\n", RequestError::FieldLine);
}

#[test]
fn targets_have_the_form_of_their_method() {
    let with = |method: &str, target: &str| {
        format!("{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
    };
    for (method, target) in [
        ("GET", "/"),
        ("GET", "//a/../b%01?c=/?"),
        ("GET", "HTTP://x/a"),
        ("OPTIONS", "*"),
        ("GET", "http://X:80/"),
        ("GET", "/?\\"),
    ] {
        let outcome = run([&with(method, target)[..]], BodyPath::ThroughInput);
        assert_eq!(outcome.requests.len(), 1, "{method} {target}");
    }
    for (method, target) in [
        ("GET", "a"),
        ("GET", "*"),
        ("GET", "x:80"),
        ("GET", "ftp://x/"),
        ("GET", "http:///a"),
        ("OPTIONS", "**"),
        ("GET", "/\\"),
        ("GET", "/\u{e9}"),
    ] {
        check_rejected(&with(method, target), RequestError::RequestTarget);
    }
    for target in ["x:443", "/", "http://x/"] {
        check_rejected(&with("CONNECT", target), RequestError::Tunnel);
    }
}

#[test]
fn host_header_must_name_a_host() {
    let with = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    for host in [
        "",
        "x",
        "x:",
        "a-b.example:8080",
        "127.0.0.1",
        "[::1]:80",
        "%41",
    ] {
        let outcome = run([&with(host)[..]], BodyPath::ThroughInput);
        assert_eq!(outcome.requests.len(), 1, "{host}");
    }
    for host in [
        "a b", "a/b", "u@x", "x:8a", "[::1", "[]", "[::1]x", "a,b", "x:1:2", "x:65536", ":80",
        "%4", "\u{e9}",
    ] {
        check_rejected(&with(host), RequestError::Host);
    }
}

#[test]
fn target_and_host_header_must_agree() {
    let with = |target: &str, host: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
    };
    for (target, host) in [
        ("http://x/", "X:80"),
        ("https://x:443/", "x"),
        ("http://[::1]:/", "[::1]"),
    ] {
        let outcome = run([&with(target, host)[..]], BodyPath::ThroughInput);
        assert_eq!(outcome.requests.len(), 1, "{target} {host}");
    }
    for (target, host) in [
        ("http://x/", "y"),
        ("http://x/", ""),
        ("http://x:443/", "x"),
        ("http://x80/", "x"),
        ("http://u@x/", "x"),
        ("http://x:0x50/", "x"),
    ] {
        check_rejected(&with(target, host), RequestError::Host);
    }
}

#[test]
fn ambiguous_or_unknown_framing_is_rejected() {
    let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n");
    check_rejected(
        with("Content-Length: 5\r\nTransfer-Encoding: chunked").as_bytes(),
        RequestError::AmbiguousFraming,
    );
    check_rejected(
        with("Content-Length: 5\r\nContent-Length: 6").as_bytes(),
        RequestError::ContentLength,
    );
    check_rejected(
        with("Transfer-Encoding: gzip").as_bytes(),
        RequestError::AmbiguousFraming,
    );
    check_rejected(
        with("Transfer-Encoding: gzip, chunked").as_bytes(),
        RequestError::TransferCoding,
    );
}

#[test]
fn limits_are_enforced() {
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(512));
    check_rejected(target.as_bytes(), RequestError::TargetTooLong);
    let field = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(512));
    check_rejected(field.as_bytes(), RequestError::HeadTooLarge);
    check_rejected(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n",
        RequestError::BodyTooLarge,
    );
    check_rejected(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n",
        RequestError::BodyTooLarge,
    );
    let limits = Limits {
        head: 64 * 1024,
        body: 0,
    };
    let mut many = Input::default();
    many.extend(b"GET / HTTP/1.1\r\nHost: x\r\n");
    many.extend("A: b\r\n".repeat(MAX_FIELDS).as_bytes());
    many.extend(b"\r\n");
    let result = Decoder::default().decode(&mut many, &mut RequestBuffer::default(), &limits);
    assert_eq!(result, Err(RequestError::HeadTooLarge));
}
