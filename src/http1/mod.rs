//! HTTP/1.1 on bytes alone (RFC 9112): feed it what a client sent and get requests, give it a
//! response and get bytes. It knows no socket, no clock, no thread.
//!
//! It is public for the benches and fuzzers of this repository only and no part of the API that
//! semantic versioning covers.

mod chunk_extension;
mod chunked;
mod decoder;
mod encoder;
mod explain;
mod fragment;
mod framing;
mod head;
mod host;
mod inflow;
mod input;
mod percent;
mod refusal;
mod target;

pub use decoder::{Decoder, Event, Progress, Slot};
pub(crate) use encoder::last_status;
pub use encoder::{CONTINUE, Content, Date, Ending, LAST_CHUNK, chunk_line, encode, is_open_ended};
pub use framing::Framing;
pub use head::{Expectation, Head, MAX_FIELDS, Persistence, Terms, lists};
pub use inflow::Inflow;
pub use input::Input;
pub use refusal::Refusal;
#[cfg(feature = "router")]
pub(crate) use target::{is_dot_segment, normal_path};

/// What the protocol measures requests against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest head in bytes: request line, fields and the empty line.
    pub head: usize,
    /// Largest body in bytes, after its transfer coding is undone.
    pub body: usize,
}
