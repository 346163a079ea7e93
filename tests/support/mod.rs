//! Helpers that all test suites share.

mod client;
mod direct;
mod folder;
mod gate;
pub(crate) mod http2;
pub(crate) mod log_lines;
mod log_output;
mod permissions;
mod process;
mod program;
mod random;
pub(crate) mod request;
mod sandbox;
mod server;
pub(crate) mod tls;
mod transport;
mod visitor;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process as system;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use httpool::Request;

pub(crate) use client::{Client, End, Response};
pub(crate) use direct::{call, expect_status, get, header};
pub(crate) use folder::TempDir;
pub(crate) use gate::{Gate, GateWaiter};
pub(crate) use http2::Http2Client;
pub(crate) use log_output::LogOutput;
pub(crate) use permissions::without_privileges;
pub(crate) use process::{ignores_signal, in_own_process, rerun_module, resident_memory};
pub(crate) use program::{Program, address_in, run_program, run_with_journal};
pub(crate) use random::Random;
pub(crate) use sandbox::{exhaust_descriptors, without_openat2};
pub(crate) use server::{BoundServer, ClientSetup, TestServer, expect_refused};
pub(crate) use transport::{Transport, over_every_transport};
pub(crate) use visitor::Visitor;

/// Longest time that any wait may take. Only a failing test waits this long.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// For a timeout that must not expire during a test.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// For a timeout that a test waits for.
pub(crate) const SOON: Duration = Duration::from_millis(100);

/// Size of a body that no socket buffers can hold: a client that does not read it is a slow reader.
pub(crate) const HUGE: usize = 48 * 1024 * 1024;

/// Polls until a condition holds.
#[track_caller]
pub(crate) fn eventually(description: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "not within {TIMEOUT:?}: {description}"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

/// A handler that returns the request's body.
pub(crate) fn mirror(request: Request) -> Vec<u8> {
    request.into_body().into_bytes().into()
}

/// A handler that returns the method, the target and the body of its request.
pub(crate) fn describe(request: Request) -> String {
    let body = String::from_utf8_lossy(request.body().as_bytes());
    format!("{} {} {body}", request.method(), request.uri())
}

/// A loopback address that no other test uses, so that a test can tell whether it left a listener
/// there.
pub(crate) fn unique_loopback() -> Ipv4Addr {
    static USED: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = system::id().to_be_bytes();
    Ipv4Addr::new(127, high, low, USED.fetch_add(1, Ordering::Relaxed))
}

/// Number of descriptors that this process has open.
pub(crate) fn open_descriptors() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").expect("there is a /proc");
    // One of them is the directory itself.
    open.count() - 1
}

/// Number of times that threads with matching names slept and were woken, in total.
pub(crate) fn wakeups(matches: impl Fn(&str) -> bool) -> usize {
    let threads = std::fs::read_dir("/proc/self/task").expect("there is a /proc");
    let files = threads.filter_map(|thread| Some(thread.ok()?.path().join("status")));
    // A thread may end meanwhile.
    let statuses = files.filter_map(|file| std::fs::read_to_string(file).ok());
    let times = statuses.filter_map(|status| {
        let line = |name| status.lines().find_map(|line| line.strip_prefix(name));
        let name = line("Name:")?.trim();
        matches(name).then(|| {
            line("voluntary_ctxt_switches:")?
                .trim()
                .parse::<usize>()
                .ok()
        })?
    });
    times.sum()
}

/// A unique path for a file, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct TempPath(PathBuf);

impl TempPath {
    pub(crate) fn new(name: &str) -> Self {
        let file = format!("httpool-it-{}-{name}", system::id());
        Self(std::env::temp_dir().join(file))
    }

    pub(crate) fn text(&self) -> &str {
        self.0.to_str().expect("the path is text")
    }
}

impl AsRef<Path> for TempPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
