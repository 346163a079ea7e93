//! The limits and choices of an inspector.

use std::fmt;
use std::time::Duration;

use super::faults::FaultList;
use super::history::Store;
#[cfg(feature = "inspect-db")]
use super::history::database::Database;

/// Longer than the timeout of most clients, so that every timeout can be tested.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// As much as the body of a request may have by default.
const MAX_BYTES: u64 = 10 * 1024 * 1024;

/// Enough to find the request of a moment ago, and few enough for the memory of a small machine.
const HISTORY: usize = 500;

/// A page follows more requests than this, but its list and its search become slow.
const MAX_HISTORY: usize = 10_000;

/// The clients that may open the live page and see the requests of others.
///
/// ```
/// use httpool::services::inspect::{Access, Settings};
///
/// let settings = Settings::default().access(Access::Local);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// No client. This is the default, because only a program knows its addresses.
    #[default]
    Closed,
    /// Clients on this machine, which use `localhost` or a loopback address and no proxy. Choose this if
    /// all addresses of the server are loopback addresses. A proxy on this machine that neither names
    /// itself in a header nor passes on the `Host` of its client looks like a client on this machine.
    Local,
    /// Clients that know this token. A browser opens `/inspect#token=TOKEN` once and receives a cookie. The
    /// part behind `#` is never sent as an address, so it is in no log. All others send
    /// `Authorization: Bearer TOKEN`.
    Token(String),
}

/// It does not show the token.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "Closed",
            Self::Local => "Local",
            Self::Token(_) => "Token(..)",
        })
    }
}

/// Limits and choices of an [`Inspect`](super::Inspect).
///
/// ```
/// use std::time::Duration;
/// use httpool::services::inspect::Settings;
///
/// let settings = Settings::default().max_delay(Duration::from_secs(5));
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    max_delay: Duration,
    max_bytes: u64,
    allow_faults: bool,
    faults: FaultList,
    fault_seed: Option<u64>,
    history: usize,
    access: Access,
    #[cfg(feature = "inspect-db")]
    database: Option<Database>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_delay: MAX_DELAY,
            max_bytes: MAX_BYTES,
            allow_faults: false,
            faults: FaultList::default(),
            fault_seed: None,
            history: HISTORY,
            access: Access::default(),
            #[cfg(feature = "inspect-db")]
            database: None,
        }
    }
}

