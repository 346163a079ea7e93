//! When a request arrived, waited and was handled.

use std::time::{Duration, Instant, SystemTime};

use super::Request;

/// How long a request has waited, been read and been handled. The server measures this only if
/// [`Builder::request_times`](crate::Builder::request_times) asks for it.
///
/// ```
/// use httpool::{Request, RequestTimes};
///
/// fn describe(request: &Request) -> String {
///     match RequestTimes::of(request) {
///         Some(times) => format!("waited {:?}, read in {:?}", times.waited(), times.read()),
///         None => "not measured".into(),
///     }
/// }
///
/// assert_eq!(describe(&Request::default()), "not measured");
/// ```
///
/// The request's extensions carry this value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTimes {
    pub(crate) waited: Duration,
    /// When the request began to arrive.
    pub(crate) since: Instant,
    /// When the handler was called.
    pub(crate) called: Instant,
}

impl RequestTimes {
    /// Returns the times of this request. `None` if they are not measured.
    #[must_use]
    pub fn of(request: &Request) -> Option<&Self> {
        request.extensions().get()
    }

    /// Returns how long the connection was in the queue before a worker took it and called the
    /// handler. Zero if the worker has taken it from epoll itself. With HTTP/2 this is the wait of
    /// the connection, too.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Returns the time from the first byte of the request, as far as the server has seen it, to the
    /// call of the handler. If the request arrived in parts, this includes the time that the client
    /// took. With HTTP/2 it begins with the whole head, and includes the wait for other handlers of
    /// the connection.
    #[must_use]
    pub fn read(&self) -> Duration {
        self.called.saturating_duration_since(self.since)
    }

    /// Returns the time since the handler was called.
    #[must_use]
    pub fn handled(&self) -> Duration {
        self.called.elapsed()
    }

    /// Returns when the request began to arrive, by the clock of the system.
    #[must_use]
    pub fn received(&self) -> SystemTime {
        let now = SystemTime::now();
        now.checked_sub(self.since.elapsed()).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_with_the_call() {
        let since = Instant::now();
        let times = RequestTimes {
            waited: Duration::from_millis(1),
            since,
            called: since + Duration::from_millis(20),
        };
        assert_eq!(times.waited(), Duration::from_millis(1));
        assert_eq!(times.read(), Duration::from_millis(20));
        assert!(times.received() <= SystemTime::now());
    }
}
