//! The rules of RFC 9113 sections 4 to 6 for frames, as a table of bytes and outcomes. Each case is
//! also fed in two parts at every split point, and byte by byte.

mod order;
mod properties;
mod rules;

use super::*;
use crate::http2::Error;

const PROTOCOL_ERROR: &[&str] = &["connection PROTOCOL_ERROR"];

const MAX_FRAME_SIZE: u32 = 16_384;

/// A frame as bytes.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The header of a frame whose payload does not arrive.
fn header(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut bytes = frame(kind, flags, stream, &[]);
    bytes[..3].copy_from_slice(&length.to_be_bytes()[1..]);
    bytes
}

/// The first frame of a client.
fn empty_settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

/// A frame or an error in a form to compare. The parts of a DATA frame are joined by [`Outcome`].
fn show(frame: &Frame<'_>) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let end = |name: &str, is_set: bool| match is_set {
        true => format!(" {name}"),
        false => String::new(),
    };
    match frame {
        Frame::Data(data) => text(data.content),
        Frame::Headers(headers) => format!(
            "HEADERS {} '{}'{}{}",
            headers.stream,
            text(headers.fragment),
            end("END_HEADERS", headers.end_headers),
            end("END_STREAM", headers.end_stream)
        ),
        Frame::Priority { stream } => format!("PRIORITY {stream}"),
        Frame::RstStream { stream, code } => format!("RST_STREAM {stream} {code}"),
        Frame::Settings(entries) => format!("SETTINGS {:?}", entries.clone().collect::<Vec<_>>()),
        Frame::SettingsAck => "SETTINGS ACK".to_owned(),
        Frame::Ping(bytes) => format!("PING {}", text(bytes)),
        Frame::PingAck(bytes) => format!("PING ACK {}", text(bytes)),
        Frame::Goaway {
            last_stream,
            code,
            debug,
        } => format!(
            "GOAWAY {} {code} '{}'",
            last_stream.map_or(0, StreamId::get),
            text(debug)
        ),
        Frame::WindowUpdate { stream, increment } => {
            format!(
                "WINDOW_UPDATE {} {increment}",
                stream.map_or(0, StreamId::get)
            )
        }
        Frame::Continuation(continuation) => format!(
            "CONTINUATION {} '{}'{}",
            continuation.stream,
            text(continuation.fragment),
            end("END_HEADERS", continuation.end_headers)
        ),
        Frame::PriorityUpdate { stream, value } => {
            format!("PRIORITY_UPDATE {stream} '{}'", text(value))
        }
        Frame::Unknown { kind } => format!("UNKNOWN {kind}"),
    }
}

/// An error without its reason.
fn show_error(error: &Error) -> String {
    match error {
        Error::Connection { code, .. } => format!("connection {code}"),
        Error::Stream { stream, code, .. } => format!("stream {stream} {code}"),
    }
}

/// What a decoder makes of bytes that arrive in parts. An error of the connection is the end.
#[derive(Debug, Default)]
struct Outcome {
    shown: Vec<String>,
    /// A DATA frame whose content is incomplete.
    data: Option<String>,
    /// Whether the connection has ended with an error.
    is_over: bool,
}

impl Outcome {
    fn push(&mut self, frame: &Frame<'_>) {
        let Frame::Data(data) = frame else {
            assert_eq!(self.data, None, "a part of a DATA frame is missing");
            self.shown.push(show(frame));
            return;
        };
        let begun = match (self.data.take(), data.flow_controlled) {
            (None, Some(length)) => format!("DATA {} of {length} '", data.stream),
            (Some(begun), None) => begun,
            (begun, length) => panic!("{begun:?} is continued with the length {length:?}"),
        };
        let joined = begun + &show(frame);
        match data.end {
            DataEnd::Nothing => self.data = Some(joined),
            DataEnd::Frame => self.shown.push(joined + "'"),
            DataEnd::Stream => self.shown.push(joined + "' END_STREAM"),
        }
    }
}

/// Decodes parts as they arrive; what is not consumed is kept for the next, as a caller does.
fn run<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = FrameDecoder::new(MAX_FRAME_SIZE);
    let (mut outcome, mut kept) = (Outcome::default(), Vec::new());
    for part in parts {
        kept.extend_from_slice(part);
        let mut input = &kept[..];
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(frame)) => outcome.push(&frame),
                Ok(None) => break,
                Err(error) => {
                    outcome.shown.push(show_error(&error));
                    if matches!(error, Error::Connection { .. }) {
                        outcome.is_over = true;
                        return outcome;
                    }
                }
            }
        }
        let consumed = kept.len() - input.len();
        kept.drain(..consumed);
        assert!(kept.len() < 9 + MAX_FRAME_SIZE as usize, "too much is kept");
    }
    outcome
}

/// Decodes the bytes after the client's SETTINGS, at every split point.
fn decode(bytes: &[u8]) -> Vec<String> {
    let first = empty_settings();
    let whole = run([&first[..], bytes]);
    for at in 0..=bytes.len() {
        let split = run([&first[..], &bytes[..at], &bytes[at..]]);
        assert_eq!(split.shown, whole.shown, "split at {at}");
    }
    let bytewise = run([&first[..]].into_iter().chain(bytes.chunks(1)));
    assert_eq!(bytewise.shown, whole.shown, "byte by byte");
    assert_eq!(whole.shown[0], "SETTINGS []");
    whole.shown[1..].to_vec()
}
