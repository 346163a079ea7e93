//! Building blocks of handlers: routes, extractors, layers, files, events, JSON.

#[cfg(any(
    feature = "brotli",
    feature = "files",
    feature = "gzip",
    feature = "zstd"
))]
pub(crate) mod content_coding;
#[cfg(feature = "cookies")]
pub mod cookies;
pub(crate) mod error_page_dir;
#[cfg(feature = "router")]
pub mod extract;
#[cfg(feature = "files")]
pub(crate) mod files;
#[cfg(feature = "json")]
pub(crate) mod json;
#[cfg(feature = "json")]
pub(crate) mod json_lines;
pub(crate) mod layer;
pub mod layers;
#[cfg(feature = "multipart")]
pub mod multipart;
#[cfg(feature = "router")]
pub mod router;
#[cfg(feature = "sessions")]
pub mod sessions;
pub mod sse;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use self::error_page_dir::{ErrorPageDir, ErrorPageDirError};
#[cfg(feature = "archive")]
pub use self::files::Archives;
#[cfg(feature = "upload")]
pub use self::files::Uploads;
#[cfg(feature = "files")]
pub use self::files::{EntityTags, ServeDir, Symlinks};
#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "json")]
pub use self::json_lines::{JsonLines, JsonLinesSender};
pub use self::layer::{Layer, Layered, Next};
#[cfg(feature = "router")]
pub use self::router::Router;
