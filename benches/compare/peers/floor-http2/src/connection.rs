//! A connection: its frames, windows and output.

use std::io::IoSlice;
use std::sync::LazyLock;
use std::{iter, mem};

use peer_job::{HTML, PAGE};

use crate::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADER, HEADERS, Header, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, begin, block, write,
};
use crate::socket::Socket;

const PREFACE: usize = 24;

/// The largest frame that every client takes.
const MAX_FRAME: usize = 16_384;

const MAX_STREAMS: u32 = 1000;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
const DEFAULT_WINDOW: u32 = 65_535;

/// Content of this size is copied behind its header; larger content is sent from `FILL`.
const COPIED: usize = 2048;

/// Most parts of one call.
const PARTS: usize = 64;

static FILL: [u8; MAX_FRAME] = [b'x'; MAX_FRAME];

/// HEADERS and DATA of the page, for stream 0.
static PAGE_FRAMES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut frames = Vec::new();
    let block = block(HTML, PAGE.len());
    write(HEADERS, END_HEADERS, 0, &block, &mut frames);
    write(DATA, END_STREAM, 0, PAGE.as_bytes(), &mut frames);
    frames
});

/// The connection is of no use any more.
pub(crate) struct Broken;

pub(crate) struct Connection {
    /// The size of the page.
    page: usize,
    /// The start of a frame that must be complete.
    partial: Vec<u8>,
    /// Bytes of a payload that are still to come and are ignored.
    ignored: usize,
    /// The stream whose request is complete behind the ignored bytes.
    due: Option<u32>,
    /// The stream that ends with the CONTINUATION that is to come.
    unfinished: Option<u32>,
    window: i64,
    initial_window: i64,
    /// Received bytes that were not given back to the client's window.
    taken: u32,
    streams: Vec<Stream>,
    /// The length of the last echo, and its header block.
    last_block: (usize, Vec<u8>),
    output: Vec<u8>,
    parts: Vec<Part>,
    /// Bytes of the first part that are sent.
    sent: usize,
}

/// A request with a body, or for a page of another size than the usual.
struct Stream {
    number: u32,
    received: usize,
    taken: u32,
    /// Bytes of the response that are left, once the request has ended.
    left: Option<usize>,
    window: i64,
}

/// A part of the output: bytes of `output`, or of `FILL`.
#[derive(Clone, Copy)]
enum Part {
    Output(usize),
    Fill(usize),
}

impl Connection {
    pub(crate) fn new(page: usize) -> Self {
        let mut connection = Self {
            page,
            partial: Vec::new(),
            ignored: PREFACE,
            due: None,
            unfinished: None,
            window: DEFAULT_WINDOW.into(),
            initial_window: DEFAULT_WINDOW.into(),
            taken: 0,
            streams: Vec::new(),
            last_block: (usize::MAX, Vec::new()),
            output: Vec::new(),
            parts: Vec::new(),
            sent: 0,
        };
        let mut settings = Vec::new();
        for (name, value) in [
            (MAX_CONCURRENT_STREAMS, MAX_STREAMS),
            (INITIAL_WINDOW_SIZE, STREAM_WINDOW),
        ] {
            settings.extend_from_slice(&name.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        connection.write(SETTINGS, 0, 0, &settings);
        connection.give_back(0, CONNECTION_WINDOW - DEFAULT_WINDOW);
        connection
    }

    /// Takes received bytes, and queues what they ask for.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if self.partial.is_empty() {
            return self.frames(bytes);
        }
        let mut joined = mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        self.frames(&joined)
    }

