//! An HTTP server on a fixed pool of threads: handlers are plain functions that may block, and
//! there is no async runtime.
//!
//! ```no_run
//! use httpool::{Request, Server};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let server = Server::builder().listen("localhost:4000").bind()?;
//!     server.run(|request: Request| format!("you asked for {}\n", request.uri()))?;
//!     Ok(())
//! }
//! ```
//!
//! # What it promises
//!
//! * **Only handlers hold workers.** A client that is slow, idle or hostile never does: while its
//!   request trickles in, while it reads its answer, while its connection sleeps, it is parked in
//!   one epoll instance that all workers share. A disk may hold one, where an answer is a file that
//!   is not in the system's memory.
//! * **Stopping loses nothing.** [`Handle::shutdown`] begins a drain: what has arrived is
//!   answered, connections end after their last answer, and [`Server::run`] returns a
//!   [`DrainReport`] that counts what could not be finished by the deadline.
//! * **Everything is bounded**: threads, connections, head and body sizes, the time of every
//!   phase. [`Builder`] sets each, [`defaults`] tells what it is otherwise and why.
//!
//! # Handlers
//!
//! A [`Handler`] is any `Fn(Request) -> impl IntoResponse + Send + Sync`; the types are those of
//! the [`http`] crate. [`IntoResponse`] says what may be returned, [`Problem`] makes error
//! answers in the form that the client prefers. A request's body has arrived whole when the
//! handler runs, unless it asks to [stream](BodyMode::Stream) it.
//!
//! A [`Layer`] stands between the server and a handler: [`Layered`] puts some around any handler,
//! `Router::layer` around routes, and [`layers`] has those that many programs want. Error answers
//! are pages of one's own with [`Builder::error_pages`]. [`sse`] is for answers that go on, and
//! [`testing`] calls handlers without a server. What clients are not to know, such as an
//! [`std::io::Error`] that was an answer, is told to the `log` crate.
//!
#![cfg_attr(
    all(feature = "json", feature = "router"),
    doc = "The [`guide`] goes from here to a tested server in an hour."
)]
//!
//! # Features
//!
//! * `program` (default): everything that the `httpool` binary needs. A library user turns it off
//!   with `default-features = false`.
//! * `access-log`: a line for each request in [`services`], with serde_json and time.
//! * `basic-auth`: a [layer](layers) that asks for a name and a password, with base64, sha2 and
//!   subtle.
//! * `brotli`, `gzip`, `zstd`: [layers] that compress answers and undo the compression of requests,
//!   in the coding of that name, with the crates brotli, flate2, and zstd, which wants a C compiler.
//! * `files`: a folder of files as a handler, [`ServeDir`], with mime_guess.
//! * `json`: values as JSON, and the echo server in [`services`], with serde and serde_json.
//! * `proxy`: clients behind proxies, with ipnet and ppp.
//! * `rate-limit`: a [layer](layers) that gives each client so many requests, with governor.
//! * `router` (default): functions for paths and methods, with arguments from requests, in
//!   [`router`] and [`extract`].
//! * `tls`: clients that speak TLS, with rustls and ring.
//! * `aws-lc-rs`: the same with AWS-LC, which takes a C compiler some minutes.
//! * `metrics`: health checks and figures for Prometheus in [`services`], with prometheus-client and procfs.
//!
//! It runs on Linux: epoll is what it is made of.

#![forbid(unsafe_code)]
// docs.rs says of each item which feature it wants.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod connection;
mod fs;
#[cfg(all(any(doc, doctest), feature = "json", feature = "router"))]
#[doc = include_str!("../docs/guide.md")]
pub mod guide {}
#[cfg(feature = "unstable")]
pub mod http1;
#[cfg(not(feature = "unstable"))]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "it is public with `unstable`"
)]
mod http1;
pub mod logging;
mod message;
mod net;
mod server;
#[cfg(any(feature = "access-log", feature = "json", feature = "metrics"))]
pub mod services;
mod sync;
pub mod testing;
mod web;

pub use bytes;
pub use connection::{Conflict, Phase, defaults};
pub use http;
#[cfg(feature = "proxy")]
pub use ipnet;
#[cfg(feature = "tls")]
pub use message::TlsInfo;
pub use message::{
    Body, BodyMode, Chunk, ClientInfo, ErrorPages, Handler, Headers, Html, IntoResponse, Observer,
    Outcome, PeerAddr, Problem, ProblemFormat, RawRequest, Redirect, Request, RequestRecord,
    Response, Stream, Upgrade,
};
pub use net::{BindError, ListenAddr, ListenAddrError, UnixAddr};
#[cfg(feature = "tls")]
pub use net::{ClientCertificates, Tls, TlsBuilder, TlsError};
#[cfg(feature = "proxy")]
pub use net::{ForwardedBy, TrustedProxy, TrustedProxyError};
#[cfg(feature = "tls")]
pub use rustls;
pub use server::{Builder, DrainReport, Handle, Heartbeat, QueueTimes, Server, Snapshot};
#[cfg(feature = "json")]
pub use web::Json;
#[cfg(feature = "files")]
pub use web::{EntityTags, ServeDir, Symlinks};
pub use web::{ErrorPageDir, ErrorPageDirError, Layer, Layered, Next, layers, sse};
#[cfg(feature = "router")]
pub use web::{Router, extract, router};

/// What the README shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the comparison shows of this crate compiles.
#[cfg(all(doctest, feature = "json", feature = "router"))]
#[doc = include_str!("../docs/coming-from.md")]
struct ComingFrom;
