//! So many requests of one client, and no more.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use log::warn;

use crate::logging::LogLimit;
use crate::message::{ClientInfo, Problem, Request, Response};
use crate::sync::ignore_poison;
use crate::web::{Layer, Next};

/// Clients that are told apart. Each takes some 50 bytes, and only while it has used some of what it
/// may.
const MOST_CLIENTS: usize = 65_536;

/// What all others use together, so that one of them who asks too often is not all of them. Each takes
/// as much as a client.
const CROWDS: u16 = 4096;

/// As long as there are no more than this, nobody looks which of them can be forgotten.
const FEW_CLIENTS: usize = 1024;

/// How often the log may say that clients share a limit.
const WARNING_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Longer than anybody waits, and short enough to be counted in nanoseconds.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Answers a client 429 with `Retry-After` when it asks too often.
///
/// Each client has so many requests at once, and gets them back evenly over a time. Who is a client
/// is [`ClientInfo::client`]: behind proxies say [whom to believe](crate::ClientInfo), or the proxy is one
/// client for all. An IPv4 address is a client, and of IPv6 addresses the first 64 bits are, for
/// who has one of them has them all.
///
/// A request whose client has no known address is limited too: a limit that passes such requests
/// could be evaded. All requests through Unix sockets count as one client, all requests whose client
/// a trusted proxy does not name as another, and all requests without an [`ClientInfo`] as a third. A
/// warning in the log, at most once an hour, says that this happens, and what to change.
///
/// 65,536 clients are told apart at a time. While that many have used some of what they may, the
/// others fall into 4,096 crowds, each of which has what one client has. Nobody can choose whose
/// crowd is theirs.
///
/// ```
/// use std::time::Duration;
///
/// use httpool::http::StatusCode;
/// use httpool::layers::RateLimit;
/// use httpool::{Handler, Layered, Request};
///
/// let handler = Layered::new(|_: Request| "hello")
///     .layer(RateLimit::new(2, Duration::from_secs(60)));
/// let mut ask = || handler.handle(&mut Request::default());
/// assert_eq!((ask().status(), ask().status()), (StatusCode::OK, StatusCode::OK));
/// let answer = ask();
/// assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
/// assert_eq!(answer.headers()["retry-after"], "30");
/// ```
///
/// There is no `RateLimit` field: what it says is a draft still.
pub struct RateLimit {
    limiter: RateLimiter<Key, Clients, Steady>,
    clock: Steady,
    /// The second in which clients were forgotten last.
    pruned: AtomicU64,
    warnings: LogLimit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    V4(Ipv4Addr),
    /// The network that it can choose addresses from.
    V6([u8; 8]),
    Unknown(Unknown),
    /// Some of those who are not told apart.
    Crowd(u16),
}

/// Why a client has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unknown {
    UnixSocket,
    NotNamed,
    NoOrigin,
}

/// What each client has used.
#[derive(Debug, Default)]
struct Clients(Mutex<HashMap<Key, Nanos>>);

/// The time since the layer was made.
#[derive(Debug, Clone, Copy)]
struct Steady(Instant);

impl RateLimit {
    /// So many requests at once, and so many in each such time.
    ///
    /// # Panics
    ///
    /// If either is zero, if there is less than a nanosecond for each request, or if the time is more
    /// than a century.
    #[must_use]
    #[track_caller]
    pub fn new(requests: u32, time: Duration) -> Self {
        let Some(burst) = NonZeroU32::new(requests) else {
            panic!("a client has no requests");
        };
        assert!(time <= CENTURY, "{time:?} is more than a century");
        let Some(quota) = Quota::with_period(time / requests) else {
            panic!("there is no nanosecond for each request");
        };
        let quota = quota.allow_burst(burst);
        let clock = Steady(Instant::now());
        Self {
            limiter: RateLimiter::new(quota, Clients::default(), clock),
            clock,
            pruned: AtomicU64::new(0),
            warnings: LogLimit::new(1, WARNING_INTERVAL),
        }
    }

    /// Clients without an address share a limit, and their operator should know.
    #[cold]
    fn warn(&self, unknown: Unknown) {
        if let Some(suppressed) = self.warnings.allow(Instant::now()) {
            warn!("rate limit: {}{suppressed}", unknown.warning());
        }
    }

    /// How long the client has to wait, if it has to.
    fn check(&self, client: Key) -> Result<(), Duration> {
        let now = self.clock.now();
        let second = Duration::from(now).as_secs();
        if self.pruned.load(Ordering::Relaxed) != second
            && self.pruned.swap(second, Ordering::Relaxed) != second
            && self.limiter.len() > FEW_CLIENTS
        {
            self.limiter.retain_recent();
        }
        let checked = self.limiter.check_key(&client);
        checked.map_err(|until| until.wait_time_from(now))
    }
}

