//! The memory budget of all connections together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The memory of a server's connections for incomplete requests and unsent responses, and its limit.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    held: AtomicUsize,
}

/// One connection's share of the budget. Dropping it frees the share.
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

    /// The limit in bytes.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// The bytes in use.
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

    /// Grows the share to at least `bytes`. Returns false if the budget has no room.
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

    /// Shrinks the share to at most `bytes`.
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
    fn shares_grow_within_the_budget_and_are_freed() {
        let budget = Arc::new(Budget::new(10));
        let (mut one, mut other) = (Share::new(&budget), Share::new(&budget));
        assert!(one.grow(6));
        assert!(!other.grow(5));
        assert!(other.grow(4));
        assert!(one.grow(3), "the share is larger already");
        assert_eq!(budget.held(), 10);

        other.shrink(5);
        assert_eq!(budget.held(), 10, "the share is smaller already");
        other.shrink(1);
        assert!(one.grow(9));
        assert!(!other.grow(2));
        drop((one, other));
        assert_eq!(budget.held(), 0);
    }
}
