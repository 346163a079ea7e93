//! Blocks handlers until a test releases them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::TIMEOUT;

/// The test's side of a gate. It opens when it is dropped, so that a failed test leaves no handler
/// blocked.
#[derive(Debug, Default)]
pub(crate) struct Gate(GateWaiter);

/// The handlers' side of a gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct GateWaiter(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    is_open: bool,
    /// Handlers that have reached the gate so far.
    arrived: usize,
}

impl Gate {
    /// Creates a closed gate.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Returns the side for handlers.
    pub(crate) fn waiter(&self) -> GateWaiter {
        self.0.clone()
    }

    /// Lets all handlers pass, now and later.
    pub(crate) fn open(&self) {
        self.0.lock().is_open = true;
        self.0.0.1.notify_all();
    }

    /// Waits until this many handlers in total have reached the gate.
    #[track_caller]
    pub(crate) fn expect_arrived(&self, handlers: usize) {
        let arrived = self.0.wait_until(|state| state.arrived >= handlers).arrived;
        assert!(
            arrived >= handlers,
            "{arrived} of {handlers} handlers came to the gate"
        );
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

impl GateWaiter {
    /// Waits until the gate is open.
    pub(crate) fn wait(&self) {
        self.lock().arrived += 1;
        self.0.1.notify_all();
        let is_open = self.wait_until(|state| state.is_open).is_open;
        assert!(is_open, "the gate was not opened within {TIMEOUT:?}");
    }

    fn wait_until(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + TIMEOUT;
        let mut state = self.lock();
        while !condition(&state) && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            let waited = self.0.1.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