impl Layer for RateLimit {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let client = Key::of(request);
        if let Key::Unknown(unknown) = client {
            self.warn(unknown);
        }
        let Err(wait) = self.check(client) else {
            return next.handle(request);
        };
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS);
        let mut response = problem.to_response(request.headers());
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let fields = response.headers_mut();
        fields.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        response
    }
}

impl Key {
    fn of(request: &Request) -> Self {
        let Some(origin) = ClientInfo::of(request) else {
            return Self::Unknown(Unknown::NoOrigin);
        };
        let Some(client) = origin.client() else {
            return Self::Unknown(Unknown::NotNamed);
        };
        match client.ip() {
            Some(IpAddr::V4(ip)) => Self::V4(ip),
            Some(IpAddr::V6(ip)) => {
                let [network @ .., _, _, _, _, _, _, _, _] = ip.octets();
                Self::V6(network)
            }
            None => Self::Unknown(Unknown::UnixSocket),
        }
    }
}

impl Unknown {
    fn warning(self) -> &'static str {
        match self {
            Self::UnixSocket => {
                "all clients of a Unix socket share one limit; if a proxy connects to it, add it with \
                 Builder::trusted_proxy and have it name its clients"
            }
            Self::NotNamed => {
                "a trusted proxy does not name its clients, which share one limit; have it set the \
                 header that Builder::forwarded_by names"
            }
            Self::NoOrigin => {
                "requests without an Origin share one limit; a handler around this layer has replaced \
                 their bodies: make it a layer"
            }
        }
    }
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Nanos>> {
        ignore_poison(self.0.lock())
    }
}

impl StateStore for Clients {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, client: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut clients = self.lock();
        let client = match clients.len() {
            MOST_CLIENTS.. if !clients.contains_key(client) => {
                let hash = clients.hasher().hash_one(client);
                Key::Crowd((hash % u64::from(CROWDS)) as u16)
            }
            _ => *client,
        };
        let (outcome, used) = measure(clients.get(&client).copied())?;
        clients.insert(client, used);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Key> for Clients {
    fn retain_recent(&self, drop_below: Nanos) {
        self.lock().retain(|_, used| *used > drop_below);
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

impl Clock for Steady {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn ipv6(network: u16, host: u16) -> Key {
        let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host);
        let mut request: Request = Request::default();
        request
            .body_mut()
            .set_origin(ClientInfo::new(IpAddr::from(ip).into()));
        Key::of(&request)
    }

    #[test]
    fn who_has_a_network_has_all_its_addresses() {
        assert_eq!(ipv6(1, 1), ipv6(1, 2));
        assert_ne!(ipv6(1, 1), ipv6(2, 1));
    }

    /// One network of IPv6 (a /48) has as many clients as there is room for.
    #[test]
    fn who_finds_no_room_is_one_of_a_crowd() {
        let limit = RateLimit::new(1, Duration::from_secs(3600));
        for network in 0..=u16::MAX {
            assert_eq!(limit.check(ipv6(network, 1)), Ok(()), "{network}");
        }
        assert_eq!(limit.limiter.len(), MOST_CLIENTS);
        assert!(limit.check(ipv6(0, 1)).is_err());
        let others = |count: u32| (0..count).map(|number| Key::V4(number.into()));
        // Which crowd is whose is chance: of so many nearly each has one of its own.
        let answered = others(256).filter(|client| limit.check(*client).is_ok());
        assert!(answered.count() > 128);
        let answered = others(20 * u32::from(CROWDS)).filter(|client| limit.check(*client).is_ok());
        assert!(answered.count() < usize::from(CROWDS));
        assert!(limit.limiter.len() <= MOST_CLIENTS + usize::from(CROWDS));
    }

    #[test]
    fn clients_without_an_address_share_a_limit_with_a_warning() {
        use crate::message::PeerAddr;

        let mut request: Request = Request::default();
        let no_origin = Key::of(&request);
        assert_eq!(no_origin, Key::Unknown(Unknown::NoOrigin));
        request
            .body_mut()
            .set_origin(ClientInfo::new(PeerAddr::UNIX));
        let unix = Key::of(&request);
        assert_eq!(unix, Key::Unknown(Unknown::UnixSocket));
        let limit = RateLimit::new(1, Duration::from_secs(3600));
        assert_eq!(limit.check(unix), Ok(()));
        assert!(limit.check(unix).is_err());
        assert_eq!(limit.check(no_origin), Ok(()));
        limit.warn(Unknown::UnixSocket);
        let is_next_suppressed = limit.warnings.allow(Instant::now()).is_none();
        assert!(is_next_suppressed, "the warning is counted");
    }

    #[test]
    fn who_has_used_nothing_lately_is_forgotten() {
        let limit = RateLimit::new(1, Duration::from_nanos(1));
        for number in 0..2 * FEW_CLIENTS {
            let number = u32::try_from(number).expect("there are not so many");
            assert_eq!(limit.check(Key::V4(number.into())), Ok(()));
        }
        limit.limiter.retain_recent();
        assert!(limit.limiter.len() < 2, "{}", limit.limiter.len());
    }
}
