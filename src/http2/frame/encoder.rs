//! Encodes the frames that a server sends. Each function appends to a buffer.

use std::num::NonZeroU32;

use super::header::{ACK, END_HEADERS, END_STREAM, Header, Kind, LENGTH};
use crate::http2::{ErrorCode, OurSettings, StreamId};

fn write(kind: Kind, flags: u8, stream: Option<StreamId>, payload: &[u8], out: &mut Vec<u8>) {
    // Payloads are at most as long as SETTINGS_MAX_FRAME_SIZE, which has 24 bits.
    let header = Header {
        length: payload.len() as u32,
        kind,
        flags,
        stream,
    };
    header.write(out);
    out.extend_from_slice(payload);
}

/// Writes our SETTINGS, the first frame of a server (RFC 9113 section 3.4).
///
/// ```
/// use httpool::http2::{OurSettings, write_settings};
///
/// let mut out = Vec::new();
/// write_settings(&OurSettings { initial_window: 65_536, ..OurSettings::default() }, &mut out);
/// assert_eq!(out, b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\x01\0\0");
/// ```
pub fn write_settings(settings: &OurSettings, out: &mut Vec<u8>) {
    let mut payload = Vec::with_capacity(36);
    for (identifier, value) in settings.entries() {
        payload.extend_from_slice(&identifier.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    write(Kind::Settings, 0, None, &payload, out);
}

/// Writes the acknowledgement of SETTINGS (RFC 9113 section 6.5.3).
pub fn write_settings_ack(out: &mut Vec<u8>) {
    write(Kind::Settings, ACK, None, &[], out);
}

/// Writes a header block as HEADERS, and as many CONTINUATIONs as the client's
/// SETTINGS_MAX_FRAME_SIZE requires (RFC 9113 section 4.3).
///
/// ```
/// use httpool::http2::{StreamId, write_headers};
///
/// let mut out = Vec::new();
/// write_headers(StreamId::new(1).unwrap(), b"\x88", true, 16_384, &mut out);
/// assert_eq!(out, b"\0\0\x01\x01\x05\0\0\0\x01\x88");
/// ```
///
/// # Panics
///
/// If the frame size is 0, which no client can set.
pub fn write_headers(
    stream: StreamId,
    block: &[u8],
    end_stream: bool,
    max_frame_size: u32,
    out: &mut Vec<u8>,
) {
    let (first, mut rest) = block.split_at(block.len().min(max_frame_size as usize));
    let flags = self::end_stream(end_stream) | end_headers(rest);
    write(Kind::Headers, flags, Some(stream), first, out);
    while !rest.is_empty() {
        let fragment;
        (fragment, rest) = rest.split_at(rest.len().min(max_frame_size as usize));
        assert!(!fragment.is_empty(), "a frame has room");
        write(
            Kind::Continuation,
            end_headers(rest),
            Some(stream),
            fragment,
            out,
        );
    }
}

/// A HEADERS frame whose header block is encoded into the output itself, behind room for the frame
/// header.
#[derive(Debug)]
pub(in crate::http2) struct HeadersFrame {
    /// Where the frame starts in the output.
    start: usize,
}

impl HeadersFrame {
    /// Leaves room for the frame header. The header block follows.
    pub(in crate::http2) fn begin(out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH]);
        Self { start }
    }

    /// Writes the frame header. A block that needs CONTINUATIONs is copied.
    pub(in crate::http2) fn end(
        self,
        stream: StreamId,
        end_stream: bool,
        max_frame_size: u32,
        out: &mut Vec<u8>,
    ) {
        let block = self.start + LENGTH;
        if out.len() - block > max_frame_size as usize {
            let copy = out.split_off(block);
            out.truncate(self.start);
            return write_headers(stream, &copy, end_stream, max_frame_size, out);
        }
        let header = Header {
            length: (out.len() - block) as u32,
            kind: Kind::Headers,
            flags: END_HEADERS | self::end_stream(end_stream),
            stream: Some(stream),
        };
        out[self.start..block].copy_from_slice(&header.bytes());
    }

    /// Removes what was written since the beginning.
    pub(in crate::http2) fn cancel(self, out: &mut Vec<u8>) {
        out.truncate(self.start);
    }
}

fn end_stream(end_stream: bool) -> u8 {
    match end_stream {
        true => END_STREAM,
        false => 0,
    }
}

fn end_headers(rest: &[u8]) -> u8 {
    match rest.is_empty() {
        true => END_HEADERS,
        false => 0,
    }
}

/// Writes the header of a DATA frame with this many bytes of content, which the caller writes next
/// (RFC 9113 section 6.1). The length is at most the client's SETTINGS_MAX_FRAME_SIZE.
pub fn write_data_head(stream: StreamId, length: u32, end_stream: bool, out: &mut Vec<u8>) {
    let header = Header {
        length,
        kind: Kind::Data,
        flags: self::end_stream(end_stream),
        stream: Some(stream),
    };
    header.write(out);
}

