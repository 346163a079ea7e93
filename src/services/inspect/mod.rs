//! The inspector: shows a client exactly what it sent, and responds in every way that a client has
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

mod captured;
#[cfg(feature = "_tls")]
mod certificate;
mod chosen_headers;
mod connection;
mod faults;
mod history;
mod live;
mod log;
mod masking;
mod pairs;
mod random;
mod reflection;
mod rejected;
mod settings;
mod times;
mod vocabulary;

use std::fmt;
use std::sync::Arc;

use crate::message::{Handler, Request, Response};

use self::captured::Captured;
use self::faults::Faults;
use self::live::Live;
use self::log::Entries;

pub use self::faults::{FaultList, InvalidFault};
#[cfg(feature = "inspect-db")]
pub use self::history::database::{Database, DatabaseError};
pub use self::live::LivePage;
pub use self::log::InspectLog;
pub use self::rejected::RejectedRequests;
pub use self::settings::{Access, Settings};

/// Responds to every request with a description of it, except on httpbin's paths (`/status/418`,
/// `/delay/2`, `/gzip` and others), which respond as they are named.
///
/// The live page at `/inspect` shows the last requests as they arrive. `/inbox/{id}` collects
/// requests apart from all others, with a response that is set on its page. [`Settings::access`]
/// says who may see them.
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
    live: Option<Live>,
    faults: Faults,
    log: Option<Entries>,
}

impl Inspect {
    /// Creates an inspector with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            live: Live::new(&settings),
            faults: Faults::new(&settings),
            vocabulary: Box::new(vocabulary::router(Arc::new(settings))),
            log: None,
        }
    }

    /// The live page for a server of its own, for example at an address that only administrators reach.
    /// `None` if no [history](Settings::history) is kept.
    #[must_use]
    pub fn live_page(&self) -> Option<LivePage> {
        self.live.as_ref().map(Live::trusted)
    }

    /// An observer for the server of this inspector, which puts requests into the history that no handler
    /// sees: malformed ones, for example. If they are to be in a [log](Self::log), too, set that before.
    #[must_use]
    pub fn rejected_requests(&self) -> RejectedRequests {
        RejectedRequests {
            shared: self.live.as_ref().map(|live| Arc::clone(live.shared())),
            log: self.log.clone(),
        }
    }

    /// Prints each request to this log.
    #[must_use]
    pub fn log(mut self, log: &InspectLog) -> Self {
        self.log = Some(log.entries());
        self
    }

    /// The seed by which responses are chosen for [faults](FaultList), for a message that says how to
    /// repeat a run.
    ///
    /// ```
    /// use httpool::services::inspect::{Inspect, Settings};
    ///
    /// let inspect = Inspect::new(Settings::default().fault_seed(7));
    /// assert_eq!(inspect.fault_seed(), 7);
    /// ```
    #[must_use]
    pub fn fault_seed(&self) -> u64 {
        self.faults.seed()
    }

    /// Returns a function that ends the requests which would never get a response. Without it, a
    /// shutdown waits for them until [`max_delay`](Settings::max_delay) or the deadline of the drain.
    ///
    /// ```no_run
    /// use httpool::Server;
    /// use httpool::services::inspect::{Inspect, Settings};
    ///
    /// let inspect = Inspect::new(Settings::default().allow_faults(true));
    /// let server = Server::builder().listen("127.0.0.1:0").bind()?;
    /// server.handle().on_shutdown(inspect.on_shutdown());
    /// server.run(inspect)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_shutdown(&self) -> impl FnOnce() + Send + 'static {
        self.faults.on_shutdown()
    }
}

impl Handler for Inspect {
    fn handle(&self, request: &mut Request) -> Response {
        let live = self.live.as_ref();
        if let Some(response) = live.and_then(|live| live.respond(request)) {
            return response;
        }
        let captured = Captured::of(request);
        // Requests to inboxes are printed, too.
        if let Some(log) = &self.log {
            log.push(&captured);
        }
        if let Some(response) = live.and_then(|live| live.receive(request, &captured)) {
            return response;
        }
        let recording = live.map(|live| live.history().record(&captured));
        request.extensions_mut().insert(captured);
        let respond = |request: &mut Request| self.vocabulary.handle(request);
        let response = self.faults.respond(request, respond);
        match recording {
            Some(recording) => recording.complete(response),
            None => response,
        }
    }
}

impl fmt::Debug for Inspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspect").finish_non_exhaustive()
    }
}
