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
//! handler runs, unless it asks to [stream](Intake::Stream) it.
//!
//! A [`Layer`] stands between the server and a handler: [`Layered`] puts some around any handler,
//! `Router::layer` around routes, and [`layers`] has those that many programs want. Error answers
//! are pages of one's own with [`Builder::error_pages`]. [`sse`] is for answers that go on, and
//! [`mod@test`] asks handlers without a server. What clients are not to know, such as an
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
//! * `access-log`: a line for each request in `apps`, with serde_json and time.
//! * `basic-auth`: a [layer](layers) that asks for a name and a password, with base64, sha2 and
//!   subtle.
//! * `brotli`, `gzip`, `zstd`: [layers] that compress answers and undo the compression of requests,
//!   in the coding of that name, with the crates brotli, flate2, and zstd, which wants a C compiler.
//! * `files`: a folder of files as a handler, [`Files`], with mime_guess.
//! * `json`: values as JSON, and the echo server in `apps`, with serde and serde_json.
//! * `proxy`: clients behind proxies, with ipnet and ppp.
//! * `rate-limit`: a [layer](layers) that gives each client so many requests, with governor.
//! * `router` (default): functions for paths and methods, with arguments from requests, in
//!   [`routing`].
//! * `tls`: clients that speak TLS, with rustls and ring.
//! * `aws-lc-rs`: the same with AWS-LC, which takes a C compiler some minutes.
//! * `metrics`: health checks and figures for Prometheus in `apps`, with prometheus-client and procfs.
//!
//! It runs on Linux: epoll is what it is made of.

#![forbid(unsafe_code)]
// docs.rs says of each item which feature it wants.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(
    feature = "brotli",
    feature = "files",
    feature = "gzip",
    feature = "zstd"
))]
mod accept_encoding;
mod answer_fields;
#[cfg(any(feature = "access-log", feature = "json", feature = "metrics"))]
pub mod apps;
mod body;
mod config;
mod connection;
#[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
mod content_coding;
mod content_type;
mod error_pages;
mod exchange;
#[cfg(feature = "files")]
mod files;
#[cfg(all(
    any(doc, all(doctest, feature = "program")),
    feature = "json",
    feature = "router"
))]
#[doc = include_str!("../docs/guide.md")]
pub mod guide {}
mod handler;
#[doc(hidden)]
pub mod http1;
#[cfg(feature = "json")]
mod json;
mod layer;
pub mod layers;
mod listen_addr;
#[doc(hidden)]
pub mod log_limit;
pub mod log_text;
mod origin;
mod page;
mod page_folder;
mod phase;
mod problem;
#[cfg(feature = "proxy")]
mod proxy;
mod regular_file;
mod request_id;
mod response;
#[cfg(feature = "router")]
pub mod routing;
mod server;
pub mod sse;
mod sync;
pub mod test;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod upgrade;
mod vary;
mod weights;
mod wire;

pub use body::Body;
pub use bytes;
pub use config::{Conflict, defaults};
pub use connection::Stream;
pub use error_pages::ErrorPages;
pub use exchange::{Exchange, Observer, Outcome};
#[cfg(feature = "files")]
pub use files::{EntityTags, Files, Symlinks};
pub use handler::{Handler, Intake};
pub use http;
#[cfg(feature = "proxy")]
pub use ipnet;
#[cfg(feature = "json")]
pub use json::Json;
pub use layer::{Layer, Layered, Next};
pub use listen_addr::{ListenAddr, ListenAddrError, UnixAddr};
pub use origin::{Node, Origin};
pub use page_folder::{PageFolder, PageFolderError};
pub use phase::Phase;
pub use problem::{Problem, ProblemForm};
#[cfg(feature = "proxy")]
pub use proxy::{ForwardedBy, TrustedProxy, TrustedProxyError};
pub use response::{Fields, Html, IntoResponse, Redirect};
#[cfg(feature = "router")]
pub use routing::Router;
#[cfg(feature = "tls")]
pub use rustls;
pub use server::{BindError, Builder, DrainReport, Handle, Progress, Server, Vitals, Waits};
#[cfg(feature = "tls")]
pub use tls::{ClientCertificates, Tls, TlsBuilder, TlsError, TlsInfo};
pub use upgrade::Upgrade;
pub use wire::{Chunk, Wire};

/// A request as handlers see it.
///
/// ```
/// use httpool::Request;
/// use httpool::http::Method;
///
/// fn describe(request: Request) -> String {
///     let size = match *request.method() {
///         Method::POST => request.body().as_bytes().len(),
///         _ => 0,
///     };
///     let agent = request.headers().get("user-agent");
///     format!("{} and {size} bytes from {agent:?}", request.uri().path())
/// }
/// ```
pub type Request<T = Body> = http::Request<T>;

/// A response as handlers give it. [`IntoResponse`] has shorter ways to most of them.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::http::header::{HeaderValue, RETRY_AFTER};
/// use httpool::{Request, Response};
///
/// fn closed(_: Request) -> Response {
///     let mut response = Response::new("we open at nine\n".into());
///     *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
///     response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("3600"));
///     response
/// }
/// ```
pub type Response<T = Body> = http::Response<T>;

/// What the README shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the comparison shows of this crate compiles.
#[cfg(all(doctest, feature = "json", feature = "router"))]
#[doc = include_str!("../docs/coming-from.md")]
struct ComingFrom;
