//! What the program serves. Each is an ordinary handler that a user of the library could have
//! written.
//!
//! ```
//! # #[cfg(feature = "json")] {
//! use httpool::services::Echo;
//! use httpool::testing::Client;
//!
//! let client = Client::new(Echo::default());
//! assert_eq!(client.post("/any/path").body("hello").send().text(), "hello");
//! # }
//! ```

#[cfg(any(feature = "access-log", feature = "metrics"))]
pub(crate) mod sharded;

#[cfg(feature = "access-log")]
mod access_log;
#[cfg(feature = "metrics")]
mod admin;
#[cfg(feature = "json")]
mod echo;
#[cfg(feature = "metrics")]
mod metrics;

#[cfg(feature = "access-log")]
pub use self::access_log::line::AccessFormat;
#[cfg(feature = "access-log")]
pub use self::access_log::{AccessLines, AccessLog};
#[cfg(feature = "metrics")]
pub use self::admin::Admin;
#[cfg(feature = "json")]
pub use self::echo::{Echo, JsonCheck};
#[cfg(feature = "metrics")]
pub use self::metrics::request_metrics::RequestMetrics;
