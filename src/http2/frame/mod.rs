//! Frames (RFC 9113 sections 4 and 6).

mod decoder;
mod encoder;
mod header;
mod payload;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

pub use self::decoder::FrameDecoder;
pub(super) use self::encoder::HeadersFrame;
pub use self::encoder::{
    write_data_head, write_goaway, write_headers, write_ping, write_ping_ack, write_rst_stream,
    write_settings, write_settings_ack, write_window_update,
};
use super::{ErrorCode, SettingsEntries, StreamId};

/// A received frame. Padding and priority fields are checked and removed.
///
/// ```
/// use httpool::http2::{Frame, FrameDecoder};
///
/// // SETTINGS without entries, and half of a PING.
/// let mut input: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x06\0\0\0\0\0\x01\x02\x03";
/// let mut decoder = FrameDecoder::new(16_384);
/// assert!(matches!(decoder.decode(&mut input), Ok(Some(Frame::Settings(_)))));
/// assert_eq!(decoder.decode(&mut input), Ok(None));
/// assert_eq!(input.len(), 12);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// DATA, or the part of it that has arrived (RFC 9113 section 6.1).
    Data(Data<'a>),
    /// HEADERS, the start of a request or of its trailers (RFC 9113 section 6.2).
    Headers(Headers<'a>),
    /// PRIORITY. Its content is deprecated and ignored (RFC 9113 section 6.3).
    Priority {
        /// The stream, which may be in any state.
        stream: StreamId,
    },
    /// RST_STREAM: the client gives up a stream (RFC 9113 section 6.4).
    RstStream {
        /// The stream. It may be idle, which is an error.
        stream: StreamId,
        /// Why.
        code: ErrorCode,
    },
    /// SETTINGS, to be acknowledged (RFC 9113 section 6.5).
    Settings(SettingsEntries<'a>),
    /// The acknowledgement of our SETTINGS.
    SettingsAck,
    /// PING, to be acknowledged with the same bytes (RFC 9113 section 6.7).
    Ping([u8; 8]),
    /// The acknowledgement of our PING.
    PingAck([u8; 8]),
    /// GOAWAY: the client opens no more streams (RFC 9113 section 6.8).
    Goaway {
        /// The last stream of ours that the client processed. Servers open none.
        last_stream: Option<StreamId>,
        /// Why.
        code: ErrorCode,
        /// Bytes for logs. The client chooses them.
        debug: &'a [u8],
    },
    /// WINDOW_UPDATE (RFC 9113 section 6.9).
    WindowUpdate {
        /// The stream, or `None` for the connection.
        stream: Option<StreamId>,
        /// The bytes that may be sent in addition.
        increment: NonZeroU32,
    },
    /// CONTINUATION, always of the stream whose HEADERS came before (RFC 9113 section 6.10).
    Continuation(Continuation<'a>),
    /// PRIORITY_UPDATE (RFC 9218 section 7.1).
    PriorityUpdate {
        /// The stream whose response it is about. It may be idle or closed.
        stream: StreamId,
        /// The value of a `Priority` header, as the client wrote it.
        value: &'a [u8],
    },
    /// A frame of an unknown type. The decoder skips its payload (RFC 9113 section 5.5). It is
    /// reported because a client could send such frames without end.
    Unknown {
        /// The type.
        kind: u8,
    },
}

/// A part of a DATA frame. A frame that has arrived whole is one part. The decoder does not wait
/// for the rest of a frame, so a small input buffer is enough for large frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<'a> {
    /// The stream. It may be idle or closed, which is an error.
    pub stream: StreamId,
    /// The content in this part, without padding.
    pub content: &'a [u8],
    /// The length of the whole frame with its padding, which flow control counts (RFC 9113 section
    /// 6.9.1). Only the first part of a frame has it.
    pub flow_controlled: Option<u32>,
    /// The end that comes with this part.
    pub end: DataEnd,
}

/// The end that comes with a part of a DATA frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataEnd {
    /// Nothing: the frame has more content.
    Nothing,
    /// The content of the frame.
    Frame,
    /// The stream of the client.
    Stream,
}

/// A HEADERS frame without padding and priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    /// The stream. Its number is odd.
    pub stream: StreamId,
    /// The first fragment of the header block.
    pub fragment: &'a [u8],
    /// Whether the fragment is the whole header block.
    pub end_headers: bool,
    /// Whether no DATA follows.
    pub end_stream: bool,
}

/// A CONTINUATION frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continuation<'a> {
    /// The stream.
    pub stream: StreamId,
    /// The next fragment of the header block.
    pub fragment: &'a [u8],
    /// Whether it is the last fragment.
    pub end_headers: bool,
}

/// The 32-bit number at this position. The caller has checked the length.
pub(super) fn number_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
