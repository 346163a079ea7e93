//! What files' permissions mean, whoever runs the tests.

use std::panic::resume_unwind;
use std::thread;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// Runs this on a thread to which files' permissions say what they say to most, and that may not bind
/// every port: a thread that may do everything would not find that something is forbidden.
#[track_caller]
pub(crate) fn without_privileges(body: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut sets = capabilities(None).expect("a thread may know what it may do");
            let everything = CapabilitySet::DAC_OVERRIDE
                | CapabilitySet::DAC_READ_SEARCH
                | CapabilitySet::NET_BIND_SERVICE;
            sets.effective.remove(everything);
            set_capabilities(None, sets).expect("a thread may give up what it may do");
            body();
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic));
    });
}