    fn frames(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        loop {
            let ignored = self.ignored.min(bytes.len());
            self.ignored -= ignored;
            bytes = &bytes[ignored..];
            if self.ignored > 0 {
                return Ok(());
            }
            if let Some(stream) = self.due.take() {
                self.respond(stream);
            }
            let Some(header) = Header::read(bytes) else {
                break;
            };
            if header.length > MAX_FRAME {
                return Err(Broken);
            }
            if !matches!(header.kind, SETTINGS | PING | WINDOW_UPDATE) {
                bytes = &bytes[HEADER..];
                self.ignored = header.length;
                self.start(header);
                continue;
            }
            let Some(payload) = bytes.get(HEADER..HEADER + header.length) else {
                break;
            };
            self.control(header, payload);
            bytes = &bytes[HEADER + header.length..];
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// A frame whose payload has a meaning.
    fn control(&mut self, header: Header, payload: &[u8]) {
        match header.kind {
            SETTINGS if !header.has(ACK) => {
                for setting in payload.chunks_exact(6) {
                    let (name, value) = setting.split_at(2);
                    if name == INITIAL_WINDOW_SIZE.to_be_bytes() {
                        let value = number(value);
                        for stream in &mut self.streams {
                            stream.window += value - self.initial_window;
                        }
                        self.initial_window = value;
                    }
                }
                self.write(SETTINGS, ACK, 0, &[]);
                self.send_content();
            }
            PING if !header.has(ACK) => self.write(PING, ACK, 0, payload),
            WINDOW_UPDATE => {
                let more = number(payload);
                let stream = self
                    .streams
                    .iter_mut()
                    .find(|one| one.number == header.stream);
                match stream {
                    Some(stream) => stream.window += more,
                    None if header.stream == 0 => self.window += more,
                    None => {}
                }
                self.send_content();
            }
            _ => {}
        }
    }

    /// A frame whose payload is ignored.
    fn start(&mut self, header: Header) {
        match header.kind {
            DATA => self.count(header),
            HEADERS if !header.has(END_STREAM) => self.streams.push(Stream {
                number: header.stream,
                received: 0,
                taken: 0,
                left: None,
                window: self.initial_window,
            }),
            HEADERS if header.has(END_HEADERS) => self.due = Some(header.stream),
            HEADERS => self.unfinished = Some(header.stream),
            CONTINUATION if header.has(END_HEADERS) => self.due = self.unfinished.take(),
            RST_STREAM => self.streams.retain(|one| one.number != header.stream),
            _ => {}
        }
    }

    /// Counts the content of a request, and gives back windows that are half used.
    fn count(&mut self, header: Header) {
        let length = u32::try_from(header.length).expect("frames are small");
        self.taken += length;
        if self.taken >= CONNECTION_WINDOW / 2 {
            let taken = mem::take(&mut self.taken);
            self.give_back(0, taken);
        }
        let stream = self
            .streams
            .iter_mut()
            .find(|one| one.number == header.stream);
        let Some(stream) = stream else {
            return;
        };
        stream.received += header.length;
        stream.taken += length;
        if header.has(END_STREAM) {
            self.due = Some(header.stream);
        } else if stream.taken >= STREAM_WINDOW / 2 {
            let taken = mem::take(&mut stream.taken);
            self.give_back(header.stream, taken);
        }
    }

    /// Queues the page, or as many bytes as the request had.
    fn respond(&mut self, number: u32) {
        let stream = self.streams.iter_mut().find(|one| one.number == number);
        let (length, content_type) = match stream {
            None if self.page == PAGE.len() => return self.respond_with_page(number),
            None => {
                self.streams.push(Stream {
                    number,
                    received: 0,
                    taken: 0,
                    left: Some(self.page),
                    window: self.initial_window,
                });
                (self.page, HTML)
            }
            Some(stream) => {
                stream.left = Some(stream.received);
                (stream.received, "application/json")
            }
        };
        if self.last_block.0 != length {
            self.last_block = (length, block(content_type, length));
        }
        let block = mem::take(&mut self.last_block.1);
        self.write(HEADERS, END_HEADERS, number, &block);
        self.last_block.1 = block;
        self.send_content();
    }

    /// The windows of every client here have room for the page.
    fn respond_with_page(&mut self, number: u32) {
        let start = self.output.len();
        self.output.extend_from_slice(&PAGE_FRAMES);
        let page = start + PAGE_FRAMES.len() - PAGE.len();
        for stream in [start + 5, page - 4] {
            self.output[stream..stream + 4].copy_from_slice(&number.to_be_bytes());
        }
        self.window -= PAGE.len() as i64;
        self.grow(PAGE_FRAMES.len());
    }

    /// Queues as much content as the windows allow.
    fn send_content(&mut self) {
        let mut streams = mem::take(&mut self.streams);
        for stream in &mut streams {
            while let Some(left) = stream.left {
                let window = self.window.min(stream.window).max(0) as usize;
                let count = left.min(window).min(MAX_FRAME);
                if count == 0 && left > 0 {
                    break;
                }
                stream.left = (left > count).then_some(left - count);
                self.window -= count as i64;
                stream.window -= count as i64;
                let flags = if left == count { END_STREAM } else { 0 };
                begin(DATA, flags, stream.number, count, &mut self.output);
                self.grow(HEADER);
                if count <= COPIED {
                    self.output.extend_from_slice(&FILL[..count]);
                    self.grow(count);
                } else {
                    self.parts.push(Part::Fill(count));
                }
                if left == count {
                    // Marks it as finished.
                    stream.number = 0;
                }
            }
        }
        streams.retain(|one| one.number != 0);
        self.streams = streams;
    }

    fn give_back(&mut self, stream: u32, count: u32) {
        self.write(WINDOW_UPDATE, 0, stream, &count.to_be_bytes());
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        write(kind, flags, stream, payload, &mut self.output);
        self.grow(HEADER + payload.len());
    }

    /// Counts bytes that were appended to `output`.
    fn grow(&mut self, count: usize) {
        match self.parts.last_mut() {
            Some(Part::Output(length)) => *length += count,
            _ => self.parts.push(Part::Output(count)),
        }
    }

    /// Sends as much as the client takes, and returns whether that is everything.
    pub(crate) fn send(&mut self, socket: &mut Socket) -> Result<bool, Broken> {
        while !self.parts.is_empty() {
            let mut slices = [IoSlice::new(&[]); PARTS];
            let (mut count, mut rest) = (0, &self.output[..]);
            let skipped = iter::once(self.sent).chain(iter::repeat(0));
            for ((part, skipped), slice) in self.parts.iter().zip(skipped).zip(&mut slices) {
                let bytes = match *part {
                    Part::Output(length) => rest.split_off(..length).unwrap_or_default(),
                    Part::Fill(length) => &FILL[..length],
                };
                *slice = IoSlice::new(&bytes[skipped..]);
                count += 1;
            }
            let Some(sent) = socket.send(&slices[..count])? else {
                return Ok(false);
            };
            self.drop_sent(sent);
        }
        socket.flush()
    }

    fn drop_sent(&mut self, sent: usize) {
        let (mut parts, mut bytes) = (0, 0);
        self.sent += sent;
        for part in &self.parts {
            let (Part::Output(length) | Part::Fill(length)) = *part;
            if self.sent < length {
                break;
            }
            self.sent -= length;
            parts += 1;
            if let Part::Output(length) = *part {
                bytes += length;
            }
        }
        self.parts.drain(..parts);
        self.output.drain(..bytes);
    }
}

fn number(bytes: &[u8]) -> i64 {
    let bytes = bytes.try_into().expect("numbers have four bytes");
    i64::from(u32::from_be_bytes(bytes) & 0x7fff_ffff)
}
