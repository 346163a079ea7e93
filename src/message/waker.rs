//! Wakers, by which another thread has a response continued.

use std::mem;
use std::ptr;
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Instant;

/// Has a response continued that waits for something: the connection that it belongs to is driven. It
/// keeps neither the connection nor the server alive, and may be called after both have ended.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);

    /// Wakes like [`wake`](Self::wake), but leaves it to the batch to wake threads for that.
    fn wake_in(&self, _batch: &mut WakeBatch) {
        self.wake();
    }

    /// Whether the server has begun to shut down.
    fn is_draining(&self) -> bool;

    /// Has this or another waker called at this moment, at most ten milliseconds late. Returns nothing if
    /// there is no clock, or the server has stopped.
    fn alarm(&self, _at: Instant, _waker: Arc<dyn Wake>) -> Option<Box<dyn Alarm>> {
        None
    }
}

/// A wake-up by the clock. Dropping it before its time cancels it.
pub(crate) trait Alarm: Send {}

/// The threads that continue responses.
pub(crate) trait WorkerPool: Send + Sync {
    /// Wakes as many threads as the queued work is worth.
    fn wake_workers(&self);
}

/// Responses that are continued together. To wake a thread for each would cost more than to continue
/// it. So a thread is woken for the first of them, then one for every many, and one for the last when the
/// batch is dropped.
#[derive(Default)]
pub(crate) struct WakeBatch {
    pool: Option<Arc<dyn WorkerPool>>,
    /// Responses queued since the last wake-up.
    queued: usize,
}

impl WakeBatch {
    /// As many as are queued before a wake-up: so few that the threads begin early, and so many that the
    /// wake-up costs little.
    const SIZE: usize = 64;

    /// Notes that a response was queued for this pool.
    pub(crate) fn note_queued(&mut self, pool: Arc<dyn WorkerPool>) {
        let is_same =
            |last: &Arc<dyn WorkerPool>| ptr::addr_eq(Arc::as_ptr(last), Arc::as_ptr(&pool));
        if !self.pool.as_ref().is_some_and(is_same) {
            self.flush();
            self.pool = Some(pool);
            // The first of them waits for nothing.
            self.queued = Self::SIZE - 1;
        }
        self.queued += 1;
        if self.queued == Self::SIZE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if mem::take(&mut self.queued) > 0
            && let Some(pool) = &self.pool
        {
            pool.wake_workers();
        }
    }
}

impl Drop for WakeBatch {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Wakes all of these.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Arc<dyn Wake>>) {
    let mut batch = WakeBatch::default();
    for waker in wakers {
        waker.wake_in(&mut batch);
    }
}

/// Wakes the thread that created it. It is for content that is read without a connection.
pub(crate) struct ThreadWaker(Thread);

impl ThreadWaker {
    pub(crate) fn current() -> Arc<dyn Wake> {
        Arc::new(Self(thread::current()))
    }
}

impl Wake for ThreadWaker {
    fn wake(&self) {
        self.0.unpark();
    }

    fn is_draining(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Pool(AtomicUsize);

    impl WorkerPool for Pool {
        fn wake_workers(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn batch_wakes_for_the_first_for_each_many_and_for_the_last() {
        // Responses in a batch, and how often threads are woken for them.
        for (responses, expected) in [(0, 0), (1, 1), (2, 2), (65, 2), (66, 3), (1 + 64 * 9, 10)] {
            let pool = Arc::new(Pool::default());
            let mut batch = WakeBatch::default();
            for _ in 0..responses {
                batch.note_queued(pool.clone());
                assert!(pool.0.load(Ordering::SeqCst) > 0, "one is woken at once");
            }
            drop(batch);
            assert_eq!(pool.0.load(Ordering::SeqCst), expected, "{responses}");
        }
    }

    #[test]
    fn batch_for_two_pools_wakes_both() {
        let pools = [(); 2].map(|()| Arc::new(Pool::default()));
        let mut batch = WakeBatch::default();
        for pool in &pools {
            (0..3).for_each(|_| batch.note_queued(pool.clone()));
        }
        drop(batch);
        assert!(pools.iter().all(|pool| pool.0.load(Ordering::SeqCst) == 2));
    }
}
