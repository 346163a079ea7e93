//! Counts requests, their durations and sizes.

use std::collections::BTreeMap;

use http::{StatusCode, Version};

use crate::message::{MatchedPath, Observer, Outcome, RejectReason, RequestRecord};
use crate::services::sharded::Sharded;

/// Methods with a label of their own. Clients can invent others, which would create any number of
/// labels.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE",
];
const OTHER: &str = "other";

/// Classes by the first digit of the status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Versions of HTTP, and requests whose head could not be parsed.
const VERSIONS: [&str; 4] = ["1.0", "1.1", "2.0", "unknown"];

/// Bounds in nanoseconds: from the time of a small response to longer than most clients wait.
pub(crate) const DURATIONS: [u64; 14] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
];

/// Bounds in bytes: from an empty body to a little more than the default limit.
pub(crate) const SIZES: [u64; 8] = [
    0,
    256,
    1 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    1 << 20,
    16 << 20,
];

/// The label of requests that no route matches.
const NO_ROUTE: &str = "none";

/// Counts requests for the [`Admin`](crate::services::Admin) server's `/metrics`: by method and
/// status, by version of HTTP, by the reason of a rejection, by duration, and by the sizes of
/// requests and responses.
///
/// Numbers and durations are also counted by `route`, the [path of the route](crate::MatchedPath).
/// Its values are the paths of the router's routes, and `none` for requests that no route matches,
/// so clients can't create labels. A route appears with its first request, and so does each of its
/// methods; with [`with_routes`](Self::with_routes), they begin at zero.
///
/// ```
/// use std::sync::Arc;
///
/// use httpool::services::{Admin, RequestMetrics};
/// use httpool::Server;
///
/// let metrics = Arc::new(RequestMetrics::new());
/// let server = Server::builder()
///     .listen("127.0.0.1:0")
///     .observer(Arc::clone(&metrics))
///     .bind()?;
/// let admin = Admin::new(server.handle()).request_metrics(metrics);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RequestMetrics(Sharded<Counts>);

#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    requests: MethodCounts,
    routes: BTreeMap<MatchedPath, RouteCounts>,
    /// Requests that no route matches.
    unrouted: RouteCounts,
    versions: [u64; VERSIONS.len()],
    rejected: BTreeMap<&'static str, u64>,
    pub(crate) panicked: u64,
    late: LateCounts,
    pub(crate) durations: Histogram<{ DURATIONS.len() }>,
    pub(crate) received: Histogram<{ SIZES.len() }>,
    pub(crate) sent: Histogram<{ SIZES.len() }>,
}

/// Requests by method and status class.
type MethodCounts = [[u64; CLASSES.len()]; METHODS.len() + 1];

/// Whether a method is listed for a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Listing {
    #[default]
    Hidden,
    Shown,
}

/// The requests of a route.
#[derive(Debug, Clone, Default)]
struct RouteCounts {
    requests: MethodCounts,
    /// Without this, each route would have series for methods that it does not have.
    methods: [Listing; METHODS.len() + 1],
    durations: Histogram<{ DURATIONS.len() }>,
}

/// Requests whose response was to come later and did not come.
#[derive(Debug, Clone, Copy, Default)]
struct LateCounts {
    timed_out: u64,
    abandoned: u64,
    cancelled: u64,
}

/// Counts of values between bounds: `buckets[i]` counts values up to bound `i` and above the
/// previous one.
#[derive(Debug, Clone)]
pub(crate) struct Histogram<const BOUNDS: usize> {
    buckets: [u64; BOUNDS],
    above: u64,
    sum: u64,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestMetrics {
    /// Creates metrics that are all zero.
    #[must_use]
    pub fn new() -> Self {
        Self(Sharded::new())
    }

    /// Lets these routes and their methods begin at zero, before their first request. A series that
    /// begins with its first request hides that one from `rate()`.
    ///
    /// ```
    /// use httpool::Router;
    /// use httpool::services::RequestMetrics;
    ///
    /// let router: Router = Router::new().get("/users/{id}", || "a user");
    /// let metrics = RequestMetrics::new().with_routes(router.routes());
    /// ```
    #[cfg(feature = "router")]
    #[must_use]
    pub fn with_routes<'r>(
        self,
        routes: impl IntoIterator<Item = crate::web::router::RouteInfo<'r>>,
    ) -> Self {
        let mut counts = self.0.of(0);
        for route in routes {
            let known = counts.route(Some(route.matched_path()));
            for method in route.methods() {
                known.methods[index_of(method.as_str())] = Listing::Shown;
            }
        }
        drop(counts);
        self
    }

