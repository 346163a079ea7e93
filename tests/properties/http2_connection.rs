//! Properties of whole connections of HTTP/2, whatever the client sends.
//!
//! A server that follows a script drives the protocol machine. What it sends is checked as a client
//! would check it, against what the client has sent so far.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::UNIX_EPOCH;

use httpool::http::{HeaderMap, HeaderValue, StatusCode};
use httpool::http2::hpack::Decoder;
use httpool::http2::{
    Content, Date, Error, ErrorCode, Event, Mux, MuxConfig, RequestBuffer, StreamId,
};
use httpool::{Body, Response};

use crate::plan;

/// Small limits, so that they are reached.
const CONFIG: MuxConfig = MuxConfig {
    max_streams: 4,
    stream_window: 200,
    max_stream_window: 500,
    connection_window: 70_000,
    max_header_size: 300,
    websockets: true,
    client_settings: true,
};

/// More than a connection with these limits holds: the table, a header block, streams.
const MOST_MEMORY: usize = 64 * 1024;

/// GOAWAY and PING, which the client's last streams cause.
const ANNOUNCEMENT: usize = 34;

/// Content of one DATA frame.
const PART: usize = 64;

/// The first line says what the server does and how the rest, which a client sends after the
/// preface, is split.
pub fn check_planned(input: &[u8]) {
    let (plan, bytes) = plan::split(input);
    let sizes: Vec<usize> = plan.iter().copied().map(plan::size).collect();
    check(bytes, plan, &sizes);
}

/// The result is the same at once, byte by byte, and in parts of these sizes.
pub fn check(bytes: &[u8], script: &[u8], sizes: &[usize]) {
    let whole = run(bytes, script, &[]);
    for sizes in [&[1], sizes] {
        let split = run(bytes, script, sizes);
        assert_eq!(split, whole, "{bytes:x?} split into {sizes:?}");
    }
}

/// What happened on a connection.
#[derive(Debug, PartialEq, Eq)]
struct Transcript {
    /// Events, with the content of each stream joined.
    events: Vec<String>,
    content: BTreeMap<u32, Vec<u8>>,
    /// Without WINDOW_UPDATEs: content that is discarded as it arrives is given back as it arrives.
    sent: Vec<u8>,
    error: Option<Error>,
}

fn run(bytes: &[u8], script: &[u8], sizes: &[usize]) -> Transcript {
    let mut sent = Vec::new();
    let mut server = Server {
        mux: Mux::new(CONFIG, &mut sent),
        script,
        sent,
        events: Vec::new(),
        content: BTreeMap::new(),
    };
    let mut buffer = RequestBuffer::default();
    let mut sizes = sizes.iter().cycle();
    let (mut start, mut end) = (0, 0);
    let mut error = None;
    while error.is_none() {
        let mut input = &bytes[start..end];
        let (before, sent_before) = (input.len(), server.sent.len());
        let result = server
            .mux
            .receive(&mut input, &mut buffer, &mut server.sent);
        let consumed = before - input.len();
        start += consumed;
        // What is received can't make the server send much more.
        let grown = server.sent.len() - sent_before;
        assert!(
            grown <= consumed + consumed / 2 + 13 + ANNOUNCEMENT,
            "{grown} bytes for {consumed}"
        );
        match result {
            Ok(Event::Incomplete { .. }) => {
                if end == bytes.len() {
                    break;
                }
                let size = sizes.next().copied().unwrap_or(bytes.len());
                end = bytes.len().min(end + size);
            }
            Ok(event) => server.on_event(event),
            Err(wrong) => {
                assert!(matches!(wrong, Error::Connection { .. }), "{wrong}");
                server.mux.close(&wrong, &mut server.sent);
                error = Some(wrong);
            }
        }
        assert!(server.mux.len() <= CONFIG.max_streams as usize);
        assert!(
            server.mux.held() <= MOST_MEMORY,
            "{} bytes",
            server.mux.held()
        );
        Client::check(&bytes[..end], &server.sent);
    }
    Transcript {
        events: server.events,
        content: server.content,
        sent: without_window_updates(&server.sent),
        error,
    }
}

fn without_window_updates(mut bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    for frame in frames(bytes) {
        let whole;
        (whole, bytes) = bytes.split_at(9 + frame.payload.len());
        if frame.kind != 8 {
            kept.extend_from_slice(whole);
        }
    }
    kept
}

/// What the server keeps for a stream.
#[derive(Debug, Default)]
struct State {
    action: Action,
    /// Content of the response that is not sent.
    rest: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Action {
    /// Responds when the request has ended.
    #[default]
    Wait,
    /// Responds at once and discards the body.
    Respond,
    /// Asks for the body, and responds with trailers.
    Continue,
    /// Raises the window for the body.
    Raise,
    /// Resets the stream.
    Reset,
}

struct Server<'s> {
    mux: Mux<State>,
    script: &'s [u8],
    sent: Vec<u8>,
    events: Vec<String>,
    content: BTreeMap<u32, Vec<u8>>,
}

