//! Limits how many passwords are checked at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(super) struct Limit {
    free: AtomicUsize,
}

/// Counts as one check until it is dropped.
#[derive(Debug)]
pub(super) struct Permit<'a>(&'a Limit);

impl Limit {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: AtomicUsize::new(count),
        }
    }

    /// Begins a check, unless too many are running.
    pub(super) fn enter(&self) -> Option<Permit<'_>> {
        let take = |free: usize| free.checked_sub(1);
        let taken = (self.free).fetch_update(Ordering::Acquire, Ordering::Relaxed, take);
        taken.is_ok().then(|| Permit(self))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_permit_is_free_again() {
        let limit = Limit::new(2);
        let (first, second) = (limit.enter(), limit.enter());
        assert!(first.is_some() && second.is_some());
        for _ in 0..3 {
            assert!(limit.enter().is_none());
        }
        drop(first);
        let third = limit.enter();
        assert!(third.is_some() && limit.enter().is_none());
    }
}
