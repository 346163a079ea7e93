//! What operators may rely on: the program, its flags, its messages and its exit codes.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a function that is a handler owns its request"
)]

/// The line for each request.
mod access_log;
/// The server beside the server.
mod admin;
/// The program's flags, variables and complaints.
mod cli;
/// Error pages from a folder.
mod error_pages;
/// Memory under clients that pipeline and read nothing.
mod greedy;
/// The program with TLS: its certificates, and how clients come to use them.
mod https;
/// What a service manager is told.
mod manager;
/// The program: the echo, its flags and its exit codes.
mod program;
/// The program behind proxies.
mod proxies;
/// A log file that is rotated while the program runs.
mod reload;
/// The program and signals: one drains, another one ends it at once.
mod signals;
/// The vocabulary of all the others.
#[allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each suite uses a part of it"
)]
#[path = "../support/mod.rs"]
mod support;
/// Servers that stop under load, and are followed by others.
mod zero_loss;
