//! Limits how often log lines are written that clients can cause.
//!
//! Each kind of line has its own [`LogLimit`], so that many lines of one kind do not suppress
//! another kind. A server keeps its limits in the state that all connections share. A program may
//! keep one in a `static`.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use httpool::logging::LogLimit;
//!
//! static FULL: LogLimit = LogLimit::new(1, Duration::from_secs(60));
//!
//! if let Some(suppressed) = FULL.allow(Instant::now()) {
//!     log::warn!("no connection is free{suppressed}");
//! }
//! ```

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sync::ignore_poison;

/// Allows a number of lines in each interval and counts the suppressed ones.
///
/// The first line of an interval is allowed, and states how many lines were suppressed before it.
/// Call [`allow`](Self::allow) only when there is a line to write, and write the line if the result
/// is `Some`:
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use httpool::logging::LogLimit;
///
/// static REFUSED: LogLimit = LogLimit::new(1, Duration::from_secs(60));
///
/// let refused = |peer: &str| {
///     let suppressed = REFUSED.allow(Instant::now())?;
///     Some(format!("{peer}: connection refused{suppressed}"))
/// };
/// assert_eq!(refused("192.0.2.1").as_deref(), Some("192.0.2.1: connection refused"));
/// assert_eq!(refused("192.0.2.2"), None);
/// ```
#[derive(Debug)]
pub struct LogLimit {
    lines: u32,
    interval: Duration,
    window: Mutex<Window>,
}

/// The current interval.
#[derive(Debug)]
struct Window {
    since: Option<Instant>,
    written: u32,
    suppressed: u64,
}

/// How many lines were suppressed before an allowed line. Its text is appended to that line, and is
/// empty for zero.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use httpool::logging::LogLimit;
///
/// let (limit, now) = (LogLimit::new(1, Duration::from_secs(1)), Instant::now());
/// let _ = limit.allow(now);
/// let _ = limit.allow(now);
/// let suppressed = limit.allow(now + Duration::from_secs(1)).expect("a second has passed");
/// assert_eq!(suppressed.to_string(), " (1 similar line suppressed)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppressed(u64);

impl LogLimit {
    /// Allows `lines` lines in each `interval`.
    #[must_use]
    pub const fn new(lines: u32, interval: Duration) -> Self {
        Self {
            lines,
            interval,
            window: Mutex::new(Window {
                since: None,
                written: 0,
                suppressed: 0,
            }),
        }
    }

    /// Returns whether a line may be written now. `None` counts the line as suppressed.
    ///
    /// `now` may be slightly in the past, and different threads may pass times out of order.
    pub fn allow(&self, now: Instant) -> Option<Suppressed> {
        let mut window = ignore_poison(self.window.lock());
        let is_over = |since: Instant| now.saturating_duration_since(since) >= self.interval;
        if window.since.is_none_or(is_over) {
            window.since = Some(now);
            window.written = 0;
        }
        if window.written >= self.lines {
            window.suppressed += 1;
            return None;
        }
        window.written += 1;
        Some(Suppressed(std::mem::take(&mut window.suppressed)))
    }
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (1 similar line suppressed)"),
            many => write!(f, " ({many} similar lines suppressed)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    /// Returns the texts appended to the lines that are allowed at these seconds.
    fn allowed(lines: u32, seconds: &[u64]) -> Vec<(u64, String)> {
        let (limit, start) = (LogLimit::new(lines, INTERVAL), Instant::now());
        let at = |second: u64| limit.allow(start + Duration::from_secs(second));
        let lines = seconds.iter().copied();
        lines
            .filter_map(|second| Some((second, at(second)?.to_string())))
            .collect()
    }

    #[test]
    fn interval_begins_with_its_first_line() {
        let none = String::new;
        assert_eq!(
            allowed(1, &[7, 16, 17]),
            [(7, none()), (17, " (1 similar line suppressed)".into())]
        );
        assert_eq!(
            allowed(2, &[0, 1, 2, 3, 10, 11, 30]),
            [
                (0, none()),
                (1, none()),
                (10, " (2 similar lines suppressed)".into()),
                (11, none()),
                (30, none()),
            ]
        );
    }

    #[test]
    fn earlier_time_belongs_to_the_current_interval() {
        let (limit, start) = (LogLimit::new(1, INTERVAL), Instant::now());
        assert!(limit.allow(start + INTERVAL).is_some());
        assert_eq!(limit.allow(start), None);
    }
}
