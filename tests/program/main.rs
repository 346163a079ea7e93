//! Tests of the program: its flags, its messages and its exit codes.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a function that is a handler owns its request"
)]

/// The access log.
mod access_log;
/// The admin listener.
mod admin;
/// Archives of folders, unpacked by other programs.
mod archive;
/// Flags, environment variables and error messages.
mod cli;
/// The configuration file: hosts, redirects, reloads and wrong files.
mod configuration;
/// The echo service, its flags and the served folder.
mod echo;
/// Error pages from a folder.
mod error_pages;
/// Faults that the inspector causes.
mod faults;
/// A served folder: index files, clean URLs, listings.
mod folders;
/// Completion scripts and the manual page.
mod generated;
/// Memory use with clients that pipeline and read nothing.
mod greedy;
/// TLS: certificates, redirects and HSTS.
mod https;
/// The inspector and its flags.
mod inspect;
/// The page of the inspector: who may open it.
mod live_page;
/// The program behind proxies.
mod proxies;
/// SIGHUP and SIGUSR1: a rotated log file, a replaced folder.
mod reload;
/// Notifications to the service manager.
mod service_manager;
/// SIGTERM and SIGINT: the first one drains, the second one aborts.
mod signals;
/// The layers of a site: headers, CORS, passwords, rate limits and compression.
mod site;
/// Helpers that all suites share.
#[allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each suite uses a part of it"
)]
#[path = "../support/mod.rs"]
mod support;
/// What the program prints to a terminal, and what it opens.
mod terminal;
/// Uploads into the served folder.
mod upload;
/// Restarts under load lose no request.
mod zero_loss;
