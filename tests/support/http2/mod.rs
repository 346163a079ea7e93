//! A test client of HTTP/2. It sends what a test says, frame by frame if the test wants, and it
//! fails if the server breaks a rule of RFC 9113.

mod frame;
mod reply;

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use httpool::http2::hpack::Decoder;
use httpool::http2::{ErrorCode, PREFACE};

use super::request::Field;
use super::{Client, End, Response, TIMEOUT, TestServer};

pub(crate) use frame::{
    ACK, END_HEADERS, END_STREAM, Frame, PADDED, encode_all, header_block, hpack_integer, kind,
    setting,
};
pub(crate) use reply::Reply;

/// The window of a connection, and of streams without other settings (RFC 9113 section 6.9.2).
const DEFAULT_WINDOW: i64 = 65_535;

/// The longest payload that the client accepts and sends.
const MAX_FRAME_SIZE: usize = 16_384;

/// A connection of HTTP/2.
#[derive(Debug)]
pub(crate) struct Http2Client {
    client: Client,
    decoder: Decoder,
    next_stream: u32,
    replies: BTreeMap<u32, Reply>,
    goaways: Vec<Goaway>,
    /// Payloads of the server's PINGs.
    pings: Vec<[u8; 8]>,
    /// Payloads of the server's acknowledgements of PING.
    ping_acks: Vec<[u8; 8]>,
    /// Numbers the PINGs of [`settle`](Self::settle).
    settled: u64,
    server_settings: Option<BTreeMap<u16, u32>>,
    send: Windows,
    receive: Windows,
    credit: Credit,
    answers_pings: bool,
}

/// Who gives the server credit for the bytes that it has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credit {
    /// The client, for each DATA frame.
    Automatic,
    /// The test.
    ByTest,
}

/// The windows of one direction.
#[derive(Debug)]
struct Windows {
    connection: i64,
    /// The window of a new stream.
    initial: i64,
    streams: BTreeMap<u32, i64>,
}

/// A GOAWAY frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goaway {
    pub(crate) last_stream: u32,
    pub(crate) code: ErrorCode,
    pub(crate) debug: String,
}

impl Goaway {
    /// The highest stream of all: the server only announces that it shuts down.
    pub(crate) const NO_STREAM_REFUSED: u32 = 0x7fff_ffff;
}

/// The fields of a request without a body to the test server.
pub(crate) fn request_fields<'a>(method: &'a str, target: &'a str) -> Vec<Field<'a>> {
    vec![
        (":method", method),
        (":scheme", "http"),
        (":authority", "it"),
        (":path", target),
    ]
}

impl Http2Client {
    /// Connects and sends the preface and SETTINGS without entries.
    #[track_caller]
    pub(crate) fn connect(server: &TestServer) -> Self {
        Self::connect_with(server, &[])
    }

    /// Connects and sends the preface and these settings.
    #[track_caller]
    pub(crate) fn connect_with(server: &TestServer, settings: &[(u16, u32)]) -> Self {
        Self::over(server.connect_http2(), settings)
    }

    /// Sends the preface and these settings on a connection.
    #[track_caller]
    pub(crate) fn over(client: Client, settings: &[(u16, u32)]) -> Self {
        let mut client = Self::silent_over(client, settings);
        let start = [&PREFACE[..], &Frame::settings(settings).encode()].concat();
        client.send(start);
        client
    }

    /// The client of a connection on which the test itself sends the preface and these settings.
    pub(crate) fn silent_over(client: Client, settings: &[(u16, u32)]) -> Self {
        let entry = |(identifier, value): &(u16, u32)| {
            (*identifier == setting::INITIAL_WINDOW_SIZE).then_some(i64::from(*value))
        };
        let initial = settings.iter().find_map(entry).unwrap_or(DEFAULT_WINDOW);
        Self {
            client,
            decoder: Decoder::default(),
            next_stream: 1,
            replies: BTreeMap::new(),
            goaways: Vec::new(),
            pings: Vec::new(),
            ping_acks: Vec::new(),
            settled: 0,
            server_settings: None,
            send: Windows::new(DEFAULT_WINDOW),
            receive: Windows::new(initial),
            credit: Credit::Automatic,
            answers_pings: true,
        }
    }

