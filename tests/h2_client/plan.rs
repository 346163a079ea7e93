//! What a client sends and what its handlers return, at random.

use bytes::Bytes;
use httpool::Builder;
use httpool::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::random::Random;

/// One connection.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) plans: Vec<Plan>,
    /// The client's windows for content.
    pub(crate) stream_window: u32,
    pub(crate) connection_window: u32,
    pub(crate) max_frame_size: u32,
    pub(crate) header_table_size: u32,
    /// How many requests the client has open at a time.
    pub(crate) at_once: usize,
    /// The server's window for the content of a request.
    server_window: u32,
    workers: usize,
}

/// One request and its response.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) ending: Ending,
    pub(crate) method: Method,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// The content in the parts in which it is sent; `None` ends the request with its head.
    pub(crate) content: Option<Vec<Bytes>>,
    pub(crate) states_length: bool,
    pub(crate) expects_continue: bool,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) response: Planned,
    /// The client takes so much of the response before it opens windows for more.
    pub(crate) taken_at_once: usize,
}

/// How the handler takes the body of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Buffered,
    Streamed,
    /// It reads a part only.
    Abandoned,
    /// It needs no body.
    HeadOnly,
    /// It needs the body, which is not received before the handler has asked for it.
    HeadFirst,
}

/// How far the client goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It gets the response.
    Whole,
    /// It resets the stream after this many parts of its content.
    ResetAfterParts(usize),
    /// It resets the stream after this much of the response.
    ResetAfterBytes(usize),
}

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Bytes,
    pub(crate) kind: Kind,
    pub(crate) trailers: Option<HeaderMap>,
}

/// How a handler returns its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    /// A reader that returns at most this many bytes at a time.
    Reader(usize),
    SizedReader(usize),
    File,
}

impl Session {
    pub(crate) fn random(random: &mut Random) -> Self {
        let count = 1 + random.below(16);
        let at_once = 1 + random.below(count);
        // With less than 128 the server waits for more (`Mux::capacity`).
        let windows = [128, 200, 1000, 16_384, 65_535, 1 << 20];
        let stream_window = windows[random.below(windows.len())];
        let connection_window = [65_535, 70_000, 1 << 20][random.below(3)];
        // The client must not keep the whole window of the connection.
        let share = connection_window as usize / at_once;
        let most_kept = share.min(stream_window as usize) / 2;
        // Through a small window much content takes long.
        let most = match stream_window {
            ..1000 => 10_000,
            _ => 150_000,
        };
        let plan = |random: &mut Random| Plan {
            taken_at_once: 1 + random.below(most_kept),
            ..Plan::random(random, most)
        };
        Self {
            plans: (0..count).map(|_| plan(random)).collect(),
            stream_window,
            connection_window,
            max_frame_size: [16_384, 20_000, 1 << 20][random.below(3)],
            header_table_size: [0, 100, 4096, 65_536][random.below(4)],
            at_once,
            server_window: [1 << 16, 1 << 17, 1 << 20][random.below(3)],
            workers: 1 + random.below(3),
        }
    }

    pub(crate) fn configure(&self, builder: Builder) -> Builder {
        builder
            .workers(self.workers)
            .stream_window(self.server_window)
    }
}

impl Plan {
    fn random(random: &mut Random, most: usize) -> Self {
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "X-OWN"];
        let method = methods[random.below(methods.len())];
        let has_content = method != "GET" && method != "HEAD" && random.below(5) > 0;
        let content = has_content.then(|| parts(random));
        let mode = [
            Mode::Buffered,
            Mode::Streamed,
            Mode::Abandoned,
            Mode::HeadOnly,
            Mode::HeadFirst,
        ][random.below(5)];
        let ending = match random.below(6) {
            0 => Ending::ResetAfterParts(random.below(4)),
            1 => Ending::ResetAfterBytes(random.below(most)),
            _ => Ending::Whole,
        };
        Self {
            mode,
            ending,
            method: method.parse().expect("it is a token"),
            query: word(random, b"abc09&=%+"),
            headers: headers(random, "x-request-", 8),
            states_length: random.below(2) == 0,
            expects_continue: content.is_some() && random.below(4) == 0,
            trailers: (content.is_some() && random.below(4) == 0)
                .then(|| headers(random, "x-end-", 3)),
            content,
            response: Planned::random(random, most),
            taken_at_once: 1,
        }
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.ending != Ending::Whole
    }

    /// The whole content.
    pub(crate) fn content(&self) -> Vec<u8> {
        self.content.iter().flatten().flatten().copied().collect()
    }
}

impl Planned {
    fn random(random: &mut Random, most: usize) -> Self {
        let status = [200, 200, 200, 201, 206, 404, 500, 599, 204, 304][random.below(10)];
        let length = match random.below(4) {
            0 => 0,
            1 => random.below(100),
            2 => random.below(most.min(5_000)),
            _ => random.below(most),
        };
        let piece = 1 + random.below(20_000);
        let kind = [
            Kind::Memory,
            Kind::Reader(piece),
            Kind::SizedReader(piece),
            Kind::File,
        ][random.below(4)];
        Self {
            status: StatusCode::from_u16(status).expect("it is a status"),
            headers: headers(random, "x-response-", 8),
            content: random.bytes(length).into(),
            kind,
            trailers: (random.below(4) == 0).then(|| headers(random, "x-last-", 3)),
        }
    }

    /// Whether the status allows content (RFC 9110 sections 15.3.5 and 15.4.5).
    pub(crate) fn has_content(&self, method: &Method) -> bool {
        method != Method::HEAD && !matches!(self.status.as_u16(), 204 | 304)
    }
}

/// The content of a request in parts, some of them empty.
fn parts(random: &mut Random) -> Vec<Bytes> {
    let sizes = [0, 1, 100, 5_000, 40_000];
    let count = random.below(5);
    let part = |random: &mut Random| {
        let size = sizes[random.below(sizes.len())];
        let length = random.below(size + 1);
        random.bytes(length).into()
    };
    (0..count).map(|_| part(random)).collect()
}

/// Headers with repeated names.
fn headers(random: &mut Random, prefix: &str, most: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for _ in 0..random.below(most) {
        let name = format!("{prefix}{}", word(random, b"abc"));
        let name: HeaderName = name.parse().expect("it is a token");
        headers.append(name, value(random));
    }
    headers
}

fn value(random: &mut Random) -> HeaderValue {
    // Spaces and tabs only inside, and bytes that are not ASCII.
    let inside = b"abcXYZ 09\t,;=\"~\x80\xe9\xff";
    let mut text = format!("<{}", random.below(100)).into_bytes();
    let most = [1, 10, 60, 400][random.below(4)];
    for _ in 0..random.below(most) {
        text.push(inside[random.below(inside.len())]);
    }
    text.push(b'>');
    let mut value = HeaderValue::from_bytes(&text).expect("its bytes are allowed");
    // Such a header is never indexed (RFC 7541 section 6.2.3).
    value.set_sensitive(random.below(4) == 0);
    value
}

fn word(random: &mut Random, of: &[u8]) -> String {
    let count = 1 + random.below(6);
    let byte = |random: &mut Random| match of[random.below(of.len())] {
        b'%' => "%20".to_owned(),
        byte => char::from(byte).to_string(),
    };
    (0..count).map(|_| byte(random)).collect()
}
