//! Counts HTTP/2: the heads without a socket, and the program with one worker.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::SystemTime;

use httlib_hpack::Encoder as RequestEncoder;
use httpool::Response;
use httpool::http2::hpack::{Decoder, Encoder};
use httpool::http2::{self, Content, Date, PREFACE, RequestBuffer};

use crate::callgrind::Counting;
use crate::messages::{BODY, BROWSER_GET, CURL_GET, post};
use crate::mux;
use crate::program::{PROGRAM, Program};

const MAX_HEADER_SIZE: usize = 16 * 1024;

/// Start-up and shutdown are in both, so the difference is the requests alone.
const FEW: u64 = 100;
const MANY: u64 = 600;

const MULTIPLEXED: u64 = 16;

/// Decodes a browser's first head on a connection, which fills the table.
pub(crate) fn decode_first(repeats: u64) {
    let [first, _] = blocks(BROWSER_GET);
    let mut buffer = RequestBuffer::default();
    for _ in 0..repeats {
        decode(&mut Decoder::default(), &first, &mut buffer);
    }
}

/// Decodes a later head, whose headers are all in the table.
pub(crate) fn decode_indexed(message: &str, repeats: u64) {
    let [first, later] = blocks(message);
    let (mut decoder, mut buffer) = (Decoder::default(), RequestBuffer::default());
    decode(&mut decoder, &first, &mut buffer);
    for _ in 0..repeats {
        decode(&mut decoder, &later, &mut buffer);
    }
}

/// Receives such heads and responds with a page.
pub(crate) fn exchange(message: &str, response: &Response, repeats: u64) {
    mux::exchange(blocks(message), response, repeats);
}

fn decode(decoder: &mut Decoder, block: &[u8], buffer: &mut RequestBuffer) {
    let head = http2::decode_head(decoder, black_box(block), MAX_HEADER_SIZE, buffer);
    head.expect("the block is valid")
        .expect("the head is valid");
    black_box(&buffer.request);
}

pub(crate) fn encode(response: &Response, repeats: u64) {
    let date = Date::new(SystemTime::now());
    let (mut encoder, mut block) = (Encoder::default(), Vec::with_capacity(4 * 1024));
    for _ in 0..repeats {
        block.clear();
        let content = http2::encode_head(response, false, &date, &mut encoder, &mut block);
        assert_eq!(content, Content::Follows);
        black_box(&block);
    }
}

/// The header blocks of two such requests on one connection, encoded as browsers do.
fn blocks(message: &str) -> [Vec<u8>; 2] {
    let mut encoder = RequestEncoder::default();
    [(); 2].map(|()| block(message, &mut encoder))
}

/// The header block of a request that is given in the form of HTTP/1.1.
fn block(message: &str, encoder: &mut RequestEncoder<'_>) -> Vec<u8> {
    let mut block = Vec::new();
    let mut add = |name: &str, value: &str| {
        let flags = RequestEncoder::HUFFMAN_VALUE
            | RequestEncoder::HUFFMAN_NAME
            | RequestEncoder::WITH_INDEXING
            | RequestEncoder::BEST_FORMAT;
        let name = name.to_ascii_lowercase().into_bytes();
        let field = (name, value.as_bytes().to_vec(), flags);
        encoder.encode(field, &mut block).expect("it is encodable");
    };
    let (line, rest) = message.split_once("\r\n").expect("a head has lines");
    let mut parts = line.split(' ');
    for name in [":method", ":path"] {
        add(name, parts.next().expect("the line has both"));
    }
    add(":scheme", "http");
    for line in rest.lines().take_while(|line| !line.is_empty()) {
        match line.split_once(": ").expect("a header has a value") {
            ("Host", value) => add(":authority", value),
            ("Connection", _) => {}
            ("Cookie", value) => value.split("; ").for_each(|crumb| add("cookie", crumb)),
            (name, value) => add(name, value),
        }
    }
    block
}

/// A request that is sent repeatedly on one connection, each time after the last response.
struct Case {
    name: &'static str,
    message: fn() -> Vec<u8>,
    /// Requests that are sent at once.
    requests: u64,
}

const CASES: [Case; 4] = [
    Case {
        name: "server/http2_get",
        message: || CURL_GET.into(),
        requests: 1,
    },
    Case {
        name: "server/http2_get_browser",
        message: || BROWSER_GET.into(),
        requests: 1,
    },
    Case {
        name: "server/http2_get_multiplexed",
        message: || CURL_GET.into(),
        requests: MULTIPLEXED,
    },
    Case {
        name: "server/http2_post_1k",
        message: || post(None),
        requests: 1,
    },
];