    /// Leaves WINDOW_UPDATEs to the test.
    pub(crate) fn without_credit(mut self) -> Self {
        self.credit = Credit::ByTest;
        self
    }

    /// Leaves acknowledgements of PING to the test.
    pub(crate) fn without_ping_acks(mut self) -> Self {
        self.answers_pings = false;
        self
    }

    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Resets the TCP connection.
    #[track_caller]
    pub(crate) fn disconnect(self) {
        self.client.reset();
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.client.send(bytes);
        self
    }

    #[track_caller]
    pub(crate) fn send_frame(&mut self, frame: &Frame) -> &mut Self {
        self.send(frame.encode())
    }

    /// Sends frames with one call.
    #[track_caller]
    pub(crate) fn send_frames(&mut self, frames: &[Frame]) -> &mut Self {
        self.send(encode_all(frames))
    }

    /// Sends frames that the server may reject by closing the connection.
    pub(crate) fn try_send_frames(&mut self, frames: &[Frame]) -> io::Result<()> {
        self.client.try_send(encode_all(frames))
    }

    /// Reserves the next stream, which the test opens itself.
    pub(crate) fn next_stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// Sends HEADERS without the end of the stream.
    #[track_caller]
    pub(crate) fn open(&mut self, fields: &[Field<'_>]) -> u32 {
        let stream = self.next_stream();
        self.send_frame(&Frame::headers(stream, fields, 0));
        stream
    }

    /// Sends a request without a body.
    #[track_caller]
    pub(crate) fn request(&mut self, fields: &[Field<'_>]) -> u32 {
        let stream = self.next_stream();
        self.send_frame(&Frame::headers(stream, fields, END_STREAM));
        stream
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> u32 {
        self.request(&request_fields("GET", target))
    }

    /// Sends the head of a POST.
    #[track_caller]
    pub(crate) fn open_post(&mut self, target: &str) -> u32 {
        self.open(&request_fields("POST", target))
    }

    /// Sends a POST as the server's windows allow.
    #[track_caller]
    pub(crate) fn post(&mut self, target: &str, body: impl AsRef<[u8]>) -> u32 {
        let stream = self.open_post(target);
        self.send_body(stream, body, END_STREAM);
        stream
    }

    /// Sends a POST as the server's windows allow. The server may have closed the connection.
    #[track_caller]
    pub(crate) fn try_post(&mut self, target: &str, body: impl AsRef<[u8]>) -> u32 {
        let (stream, body) = (self.next_stream(), body.as_ref());
        let headers = Frame::headers(stream, &request_fields("POST", target), 0);
        let first = body.len().min(MAX_FRAME_SIZE);
        if first < body.len() || first as i64 > self.send.available(stream) {
            let _ = self.try_send_frames(&[headers]);
            self.send_body(stream, body, END_STREAM);
            return stream;
        }
        self.send.debit(stream, first);
        // A failed write shows as a missing response.
        let _ = self.try_send_frames(&[headers, Frame::data(stream, body, END_STREAM)]);
        stream
    }

    /// Sends one DATA frame, whatever the windows are.
    #[track_caller]
    pub(crate) fn data(&mut self, stream: u32, content: impl AsRef<[u8]>, flags: u8) -> &mut Self {
        let frame = Frame::data(stream, content, flags);
        self.send.debit(stream, frame.payload.len());
        self.send_frame(&frame)
    }

    /// Sends content as the server's windows allow, and these flags with the last of it.
    #[track_caller]
    pub(crate) fn send_body(&mut self, stream: u32, content: impl AsRef<[u8]>, flags: u8) {
        let mut rest = content.as_ref();
        let deadline = Deadline::new();
        // The server's settings say how large the window of a stream is.
        if rest.len() as i64 > self.send.available(stream) {
            self.read_until("SETTINGS", |client| client.server_settings.is_some());
        }
        loop {
            let room = usize::try_from(self.send.available(stream)).unwrap_or(0);
            let (part, left) = rest.split_at(rest.len().min(room).min(MAX_FRAME_SIZE));
            if left.is_empty() {
                self.data(stream, part, flags);
                return;
            }
            if part.is_empty() {
                deadline.check("WINDOW_UPDATE");
                assert!(self.next_frame().is_some(), "the server takes the body");
                continue;
            }
            self.data(stream, part, 0);
            rest = left;
        }
    }

    /// The bytes that the server allows to send on this stream now.
    pub(crate) fn send_window(&self, stream: u32) -> i64 {
        self.send.available(stream)
    }

    /// Gives the server credit for a stream, or for the connection, which is stream 0.
    #[track_caller]
    pub(crate) fn give_credit(&mut self, stream: u32, increment: u32) -> &mut Self {
        self.receive.credit(stream, increment);
        self.send_frame(&Frame::window_update(stream, increment))
    }

    #[track_caller]
    pub(crate) fn reset(&mut self, stream: u32, code: ErrorCode) -> &mut Self {
        self.send_frame(&Frame::reset(stream, code.number()))
    }

    /// What has arrived on a stream so far.
    #[track_caller]
    pub(crate) fn reply(&self, stream: u32) -> &Reply {
        static NOTHING: Reply = Reply {
            interim: Vec::new(),
            response: None,
            trailers: None,
            is_ended: false,
            reset: None,
        };
        self.replies.get(&stream).unwrap_or(&NOTHING)
    }

    /// The GOAWAYs that have arrived so far.
    pub(crate) fn goaways(&self) -> &[Goaway] {
        &self.goaways
    }

    /// The settings of the server.
    #[track_caller]
    pub(crate) fn expect_settings(&mut self) -> BTreeMap<u16, u32> {
        self.read_until("SETTINGS", |client| client.server_settings.is_some());
        self.server_settings.clone().unwrap_or_default()
    }

    /// Reads until the stream has ended or is reset.
    #[track_caller]
    pub(crate) fn expect_reply(&mut self, stream: u32) -> Reply {
        self.read_until(&format!("the end of stream {stream}"), |client| {
            client.reply(stream).is_over()
        });
        let reply = self.replies.remove(&stream).expect("it has arrived");
        // Nothing may follow.
        let over = Reply {
            is_ended: true,
            ..Reply::default()
        };
        self.replies.insert(stream, over);
        reply
    }

    /// Reads a whole response.
    #[track_caller]
    pub(crate) fn expect_response(&mut self, stream: u32) -> Response {
        let reply = self.expect_reply(stream);
        assert_eq!(reply.reset, None, "stream {stream}: {reply:?}");
        reply.response.expect("a response has headers")
    }

    #[track_caller]
    pub(crate) fn expect_status(&mut self, stream: u32, status: u16) -> Response {
        let response = self.expect_response(stream);
        assert_eq!(response.status, status, "stream {stream}: {response:?}");
        response
    }

    /// Reads a whole response and checks that it is a 200 with this body.
    #[track_caller]
    pub(crate) fn expect_body(&mut self, stream: u32, body: impl AsRef<[u8]>) -> Response {
        let (response, body) = (self.expect_status(stream, 200), body.as_ref());
        assert!(
            response.body == body,
            "stream {stream}: {} bytes {:?} and not {} bytes {:?}",
            response.body.len(),
            String::from_utf8_lossy(&response.body[..response.body.len().min(100)]),
            body.len(),
            String::from_utf8_lossy(&body[..body.len().min(100)]),
        );
        response
    }

    /// Reads until a stream is reset, perhaps after a response.
    #[track_caller]
    pub(crate) fn expect_reset(&mut self, stream: u32) -> ErrorCode {
        self.read_until(&format!("the reset of stream {stream}"), |client| {
            client.reply(stream).reset.is_some()
        });
        self.reply(stream).reset.expect("it is reset")
    }

    /// Reads until this many GOAWAYs have arrived in total, and returns the last of them.
    #[track_caller]
    pub(crate) fn expect_goaway(&mut self, count: usize) -> Goaway {
        self.read_until("GOAWAY", |client| client.goaways.len() >= count);
        self.goaways[count - 1].clone()
    }

    /// The server ends the connection because of an error with this code.
    #[track_caller]
    pub(crate) fn expect_connection_error(&mut self, code: ErrorCode) -> Goaway {
        let goaway = self.expect_goaway(1);
        assert_eq!(goaway.code, code, "{goaway:?}");
        let _ = self.expect_end();
        goaway
    }

    /// Reads the PING of the server.
    #[track_caller]
    pub(crate) fn expect_ping(&mut self) -> [u8; 8] {
        self.read_until("PING", |client| !client.pings.is_empty());
        self.pings.remove(0)
    }

    /// Acknowledges a PING of the server.
    #[track_caller]
    pub(crate) fn acknowledge(&mut self, ping: [u8; 8]) -> &mut Self {
        self.send_frame(&Frame::new(kind::PING, ACK, 0, ping))
    }

    /// Sends a PING and reads until its acknowledgement: the server has received everything that
    /// was sent before.
    #[track_caller]
    pub(crate) fn settle(&mut self) -> &mut Self {
        self.settled += 1;
        let payload = self.settled.to_be_bytes();
        self.send_frame(&Frame::ping(payload));
        self.read_until("the acknowledgement of PING", |client| {
            client.ping_acks.contains(&payload)
        });
        self
    }

    /// Reads until the connection ends, in any way.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) -> End {
        let deadline = Deadline::new();
        loop {
            match self.frame_or_end() {
                Ok(_) => deadline.check("the end of the connection"),
                Err(end) => return end,
            }
        }
    }

    /// The server closes the connection normally.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        assert_eq!(self.expect_end(), End::Closed);
    }

    /// Reads until something holds.
    #[track_caller]
    pub(crate) fn read_until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Deadline::new();
        while !holds(self) {
            deadline.check(what);
            if self.next_frame().is_none() {
                panic!(
                    "the connection ended before {what}; GOAWAYs: {:?}",
                    self.goaways
                );
            }
        }
    }