impl Server<'_> {
    fn on_event(&mut self, event: Event<'_, State>) {
        match event {
            Event::Request {
                stream,
                head,
                ended,
            } => {
                self.events
                    .push(format!("request {stream} {head:?} {ended}"));
                self.on_request(stream, ended);
            }
            Event::Rejected { stream, error } => {
                self.events.push(format!("rejected {stream} {error:?}"));
                self.respond(stream, StatusCode::BAD_REQUEST, 20);
            }
            Event::Data {
                stream,
                content,
                ended,
            } => {
                assert!(
                    self.mux.get(stream).is_some(),
                    "content is of an open stream"
                );
                assert!(ended || !content.is_empty());
                let all = self.content.entry(stream.get()).or_default();
                all.extend_from_slice(content);
                let length = all.len();
                if !ended {
                    // How much has arrived depends on how it was split.
                    return;
                }
                self.mux.release(stream, length, &mut self.sent);
                self.on_end(stream);
            }
            Event::Trailers { stream, lines } => {
                self.events
                    .push(format!("trailers {stream} {}", lines.escape_ascii()));
                self.on_end(stream);
            }
            Event::Reset {
                stream, code, by, ..
            } => {
                self.events.push(format!("reset {stream} {code} {by:?}"));
                assert!(self.mux.get(stream).is_none());
                // What arrives before an error in the same frame depends on how it was split.
                self.content.remove(&stream.get());
            }
            Event::Goaway { code } => {
                self.events.push(format!("goaway {code}"));
                self.mux.announce_shutdown(&mut self.sent);
            }
            Event::ShutdownAcknowledged => {
                self.events.push("acknowledged".to_owned());
                self.mux.shut_down(ErrorCode::NoError, b"", &mut self.sent);
            }
            Event::Incomplete { .. } => {}
        }
        self.send_content();
    }

    /// The byte of the script for a stream.
    fn byte(&self, stream: StreamId) -> u8 {
        let number = stream.get() as usize / 2;
        let length = self.script.len().max(1);
        self.script.get(number % length).copied().unwrap_or(0)
    }

    fn on_request(&mut self, stream: StreamId, ended: bool) {
        let action = match self.byte(stream) % 5 {
            0 => Action::Wait,
            1 => Action::Respond,
            2 => Action::Continue,
            3 => Action::Raise,
            _ => Action::Reset,
        };
        if let Some(state) = self.mux.get_mut(stream) {
            state.action = action;
        }
        match action {
            Action::Reset => drop(self.mux.reset(stream, ErrorCode::Cancel, &mut self.sent)),
            Action::Respond => {
                self.mux.discard(stream);
                self.respond(stream, StatusCode::OK, self.length(stream));
            }
            _ if ended => self.on_end(stream),
            Action::Continue => self.mux.send_continue(stream, &mut self.sent),
            Action::Raise => self.mux.raise_window(stream, &mut self.sent),
            Action::Wait => {}
        }
    }

    fn length(&self, stream: StreamId) -> usize {
        usize::from(self.byte(stream)) * 3
    }

    fn on_end(&mut self, stream: StreamId) {
        assert!(self.mux.is_ended(stream));
        self.respond(stream, StatusCode::OK, self.length(stream));
    }

    fn respond(&mut self, stream: StreamId, status: StatusCode, length: usize) {
        let body = Body::from_sized_reader(std::io::empty(), length as u64);
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let date = Date::new(UNIX_EPOCH);
        let content = self
            .mux
            .respond(stream, &response, false, &date, &mut self.sent);
        if content == Content::Follows {
            if let Some(state) = self.mux.get_mut(stream) {
                state.rest = length;
            }
            self.mux.set_pending(stream, Some(length));
        }
    }

    fn send_content(&mut self) {
        while let Some(stream) = self.mux.next_to_send() {
            let capacity = self.mux.capacity(stream);
            let state = self.mux.get_mut(stream).expect("the stream is open");
            let count = state.rest.min(capacity).min(PART);
            assert!(count > 0, "a stream that can send sends");
            state.rest -= count;
            let (rest, has_trailers) = (state.rest, state.action == Action::Continue);
            let ends = rest == 0 && !has_trailers;
            self.mux
                .send_data(stream, &[b'x'; PART][..count], ends, &mut self.sent);
            match rest {
                0 if has_trailers => {
                    let mut trailers = HeaderMap::new();
                    trailers.insert("a", HeaderValue::from_static("b"));
                    self.mux.send_trailers(stream, &trailers, &mut self.sent);
                }
                rest => self.mux.set_pending(stream, (rest > 0).then_some(rest)),
            }
        }
    }
}

/// A client that checks what the server has sent, and knows what it has sent itself.
#[derive(Debug, Default)]
struct Client {
    /// The most that the server may have sent, for the connection and for each stream.
    connection: u64,
    initial: u64,
    credit: BTreeMap<u32, u64>,
    highest: u32,
    pings: usize,
    settings: usize,
}

/// The server's side of a stream.
#[derive(Debug, Default)]
struct Received {
    has_response: bool,
    is_over: bool,
    content: u64,
}

