//! What clients, operators and embedding programs may rely on, shown over real sockets.
//!
//! A test waits for events, never for time; every wait ends after [`support::TIMEOUT`] with a
//! message. A handler that must be slow stands at a [`support::Gate`] that the test opens.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a function that is a handler owns its request"
)]

/// What handlers say, and can't say.
mod answers;
/// A server that stops at any moment of what any client does.
mod any_moment;
/// A folder of files: what is found beneath it, and that nothing else is.
mod beneath;
/// All connections together keep a bounded number of bytes.
mod budget;
/// The address of the client.
mod client_info;
/// Stopping: what is under way is finished, what can't be is counted, and nothing else is lost.
mod drain;
/// Pages in the place of error answers.
mod error_pages;
/// A folder of files: what is said of them.
mod files;
/// Crowds of clients that are slow or greedy: they are ended, and a good client is served.
mod greedy;
/// Requests that are answered when their heads are here, whatever becomes of their bodies.
mod head_only;
/// Nonsense, malice and resets: an error or an end for their sender, nothing for anyone else.
mod hostile;
/// Bodies that handlers read while they come: how fast, how much, and what happens otherwise.
mod intake;
/// One connection after its first answer: it stays, or it ends, as both sides said.
mod keep_alive;
/// What stands between the server and a handler.
mod layers;
/// Descriptors and threads: as many after a server's life as before it.
mod leaks;
/// Every limit has its answer, and the answer arrives.
mod limits;
/// Unix sockets, and sockets that someone else opened.
mod listeners;
/// What is in a folder, told to people and programs.
mod listing;
/// Nested routers: fallbacks and the layers that see a request.
mod nesting;
/// What observers, handlers and clients learn about each request.
mod observers;
/// Too many connections, too few descriptors, and load shedding.
mod overload;
/// A handler that panics costs only its own client: a 500.
mod panic;
/// Extractor types that no request of a route can satisfy.
mod path_values;
/// Pipelined requests are all answered, in order.
mod pipelining;
/// Clients behind proxies, and which proxies are trusted.
mod proxies;
/// Range requests for files.
mod ranges;
/// Bugs that were fixed.
mod regressions;
/// The served folder is replaced by another one.
mod replaced_folder;
/// Handlers for paths and methods.
mod routes;
/// Files as response bodies: whole, to slow readers, and truncated while they are sent.
mod sending_files;
/// Server-sent events, and how they end.
mod sse;
/// Response bodies that are read while they are sent, and readers that fail.
mod streamed_responses;
/// The vocabulary of all the others.
#[allow(dead_code, unused_imports, reason = "each suite uses a part of it")]
#[path = "../support/mod.rs"]
mod support;
/// Equivalent request targets.
mod targets;
/// Every phase of a connection has its timeout.
mod timeouts;
/// TLS: the same behaviour as without it, and what is specific to TLS.
mod tls;
/// Unix sockets behave like TCP.
mod unix;
/// Connections that switch to another protocol.
mod upgrade;
/// Only handlers occupy workers; slow, idle and numerous clients do not.
mod workers;
