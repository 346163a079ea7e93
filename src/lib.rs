//! A server of HTTP/1.1 and HTTP/2 that runs handlers on a fixed pool of threads, the workers.
//! Handlers are ordinary functions that may block; there is no async runtime.
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
//! # Promises
//!
//! * **Slow clients occupy no worker.** While a request is arriving, a response is being read, or a
//!   connection is idle, the connection waits in one epoll instance that all workers share. A slow
//!   disk can occupy a worker that sends a file, if the file is not in the page cache.
//! * **Shutdown loses no request.** [`Handle::shutdown`] starts an orderly shutdown, the *drain*:
//!   requests that have arrived get their responses, and connections close after their last
//!   response. Then [`Server::run`] returns a [`DrainReport`] that counts the requests that missed
//!   the deadline.
//! * **Everything is bounded**: threads, connections, the sizes of heads (request line and headers)
//!   and bodies, and every wait for a client or a worker. [`Builder`] sets each limit; [`defaults`]
//!   gives the default and its reason. Only a running handler has no limit, because a function that
//!   blocks can't be stopped from outside.
//!
//! # Handlers
//!
//! A [`Handler`] is any `Fn(Request) -> impl IntoResponse` that is `Send + Sync`, with the types of
//! the [`http`] crate. [`IntoResponse`] lists what may be returned. [`Problem`] makes error
//! responses in the format that the client prefers. The request body has arrived whole when the
//! handler runs, unless the handler [streams](BodyMode::Streaming) it.
//!
//! A [`Layer`] is code that runs before or after a handler. [`Layered`] puts layers around any
//! handler, `Router::layer` puts them around routes, and [`layers`] has the common ones.
//! [`Builder::error_pages`] replaces the bodies of error responses with your own pages. [`sse`]
//! sends events, and [`testing`] calls handlers without a server. Errors that clients must not see,
//! for example an [`std::io::Error`] that a handler returned, go to the `log` crate.
//!
#![cfg_attr(
    all(feature = "json", feature = "router"),
    doc = "The [`guide`] goes from here to a tested server in an hour."
)]
//!
//! # Features
//!
//! * `json` (default): JSON bodies, and the echo in [`services`], with serde and serde_json.
//! * `access-log`: an access log in [`services`], with serde_json and time.
//! * `basic-auth`: a [layer](layers) for Basic authentication, with base64, sha2 and subtle.
//! * `brotli`, `gzip`, `zstd`: [layers] that compress responses and decompress requests, with the
//!   crates brotli, flate2, and zstd, which needs a C compiler.
//! * `cookies`: [`cookies`], with the crates cookie and time.
//! * `signed-cookies`: signed and encrypted [`cookies`], with base64, chacha20poly1305,
//!   getrandom, hmac and sha2.
//! * `files`: [`ServeDir`], a handler that serves a folder, with mime_guess and sha2.
//! * `archive`: folders of [`ServeDir`] as archives ([`Archives`]), with flate2, tar and zip.
//! * `http2`: HTTP/2 on the same ports as HTTP/1.1, unless [`Builder::http2`] turns it off.
//! * `password-hashes`: [`layers::PasswordHashes`], with `basic-auth`, argon2, bcrypt, getrandom and
//!   hmac.
//! * `proxy`: clients behind trusted proxies, and the PROXY protocol, with ipnet.
//! * `rate-limit`: a [layer](layers) that limits the requests of each client, with governor.
//! * `readme`: Markdown in the listings of a [folder](ServeDir::listing), with pulldown-cmark.
//! * `router` (default): routes in [`router`] and arguments of functions in [`extract`].
//! * `sessions`: [`sessions`], with `signed-cookies` and serde_json.
//! * `signals`: [`Server::run_until_signal`], a server that SIGTERM and Ctrl-C shut down, with
//!   signal-hook.
//! * `tls`: TLS with rustls and ring.
//! * `aws-lc-rs`: TLS with rustls and AWS-LC, which needs a C compiler and some minutes to build.
//!   Without `tls`, ring is not built. Items marked `_tls` need `tls` or `aws-lc-rs`.
//! * `tracing`: a [layer](layers) with spans of requests, for example for OpenTelemetry, with tracing.
//! * `inspect`: [`services::inspect`], a service that shows what a client sent, with the features
//!   `basic-auth`, `brotli`, `files`, `gzip`, `router`, `websocket` and `zstd`, and with humantime,
//!   md-5, rand_pcg and x509-cert.
//! * `inspect-db`: keeps the history of `inspect` in a file, with rusqlite, which compiles SQLite.
//! * `metrics`: health checks and metrics for Prometheus in [`services`], with prometheus-client
//!   and procfs.
//! * `typed-header`: headers as arguments, parsed into types of yours or of the crate headers, with
//!   headers-core.
//! * `multipart`: [`multipart`], forms with files, with tempfile and fastrand.
//! * `upload`: uploads into the folder of [`ServeDir`] ([`Uploads`]), with `multipart`.
//! * `websocket`: [`websocket`], WebSockets that hold no worker, with tungstenite.
//! * `unstable`: the HTTP/1.1 decoder and encoder in `http1`, those of HTTP/2 in `http2`, and the
//!   scanner of forms in `form_data`. They may change in any release.
//!
//! The crate compiles on Linux only, because it is built on epoll.