impl Client {
    fn check(from_client: &[u8], from_server: &[u8]) {
        let mut client = Self {
            connection: 65_535,
            initial: 65_535,
            ..Self::default()
        };
        for frame in frames(from_client) {
            client.sent(&frame);
        }
        client.received(from_server);
    }

    /// Counts what a frame may allow. The server may have ignored it.
    fn sent(&mut self, frame: &RawFrame<'_>) {
        match frame.kind {
            1 => self.highest = self.highest.max(frame.stream),
            4 => {
                self.settings += 1;
                for entry in frame.payload.chunks_exact(6) {
                    if entry[..2] == [0, 4] {
                        self.initial = self.initial.max(u64::from(number(&entry[2..])));
                    }
                }
            }
            6 => self.pings += 1,
            8 if frame.payload.len() >= 4 => {
                let increment = u64::from(number(frame.payload) & 0x7fff_ffff);
                match frame.stream {
                    0 => self.connection += increment,
                    stream => *self.credit.entry(stream).or_default() += increment,
                }
            }
            _ => {}
        }
    }

    fn received(&self, bytes: &[u8]) {
        let mut decoder = Decoder::default();
        let mut streams: BTreeMap<u32, Received> = BTreeMap::new();
        let (mut connection, mut pings, mut settings) = (0, 0, 0);
        let mut goaways = Vec::new();
        let mut rest = bytes.len();
        for (position, frame) in frames(bytes).enumerate() {
            rest -= 9 + frame.payload.len();
            assert!(
                position > 0 || (frame.kind, frame.flags) == (4, 0),
                "SETTINGS are first"
            );
            assert!(
                frame.stream <= self.highest,
                "{frame:?} is on an idle stream"
            );
            let is_ack = frame.flags & 1 != 0;
            match frame.kind {
                0 | 1 => {
                    let stream = streams.entry(frame.stream).or_default();
                    assert!(!stream.is_over, "{frame:?} follows the end");
                    stream.receive(&frame, &mut decoder);
                    let length = if frame.kind == 0 {
                        frame.payload.len() as u64
                    } else {
                        0
                    };
                    connection += length;
                    let credit = self.credit.get(&frame.stream).copied().unwrap_or(0);
                    assert!(stream.content <= self.initial + credit, "{frame:?}");
                    assert!(connection <= self.connection, "{frame:?}");
                }
                3 => {
                    let stream = streams.entry(frame.stream).or_default();
                    assert!(frame.stream % 2 == 1);
                    stream.is_over = true;
                }
                4 if is_ack => settings += 1,
                4 => assert_eq!(position, 0, "the settings do not change"),
                6 if is_ack => pings += 1,
                6 => assert_eq!(goaways.len(), 1, "a PING follows the announcement"),
                7 => goaways.push(number(frame.payload)),
                8 => assert_ne!(number(frame.payload), 0),
                _ => panic!("a server does not send {frame:?}"),
            }
        }
        assert_eq!(rest, 0, "frames are whole");
        assert!(pings <= self.pings && settings <= self.settings);
        assert!(
            goaways.is_sorted_by(|earlier, later| earlier >= later),
            "{goaways:?}"
        );
    }
}

impl Received {
    fn receive(&mut self, frame: &RawFrame<'_>, decoder: &mut Decoder) {
        self.is_over = frame.flags & 1 != 0;
        if frame.kind == 0 {
            assert!(self.has_response, "{frame:?} precedes the head");
            assert!(
                !frame.payload.is_empty() || self.is_over,
                "an empty frame ends"
            );
            self.content += frame.payload.len() as u64;
            return;
        }
        assert!(frame.flags & 4 != 0, "heads are short: {frame:?}");
        let mut fields = Vec::new();
        let decoded = decoder.decode(frame.payload, &mut Vec::new(), 4096, |field| {
            fields.push((field.name.to_vec(), field.value.to_vec()));
            ControlFlow::<()>::Continue(())
        });
        assert!(decoded.is_ok(), "{decoded:?}");
        let status = fields.iter().find(|(name, _)| name == b":status");
        match status.map(|(_, value)| &value[..]) {
            Some(b"100") => assert!(!self.has_response && !self.is_over),
            Some(_) => assert!(!std::mem::replace(&mut self.has_response, true)),
            None => assert!(self.has_response && self.is_over, "trailers end the stream"),
        }
    }
}

/// A frame in bytes.
#[derive(Debug)]
struct RawFrame<'b> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'b [u8],
}

/// The frames at the start of these bytes, with the last one as far as it is there.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = RawFrame<'_>> {
    std::iter::from_fn(move || {
        let (header, rest) = bytes.split_first_chunk::<9>()?;
        let length = number(&[0, header[0], header[1], header[2]]) as usize;
        let (payload, rest) = rest.split_at(rest.len().min(length));
        bytes = rest;
        Some(RawFrame {
            kind: header[3],
            flags: header[4],
            stream: number(&header[5..]) & 0x7fff_ffff,
            payload,
        })
    })
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}
