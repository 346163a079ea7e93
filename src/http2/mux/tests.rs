//! A scripted client and a server whose handlers are a [`Policy`]. What happens is a trace of lines:
//! events, and with `>` the frames that the server sends.

mod attacks;
mod closed;
mod content;
mod honest;
mod properties;
mod respond;
mod rules;
mod schedule;
mod shutdown;
mod windows;

use std::ops::ControlFlow;
use std::time::{Duration, Instant, UNIX_EPOCH};

use http::{HeaderMap, StatusCode};

use super::*;
use crate::http2::{Content, Date, Error, RequestBuffer};
use crate::message::{Body, Response};

/// A frame as bytes.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// `GET / HTTP/2.0` to localhost, without a table.
const GET: &[u8] = b"\x82\x84\x86\x01\x09localhost";
/// `POST / HTTP/2.0` to localhost, without a table.
const POST: &[u8] = b"\x83\x84\x86\x01\x09localhost";

/// POST with a Content-Length of one digit.
fn post_with_length(digit: u8) -> Vec<u8> {
    [POST, b"\x0f\x0d\x01", &[digit]].concat()
}

fn get(stream: u32) -> Vec<u8> {
    frame(1, END_HEADERS | END_STREAM, stream, GET)
}

fn post(stream: u32) -> Vec<u8> {
    frame(1, END_HEADERS, stream, POST)
}

fn trailers(stream: u32) -> Vec<u8> {
    frame(1, END_HEADERS | END_STREAM, stream, b"\x00\x01a\x01b")
}

fn data(stream: u32, content: &[u8]) -> Vec<u8> {
    frame(0, 0, stream, content)
}

fn last_data(stream: u32, content: &[u8]) -> Vec<u8> {
    frame(0, END_STREAM, stream, content)
}

fn rst_stream(stream: u32, code: ErrorCode) -> Vec<u8> {
    frame(3, 0, stream, &code.number().to_be_bytes())
}

fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (identifier, value) in entries {
        payload.extend_from_slice(&identifier.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(4, 0, 0, &payload)
}

fn settings_ack() -> Vec<u8> {
    frame(4, 1, 0, b"")
}

fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(8, 0, stream, &increment.to_be_bytes())
}

fn id(stream: u32) -> StreamId {
    StreamId::new(stream).expect("the number is not 0")
}

/// What the server does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// Nothing; the test does it.
    Wait,
    /// It responds with `ok` when the request has ended, and at once when it is rejected.
    Respond,
    /// It responds with `ok` at once and discards the rest.
    RespondEarly,
}

struct Server {
    mux: Mux<u32>,
    policy: Policy,
    buffer: RequestBuffer,
    input: Vec<u8>,
    out: Vec<u8>,
    trace: Vec<String>,
    now: Instant,
    /// The first error of the connection.
    error: Option<Error>,
    /// The content of the current run of DATA events.
    content: Option<(StreamId, Vec<u8>)>,
    sent: usize,
}

impl Server {
    /// A server that has received SETTINGS and the acknowledgement of its own.
    fn new(policy: Policy) -> Self {
        let mut server = Self::with(MuxConfig::default(), policy);
        server.receive(&settings_ack());
        server
    }

    /// A server that has received SETTINGS.
    fn with(config: MuxConfig, policy: Policy) -> Self {
        let mut server = Self::silent(config, policy);
        server.receive(&settings(&[]));
        server.trace.clear();
        server
    }

    /// A server that has received nothing.
    fn silent(config: MuxConfig, policy: Policy) -> Self {
        let mut out = Vec::new();
        let mut mux = Mux::new(config, &mut out);
        out.clear();
        let now = Instant::now();
        mux.tick(now);
        Self {
            mux,
            policy,
            buffer: RequestBuffer::default(),
            input: Vec::new(),
            out,
            trace: Vec::new(),
            now,
            error: None,
            content: None,
            sent: 0,
        }
    }

    fn advance(&mut self, time: Duration) {
        self.now += time;
        self.mux.tick(self.now);
    }

