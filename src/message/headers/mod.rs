//! Reading and writing of single headers.

#[cfg(any(
    feature = "brotli",
    feature = "files",
    feature = "gzip",
    feature = "zstd"
))]
pub(crate) mod accept_encoding;
pub(crate) mod connection;
pub(crate) mod default_headers;
pub(crate) mod list;
pub(crate) mod media_type;
pub(crate) mod origin;
pub(crate) mod quality;
pub(crate) mod trailers;
pub(crate) mod vary;