    /// Reads the next frame. `None` if the connection ends before.
    #[track_caller]
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        self.frame_or_end().ok()
    }

    #[track_caller]
    fn frame_or_end(&mut self) -> Result<Frame, End> {
        let header = self.client.bytes_or_end(frame::HEADER)?;
        let (length, mut frame) = Frame::decode_header(&header);
        assert!(length <= MAX_FRAME_SIZE, "{length} bytes in {frame:?}");
        frame.payload = self.client.bytes_or_end(length)?;
        self.note(&frame);
        Ok(frame)
    }

    #[track_caller]
    fn note(&mut self, frame: &Frame) {
        let is_first = self.server_settings.is_none();
        assert!(
            !is_first || (frame.kind == kind::SETTINGS && !frame.has(ACK)),
            "the first frame is SETTINGS and not {frame:?}"
        );
        match frame.kind {
            kind::SETTINGS if !frame.has(ACK) => self.note_settings(frame),
            kind::SETTINGS => assert_eq!(frame.payload, b""),
            kind::PING => {
                let payload = frame.payload[..].try_into();
                let payload = payload.expect("the payload of PING has 8 bytes");
                match frame.has(ACK) {
                    true => self.ping_acks.push(payload),
                    false => self.note_ping(payload),
                }
            }
            kind::GOAWAY => self.goaways.push(Goaway {
                last_stream: frame.number(0),
                code: ErrorCode::from_number(frame.number(4)),
                debug: String::from_utf8_lossy(&frame.payload[8..]).into_owned(),
            }),
            kind::WINDOW_UPDATE => self.send.credit(frame.stream, frame.number(0)),
            kind::RST_STREAM => {
                let code = ErrorCode::from_number(frame.number(0));
                self.replies.entry(frame.stream).or_default().reset = Some(code);
            }
            kind::HEADERS => self.note_headers(frame),
            kind::DATA => self.note_data(frame),
            _ => panic!("a server does not send {frame:?}"),
        }
    }

    #[track_caller]
    fn note_settings(&mut self, frame: &Frame) {
        let entries = frame.payload.chunks(6).map(|entry| {
            let value = entry[2..].try_into().expect("an entry has 6 bytes");
            (
                u16::from_be_bytes([entry[0], entry[1]]),
                u32::from_be_bytes(value),
            )
        });
        let entries: BTreeMap<u16, u32> = entries.collect();
        if let Some(initial) = entries.get(&setting::INITIAL_WINDOW_SIZE) {
            self.send.set_initial(i64::from(*initial));
        }
        self.server_settings = Some(entries);
        let _ = self.try_send_frames(&[Frame::new(kind::SETTINGS, ACK, 0, b"")]);
    }

    fn note_ping(&mut self, payload: [u8; 8]) {
        self.pings.push(payload);
        if self.answers_pings {
            let _ = self.try_send_frames(&[Frame::new(kind::PING, ACK, 0, payload)]);
        }
    }

    /// The server's header blocks fit into one frame in all tests.
    #[track_caller]
    fn note_headers(&mut self, frame: &Frame) {
        let mut block = frame.payload.clone();
        let mut is_whole = frame.has(END_HEADERS);
        while !is_whole {
            let header = self.client.bytes_or_end(frame::HEADER);
            let (length, next) = Frame::decode_header(&header.expect("a header block is whole"));
            assert_eq!((next.kind, next.stream), (kind::CONTINUATION, frame.stream));
            is_whole = next.has(END_HEADERS);
            let fragment = self.client.bytes_or_end(length);
            block.extend(fragment.expect("a header block is whole"));
        }
        let fields = reply::decode(&mut self.decoder, &block);
        assert!(frame.stream % 2 == 1, "{frame:?}");
        self.replies
            .entry(frame.stream)
            .or_default()
            .headers(frame, fields);
    }

    #[track_caller]
    fn note_data(&mut self, frame: &Frame) {
        let length = frame.payload.len();
        self.receive.debit(frame.stream, length);
        assert!(
            self.receive.available(frame.stream) >= 0,
            "the server keeps to the windows: {:?}",
            self.receive
        );
        self.replies.entry(frame.stream).or_default().data(frame);
        if self.credit == Credit::Automatic && length > 0 {
            let increment = length as u32;
            let mut frames = vec![Frame::window_update(0, increment)];
            self.receive.credit(0, increment);
            if !frame.has(END_STREAM) {
                self.receive.credit(frame.stream, increment);
                frames.push(Frame::window_update(frame.stream, increment));
            }
            let _ = self.try_send_frames(&frames);
        }
    }
}