    /// The sum over all workers. Every reason for a rejection is present, even with a count of zero:
    /// a series that begins with its first occurrence hides that one from `rate()`.
    pub(crate) fn counts(&self) -> Counts {
        let reasons = RejectReason::ALL.map(RejectReason::as_str).into_iter();
        let zero = Counts {
            rejected: reasons.map(|reason| (reason, 0)).collect(),
            ..Counts::default()
        };
        self.0.all().fold(zero, |sum, counts| sum.plus(&counts))
    }
}

impl Observer for RequestMetrics {
    fn on_response(&self, record: &RequestRecord<'_>) {
        let method = method_index(record.raw_request().request_line());
        let duration = u64::try_from(record.duration().as_nanos()).unwrap_or(u64::MAX);
        let class = class_index(record.status());
        let mut counts = self.0.of(record.worker());
        counts.requests[method][class] += 1;
        let route = counts.route(record.matched_path());
        route.requests[method][class] += 1;
        route.methods[method] = Listing::Shown;
        route.durations.add(&DURATIONS, duration);
        counts.versions[version_index(record.version())] += 1;
        counts.durations.add(&DURATIONS, duration);
        counts.received.add(&SIZES, record.received());
        if let Some(sent) = record.sent() {
            counts.sent.add(&SIZES, sent);
        }
        match record.outcome() {
            Outcome::Handled => {}
            Outcome::Panicked => counts.panicked += 1,
            Outcome::Rejected(reason) => {
                *counts.rejected.entry(reason.as_str()).or_default() += 1;
            }
            Outcome::TimedOut => counts.late.timed_out += 1,
            Outcome::Abandoned => counts.late.abandoned += 1,
            Outcome::Cancelled => counts.late.cancelled += 1,
        }
    }
}

impl Counts {
    /// Number of requests by method and status class.
    pub(crate) fn requests(
        &self,
    ) -> impl Iterator<Item = ([(&'static str, &'static str); 2], u64)> {
        let methods = METHODS.into_iter().chain([OTHER]);
        methods.zip(&self.requests).flat_map(|(method, counts)| {
            let labelled =
                move |(class, count): (_, &u64)| ([("method", method), ("status", class)], *count);
            CLASSES.into_iter().zip(counts).map(labelled)
        })
    }

    /// Number of requests by route, method and status class.
    pub(crate) fn requests_by_route(&self) -> impl Iterator<Item = ([(&str, &str); 3], u64)> {
        self.routes().flat_map(|(route, counts)| {
            let methods = METHODS.into_iter().chain([OTHER]);
            let methods = methods.zip(&counts.requests).zip(&counts.methods);
            let shown = methods.filter(|(_, listing)| **listing == Listing::Shown);
            shown.flat_map(move |((method, counts), _)| {
                CLASSES.into_iter().zip(counts).map(move |(class, count)| {
                    let labels = [("route", route), ("method", method), ("status", class)];
                    (labels, *count)
                })
            })
        })
    }

    /// Durations by route.
    pub(crate) fn durations_by_route(
        &self,
    ) -> impl Iterator<Item = ([(&str, &str); 1], &Histogram<{ DURATIONS.len() }>)> {
        let routes = self.routes();
        routes.map(|(route, counts)| ([("route", route)], &counts.durations))
    }

    fn routes(&self) -> impl Iterator<Item = (&str, &RouteCounts)> {
        let routes = self.routes.iter();
        let routes = routes.map(|(path, counts)| (path.as_str(), counts));
        routes.chain([(NO_ROUTE, &self.unrouted)])
    }

    /// The counts of a route.
    fn route(&mut self, path: Option<&MatchedPath>) -> &mut RouteCounts {
        let Some(path) = path else {
            return &mut self.unrouted;
        };
        if !self.routes.contains_key(path) {
            self.routes.insert(path.clone(), RouteCounts::default());
        }
        self.routes.get_mut(path).unwrap_or(&mut self.unrouted)
    }

    /// Number of requests by version of HTTP.
    pub(crate) fn versions(
        &self,
    ) -> impl Iterator<Item = ([(&'static str, &'static str); 1], u64)> {
        let versions = VERSIONS.into_iter().zip(self.versions);
        versions.map(|(version, count)| ([("version", version)], count))
    }

