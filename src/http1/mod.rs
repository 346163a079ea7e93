//! HTTP/1.1 on bytes alone (RFC 9112): feed it what a client sent and get requests, give it a
//! response and get bytes. It knows no socket, no clock, no thread.
//!
//! It is public for the benches and fuzzers of this repository only and no part of the API that
//! semantic versioning covers.

pub(crate) mod body_decoder;

mod chunk_extension;
mod chunked;
mod decoder;
mod encoder;
mod explain;
mod fragment;
mod framing;
mod head;
mod host;
mod input;
mod percent;
mod target;

pub use self::body_decoder::BodyDecoder;
pub use self::decoder::{Decoder, Event, Progress, RequestBuffer};
pub(crate) use self::encoder::last_status;
pub use self::encoder::{
    CONTINUE, Content, Date, Ending, LAST_CHUNK, chunk_line, encode, is_open_ended,
};
pub use self::framing::Framing;
pub use self::head::{Expectation, Head, MAX_FIELDS, Persistence, ResponseContext};
pub use self::input::Input;
#[cfg(feature = "router")]
pub use crate::message::request_error::RequestError;

/// What the protocol measures requests against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest head in bytes: request line, fields and the empty line.
    pub head: usize,
    /// Largest body in bytes, after its transfer coding is undone.
    pub body: usize,
}