/// Writes RST_STREAM (RFC 9113 section 6.4).
pub fn write_rst_stream(stream: StreamId, code: ErrorCode, out: &mut Vec<u8>) {
    let code = code.number().to_be_bytes();
    write(Kind::RstStream, 0, Some(stream), &code, out);
}

/// Writes a PING, which the client acknowledges after everything that it received before (RFC 9113
/// section 6.7).
pub fn write_ping(payload: [u8; 8], out: &mut Vec<u8>) {
    write(Kind::Ping, 0, None, &payload, out);
}

/// Writes the acknowledgement of a PING with its bytes (RFC 9113 section 6.7).
pub fn write_ping_ack(payload: [u8; 8], out: &mut Vec<u8>) {
    write(Kind::Ping, ACK, None, &payload, out);
}

/// Writes GOAWAY with the last stream that may have been processed, `None` if there was no stream
/// (RFC 9113 section 6.8). The debug data may be seen by the client's users. It is cut after 1,024
/// bytes.
pub fn write_goaway(
    last_stream: Option<StreamId>,
    code: ErrorCode,
    debug: &[u8],
    out: &mut Vec<u8>,
) {
    const MAX_DEBUG: usize = 1024;
    let mut payload = Vec::with_capacity(8 + debug.len().min(MAX_DEBUG));
    let last_stream = last_stream.map_or(0, StreamId::get);
    payload.extend_from_slice(&last_stream.to_be_bytes());
    payload.extend_from_slice(&code.number().to_be_bytes());
    payload.extend_from_slice(&debug[..debug.len().min(MAX_DEBUG)]);
    write(Kind::Goaway, 0, None, &payload, out);
}

/// Writes WINDOW_UPDATE for a stream, or for the connection if there is none (RFC 9113 section
/// 6.9). The increment is at most [`MAX_WINDOW`](super::super::MAX_WINDOW).
pub fn write_window_update(stream: Option<StreamId>, increment: NonZeroU32, out: &mut Vec<u8>) {
    let increment = increment.get().to_be_bytes();
    write(Kind::WindowUpdate, 0, stream, &increment, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    fn stream() -> StreamId {
        StreamId::new(0x0102).expect("the number is not 0")
    }

    /// The bytes are spelled out, because the decoder could share a mistake.
    #[test]
    fn frames_have_the_bytes_of_rfc_9113() {
        let increment = NonZeroU32::new(0x7fff_ffff).expect("the number is not 0");
        let ping = *b"pingpong";
        let cases: [(Vec<u8>, &[u8]); 8] = [
            (written(write_settings_ack), b"\0\0\0\x04\x01\0\0\0\0"),
            (
                written(|out| write_data_head(stream(), 0x4000, true, out)),
                b"\0\x40\0\0\x01\0\0\x01\x02",
            ),
            (
                written(|out| write_rst_stream(stream(), ErrorCode::RefusedStream, out)),
                b"\0\0\x04\x03\0\0\0\x01\x02\0\0\0\x07",
            ),
            (
                written(|out| write_ping(ping, out)),
                b"\0\0\x08\x06\0\0\0\0\0pingpong",
            ),
            (
                written(|out| write_ping_ack(ping, out)),
                b"\0\0\x08\x06\x01\0\0\0\0pingpong",
            ),
            (
                written(|out| write_goaway(Some(StreamId::MAX), ErrorCode::NoError, b"hi", out)),
                b"\0\0\x0a\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0hi",
            ),
            (
                written(|out| write_window_update(Some(stream()), increment, out)),
                b"\0\0\x04\x08\0\0\0\x01\x02\x7f\xff\xff\xff",
            ),
            (
                written(|out| write_window_update(None, NonZeroU32::MIN, out)),
                b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01",
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(bytes, expected);
        }
    }

    /// END_STREAM belongs to HEADERS even if CONTINUATIONs follow.
    #[test]
    fn headers_are_split_at_the_frame_size() {
        let out = written(|out| write_headers(stream(), b"abcde", true, 2, out));
        let expected = [
            &b"\0\0\x02\x01\x01\0\0\x01\x02ab"[..],
            b"\0\0\x02\x09\0\0\0\x01\x02cd",
            b"\0\0\x01\x09\x04\0\0\x01\x02e",
        ];
        assert_eq!(out, expected.concat());
        let exact = written(|out| write_headers(stream(), b"ab", false, 2, out));
        assert_eq!(exact, b"\0\0\x02\x01\x04\0\0\x01\x02ab");
        let empty = written(|out| write_headers(stream(), b"", false, 2, out));
        assert_eq!(empty, b"\0\0\0\x01\x04\0\0\x01\x02");
    }

    #[test]
    fn debug_data_of_goaway_is_cut() {
        let out = written(|out| write_goaway(None, ErrorCode::InternalError, &[b'x'; 5000], out));
        assert_eq!(out.len(), 9 + 8 + 1024);
        assert_eq!(out[..3], [0, 4, 8]);
    }
}