    /// Number of rejected requests by reason.
    pub(crate) fn rejected(
        &self,
    ) -> impl Iterator<Item = ([(&'static str, &'static str); 1], u64)> {
        let rejected = self.rejected.iter();
        rejected.map(|(reason, count)| ([("reason", *reason)], *count))
    }

    /// Number of requests whose response was to come later and did not come, by reason.
    pub(crate) fn late(&self) -> impl Iterator<Item = ([(&'static str, &'static str); 1], u64)> {
        let LateCounts {
            timed_out,
            abandoned,
            cancelled,
        } = self.late;
        [
            ("timed_out", timed_out),
            ("abandoned", abandoned),
            ("cancelled", cancelled),
        ]
        .into_iter()
        .map(|(reason, count)| ([("reason", reason)], count))
    }

    fn plus(mut self, other: &Self) -> Self {
        add_requests(&mut self.requests, &other.requests);
        self.unrouted.add(&other.unrouted);
        for (path, counts) in &other.routes {
            self.route(Some(path)).add(counts);
        }
        for (sum, count) in self.versions.iter_mut().zip(other.versions) {
            *sum += count;
        }
        for (reason, count) in &other.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
        self.panicked += other.panicked;
        self.late.timed_out += other.late.timed_out;
        self.late.abandoned += other.late.abandoned;
        self.late.cancelled += other.late.cancelled;
        self.durations.merge(&other.durations);
        self.received.merge(&other.received);
        self.sent.merge(&other.sent);
        self
    }
}

impl RouteCounts {
    fn add(&mut self, other: &Self) {
        add_requests(&mut self.requests, &other.requests);
        for (mine, listing) in self.methods.iter_mut().zip(other.methods) {
            if listing == Listing::Shown {
                *mine = listing;
            }
        }
        self.durations.merge(&other.durations);
    }
}

fn add_requests(sums: &mut MethodCounts, counts: &MethodCounts) {
    let sums = sums.iter_mut().flatten();
    sums.zip(counts.iter().flatten())
        .for_each(|(sum, count)| *sum += count);
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    /// The count of each bucket; the last one counts values above all bounds.
    pub(crate) fn counts(&self) -> impl Iterator<Item = u64> {
        self.buckets.into_iter().chain([self.above])
    }

    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    fn add(&mut self, bounds: &[u64; BOUNDS], value: u64) {
        let index = bounds.partition_point(|bound| *bound < value);
        *self.buckets.get_mut(index).unwrap_or(&mut self.above) += 1;
        self.sum = self.sum.saturating_add(value);
    }

    fn merge(&mut self, other: &Self) {
        let buckets = self.buckets.iter_mut();
        buckets
            .zip(other.buckets)
            .for_each(|(sum, count)| *sum += count);
        self.above += other.above;
        self.sum = self.sum.saturating_add(other.sum);
    }
}

impl<const BOUNDS: usize> Default for Histogram<BOUNDS> {
    fn default() -> Self {
        Self {
            buckets: [0; BOUNDS],
            above: 0,
            sum: 0,
        }
    }
}

fn method_index(request_line: &[u8]) -> usize {
    let is_method = |method: &&str| {
        let rest = request_line.strip_prefix(method.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b" "))
    };
    METHODS.iter().position(is_method).unwrap_or(METHODS.len())
}

/// The index of a method of a route.
#[cfg(feature = "router")]
fn index_of(method: &str) -> usize {
    let index = METHODS.iter().position(|name| *name == method);
    index.unwrap_or(METHODS.len())
}

fn version_index(version: Option<Version>) -> usize {
    match version {
        Some(Version::HTTP_10) => 0,
        Some(Version::HTTP_11) => 1,
        Some(Version::HTTP_2) => 2,
        _ => VERSIONS.len() - 1,
    }
}

fn class_index(status: StatusCode) -> usize {
    let digit = usize::from(status.as_u16() / 100);
    digit.saturating_sub(1).min(CLASSES.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_class_is_the_first_digit() {
        for (status, class) in [
            (StatusCode::SWITCHING_PROTOCOLS, "1xx"),
            (StatusCode::NO_CONTENT, "2xx"),
            (StatusCode::NOT_MODIFIED, "3xx"),
            (StatusCode::NOT_FOUND, "4xx"),
            (StatusCode::BAD_GATEWAY, "5xx"),
        ] {
            assert_eq!(CLASSES[class_index(status)], class, "{status}");
        }
    }
}
