//! Where a server's life stands.

use crate::sync::atomic::{AtomicU8, Ordering};

/// Where a server's life stands. It only goes forward.
///
/// ```
/// use httpool::{Handle, Phase};
///
/// /// For a load balancer.
/// fn is_ready(server: &Handle) -> bool {
///     server.phase() == Phase::Running
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Serving.
    Running,
    /// Still accepting and serving, but the last answer on each connection says
    /// `Connection: close`, so that clients and load balancers turn away.
    Announcing,
    /// The listeners are closed; what is under way is finished.
    Draining,
    /// The deadline has passed: what is left is cut.
    Forced,
    /// Nothing is left.
    Stopped,
}

impl Phase {
    const ALL: [Self; 5] = [
        Self::Running,
        Self::Announcing,
        Self::Draining,
        Self::Forced,
        Self::Stopped,
    ];
}

/// The phase, shared by everyone who acts on it.
#[derive(Debug)]
pub(crate) struct PhaseCell(AtomicU8);

impl PhaseCell {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(Phase::Running as u8))
    }

    pub(crate) fn get(&self) -> Phase {
        Phase::ALL[usize::from(self.0.load(Ordering::SeqCst))]
    }

    /// Goes forward to `phase`; a phase that has passed does not come back.
    pub(crate) fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_only_go_forward() {
        let cell = PhaseCell::new();
        for (asked, expected) in [
            (Phase::Draining, Phase::Draining),
            (Phase::Announcing, Phase::Draining),
            (Phase::Stopped, Phase::Stopped),
            (Phase::Running, Phase::Stopped),
        ] {
            cell.advance(asked);
            assert_eq!(cell.get(), expected);
        }
    }
}
