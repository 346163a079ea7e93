//! Times of many events.

use std::time::Duration;

/// The middle, the slowest hundredth, and the longest, in milliseconds.
#[derive(serde::Serialize, Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) longest: f64,
}

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let within = |share: f64| {
            let rank = (times.len() as f64 * share).ceil() as usize;
            let time = times.get(rank.clamp(1, times.len().max(1)) - 1);
            time.copied().unwrap_or_default().as_secs_f64() * 1e3
        };
        Self {
            p50: within(0.5),
            p99: within(0.99),
            longest: within(1.0),
        }
    }
}