/// Sends some requests of each kind, uncounted.
pub(crate) fn try_out() {
    for case in &CASES {
        let server = Program::start(Command::new(PROGRAM).env_clear().args(FLAGS));
        case.exchange(&server, 3);
        server.stop();
    }
}

/// The instructions for a request of each kind.
pub(crate) fn count() -> impl Iterator<Item = (&'static str, u64)> {
    CASES.iter().map(|case| {
        let instructions = case.total(MANY) - case.total(FEW);
        (case.name, instructions / ((MANY - FEW) * case.requests))
    })
}

const FLAGS: [&str; 2] = ["--http2", "on"];

impl Case {
    fn total(&self, messages: u64) -> u64 {
        let counting = Counting::new();
        let server = Program::start(counting.command(PROGRAM).args(FLAGS));
        self.exchange(&server, messages);
        server.stop();
        counting.counts().other_threads
    }

    fn exchange(&self, server: &Program, messages: u64) {
        let mut client = Client::new(server.connect());
        server.sleep();
        let message = (self.message)();
        let end = message.windows(4).position(|part| part == b"\r\n\r\n");
        let (head, body) = message.split_at(end.expect("a head ends") + 4);
        let head = str::from_utf8(head).expect("a head is text");
        for _ in 0..messages {
            for _ in 0..self.requests {
                client.queue(head, body);
            }
            client.send();
            client.receive(self.requests, body);
            server.sleep();
        }
        drop(client);
        server.sleep();
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// Bytes of the header of a frame.
const FRAME_HEADER: usize = 9;

/// A connection that the server may send as much as it likes on.
struct Client {
    stream: TcpStream,
    encoder: RequestEncoder<'static>,
    last_stream: u32,
    output: Vec<u8>,
    input: Vec<u8>,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        let mut client = Self {
            stream,
            encoder: RequestEncoder::default(),
            last_stream: 0,
            output: PREFACE.to_vec(),
            input: Vec::new(),
        };
        client.frame(SETTINGS, 0, 0, &[]);
        client.frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
        // The server has sent its own settings when it acknowledges these.
        client.frame(SETTINGS, ACK, 0, &[]);
        client.send();
        client.receive_until(|kind, flags, _| kind == SETTINGS && flags == ACK);
        client
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("frames are small");
        self.output.extend(&length.to_be_bytes()[1..]);
        self.output.extend([kind, flags]);
        self.output.extend(stream.to_be_bytes());
        self.output.extend(payload);
    }

    /// Queues a request on a new stream.
    fn queue(&mut self, head: &str, body: &[u8]) {
        let stream = if self.last_stream == 0 {
            1
        } else {
            self.last_stream + 2
        };
        self.last_stream = stream;
        let block = block(head, &mut self.encoder);
        let ends = if body.is_empty() { END_STREAM } else { 0 };
        self.frame(HEADERS, END_HEADERS | ends, stream, &block);
        if !body.is_empty() {
            self.frame(DATA, END_STREAM, stream, body);
        }
    }

    fn send(&mut self) {
        let sent = self.stream.write_all(&self.output);
        sent.expect("the server takes requests");
        self.output.clear();
    }

    /// Receives this many responses, each with a page or with the posted body.
    fn receive(&mut self, responses: u64, body: &[u8]) {
        let mut left = responses;
        self.receive_until(|kind, flags, payload| {
            if kind == DATA && !payload.is_empty() {
                let echoed = payload == BODY && payload == body;
                assert!(echoed || payload.ends_with(b"</h1>"), "the expected body");
            }
            left -= u64::from(kind <= HEADERS && flags & END_STREAM != 0);
            left == 0
        });
    }

    /// Receives frames until one of this kind, with these flags and this payload, is the last one.
    fn receive_until(&mut self, mut is_last: impl FnMut(u8, u8, &[u8]) -> bool) {
        loop {
            while let Some((header, rest)) = self.input.split_at_checked(FRAME_HEADER) {
                let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
                let Some(payload) = rest.get(..length) else {
                    break;
                };
                let done = is_last(header[3], header[4], payload);
                self.input.drain(..FRAME_HEADER + length);
                if done {
                    return;
                }
            }
            let mut buffer = [0; 16 * 1024];
            let count = self.stream.read(&mut buffer).expect("the server responds");
            assert_ne!(count, 0, "the server closed the connection");
            self.input.extend(&buffer[..count]);
        }
    }
}
