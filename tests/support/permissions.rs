//! Checks file permissions even if the tests run as root.

use std::panic::resume_unwind;
use std::thread;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// Runs `body` on a thread without the capabilities that override file permissions and allow
/// binding privileged ports. Otherwise root would never see an error.
#[track_caller]
pub(crate) fn without_privileges(body: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut sets = capabilities(None).expect("capabilities can be read");
            let everything = CapabilitySet::DAC_OVERRIDE
                | CapabilitySet::DAC_READ_SEARCH
                | CapabilitySet::NET_BIND_SERVICE;
            sets.effective.remove(everything);
            set_capabilities(None, sets).expect("capabilities can be dropped");
            body();
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic));
    });
}
