//! Restrictions and exhausted resources of a process.

use std::env::consts::ARCH;
use std::fs::File;
use std::iter;
use std::panic::resume_unwind;
use std::thread;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// The number of the system call is the same on every architecture.
const OPENAT2: i64 = 437;

/// Runs `body` on a thread that may not call `openat2`, as under systemd's `RestrictSUIDSGID=`.
/// Threads and processes started there may not either.
#[track_caller]
pub(crate) fn without_openat2<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let forbidden = SeccompFilter::new(
        [(OPENAT2, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(Errno::NOSYS.raw_os_error().unsigned_abs()),
        ARCH.try_into().expect("the architecture is supported"),
    );
    let filter =
        BpfProgram::try_from(forbidden.expect("the filter is valid")).expect("the filter compiles");
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            apply_filter(&filter).expect("the filter can be installed");
            let within = ResolveFlags::empty();
            let called = openat2(CWD, ".", OFlags::PATH, Mode::empty(), within);
            assert_eq!(called.err(), Some(Errno::NOSYS));
            body()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Lowers the descriptor limit and opens every descriptor that is left. Closing one makes it
/// available again. For a test that runs [`in_own_process`](super::in_own_process).
pub(crate) fn exhaust_descriptors() -> Vec<File> {
    let limit = Rlimit {
        current: Some(100),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("the limit can be lowered");
    iter::repeat_with(|| File::open("/dev/null"))
        .map_while(Result::ok)
        .collect()
}
