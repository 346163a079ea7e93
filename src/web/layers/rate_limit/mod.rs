//! Limits the request rate of each client.

mod clients;
mod headers;
mod key;

use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use log::warn;

use self::clients::{Clients, LayerClock};
use self::headers::{Left, LimitHeaders};
use self::key::{Key, Unknown};
use crate::logging::LogLimit;
use crate::message::{Problem, Request, Response};
use crate::sync::CENTURY;
use crate::web::{Layer, Next};

/// Up to this number of clients, idle ones are not removed.
const PRUNE_ABOVE: usize = 1024;

/// How often the log may warn that clients share a limit.
const WARNING_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Largest period. In nanoseconds it fits into 64 bits.
const MAX_PERIOD: Duration = Duration::from_secs(CENTURY);

/// Responds 429 with `Retry-After` to clients that send too many requests.
///
/// Each client may send a number of requests at once, and regains them evenly over a period. A
/// client is identified by [`ClientInfo::client`](crate::ClientInfo::client). Behind a proxy,
/// configure [trusted proxies](crate::ClientInfo); otherwise the proxy counts as one client. Each
/// IPv4 address is a client. IPv6 addresses with the same first 64 bits are one client, because a
/// host usually controls all of them.
///
/// Requests whose client's address is unknown are limited too, because passing them would allow
/// clients to evade the limit. All requests through Unix sockets count as one client, all requests
/// whose client a trusted proxy does not name as another, and all requests without a
/// [`ClientInfo`](crate::ClientInfo) as a third. A warning in the log, at most once an hour, says
/// so and how to change it.
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
/// [`key`](Self::key) identifies clients in another way, for example by an API key, and
/// [`headers`](Self::headers) tells clients how much of their quota is left.
pub struct RateLimit {
    limiter: RateLimiter<Key, Clients, LayerClock, StateInformationMiddleware>,
    requests: u32,
    time: Duration,
    clock: LayerClock,
    /// The second in which idle clients were last removed.
    pruned: AtomicU64,
    warnings: LogLimit,
    key: Option<Box<KeyFunction>>,
    headers: Option<LimitHeaders>,
}

/// The hash of the program's own key of a request.
type KeyFunction = dyn Fn(&Request) -> Option<u64> + Send + Sync;

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
            requests,
            time,
            clock,
            pruned: AtomicU64::new(0),
            warnings: LogLimit::new(1, WARNING_INTERVAL),
            key: None,
            headers: None,
        }
    }

    /// Identifies clients by this function. Requests with equal keys share a quota. Where it returns
    /// `None`, the client's address counts, as without this function. The key is hashed with a random
    /// seed, and the hash is kept in its place.
    ///
    /// Check first that a key is genuine: a client that invents a key for each request has no limit. So
    /// the layer that authenticates clients comes before this one.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::layers::RateLimit;
    /// use httpool::testing::Client;
    /// use httpool::{Layered, Request};
    ///
    /// let limit = RateLimit::new(1, Duration::from_secs(60))
    ///     .key(|request| request.headers().get("x-api-key").cloned());
    /// let client = Client::new(Layered::new(|_: Request| "hello").layer(limit));
    /// let status = |key| client.get("/").header("x-api-key", key).send().status().as_u16();
    /// assert_eq!((status("ada"), status("ada"), status("bob")), (200, 429, 200));
    /// ```
    #[must_use]
    pub fn key<K: Hash>(
        mut self,
        key: impl Fn(&Request) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        let state = RandomState::new();
        self.key = Some(Box::new(move |request| {
            key(request).map(|key| state.hash_one(key))
        }));
        self
    }

    /// Adds `RateLimit-Policy` and `RateLimit` to responses, as in
    /// [draft-ietf-httpapi-ratelimit-headers-10][draft], under this name of the limit. They give the quota
    /// with its time in seconds (`q`, `w`), the requests that are left (`r`), and once there are none the
    /// seconds until the next one (`t`). The draft may still change, so this is not the default.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::layers::RateLimit;
    /// use httpool::{Handler, Layered, Request};
    ///
    /// let limit = RateLimit::new(2, Duration::from_secs(60)).headers("per-client");
    /// let handler = Layered::new(|_: Request| "hello").layer(limit);
    /// let response = handler.handle(&mut Request::default());
    /// assert_eq!(response.headers()["ratelimit-policy"], "\"per-client\";q=2;w=60");
    /// assert_eq!(response.headers()["ratelimit"], "\"per-client\";r=1");
    /// ```
    ///
    /// [draft]: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10
    ///
    /// # Panics
    ///
    /// If the name is not printable ASCII.
    #[must_use]
    #[track_caller]
    pub fn headers(mut self, name: &str) -> Self {
        self.headers = Some(LimitHeaders::new(name, self.requests, self.time));
        self
    }

    /// The key of this request's client.
    fn client(&self, request: &Request) -> Key {
        let own = self.key.as_ref().and_then(|key| key(request));
        let client = own.map_or_else(|| Key::of(request), Key::Own);
        if let Key::Unknown(unknown) = client {
            self.warn(unknown);
        }
        client
    }

    /// Warns the operator that clients without an address share a limit.
    #[cold]
    fn warn(&self, unknown: Unknown) {
        if let Some(suppressed) = self.warnings.allow(Instant::now()) {
            warn!("rate limit: {}{suppressed}", unknown.warning());
        }
    }

    /// Counts a request of the client, and returns how many more are allowed now. The error is the time
    /// until the next one is allowed.
    fn check(&self, client: Key) -> Result<u32, Duration> {
        let now = self.clock.now();
        let second = Duration::from(now).as_secs();
        if self.pruned.load(Ordering::Relaxed) != second
            && self.pruned.swap(second, Ordering::Relaxed) != second
            && self.limiter.len() > PRUNE_ABOVE
        {
            self.limiter.retain_recent();
        }
        match self.limiter.check_key(&client) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(until) => Err(until.wait_time_from(now)),
        }
    }

    fn add_headers(&self, left: Left, response: Response) -> Response {
        match &self.headers {
            Some(headers) => headers.add(left, response),
            None => response,
        }
    }
}

impl Layer for RateLimit {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let wait = match self.check(self.client(request)) {
            Ok(left) => return self.add_headers(Left::Requests(left), next.handle(request)),
            Err(wait) => wait,
        };
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS);
        let mut response = problem.to_response(request.headers());
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let seconds = seconds.max(1);
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        self.add_headers(Left::Nothing(seconds), response)
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::clients::{GROUPS, MAX_CLIENTS};
    use super::*;
    use crate::message::ClientInfo;

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
            assert_eq!(limit.check(ipv6(network, 1)), Ok(0), "{network}");
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
        assert_eq!(limit.check(unix), Ok(0));
        assert!(limit.check(unix).is_err());
        assert_eq!(limit.check(no_client_info), Ok(0));
        limit.warn(Unknown::UnixSocket);
        let is_next_suppressed = limit.warnings.allow(Instant::now()).is_none();
        assert!(is_next_suppressed, "the warning is counted");
    }

    #[test]
    fn idle_clients_are_removed() {
        let limit = RateLimit::new(1, Duration::from_nanos(1));
        for number in 0..2 * PRUNE_ABOVE {
            let number = u32::try_from(number).expect("the number is small");
            assert_eq!(limit.check(Key::V4(number.into())), Ok(0));
        }
        limit.limiter.retain_recent();
        assert!(limit.limiter.len() < 2, "{}", limit.limiter.len());
    }
}