    /// Receives bytes as they are, and runs the policy.
    fn receive(&mut self, bytes: &[u8]) {
        let mut input = mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut rest = &input[..];
        loop {
            let event = self.mux.receive(&mut rest, &mut self.buffer, &mut self.out);
            // First, because how the input is split must not matter.
            self.show_output();
            if !matches!(event, Ok(Event::Data { .. } | Event::Incomplete { .. })) {
                self.end_content("");
            }
            match event {
                Ok(Event::Incomplete { .. }) => break,
                Ok(event) => self.react(event),
                Err(error) => {
                    self.error = self.error.or(Some(error));
                    self.mux.close(&error, &mut self.out);
                }
            }
            self.show_output();
        }
        self.input = rest.to_vec();
        self.show_output();
    }

    fn react(&mut self, event: Event<'_, u32>) {
        match event {
            Event::Request { stream, ended, .. } => {
                let end = if ended { " ended" } else { "" };
                self.trace.push(format!("request {stream}{end}"));
                if ended && self.policy == Policy::Respond {
                    self.respond(stream.get(), "ok");
                }
                if self.policy == Policy::RespondEarly {
                    self.respond(stream.get(), "ok");
                    self.mux.discard(stream);
                }
            }
            Event::Rejected { stream, error } => {
                self.trace
                    .push(format!("rejected {stream} {}", error.as_str()));
                if self.policy != Policy::Wait {
                    self.respond_with(stream.get(), error.status(), "");
                }
            }
            Event::Data {
                stream,
                content,
                ended,
            } => {
                if self.content.as_ref().is_some_and(|(id, _)| *id != stream) {
                    self.end_content("");
                }
                let (_, joined) = self.content.get_or_insert((stream, Vec::new()));
                joined.extend_from_slice(content);
                if ended {
                    self.end_content(" ended");
                    self.ended(stream);
                }
            }
            Event::Trailers { stream, lines } => {
                let lines = lines.escape_ascii();
                self.trace.push(format!("trailers {stream} {lines}"));
                self.ended(stream);
            }
            Event::Reset {
                stream, code, by, ..
            } => {
                let by = match by {
                    ResetBy::Client => "client",
                    ResetBy::Server => "server",
                };
                self.trace.push(format!("reset {stream} {code} by {by}"));
            }
            Event::ShutdownAcknowledged => self.trace.push("shutdown acknowledged".to_owned()),
            Event::Goaway { code } => self.trace.push(format!("goaway {code}")),
            Event::Incomplete { .. } => {}
        }
    }

    fn ended(&mut self, stream: StreamId) {
        if self.policy == Policy::Respond {
            self.respond(stream.get(), "ok");
        }
    }

    /// Shows the parts of content that belong together as one line.
    fn end_content(&mut self, end: &str) {
        if let Some((stream, content)) = self.content.take() {
            let content = match content.len() {
                0..40 => format!("'{}'", content.escape_ascii()),
                length => format!("of {length}"),
            };
            self.trace.push(format!("data {stream} {content}{end}"));
        }
    }

    fn respond(&mut self, stream: u32, content: &'static str) {
        self.respond_with(stream, StatusCode::OK, content);
    }

    fn respond_with(&mut self, stream: u32, status: StatusCode, content: &'static str) {
        if self.begin(stream, status, Body::from(content)) == Content::Follows {
            let content = content.as_bytes();
            self.mux.send_data(id(stream), content, true, &mut self.out);
        }
    }

    /// Sends the head of a response.
    fn begin(&mut self, stream: u32, status: StatusCode, body: Body) -> Content {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let date = Date::new(UNIX_EPOCH);
        self.mux
            .respond(id(stream), &response, false, &date, &mut self.out)
    }

    /// Begins a response whose length is unknown.
    fn begin_open(&mut self, stream: u32) {
        let body = Body::from_reader(std::io::empty());
        assert_eq!(self.begin(stream, StatusCode::OK, body), Content::Follows);
    }

    fn send(&mut self, stream: u32, content: &[u8], end: bool) {
        self.mux.send_data(id(stream), content, end, &mut self.out);
    }

