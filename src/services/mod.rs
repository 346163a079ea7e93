//! The services of the program. Each is an ordinary handler or observer, built on the library's
//! public interface.
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
#[cfg(feature = "inspect")]
pub mod inspect;
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
