//! Counts requests: how many of which kind, how long they took, how large they were.

use std::collections::BTreeMap;

use http::StatusCode;

use crate::message::{Observer, Outcome, RejectReason, RequestRecord};
use crate::services::sharded::Sharded;

/// Methods that are told apart; anybody can invent others.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE",
];
const OTHER: &str = "other";

/// By the first digit of the status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// From what a small answer takes here to what nobody waits for, in nanoseconds.
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

/// From an empty body to the largest that is taken by default and a little more.
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

/// Counts requests for the [`Admin`](crate::services::Admin) server's `/metrics`: by method and status, why
/// they were refused, how long they took, how large they and their answers were.
///
/// ```
/// use std::sync::Arc;
///
/// use httpool::services::{Admin, RequestMetrics};
/// use httpool::Server;
///
/// let meter = Arc::new(RequestMetrics::new());
/// let server = Server::builder()
///     .listen("127.0.0.1:0")
///     .observer(Arc::clone(&meter))
///     .bind()?;
/// let admin = Admin::new(server.handle()).meter(meter);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RequestMetrics(Sharded<Counts>);

#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    requests: [[u64; CLASSES.len()]; METHODS.len() + 1],
    refused: BTreeMap<&'static str, u64>,
    pub(crate) panicked: u64,
    pub(crate) durations: Histogram<{ DURATIONS.len() }>,
    pub(crate) received: Histogram<{ SIZES.len() }>,
    pub(crate) sent: Histogram<{ SIZES.len() }>,
}

/// How many values lie below each bound and above the one before; the last are above them all.
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
    /// One that has counted nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(Sharded::new())
    }

    /// What all workers have counted so far. Every reason to refuse is there, for a figure that comes
    /// with its first occurrence hides that one from whoever looks at how figures grow.
    pub(crate) fn counts(&self) -> Counts {
        let reasons = RejectReason::ALL.map(RejectReason::as_str).into_iter();
        let nothing = Counts {
            refused: reasons.map(|why| (why, 0)).collect(),
            ..Counts::default()
        };
        self.0.all().fold(nothing, |sum, counts| sum.and(&counts))
    }
}

impl Observer for RequestMetrics {
    fn on_response(&self, exchange: &RequestRecord<'_>) {
        let method = number_of_method(exchange.raw_request().request_line());
        let duration = u64::try_from(exchange.duration().as_nanos()).unwrap_or(u64::MAX);
        let mut counts = self.0.of(exchange.worker());
        counts.requests[method][number_of_class(exchange.status())] += 1;
        counts.durations.add(&DURATIONS, duration);
        counts.received.add(&SIZES, exchange.received());
        if let Some(sent) = exchange.sent() {
            counts.sent.add(&SIZES, sent);
        }
        match exchange.outcome() {
            Outcome::Handled => {}
            Outcome::Panicked => counts.panicked += 1,
            Outcome::Rejected(reason) => {
                *counts.refused.entry(reason.as_str()).or_default() += 1;
            }
        }
    }
}

impl Counts {
    /// Method, class of status, and how many there were.
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

    /// Why requests were refused, and how many.
    pub(crate) fn refused(&self) -> impl Iterator<Item = ([(&'static str, &'static str); 1], u64)> {
        let refused = self.refused.iter();
        refused.map(|(why, count)| ([("reason", *why)], *count))
    }

    fn and(mut self, other: &Self) -> Self {
        let counts = self.requests.iter_mut().flatten();
        counts
            .zip(other.requests.iter().flatten())
            .for_each(|(sum, count)| *sum += count);
        for (why, count) in &other.refused {
            *self.refused.entry(why).or_default() += count;
        }
        self.panicked += other.panicked;
        self.durations.merge(&other.durations);
        self.received.merge(&other.received);
        self.sent.merge(&other.sent);
        self
    }
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    /// The number of values in each bucket, those above all bounds at the end.
    pub(crate) fn counts(&self) -> impl Iterator<Item = u64> {
        self.buckets.into_iter().chain([self.above])
    }

    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    fn add(&mut self, bounds: &[u64; BOUNDS], value: u64) {
        let place = bounds.partition_point(|bound| *bound < value);
        *self.buckets.get_mut(place).unwrap_or(&mut self.above) += 1;
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

fn number_of_method(request_line: &[u8]) -> usize {
    let is_method = |method: &&str| {
        let rest = request_line.strip_prefix(method.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b" "))
    };
    METHODS.iter().position(is_method).unwrap_or(METHODS.len())
}

fn number_of_class(status: StatusCode) -> usize {
    let digit = usize::from(status.as_u16() / 100);
    digit.saturating_sub(1).min(CLASSES.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_of_the_class_of_its_first_digit() {
        for (status, class) in [
            (StatusCode::SWITCHING_PROTOCOLS, "1xx"),
            (StatusCode::NO_CONTENT, "2xx"),
            (StatusCode::NOT_MODIFIED, "3xx"),
            (StatusCode::NOT_FOUND, "4xx"),
            (StatusCode::BAD_GATEWAY, "5xx"),
        ] {
            assert_eq!(CLASSES[number_of_class(status)], class, "{status}");
        }
    }
}