    fn show_output(&mut self) {
        if !self.out.is_empty() {
            self.end_content("");
        }
        self.sent += self.out.len();
        let out = mem::take(&mut self.out);
        self.trace
            .extend(show(&out).map(|line| format!("> {line}")));
    }

    /// The trace since the last call.
    fn trace(&mut self) -> Vec<String> {
        self.end_content("");
        self.show_output();
        mem::take(&mut self.trace)
    }

    /// Receives bytes and returns the trace.
    fn after(&mut self, bytes: &[u8]) -> Vec<String> {
        self.receive(bytes);
        self.trace()
    }

    #[track_caller]
    fn expect(&mut self, bytes: &[u8], expected: &[&str]) {
        assert_eq!(self.after(bytes), expected);
    }

    /// Receives the same bytes again and again, and returns how often until the connection ends.
    fn endure(&mut self, most: usize, mut bytes: impl FnMut(u32) -> Vec<u8>) -> usize {
        for count in 0..most {
            self.receive(&bytes(count as u32));
            self.trace.clear();
            if self.error.is_some() {
                return count + 1;
            }
        }
        most
    }
}

/// The frames in bytes of the server.
fn show(mut bytes: &[u8]) -> impl Iterator<Item = String> {
    let mut shown = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let (kind, flags) = (header[3], header[4]);
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        let (payload, rest) = rest.split_at(length);
        bytes = rest;
        let number = |at: usize| {
            let bytes = payload[at..at + 4].try_into().expect("there are 4 bytes");
            u32::from_be_bytes(bytes)
        };
        let end = if flags & END_STREAM != 0 { " end" } else { "" };
        shown.push(match kind {
            0 => match length {
                0..40 => format!("DATA {stream} '{}'{end}", payload.escape_ascii()),
                _ => format!("DATA {stream} of {length}{end}"),
            },
            1 => format!("HEADERS {stream} {}{end}", first_field(payload)),
            3 => format!("RST_STREAM {stream} {}", ErrorCode::from_number(number(0))),
            4 if flags & 1 != 0 => "SETTINGS ACK".to_owned(),
            4 => "SETTINGS".to_owned(),
            6 if flags & 1 != 0 => format!("PING ACK '{}'", payload.escape_ascii()),
            6 => format!("PING '{}'", payload.escape_ascii()),
            7 => format!("GOAWAY {} {}", number(0), ErrorCode::from_number(number(4))),
            8 => format!("WINDOW_UPDATE {stream} {}", number(0)),
            9 => format!("CONTINUATION {stream}"),
            kind => panic!("a server sends no frame of type {kind}"),
        });
    }
    assert!(bytes.is_empty(), "frames are whole");
    shown.into_iter()
}

/// The value of the first field, which is the status. The server's encoder has no state but the
/// update at its start.
fn first_field(block: &[u8]) -> String {
    let mut first = None;
    let mut decoder = hpack::Decoder::default();
    let decoded = decoder.decode(block, &mut Vec::new(), 1 << 20, |field| {
        let text = String::from_utf8_lossy(field.value).into_owned();
        first.get_or_insert(text);
        ControlFlow::<()>::Continue(())
    });
    assert!(decoded.is_ok(), "the block is valid");
    first.unwrap_or_default()
}

/// The trace of bytes after SETTINGS. It must not depend on how they are split.
#[track_caller]
fn trace(policy: Policy, bytes: &[u8]) -> Vec<String> {
    let whole = Server::new(policy).after(bytes);
    for at in 0..=bytes.len() {
        let mut server = Server::new(policy);
        server.receive(&bytes[..at]);
        server.receive(&bytes[at..]);
        assert_eq!(server.trace(), whole, "split at {at}");
    }
    let mut server = Server::new(policy);
    for byte in bytes {
        server.receive(&[*byte]);
    }
    assert_eq!(server.trace(), whole, "byte by byte");
    whole
}

#[track_caller]
fn check(policy: Policy, frames: &[Vec<u8>], expected: &[&str]) {
    assert_eq!(trace(policy, &frames.concat()), expected);
}

fn header_map(name: &'static str, value: &'static str) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert(name, http::HeaderValue::from_static(value));
    map
}
