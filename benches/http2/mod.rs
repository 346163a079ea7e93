//! Bytes of HTTP/2 clients, as far as benches need them.

#![allow(dead_code, reason = "each bench needs a part of it")]

use std::collections::BTreeMap;

/// The preface of a client (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The largest window.
pub(crate) const MAX_WINDOW: u32 = 0x7fff_ffff;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The preface and SETTINGS with this window of new streams.
pub(crate) fn preface(initial_window: u32) -> Vec<u8> {
    let entry = [&[0, 4][..], &initial_window.to_be_bytes()].concat();
    [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &entry)].concat()
}

/// The identifiers of this many streams.
pub(crate) fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

/// A header block: the static table has the method and the scheme.
fn block(method: u8, path: &str) -> Vec<u8> {
    let mut block = vec![method, 0x86, 0x04, path.len() as u8];
    block.extend(path.as_bytes());
    block.extend(b"\x01\x05bench");
    block
}

pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    let flags = END_STREAM | END_HEADERS;
    frame(HEADERS, flags, stream, &block(0x82, path))
}

/// The head of a POST.
pub(crate) fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(0x83, "/"))
}

/// A GET whose block has this more, and that is complete or not.
pub(crate) fn get_with(stream: u32, more: &[u8], is_complete: bool) -> Vec<u8> {
    let block = [&block(0x82, "/"), more].concat();
    let flags = if is_complete { END_HEADERS } else { 0 };
    frame(HEADERS, END_STREAM | flags, stream, &block)
}

/// A part of a header block that never ends.
pub(crate) fn continuation(stream: u32, fragment: &[u8]) -> Vec<u8> {
    frame(CONTINUATION, 0, stream, fragment)
}

/// DATA without the end of the stream.
pub(crate) fn data(stream: u32, content: &[u8]) -> Vec<u8> {
    frame(DATA, 0, stream, content)
}

pub(crate) fn cancel(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

pub(crate) fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8])
}

pub(crate) fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

pub(crate) fn settings_ack() -> Vec<u8> {
    frame(SETTINGS, 1, 0, &[])
}

/// For a stream, or for the connection, which is stream 0.
pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// A frame that has arrived, without its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    /// The first bytes of the payload.
    start: [u8; 8],
}

impl Arrived {
    /// Whether it ends the stream.
    pub(crate) fn ends(&self, stream: u32) -> bool {
        let is_of_stream = self.stream == stream && matches!(self.kind, DATA | HEADERS);
        is_of_stream && self.flags & END_STREAM != 0
    }

    /// Whether it begins a response with status 200 on this stream.
    pub(crate) fn is_ok(&self, stream: u32) -> bool {
        // The first block of a connection begins with the size of the table.
        let is_ok = self.start[0] == 0x88 || self.start.starts_with(b"\x20\x88");
        self.stream == stream && self.kind == HEADERS && is_ok
    }

    /// Whether it says that the server does not process a stream, because it closes the connection.
    pub(crate) fn refuses(&self, stream: u32) -> bool {
        let number =
            |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|index| self.start[at + index]));
        self.kind == GOAWAY && number(4) == 0 && number(0) < stream
    }

    /// Why the connection or a stream ends, if it does.
    pub(crate) fn end(&self) -> Option<String> {
        let code = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|index| self.start[at + index]));
        match self.kind {
            GOAWAY => Some(format!("GOAWAY {}", code(4))),
            RST_STREAM => Some(format!("RST_STREAM {}", code(0))),
            _ => None,
        }
    }

    /// Whether it is SETTINGS to acknowledge.
    pub(crate) fn is_settings(&self) -> bool {
        self.kind == SETTINGS && self.flags & 1 == 0
    }
}

/// Finds the frames in bytes that arrive in any parts.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    /// The header of a frame and the start of its payload.
    known: Vec<u8>,
    /// Bytes of the payload that have not arrived, once the header has.
    missing: usize,
}

impl FrameReader {
    const HEADER: usize = 9;

    pub(crate) fn read(&mut self, mut bytes: &[u8], mut on_frame: impl FnMut(Arrived)) {
        while !bytes.is_empty() {
            let (part, rest);
            if self.known.len() < Self::HEADER {
                let missing = Self::HEADER - self.known.len();
                (part, rest) = bytes.split_at(bytes.len().min(missing));
                self.known.extend(part);
                if part.len() == missing {
                    let length = &self.known[..3];
                    self.missing = length
                        .iter()
                        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                }
            } else {
                (part, rest) = bytes.split_at(bytes.len().min(self.missing));
                self.missing -= part.len();
                let room = (Self::HEADER + 8).saturating_sub(self.known.len());
                self.known.extend(&part[..part.len().min(room)]);
            }
            bytes = rest;
            if self.known.len() >= Self::HEADER && self.missing == 0 {
                on_frame(arrived(&self.known));
                self.known.clear();
            }
        }
    }
}

fn arrived(known: &[u8]) -> Arrived {
    let mut start = [0; 8];
    for (byte, known) in start.iter_mut().zip(&known[FrameReader::HEADER..]) {
        *byte = *known;
    }
    Arrived {
        kind: known[3],
        flags: known[4],
        stream: u32::from_be_bytes([known[5], known[6], known[7], known[8]]),
        start,
    }
}

/// Counts how connections and streams end.
pub(crate) fn count(ends: &mut BTreeMap<String, u64>, frame: Arrived) {
    if let Some(end) = frame.end() {
        *ends.entry(end).or_default() += 1;
    }
}
