//! HTTP/1.1 on bytes (RFC 9112): received bytes become requests, responses become bytes. No socket,
//! clock or thread.
//!
//! The module is public with the feature `unstable`, for benches, fuzzers and tests. It may change
//! in any release.

pub(crate) mod body_decoder;

mod chunk_extension;
mod chunked;
mod decoder;
mod encoder;
mod fragment;
mod framing;
mod head;
mod input;

pub use self::body_decoder::BodyDecoder;
pub(crate) use self::decoder::KeptHead;
pub use self::decoder::{Decoder, Event, Progress, RequestBuffer};
pub use self::encoder::{
    CONTINUE, Content, Ending, chunk_line, early_hints, encode, is_open_ended, last_chunk,
};
pub use self::framing::Framing;
pub use self::head::{Head, Persistence, ResponseContext};
pub use self::input::Input;
pub use crate::message::head::MAX_FIELDS;
pub use crate::message::head::date::Date;
pub use crate::message::head::expectation::Expectation;
pub(crate) use crate::message::head::response::last_status;
pub use crate::message::request_error::RequestError;

/// The limits of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest head in bytes: request line, headers and the empty line.
    pub head: usize,
    /// Largest body in bytes, after the transfer coding is removed.
    pub body: usize,
}
