//! The inspector: shows a client exactly what it sent, and answers in every way that a client has
//! to cope with.
//!
//! ```
//! use httpool::services::inspect::{Inspect, Settings};
//! use httpool::testing::Client;
//!
//! let client = Client::new(Inspect::new(Settings::default()));
//! let response = client.post("/anything?a=1").body("hello").send();
//! assert!(response.text().contains("POST"));
//! ```

#[allow(dead_code, reason = "the parts that need the rest are being added")]
mod captured;
#[cfg(feature = "_tls")]
mod certificate;
mod connection;
mod reflection;
mod settings;
mod vocabulary;

use std::fmt;
use std::sync::Arc;

use crate::message::{Handler, Request, Response};

use self::captured::Captured;

pub use self::settings::Settings;

/// Answers every request with a description of it, and the paths of its vocabulary (`/status/418`,
/// `/delay/2`, `/gzip` and others) as they are named.
///
/// It never reads or shows files, the environment or the name of the host.
///
/// ```
/// use httpool::services::inspect::{Inspect, Settings};
/// use httpool::testing::Client;
///
/// let client = Client::new(Inspect::new(Settings::default()));
/// assert_eq!(client.get("/any/path").send().status(), 200);
/// ```
pub struct Inspect {
    vocabulary: Box<dyn Handler>,
}

impl Inspect {
    /// Creates an inspector with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            vocabulary: Box::new(vocabulary::router(Arc::new(settings))),
        }
    }
}

impl Handler for Inspect {
    fn handle(&self, request: &mut Request) -> Response {
        let captured = Captured::of(request);
        request.extensions_mut().insert(captured);
        self.vocabulary.handle(request)
    }
}

impl fmt::Debug for Inspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspect").finish_non_exhaustive()
    }
}
