//! Log lines that clients can cause: limits how many are written, and escapes their text.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use httpool::logging::{LogLimit, escape_text};
//!
//! static LIMIT: LogLimit = LogLimit::new(1, Duration::from_secs(60));
//!
//! let name = "gpj.\u{202e}exe";
//! if let Some(suppressed) = LIMIT.allow(Instant::now()) {
//!     println!("upload rejected: {}{suppressed}", escape_text(name));
//! }
//! ```

mod escape;
mod limit;
mod panic;

#[cfg(feature = "access-log")]
pub(crate) use self::escape::is_plain_json;
pub(crate) use self::escape::push_json_string;
pub use self::escape::{escape_json, escape_json_string, escape_text, is_unsafe};
pub use self::limit::{LogLimit, Suppressed};
pub use self::panic::panic_message;
