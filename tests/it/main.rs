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
/// Routers in routers: what their fallbacks answer, and what their layers see.
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
mod parts;
/// Arguments that no request of a route can fit.
mod path_values;
/// Requests sent without waiting for answers: all are answered, in order.
mod pipeline;
/// Only handlers hold workers: clients that are slow, idle or many do not.
mod pool;
/// Clients behind proxies: whom to believe about them.
mod proxies;
/// What went wrong once.
mod regression;
/// Another folder in the place of the one that is served.
mod replaced_folder;
/// Functions for paths and methods.
mod routes;
/// Files on their way: whole, in part, to slow readers, and cut short.
mod sending;
/// Server-sent events, and how they end.
mod sse;
/// Answers that are read while they are sent, and readers that fail.
mod streams;
/// The vocabulary of all the others.
#[allow(dead_code, unused_imports, reason = "each suite uses a part of it")]
#[path = "../support/mod.rs"]
mod support;
/// Targets that mean the same.
mod targets;
/// Every phase of a connection has its deadline.
mod timeouts;
/// Clients that speak TLS: as any others, and what is theirs alone.
mod tls;
/// What is answered over TCP is answered over Unix sockets.
mod unix;
/// Connections that go on in another protocol.
mod upgrade;
