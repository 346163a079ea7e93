//! Encodes the frames that a server sends. Each function appends to a buffer.

use std::num::NonZeroU32;

use super::header::{ACK, END_HEADERS, END_STREAM, Header, Kind};
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
    let mut payload = Vec::with_capacity(30);
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

/// Writes a field block as HEADERS, and as many CONTINUATIONs as the client's
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
    let end_stream = match end_stream {
        true => END_STREAM,
        false => 0,
    };
    let flags = end_stream | end_headers(rest);
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
        flags: match end_stream {
            true => END_STREAM,
            false => 0,
        },
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
