//! What the program serves. Each is an ordinary handler that a user of the library could have
//! written.
//!
//! ```
//! # #[cfg(feature = "json")] {
//! use httpool::apps::Echo;
//! use httpool::test::Client;
//!
//! let client = Client::new(Echo::default());
//! assert_eq!(client.post("/any/path").body("hello").send().text(), "hello");
//! # }
//! ```

#[cfg(feature = "access-log")]
mod access_line;
#[cfg(feature = "access-log")]
mod access_log;
#[cfg(feature = "metrics")]
mod admin;
#[cfg(feature = "json")]
mod echo;
#[cfg(any(feature = "access-log", feature = "metrics"))]
mod lanes;
#[cfg(feature = "metrics")]
mod meter;
#[cfg(feature = "metrics")]
mod metrics;

#[cfg(feature = "access-log")]
pub use access_line::AccessFormat;
#[cfg(feature = "access-log")]
pub use access_log::{AccessLines, AccessLog};
#[cfg(feature = "metrics")]
pub use admin::Admin;
#[cfg(feature = "json")]
pub use echo::{Echo, JsonCheck};
#[cfg(feature = "metrics")]
pub use meter::Meter;
