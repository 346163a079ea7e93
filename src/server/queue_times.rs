//! Measures how long ready connections wait for a worker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;

/// Upper bounds of the histogram's classes, from the wait in a fast pool to longer than a client waits.
const BOUNDS: [Duration; 16] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// One counter set for each worker, then one for the acceptor. Each thread writes only its own.
#[derive(Debug)]
pub(super) struct QueueTimeCounters(Box<[CachePadded<ThreadCounters>]>);

#[derive(Debug, Default)]
struct ThreadCounters {
    /// Connections that came from epoll directly, without a wait.
    direct: AtomicU64,
    /// Waits in the ready channel by length; the last class is above all bounds.
    classes: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// A histogram of how long ready connections have waited for a worker so far.
///
/// It counts one wait each time that a worker takes a connection. The wait begins when the server
/// learns that the connection is ready. While workers look for events, that is at once. While all
/// workers are in handlers, the acceptor looks about once a millisecond. If handlers that have been
/// quick begin to block, it may take a tenth of a second to notice.
///
/// ```
/// # use httpool::Server;
/// # let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// let waits = server.handle().queue_times();
/// let short: u64 = waits.classes.iter().map(|(_, count)| count).sum();
/// println!("{} of {} waited for more than 10 s", waits.count - short, waits.count);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueTimes {
    /// Number of waits.
    pub count: u64,
    /// Sum of all waits.
    pub total: Duration,
    /// For each upper bound, the number of waits that are at most this long and longer than the
    /// previous bound. Waits above the last bound are only in [`count`](Self::count).
    pub classes: Vec<(Duration, u64)>,
}

impl QueueTimeCounters {
    pub(super) fn new(workers: usize) -> Self {
        Self((0..=workers).map(|_| CachePadded::default()).collect())
    }

    /// Records that a thread takes a connection that has waited this long in the ready channel, or
    /// that comes from epoll directly (`None`).
    pub(super) fn note(&self, thread: usize, waited: Option<Duration>) {
        let counters = &self.0[thread];
        let Some(waited) = waited else {
            return add(&counters.direct, 1);
        };
        let class = BOUNDS.partition_point(|bound| *bound < waited);
        add(&counters.classes[class], 1);
        let nanoseconds = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        add(&counters.nanoseconds, nanoseconds);
    }

    pub(super) fn times(&self) -> QueueTimes {
        let sum = |count: fn(&ThreadCounters) -> &AtomicU64| self.sum(count);
        let direct = sum(|counters| &counters.direct);
        let mut counts = [0; BOUNDS.len() + 1];
        for counters in &self.0 {
            for (sum, count) in counts.iter_mut().zip(&counters.classes) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        counts[0] += direct;
        QueueTimes {
            count: counts.iter().sum(),
            total: Duration::from_nanos(sum(|counters| &counters.nanoseconds)),
            classes: BOUNDS.into_iter().zip(counts).collect(),
        }
    }

    /// Connections taken from the ready channel so far.
    pub(super) fn taken(&self) -> u64 {
        let classes = self.0.iter().flat_map(|counters| &counters.classes);
        classes.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn sum(&self, count: impl Fn(&ThreadCounters) -> &AtomicU64) -> u64 {
        let counts = self.0.iter().map(|counters| count(counters));
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

fn add(count: &AtomicU64, more: u64) {
    let sum = count.load(Ordering::Relaxed).wrapping_add(more);
    count.store(sum, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_counted_by_their_length() {
        let counters = QueueTimeCounters::new(2);
        counters.note(0, None);
        counters.note(1, Some(BOUNDS[0]));
        counters.note(1, Some(BOUNDS[0] + Duration::from_nanos(1)));
        counters.note(2, Some(Duration::from_secs(11)));
        let times = counters.times();
        assert_eq!(times.count, 4);
        let sum = 2 * BOUNDS[0] + Duration::from_nanos(1) + Duration::from_secs(11);
        assert_eq!(times.total, sum);
        assert_eq!(times.classes[0], (BOUNDS[0], 2));
        assert_eq!(times.classes[1], (BOUNDS[1], 1));
        assert!(times.classes[2..].iter().all(|(_, count)| *count == 0));
    }
}
