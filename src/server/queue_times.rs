//! How long connections that can go on wait for a worker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;

/// Where the classes of waits end: from what a quick pool takes to find the time, to what nobody
/// waits for any more.
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

/// Each worker's tally of the waits that it has ended, and behind them the acceptor's. Only the
/// thread itself writes its own.
#[derive(Debug)]
pub(super) struct QueueTimeCounters(Box<[CachePadded<Tally>]>);

#[derive(Debug, Default)]
struct Tally {
    /// Waits of connections that came from the system itself.
    none: AtomicU64,
    /// Those in the ready channel by their length, the last for those above all bounds.
    classes: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// How long connections that could go on have waited for a worker so far: one wait for each time
/// that a worker has taken one up.
///
/// Time counts from the moment at which the server has learnt that a connection can go on. While
/// workers look for events, that is the moment itself. While all of them are in handlers, the
/// acceptor looks instead, about once a millisecond; if handlers that have been quick so far begin
/// to block, it may take a tenth of a second to notice.
///
/// ```
/// # use httpool::Server;
/// # let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// let waits = server.handle().waits();
/// let short: u64 = waits.classes.iter().map(|(_, count)| count).sum();
/// println!("{} of {} waited for more than 10 s", waits.count - short, waits.count);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueTimes {
    /// How many there were.
    pub count: u64,
    /// All of them together.
    pub total: Duration,
    /// How many were at most this long, and longer than the bound before. Those that are missing
    /// to [`count`](Self::count) were longer than the last bound.
    pub classes: Vec<(Duration, u64)>,
}

impl QueueTimeCounters {
    pub(super) fn new(workers: usize) -> Self {
        Self((0..=workers).map(|_| CachePadded::default()).collect())
    }

    /// A thread takes up a connection that has waited this long in the ready channel, or that comes
    /// from the system itself.
    pub(super) fn note(&self, thread: usize, waited: Option<Duration>) {
        let tally = &self.0[thread];
        let Some(waited) = waited else {
            return add(&tally.none, 1);
        };
        let class = BOUNDS.partition_point(|bound| *bound < waited);
        add(&tally.classes[class], 1);
        let nanoseconds = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        add(&tally.nanoseconds, nanoseconds);
    }

    pub(super) fn waits(&self) -> QueueTimes {
        let sum = |count: fn(&Tally) -> &AtomicU64| self.sum(count);
        let none = sum(|tally| &tally.none);
        let mut counts = [0; BOUNDS.len() + 1];
        for tally in &self.0 {
            for (sum, count) in counts.iter_mut().zip(&tally.classes) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        counts[0] += none;
        QueueTimes {
            count: counts.iter().sum(),
            total: Duration::from_nanos(sum(|tally| &tally.nanoseconds)),
            classes: BOUNDS.into_iter().zip(counts).collect(),
        }
    }

    /// How many connections have been taken from the ready channel.
    pub(super) fn taken(&self) -> u64 {
        let classes = self.0.iter().flat_map(|tally| &tally.classes);
        classes.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn sum(&self, count: impl Fn(&Tally) -> &AtomicU64) -> u64 {
        let counts = self.0.iter().map(|tally| count(tally));
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
        let tallies = QueueTimeCounters::new(2);
        tallies.note(0, None);
        tallies.note(1, Some(BOUNDS[0]));
        tallies.note(1, Some(BOUNDS[0] + Duration::from_nanos(1)));
        tallies.note(2, Some(Duration::from_secs(11)));
        let waits = tallies.waits();
        assert_eq!(waits.count, 4);
        let sum = 2 * BOUNDS[0] + Duration::from_nanos(1) + Duration::from_secs(11);
        assert_eq!(waits.total, sum);
        assert_eq!(waits.classes[0], (BOUNDS[0], 2));
        assert_eq!(waits.classes[1], (BOUNDS[1], 1));
        assert!(waits.classes[2..].iter().all(|(_, count)| *count == 0));
    }
}
