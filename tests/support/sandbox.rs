//! What a process is not allowed, or has no more of.

use std::env::consts::ARCH;
use std::fs::File;
use std::iter;
use std::panic::resume_unwind;
use std::thread;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// Its number is the same on every architecture.
const OPENAT2: i64 = 437;

/// Runs this on a thread that may not call `openat2`, as under systemd's `RestrictSUIDSGID=`. What is
/// started there may not either.
#[track_caller]
pub(crate) fn without_openat2<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let forbidden = SeccompFilter::new(
        [(OPENAT2, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(Errno::NOSYS.raw_os_error().unsigned_abs()),
        ARCH.try_into().expect("its system calls are known"),
    );
    let filter = BpfProgram::try_from(forbidden.expect("it is a filter")).expect("it is a program");
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            apply_filter(&filter).expect("a thread may give up what it may do");
            let within = ResolveFlags::empty();
            let called = openat2(CWD, ".", OFlags::PATH, Mode::empty(), within);
            assert_eq!(called.err(), Some(Errno::NOSYS));
            body()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// All descriptors that this process may have, which are not many: each that is closed is one for
/// somebody else. For a test that runs `alone`.
pub(crate) fn exhaust_descriptors() -> Vec<File> {
    let limit = Rlimit {
        current: Some(100),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("it is lower");
    iter::repeat_with(|| File::open("/dev/null"))
        .map_while(Result::ok)
        .collect()
}
