//! A test client of HTTP/2. It sends what a test says, frame by frame if the test wants, and it
//! fails if the server breaks a rule of RFC 9113.

mod expect;
mod frame;
mod receive;
mod reply;
mod windows;
mod wire;

use std::collections::BTreeMap;
use std::io;

use httpool::http2::hpack::Decoder;
use httpool::http2::{ErrorCode, PREFACE};

use super::request::Field;
use super::{Client, TestServer};
use windows::{DEFAULT_WINDOW, Deadline, Windows};

pub(crate) use frame::{
    ACK, END_HEADERS, END_STREAM, Frame, PADDED, encode_all, header_block, kind, setting,
};
pub(crate) use reply::Reply;
pub(crate) use wire::hpack_integer;

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
}
