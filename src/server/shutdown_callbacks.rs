//! Functions that are called when the server begins to shut down.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use log::error;

use crate::connection::Phase;
use crate::connection::phase::PhaseCell;
use crate::sync::{Mutex, ignore_poison};

/// The functions, which are called once.
#[derive(Default)]
pub(super) struct ShutdownCallbacks(Mutex<Vec<Callback>>);

type Callback = Box<dyn FnOnce() + Send>;

impl ShutdownCallbacks {
    /// Keeps a function until the server begins to shut down. If it has already, the function is called
    /// at once.
    pub(super) fn add(&self, phase: &PhaseCell, callback: impl FnOnce() + Send + 'static) {
        let mut callbacks = ignore_poison(self.0.lock());
        // The functions are taken after the phase has advanced, so none is left behind.
        if phase.get() == Phase::Running {
            callbacks.push(Box::new(callback));
            return;
        }
        drop(callbacks);
        call(callback);
    }

    /// Calls the functions, after the phase has advanced.
    pub(super) fn run(&self) {
        let callbacks = mem::take(&mut *ignore_poison(self.0.lock()));
        callbacks.into_iter().for_each(call);
    }
}

fn call(callback: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(callback)).is_err() {
        error!("a function for the shutdown panicked");
    }
}

impl fmt::Debug for ShutdownCallbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownCallbacks").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn functions_are_called_once() {
        let calls = Arc::new(AtomicUsize::new(0));
        let (callbacks, phase) = (ShutdownCallbacks::default(), PhaseCell::new());
        let count = || {
            let calls = Arc::clone(&calls);
            move || {
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        callbacks.add(&phase, || panic!("a test asked for this"));
        callbacks.add(&phase, count());
        callbacks.add(&phase, count());
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        phase.advance(Phase::Announcing);
        callbacks.add(&phase, count());
        assert_eq!(calls.load(Ordering::SeqCst), 1, "it is called at once");
        for _ in 0..2 {
            callbacks.run();
            assert_eq!(calls.load(Ordering::SeqCst), 3);
        }
    }
}
