//! Building blocks of handlers: routes, extractors, layers, files, events, JSON.

#[cfg(any(
    feature = "brotli",
    feature = "files",
    feature = "gzip",
    feature = "zstd"
))]
pub(crate) mod content_coding;
pub(crate) mod error_page_dir;
#[cfg(feature = "router")]
pub mod extract;
#[cfg(feature = "files")]
pub(crate) mod files;
#[cfg(feature = "json")]
pub(crate) mod json;
pub(crate) mod layer;
pub mod layers;
#[cfg(feature = "router")]
pub mod router;
pub mod sse;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use self::error_page_dir::{ErrorPageDir, ErrorPageDirError};
#[cfg(feature = "files")]
pub use self::files::{EntityTags, ServeDir, Symlinks};
#[cfg(feature = "json")]
pub use self::json::Json;
pub use self::layer::{Layer, Layered, Next};
#[cfg(feature = "router")]
pub use self::router::Router;
