//! The phases of a server's life.

use crate::sync::atomic::{AtomicU8, Ordering};

/// The phase of a server's life. Phases only advance.
///
/// ```
/// use httpool::{Handle, Phase};
///
/// /// For a load balancer's readiness check.
/// fn is_ready(server: &Handle) -> bool {
///     server.phase() == Phase::Running
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The server accepts and serves.
    Running,
    /// The server still accepts and serves, but the last response on each connection has
    /// `Connection: close`, or HTTP/2's GOAWAY with it, so that clients and load balancers use other
    /// servers.
    Announcing,
    /// The listeners are closed. Requests that were received are finished.
    Draining,
    /// The deadline has passed, and open requests are aborted.
    Forced,
    /// All connections are closed.
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

/// The current phase, shared by all threads of a server.
#[derive(Debug)]
pub(crate) struct PhaseCell(AtomicU8);

impl PhaseCell {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(Phase::Running as u8))
    }

    pub(crate) fn get(&self) -> Phase {
        Phase::ALL[usize::from(self.0.load(Ordering::SeqCst))]
    }

    /// Advances to `phase`, unless the current phase is later.
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
