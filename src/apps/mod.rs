//! What the program serves. Each is an ordinary handler that a user of the library could have
//! written.

mod echo;

pub use echo::{Echo, JsonCheck};