impl Settings {
    /// The longest time that a request can make its response wait. The default is a minute. A path that
    /// asks for more gets a 400.
    ///
    /// ```
    /// use std::time::Duration;
    /// use httpool::services::inspect::Settings;
    ///
    /// let settings = Settings::default().max_delay(Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn max_delay(mut self, longest: Duration) -> Self {
        self.max_delay = longest;
        self
    }

    /// The most bytes of content that a request can ask for. The default is 10 MiB. A path that asks for
    /// more gets a 400.
    ///
    /// ```
    /// use httpool::services::inspect::{Inspect, Settings};
    /// use httpool::testing::Client;
    ///
    /// let client = Client::new(Inspect::new(Settings::default().max_bytes(1000)));
    /// assert_eq!(client.get("/bytes/1000").send().status(), 200);
    /// assert_eq!(client.get("/bytes/1001").send().status(), 400);
    /// ```
    #[must_use]
    pub fn max_bytes(mut self, most: u64) -> Self {
        self.max_bytes = most;
        self
    }

    /// Whether requests may ask for [faults](FaultList) of their own responses, with the header `Fault`
    /// or the query parameter `fault`. By default they may not. Delays are then shortened to
    /// [`max_delay`](Self::max_delay), and content to [`max_bytes`](Self::max_bytes).
    ///
    /// ```
    /// use httpool::services::inspect::{Inspect, Settings};
    /// use httpool::testing::Client;
    ///
    /// let client = Client::new(Inspect::new(Settings::default().allow_faults(true)));
    /// assert_eq!(client.get("/?fault=status=503").send().status(), 503);
    /// ```
    #[must_use]
    pub fn allow_faults(mut self, allow: bool) -> Self {
        self.allow_faults = allow;
        self
    }

    /// The faults of all responses to requests that do not ask for others. By default there are none.
    ///
    /// ```
    /// use httpool::services::inspect::{Inspect, Settings};
    /// use httpool::testing::Client;
    ///
    /// let faults = "status=503@100%,delay=1ms".parse().unwrap();
    /// let client = Client::new(Inspect::new(Settings::default().faults(faults)));
    /// let response = client.get("/").send();
    /// assert_eq!(response.status(), 503);
    /// assert_eq!(response.header("fault"), Some("status=503,delay=1ms"));
    /// ```
    #[must_use]
    pub fn faults(mut self, faults: FaultList) -> Self {
        self.faults = faults;
        self
    }

    /// The seed by which responses are chosen for faults. With the same seed, the same requests one
    /// after another get the same faults, in all versions. The default differs from run to run;
    /// [`Inspect::fault_seed`](super::Inspect::fault_seed) returns it.
    ///
    /// ```
    /// use httpool::services::inspect::{Inspect, Settings};
    /// use httpool::testing::Client;
    ///
    /// let run = || {
    ///     let faults = "status=503@50%".parse().unwrap();
    ///     let settings = Settings::default().faults(faults).fault_seed(1);
    ///     let client = Client::new(Inspect::new(settings));
    ///     [(); 10].map(|()| client.get("/").send().status())
    /// };
    /// assert_eq!(run(), run());
    /// ```
    #[must_use]
    pub fn fault_seed(mut self, seed: u64) -> Self {
        self.fault_seed = Some(seed);
        self
    }

    pub(super) fn allows_faults(&self) -> bool {
        self.allow_faults
    }

    pub(super) fn usual_faults(&self) -> &FaultList {
        &self.faults
    }

    pub(super) fn seed_of_faults(&self) -> Option<u64> {
        self.fault_seed
    }

    pub(super) fn most_bytes(&self) -> u64 {
        self.max_bytes
    }

    pub(super) fn longest_delay(&self) -> Duration {
        self.max_delay
    }

    /// The number of requests that the live page shows, at most 10,000. The default is 500; 0 turns the
    /// page and the inboxes off. Together they take at most 16 MiB, and of each body the first 64 KiB are
    /// kept.
    ///
    /// ```
    /// use httpool::services::inspect::{Inspect, Settings};
    ///
    /// let inspect = Inspect::new(Settings::default().history(0));
    /// assert!(inspect.live_page().is_none());
    /// ```
    #[must_use]
    pub fn history(mut self, requests: usize) -> Self {
        self.history = requests.min(MAX_HISTORY);
        self
    }

    /// The clients that may open the live page. By default it is [closed](Access::Closed).
    ///
    /// ```
    /// use httpool::services::inspect::{Access, Inspect, Settings};
    /// use httpool::testing::Client;
    ///
    /// let inspect = Inspect::new(Settings::default().access(Access::Token("0123456789abcdef".into())));
    /// let client = Client::new(inspect);
    /// assert_eq!(client.get("/inspect").send().status(), 403);
    /// let request = client.get("/inspect").header("authorization", "Bearer 0123456789abcdef");
    /// assert_eq!(request.send().status(), 200);
    /// ```
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Keeps the history in a file, so that it is there after a restart. By default it is in memory
    /// only. [`Database`] has an example.
    #[cfg(feature = "inspect-db")]
    #[must_use]
    pub fn database(mut self, database: Database) -> Self {
        self.database = Some(database);
        self
    }

    /// The place of the history besides memory.
    #[cfg(feature = "inspect-db")]
    pub(super) fn store(&self) -> Option<Box<dyn Store>> {
        let database = self.database.clone()?;
        Some(Box::new(database))
    }

    #[cfg(not(feature = "inspect-db"))]
    pub(super) fn store(&self) -> Option<Box<dyn Store>> {
        None
    }

    pub(super) fn kept_requests(&self) -> usize {
        self.history
    }

    pub(super) fn page_access(&self) -> &Access {
        &self.access
    }
}
