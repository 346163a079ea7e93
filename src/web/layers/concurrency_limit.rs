//! Limits the requests that are handled at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;

use crate::message::problem::try_again;
use crate::message::{BodyMode, Later, Problem, Request, Response};
use crate::web::{Layer, Next};

/// Responds 503 with `Retry-After` to requests beyond a number that are handled at once.
///
/// Use it for routes that occupy something scarce, so that they do not occupy all workers: a slow
/// report, a service with few connections, a body that is read while it arrives
/// ([`BodyMode::Streaming`]). A request beyond the limit gets its 503 at once. It does not
/// wait, because it would occupy a worker, and because the server's own queue is the place to wait: to
/// handle fewer requests at once everywhere, set [`Builder::workers`](crate::Builder::workers).
///
/// A request counts until its response exists: until the handler returns, or until a response has arrived
/// [later](crate::Later). While the body of the response is sent, it does not count.
///
/// Clones share the limit, so several routes can have one limit together.
///
/// ```
/// # #[cfg(feature = "router")] {
/// use httpool::layers::ConcurrencyLimit;
/// use httpool::Router;
///
/// let reports = Router::new()
///     .layer(ConcurrencyLimit::new(2))
///     .get("/{year}", || "a report that takes long");
/// let router: Router = Router::new().get("/", || "quick").nest("/reports", reports);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit {
    most: usize,
    running: Arc<AtomicUsize>,
}

/// Counts one request until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl ConcurrencyLimit {
    /// Creates the layer with the largest number of requests at once.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn new(most: usize) -> Self {
        assert!(most > 0, "the number of requests must be greater than zero");
        Self {
            most,
            running: Arc::default(),
        }
    }

    /// Returns how many requests count now.
    ///
    /// ```
    /// use httpool::layers::ConcurrencyLimit;
    ///
    /// assert_eq!(ConcurrencyLimit::new(2).running(), 0);
    /// ```
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Counts one more, unless that is too many.
    pub(crate) fn permit(&self) -> Option<Permit> {
        let more = |running| (running < self.most).then_some(running + 1);
        let result = (self.running).fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        result.is_ok().then(|| Permit(Arc::clone(&self.running)))
    }
}

impl Layer for ConcurrencyLimit {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let Some(permit) = self.permit() else {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE)
                .detail("too many of these requests are being handled");
            return try_again(problem.to_response(request.headers()));
        };
        Later::map(next.handle(request), move |response| {
            drop(permit);
            response
        })
    }

    /// A request that is likely to be rejected need not send its body. A streamed body is left alone: if
    /// the request is handled after all, it must not be buffered.
    fn body_mode(&self, _: &Request, behind: BodyMode) -> BodyMode {
        match behind {
            BodyMode::Buffered if self.running() >= self.most => BodyMode::HeadOnly,
            _ => behind,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