impl Windows {
    fn new(initial: i64) -> Self {
        Self {
            connection: DEFAULT_WINDOW,
            initial,
            streams: BTreeMap::new(),
        }
    }

    fn stream(&mut self, stream: u32) -> &mut i64 {
        self.streams.entry(stream).or_insert(self.initial)
    }

    fn debit(&mut self, stream: u32, length: usize) {
        self.connection -= length as i64;
        *self.stream(stream) -= length as i64;
    }

    fn credit(&mut self, stream: u32, increment: u32) {
        match stream {
            0 => self.connection += i64::from(increment),
            stream => *self.stream(stream) += i64::from(increment),
        }
    }

    /// Changes the windows of all streams (RFC 9113 section 6.9.2).
    fn set_initial(&mut self, initial: i64) {
        for window in self.streams.values_mut() {
            *window += initial - self.initial;
        }
        self.initial = initial;
    }

    fn available(&self, stream: u32) -> i64 {
        let window = self.streams.get(&stream).unwrap_or(&self.initial);
        self.connection.min(*window)
    }
}

/// The end of a wait.
#[derive(Debug, Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    /// A slow machine may need long for a large body, so each wait has more than one timeout.
    fn new() -> Self {
        Self(Instant::now() + 3 * TIMEOUT)
    }

    #[track_caller]
    fn check(self, what: &str) {
        let left = self.0.saturating_duration_since(Instant::now());
        assert!(left > Duration::ZERO, "not in time: {what}");
    }
}
