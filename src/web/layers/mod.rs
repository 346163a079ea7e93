//! Layers that many programs need. [`Layer`](crate::Layer) describes how to add them, and in which
//! order they see requests.
//!
//! ```
//! use std::time::Duration;
//!
//! use httpool::layers::{CatchPanic, Cors, SecurityHeaders, Timeout};
//! use httpool::{Layered, Request};
//!
//! let handler = Layered::new(|_: Request| "hello")
//!     .layer(SecurityHeaders::new())
//!     .layer(Cors::allow_origins(["https://shop.example"]))
//!     .layer(CatchPanic::new(|_| "sorry"))
//!     .layer(Timeout::new(Duration::from_secs(5)));
//! ```
//!
//! Request ids need no layer: the server assigns them
//! ([`Builder::request_ids`](crate::Builder::request_ids)), so that rejected requests have one, too.

pub(crate) mod security_headers;
pub(crate) mod timeout;

#[cfg(feature = "basic-auth")]
mod basic_auth;
mod catch_panic;
#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
mod compression;
mod concurrency_limit;
mod cors;
mod csrf;
#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
mod decompression;
mod max_body;
#[cfg(feature = "password-hashes")]
mod password_hashes;
#[cfg(feature = "rate-limit")]
mod rate_limit;
mod set_headers;
#[cfg(feature = "tracing")]
mod trace;

#[cfg(feature = "inspect")]
pub(crate) use self::basic_auth::credentials;
#[cfg(feature = "basic-auth")]
pub use self::basic_auth::{BasicAuth, User};
pub use self::catch_panic::CatchPanic;
#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
pub use self::compression::Compression;
pub use self::concurrency_limit::ConcurrencyLimit;
#[cfg(feature = "archive")]
pub(crate) use self::concurrency_limit::Permit;
pub use self::cors::Cors;
pub use self::csrf::CsrfProtection;
#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
pub use self::decompression::Decompression;
pub use self::max_body::MaxBody;
#[cfg(feature = "password-hashes")]
pub use self::password_hashes::{PasswordFileError, PasswordHashes, TooManyVerifications};
#[cfg(feature = "rate-limit")]
pub use self::rate_limit::RateLimit;
pub use self::security_headers::SecurityHeaders;
pub use self::set_headers::SetHeaders;
pub use self::timeout::{Deadline, Timeout, TooLate};
#[cfg(feature = "tracing")]
pub use self::trace::Trace;

/// Whether the whole body is in memory.
#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
fn is_in_memory(body: &crate::message::Body) -> bool {
    body.as_withheld().is_none() && body.length() == Some(body.as_bytes().len() as u64)
}
