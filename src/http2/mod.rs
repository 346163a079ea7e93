//! HTTP/2 on bytes (RFC 9113 and RFC 7541), without a socket, clock or thread.
//!
//! The module is public with the feature `unstable`, for benches, fuzzers and tests. It may change
//! in any release.
//!
//! [`Preface`] tells HTTP/2 from HTTP/1.1. [`Mux`] is the protocol of one connection: it receives
//! bytes and returns requests, and sends their responses. It is made of the rest.
//!
//! [`FrameDecoder`] decodes frames, [`HeaderBlocks`] assembles the encoded headers of a request from
//! them, [`hpack`] decodes those, and [`decode_head`] makes a request of them. [`encode_head`]
//! encodes the headers of a response, and the `write_` functions encode frames. [`SendWindow`] and
//! [`ReceiveWindow`] are the flow control, [`PeerSettings`] and [`OurSettings`] the settings, and
//! [`AbuseScore`] counts frames that cost the server more than the client. An [`Error`] says whether
//! a broken rule ends a stream or the connection.

pub mod hpack;

mod abuse_score;
mod error;
mod frame;
mod head;
mod header_block;
mod mux;
mod preface;
mod priority;
mod settings;
mod stream_id;
mod window;

pub use self::abuse_score::{AbuseKind, AbuseScore};
pub use self::error::{Error, ErrorCode};
pub use self::frame::{
    Continuation, Data, DataEnd, Frame, FrameDecoder, Headers, write_data_head, write_goaway,
    write_headers, write_ping, write_ping_ack, write_rst_stream, write_settings,
    write_settings_ack, write_window_update,
};
pub use self::head::{
    Content, Head, KeptRequest, RequestBuffer, decode_head, decode_trailers, encode_head,
    encode_interim, encode_trailers, skip_head,
};
pub use self::header_block::{HeaderBlock, HeaderBlocks, MAX_CONTINUATIONS};
pub use self::mux::{Event, Mux, MuxConfig, ResetBy, StreamMemory};
pub use self::preface::{PREFACE, Preface};
pub use self::priority::Priority;
pub use self::settings::{
    MAX_MAX_FRAME_SIZE, MIN_MAX_FRAME_SIZE, OurSettings, PeerSettings, SettingsEntries,
};
pub use self::stream_id::StreamId;
pub use self::window::{DEFAULT_WINDOW, MAX_WINDOW, ReceiveWindow, SendWindow};
pub use crate::message::head::date::Date;
pub use crate::message::head::expectation::Expectation;
pub use crate::message::request_error::RequestError;
