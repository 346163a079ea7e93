//! Tests of the library over real sockets.
//!
//! A test waits for events, never for a fixed time. Every wait fails after [`support::TIMEOUT`] with
//! a message. A handler that must be slow waits at a [`support::Gate`] until the test opens it.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a function that is a handler owns its request"
)]

/// Archives of folders, to slow clients and over HTTP/2.
mod archives;
/// Server-sent events to many listeners.
mod broadcast;
/// The memory budget that all connections share.
mod budget;
/// Content that other threads send: it waits without a worker.
mod channels;
/// Index files, and pages at paths without their extension.
mod clean_urls;
/// The address of the client.
mod client_info;
/// Cookies: what browsers send, and what responses set.
#[cfg(feature = "signed-cookies")]
mod cookies;
/// Graceful shutdown.
mod drain;
/// Upgraded connections that the pool drives.
mod driven;
/// Interim responses with hints, before the response is made.
mod early_hints;
/// Entity tags of files.
mod entity_tags;
/// Custom bodies of error responses.
mod error_pages;
/// Headers of file responses.
mod files;
/// Files that clients store in a served folder.
mod folder_uploads;
/// Many slow and greedy clients at once: they are closed, and a good client is served.
mod greedy;
/// Text from handlers in response headers and bodies.
mod handler_responses;
/// Requests that get their response before the body arrives.
mod head_only;
/// Invalid requests and resets affect no other client.
mod hostile;
/// HTTP/2.
mod http2;
/// What the inspector shows of requests over each transport.
mod inspect;
/// Faults that the inspector causes: the client sees exactly the defect, and the server none.
mod inspect_faults;
/// JSON lines and attachments, from iterators, files and other threads.
mod json_lines;
/// Connection reuse.
mod keep_alive;
/// Listings of folders with very many names.
mod large_folders;
/// Responses that come later than their handlers return.
mod later;
/// Layers between the server and a handler.
mod layers;
/// No server leaks descriptors or threads.
mod leaks;
/// Limits and their error responses.
mod limits;
/// TCP, Unix and inherited listeners.
mod listeners;
/// Folder listings as HTML and JSON.
mod listing;
/// The page that shows the requests of others: who may see it, and what it exports.
mod live_page;
/// A blocking handler delays nothing else on its HTTP/2 connection.
mod multiplexing;
/// Nested routers: fallbacks and the layers that see a request.
mod nesting;
/// What observers, handlers and clients learn about each request.
mod observers;
/// Too many connections, too few descriptors, and load shedding.
mod overload;
/// A handler that panics costs only its own client: a 500.
mod panic;
/// Request paths and files: which are served, and which never are.
mod path_resolution;
/// Extractor types that no request of a route can satisfy.
mod path_values;
/// Pipelined requests are all answered, in order.
mod pipelining;
/// What a handler prepares before a body arrives.
mod prepare;
/// Clients behind proxies, and which proxies are trusted.
mod proxies;
/// Shutdown at random moments of random clients.
mod random_shutdown;
/// Range requests for files.
mod ranges;
/// Bugs that were fixed.
mod regressions;
/// Requests without a valid value for an argument.
mod rejections;
/// The served folder is replaced by another one.
mod replaced_folder;
/// Handlers for paths and methods.
mod routes;
/// Extensions, the path of the route, and choices for single routes.
mod routing;
/// Content that is sent at set times.
mod schedules;
/// Files as response bodies: whole, to slow readers, and truncated while they are sent.
mod sending_files;
/// Sessions in stores and in cookies.
#[cfg(feature = "sessions")]
mod sessions;
/// Signals that shut servers down.
mod signals;
/// Server-sent events, and how they end.
mod sse;
/// Request bodies that handlers read while they arrive.
mod streamed_bodies;
/// Response bodies that are read while they are sent, and readers that fail.
mod streamed_responses;
/// Helpers that all test suites share.
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
/// Forms with files: complete, cut, slow and too large, and during a shutdown.
mod uploads;
/// The paths of the inspector that need a connection.
mod vocabulary;
/// WebSockets, over frames that a client writes itself.
mod websocket;
/// Only handlers occupy workers; slow, idle and numerous clients do not.
mod workers;
