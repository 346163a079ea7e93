//! What the server does, seen from outside.

#[cfg(feature = "program")]
mod cli;
