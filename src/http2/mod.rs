//! HTTP/2 on bytes (RFC 9113 and RFC 7541). The server does not speak HTTP/2 yet; this module has
//! its codec so far.
//!
//! The module is public with the feature `unstable`, for benches, fuzzers and tests. It may change
//! in any release.

pub mod hpack;
