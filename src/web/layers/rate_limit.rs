//! Limits the request rate of each client.

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
use crate::sync::{CENTURY, ignore_poison};
use crate::web::{Layer, Next};

/// Largest number of clients that are counted one by one. Each takes about 50 bytes, while it has
/// used a part of its quota.
const MAX_CLIENTS: usize = 65_536;

/// Number of groups into which further clients are hashed once [`MAX_CLIENTS`] is reached. The
/// clients of a group share one quota. With several groups, one busy client cannot use up the quota
/// of all others. A group takes as much memory as a client.
const GROUPS: u16 = 4096;

/// Up to this number of clients, idle ones are not removed.
const PRUNE_ABOVE: usize = 1024;

/// How often the log may warn that clients share a limit.
const WARNING_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Largest period. In nanoseconds it fits into 64 bits.
const MAX_PERIOD: Duration = Duration::from_secs(CENTURY);

/// Responds 429 with `Retry-After` to clients that send too many requests.
///
/// Each client may send a number of requests at once, and regains them evenly over a period. A
/// client is identified by [`ClientInfo::client`]. Behind a proxy, configure [trusted
/// proxies](crate::ClientInfo); otherwise the proxy counts as one client. Each IPv4 address is a
/// client. IPv6 addresses with the same first 64 bits are one client, because a host usually
/// controls all of them.
///
/// Requests whose client's address is unknown are limited too, because passing them would allow
/// clients to evade the limit. All requests through Unix sockets count as one client, all requests
/// whose client a trusted proxy does not name as another, and all requests without a [`ClientInfo`]
/// as a third. A warning in the log, at most once an hour, says so and how to change it.
///
/// Up to 65,536 clients are counted one by one, as long as they have used a part of their quota.
/// Beyond that, other clients are hashed into 4,096 groups, each with the quota of one client. The
/// hash has a random key, so clients cannot choose their group.
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
/// let response = ask();
/// assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
/// assert_eq!(response.headers()["retry-after"], "30");
/// ```
///
/// The layer sends no `RateLimit` header, because its specification is still a draft.
pub struct RateLimit {
    limiter: RateLimiter<Key, Clients, LayerClock>,
    clock: LayerClock,
    /// The second in which idle clients were last removed.
    pruned: AtomicU64,
    warnings: LogLimit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    V4(Ipv4Addr),
    /// The network of the client, in which it can choose its address.
    V6([u8; 8]),
    Unknown(Unknown),
    /// A group of clients that are not counted one by one.
    Group(u16),
}

/// Why the address of a client is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unknown {
    UnixSocket,
    NotNamed,
    NoClientInfo,
}

/// The used quota of each client.
#[derive(Debug, Default)]
struct Clients(Mutex<HashMap<Key, Nanos>>);

/// The time since the layer was created.
#[derive(Debug, Clone, Copy)]
struct LayerClock(Instant);

impl RateLimit {
    /// Allows each client `requests` requests at once, and as many in each `time`.
    ///
    /// # Panics
    ///
    /// If either is zero, if there is less than a nanosecond for each request, or if the time is
    /// more than a century.
    #[must_use]
    #[track_caller]
    pub fn new(requests: u32, time: Duration) -> Self {
        let Some(burst) = NonZeroU32::new(requests) else {
            panic!("the number of requests must be greater than zero");
        };
        assert!(time <= MAX_PERIOD, "{time:?} is more than a century");
        let Some(quota) = Quota::with_period(time / requests) else {
            panic!("{time:?} is less than a nanosecond for each request");
        };
        let quota = quota.allow_burst(burst);
        let clock = LayerClock(Instant::now());
        Self {
            limiter: RateLimiter::new(quota, Clients::default(), clock),
            clock,
            pruned: AtomicU64::new(0),
            warnings: LogLimit::new(1, WARNING_INTERVAL),
        }
    }

    /// Warns the operator that clients without an address share a limit.
    #[cold]
    fn warn(&self, unknown: Unknown) {
        if let Some(suppressed) = self.warnings.allow(Instant::now()) {
            warn!("rate limit: {}{suppressed}", unknown.warning());
        }
    }

