//! The server's process, measured from outside: a request for it would take a descriptor.

use std::fs;
use std::time::Duration;

use super::Serving;

/// Memory of all sockets of this machine, on both sides, in bytes.
pub(crate) fn socket_memory() -> u64 {
    let counts = fs::read_to_string("/proc/net/sockstat").expect("the file exists on Linux");
    let pages = counts.lines().find_map(|line| {
        line.strip_prefix("TCP:")?
            .rsplit(' ')
            .next()?
            .parse::<u64>()
            .ok()
    });
    pages.expect("the value is in pages") * 4096
}

impl Serving {
    /// Number of open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        let open = fs::read_dir(self.file("fd")).expect("the server runs");
        open.count()
    }

    /// Number of threads.
    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(self.file("task"))
            .expect("the server runs")
            .count()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Peak resident memory in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Processor time of all threads.
    pub(crate) fn processor_time(&self) -> Duration {
        let threads = fs::read_dir(self.file("task")).expect("the server runs");
        let nanoseconds = threads.map(|thread| {
            let file = thread
                .expect("the directory can be listed")
                .path()
                .join("schedstat");
            let times = fs::read_to_string(file).expect("the server's threads stay");
            let used = times.split(' ').next().and_then(|used| used.parse().ok());
            used.unwrap_or(0)
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(self.file("status")).expect("the server runs");
        let amount = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"))
            .and_then(|amount| amount.trim().parse::<u64>().ok());
        amount.expect("the value is in kB") * 1024
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }
}
