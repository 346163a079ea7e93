//! What clients, operators and embedding programs may rely on, shown over real sockets.
//!
//! A test waits for events, never for time; every wait ends after [`support::PATIENCE`] with a
//! message. A handler that must be slow stands at a [`support::Gate`] that the test opens.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a function that is a handler owns its request"
)]

/// The line for each request.
#[cfg(feature = "program")]
mod access_log;
/// The server beside the server.
#[cfg(feature = "program")]
mod admin;
/// What handlers say, and can't say.
mod answers;
/// A server that stops at any moment of what any client does.
#[cfg(all(feature = "proxy", feature = "tls"))]
mod any_moment;
/// A folder of files: what is found beneath it, and that nothing else is.
#[cfg(feature = "files")]
mod beneath;
/// All connections together keep a bounded number of bytes.
mod budget;
/// The program's flags, variables and complaints.
#[cfg(feature = "program")]
mod cli;
/// Stopping: what is under way is finished, what can't be is counted, and nothing else is lost.
mod drain;
/// Pages in the place of error answers.
mod error_pages;
/// A folder of files: what is said of them.
#[cfg(feature = "files")]
mod files;
/// Crowds of clients that are slow or greedy: they are ended, and a good client is served.
mod greedy;
/// Requests that are answered when their heads are here, whatever becomes of their bodies.
#[cfg(feature = "router")]
mod head_only;
/// Nonsense, malice and resets: an error or an end for their sender, nothing for anyone else.
mod hostile;
/// The program with TLS: its certificates, and how clients come to use them.
#[cfg(feature = "program")]
mod https;
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
#[cfg(feature = "files")]
mod listing;
/// What a service manager is told.
#[cfg(feature = "program")]
mod manager;
/// Routers in routers: what their fallbacks answer, and what their layers see.
#[cfg(feature = "router")]
mod nesting;
/// What is told of each request: to observers, to handlers and to clients.
mod observers;
/// Who a request comes from.
mod origin;
/// More connections than a process may open, and than a server may have.
mod overload;
/// A handler that panics costs its own client a 500.
mod panic;
/// Ranges of files.
#[cfg(feature = "files")]
mod parts;
/// Arguments that no request of a route can fit.
#[cfg(feature = "router")]
mod path_values;
/// Requests sent without waiting for answers: all are answered, in order.
mod pipeline;
/// Only handlers hold workers: clients that are slow, idle or many do not.
mod pool;
/// The program: the echo, its flags and its exit codes.
#[cfg(feature = "program")]
mod program;
/// Clients behind proxies: whom to believe about them.
#[cfg(feature = "proxy")]
mod proxies;
/// What went wrong once.
mod regression;
/// A log file that is rotated while the program runs.
#[cfg(feature = "program")]
mod reload;
/// Another folder in the place of the one that is served.
#[cfg(feature = "files")]
mod replaced_folder;
/// Functions for paths and methods.
#[cfg(all(feature = "router", feature = "json"))]
mod routes;
/// Files on their way: whole, in part, to slow readers, and cut short.
mod sending;
/// The program and signals: one drains, another one ends it at once.
#[cfg(feature = "program")]
mod signals;
/// Server-sent events, and how they end.
mod sse;
/// Answers that are read while they are sent, and readers that fail.
mod streams;
/// The vocabulary of all the others.
mod support;
/// Targets that mean the same.
#[cfg(all(feature = "router", feature = "files"))]
mod targets;
/// Every phase of a connection has its deadline.
mod timeouts;
/// Clients that speak TLS: as any others, and what is theirs alone.
#[cfg(feature = "tls")]
mod tls;
/// What is answered over TCP is answered over Unix sockets.
mod unix;
/// Connections that go on in another protocol.
mod upgrade;
/// Servers that stop under load, and are followed by others.
#[cfg(feature = "program")]
mod zero_loss;