    /// Counts a request of the client. The error is the time until the next one is allowed.
    fn check(&self, client: Key) -> Result<(), Duration> {
        let now = self.clock.now();
        let second = Duration::from(now).as_secs();
        if self.pruned.load(Ordering::Relaxed) != second
            && self.pruned.swap(second, Ordering::Relaxed) != second
            && self.limiter.len() > PRUNE_ABOVE
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
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        response
    }
}

impl Key {
    fn of(request: &Request) -> Self {
        let Some(client_info) = ClientInfo::of(request) else {
            return Self::Unknown(Unknown::NoClientInfo);
        };
        let Some(client) = client_info.client() else {
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
                 Builder::trusted_proxy and configure it to send its clients' addresses"
            }
            Self::NotNamed => {
                "a trusted proxy does not send its clients' addresses, so they share one limit; configure \
                 it to send the header that Builder::forwarded_by names"
            }
            Self::NoClientInfo => {
                "requests without a ClientInfo share one limit; a handler around this layer has \
                 replaced their bodies: make that handler a layer"
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
            MAX_CLIENTS.. if !clients.contains_key(client) => {
                let hash = clients.hasher().hash_one(client);
                Key::Group((hash % u64::from(GROUPS)) as u16)
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

impl Clock for LayerClock {
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
            .set_client_info(ClientInfo::new(IpAddr::from(ip).into()));
        Key::of(&request)
    }

    #[test]
    fn ipv6_addresses_of_a_network_are_one_client() {
        assert_eq!(ipv6(1, 1), ipv6(1, 2));
        assert_ne!(ipv6(1, 1), ipv6(2, 1));
    }

    /// One IPv6 network (a /48) holds as many clients as the limiter counts one by one.
    #[test]
    fn clients_beyond_the_limit_share_groups() {
        let limit = RateLimit::new(1, Duration::from_secs(3600));
        for network in 0..=u16::MAX {
            assert_eq!(limit.check(ipv6(network, 1)), Ok(()), "{network}");
        }
        assert_eq!(limit.limiter.len(), MAX_CLIENTS);
        assert!(limit.check(ipv6(0, 1)).is_err());
        let others = |count: u32| (0..count).map(|number| Key::V4(number.into()));
        // The hash is random; of 256 clients nearly each gets a group of its own.
        let allowed = others(256).filter(|client| limit.check(*client).is_ok());
        assert!(allowed.count() > 128);
        let allowed = others(20 * u32::from(GROUPS)).filter(|client| limit.check(*client).is_ok());
        assert!(allowed.count() < usize::from(GROUPS));
        assert!(limit.limiter.len() <= MAX_CLIENTS + usize::from(GROUPS));
    }

    #[test]
    fn clients_without_an_address_share_a_limit_with_a_warning() {
        use crate::message::PeerAddr;

        let mut request: Request = Request::default();
        let no_client_info = Key::of(&request);
        assert_eq!(no_client_info, Key::Unknown(Unknown::NoClientInfo));
        request
            .body_mut()
            .set_client_info(ClientInfo::new(PeerAddr::UNIX));
        let unix = Key::of(&request);
        assert_eq!(unix, Key::Unknown(Unknown::UnixSocket));
        let limit = RateLimit::new(1, Duration::from_secs(3600));
        assert_eq!(limit.check(unix), Ok(()));
        assert!(limit.check(unix).is_err());
        assert_eq!(limit.check(no_client_info), Ok(()));
        limit.warn(Unknown::UnixSocket);
        let is_next_suppressed = limit.warnings.allow(Instant::now()).is_none();
        assert!(is_next_suppressed, "the warning is counted");
    }

    #[test]
    fn idle_clients_are_removed() {
        let limit = RateLimit::new(1, Duration::from_nanos(1));
        for number in 0..2 * PRUNE_ABOVE {
            let number = u32::try_from(number).expect("the number is small");
            assert_eq!(limit.check(Key::V4(number.into())), Ok(()));
        }
        limit.limiter.retain_recent();
        assert!(limit.limiter.len() < 2, "{}", limit.limiter.len());
    }
}
