//! What the program serves. Each is an ordinary handler that a user of the library could have
//! written.

#[cfg(feature = "metrics")]
mod admin;
#[cfg(feature = "json")]
mod echo;
#[cfg(feature = "metrics")]
mod lanes;
#[cfg(feature = "metrics")]
mod meter;
#[cfg(feature = "metrics")]
mod metrics;

#[cfg(feature = "metrics")]
pub use admin::Admin;
#[cfg(feature = "json")]
pub use echo::{Echo, JsonCheck};
#[cfg(feature = "metrics")]
pub use meter::Meter;
