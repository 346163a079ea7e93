//! HPACK, the compression of headers (RFC 7541).
//!
//! Both sides of a connection keep a table of recent headers for each direction, so every block must
//! be decoded in full and in order, even if its request is rejected.

mod decoder;
mod dynamic_table;
mod encoder;
mod error;
mod huffman;
mod integer;
#[cfg(test)]
mod rfc_examples;
mod static_table;
#[cfg(test)]
mod tests;

pub use self::decoder::{Decoder, Field};
pub use self::encoder::Encoder;
pub use self::error::HpackError;
pub(in crate::http2) use self::static_table::StaticName;

/// What a header counts beside the bytes of its name and value, in the dynamic table (RFC 7541
/// section 4.1) and in the size of a list of headers (RFC 9113 section 6.5.2).
pub const FIELD_OVERHEAD: usize = 32;

/// The limit of a dynamic table before any SETTINGS (RFC 9113 section 6.5.2).
pub const INITIAL_TABLE_SIZE: u16 = 4096;