#![forbid(unsafe_code)]
// docs.rs shows the feature that each item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "httpool compiles on Linux only, because it uses epoll and other Linux system calls"
);

mod connection;
#[cfg(feature = "unstable")]
pub mod form_data;
#[cfg(all(feature = "multipart", not(feature = "unstable")))]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "it is public with `unstable`"
)]
mod form_data;
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
#[cfg(feature = "unstable")]
pub mod http2;
#[cfg(all(feature = "http2", not(feature = "unstable")))]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "it is public with `unstable`"
)]
mod http2;
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
pub use connection::{CloseReason, Conflict, Phase, defaults};
#[cfg(feature = "typed-header")]
pub use headers_core;
pub use http;
#[cfg(feature = "proxy")]
pub use ipnet;
pub use message::{
    Attachment, Body, BodyMode, BodySender, Cancelled, Chunk, ClientInfo, ClientSource,
    DrivenProtocol, DrivenStream, DrivenWaker, ErrorPages, Handler, Headers, Html, IntoResponse,
    Later, MatchedPath, NextStep, Observer, Outcome, Overload, PeerAddr, Problem, ProblemFormat,
    RawRequest, Redirect, RejectReason, Request, RequestError, RequestRecord, RequestTimes,
    Responder, Response, SendError, Stream, TrySendError, Upgrade,
};
#[cfg(feature = "_tls")]
pub use message::{TlsInfo, TlsVersion};
pub use net::{BindError, ListenAddr, ListenAddrError, UnixAddr};
#[cfg(feature = "_tls")]
pub use net::{ClientCertificates, Tls, TlsBuilder, TlsError};
#[cfg(feature = "proxy")]
pub use net::{ForwardedBy, TrustedProxy, TrustedProxyError};
#[cfg(feature = "_tls")]
pub use rustls;
#[cfg(feature = "http2")]
pub use server::Http2Counts;
pub use server::{Builder, DrainReport, Handle, Heartbeat, QueueTimes, Server, Snapshot};
#[cfg(feature = "archive")]
pub use web::Archives;
#[cfg(feature = "upload")]
pub use web::Uploads;
#[cfg(feature = "cookies")]
pub use web::cookies;
#[cfg(feature = "multipart")]
pub use web::multipart;
#[cfg(feature = "sessions")]
pub use web::sessions;
#[cfg(feature = "websocket")]
pub use web::websocket;
#[cfg(feature = "files")]
pub use web::{EntityTags, ServeDir, Symlinks};
pub use web::{ErrorPageDir, ErrorPageDirError, Layer, Layered, Next, layers, sse};
#[cfg(feature = "json")]
pub use web::{Json, JsonLines, JsonLinesSender};
#[cfg(feature = "router")]
pub use web::{Router, extract, router};

/// Compiles the code in README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the code in docs/library.md.
#[cfg(all(
    doctest,
    feature = "files",
    feature = "json",
    feature = "router",
    feature = "_tls"
))]
#[doc = include_str!("../docs/library.md")]
struct Library;

/// Compiles the code in docs/coming-from.md.
#[cfg(all(doctest, feature = "json", feature = "router"))]
#[doc = include_str!("../docs/coming-from.md")]
struct ComingFrom;
