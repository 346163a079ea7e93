//! How many bytes all connections together may keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the connections of one server may keep in memory of requests that are not complete and
/// answers that are not taken.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    held: AtomicUsize,
}

/// What one connection keeps of it; given back when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            held: AtomicUsize::new(0),
        }
    }

    /// How many bytes may be kept.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// How many bytes are kept now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Share {
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    /// Makes it at least this large, if that is within the budget.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else {
            return true;
        };
        let before = self.budget.held.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.budget.most {
            self.budget.held.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.bytes = bytes;
        true
    }

    /// Makes it at most this large.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if let Some(less) = self.bytes.checked_sub(bytes).filter(|less| *less > 0) {
            self.budget.held.fetch_sub(less, Ordering::Relaxed);
            self.bytes = bytes;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_within_the_budget_and_are_given_back() {
        let budget = Arc::new(Budget::new(10));
        let (mut one, mut other) = (Share::new(&budget), Share::new(&budget));
        assert!(one.grow(6));
        assert!(!other.grow(5));
        assert!(other.grow(4));
        assert!(one.grow(3), "it has more already");
        assert_eq!(budget.held(), 10);

        other.shrink(5);
        assert_eq!(budget.held(), 10, "it has less already");
        other.shrink(1);
        assert!(one.grow(9));
        assert!(!other.grow(2));
        drop((one, other));
        assert_eq!(budget.held(), 0);
    }
}
