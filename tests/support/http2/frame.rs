//! Frames as bytes (RFC 9113 section 4.1), also those that no client may send.

use super::super::request::Field;
use super::wire::{encode_frame, hpack_integer};

/// The bytes before each payload.
pub(crate) const HEADER: usize = 9;

/// The flag of SETTINGS and PING.
pub(crate) const ACK: u8 = 0x1;
/// The flag of DATA and HEADERS.
pub(crate) const END_STREAM: u8 = 0x1;
/// The flag of HEADERS and CONTINUATION.
pub(crate) const END_HEADERS: u8 = 0x4;
/// The flag of DATA and HEADERS.
pub(crate) const PADDED: u8 = 0x8;

/// The types of frames. Tests may send any number.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
    pub(crate) const PRIORITY_UPDATE: u8 = 16;
}

/// The identifiers of SETTINGS.
pub(crate) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 5;
    pub(crate) const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// 0 is the connection.
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.as_ref().to_vec(),
        }
    }

    pub(crate) fn settings(entries: &[(u16, u32)]) -> Self {
        let entry = |(identifier, value): &(u16, u32)| {
            [&identifier.to_be_bytes()[..], &value.to_be_bytes()].concat()
        };
        let payload: Vec<u8> = entries.iter().flat_map(entry).collect();
        Self::new(kind::SETTINGS, 0, 0, payload)
    }

    /// HEADERS with a whole header block.
    pub(crate) fn headers(stream: u32, fields: &[Field<'_>], flags: u8) -> Self {
        let flags = flags | END_HEADERS;
        Self::new(kind::HEADERS, flags, stream, header_block(fields))
    }

    pub(crate) fn data(stream: u32, content: impl AsRef<[u8]>, flags: u8) -> Self {
        Self::new(kind::DATA, flags, stream, content)
    }

    pub(crate) fn reset(stream: u32, code: u32) -> Self {
        Self::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    pub(crate) fn ping(payload: [u8; 8]) -> Self {
        Self::new(kind::PING, 0, 0, payload)
    }

    /// For a stream, or for the connection, which is stream 0.
    pub(crate) fn window_update(stream: u32, increment: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn is_ack(&self, kind: u8) -> bool {
        self.kind == kind && self.has(ACK)
    }

    /// The 32-bit number at this position of the payload.
    #[track_caller]
    pub(crate) fn number(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..at + 4);
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        u32::from_be_bytes(bytes.expect("the payload is long enough"))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        encode_frame(self.kind, self.flags, self.stream, &self.payload)
    }

    /// The length of the payload behind this frame header, and the frame without it.
    pub(super) fn decode_header(bytes: &[u8]) -> (usize, Self) {
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
        };
        let frame = Self::new(bytes[3], bytes[4], number(&bytes[5..HEADER]), b"");
        (number(&bytes[..3]) as usize, frame)
    }
}

/// Frames one after another.
pub(crate) fn encode_all(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::encode).collect()
}

/// A header block of literals that are added to no table (RFC 7541 section 6.2.2).
pub(crate) fn header_block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            hpack_integer(text.len(), 0, 7, &mut block);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}
