//! The server's process, measured from outside: a request for it would take a descriptor.

use std::fs;
use std::path::PathBuf;
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

    /// Resident memory in bytes. Memory that several processes share counts for each of them.
    pub(crate) fn resident(&self) -> u64 {
        let processes = self.processes().into_iter();
        processes.map(|id| status(id, "VmRSS:")).sum()
    }

    /// Peak resident memory in bytes.
    pub(crate) fn peak(&self) -> u64 {
        status(self.child.id(), "VmHWM:")
    }

    /// Processor time of all threads.
    pub(crate) fn processor_time(&self) -> Duration {
        let threads = self.processes().into_iter().flat_map(threads);
        let nanoseconds = threads.map(|thread| {
            let times = fs::read_to_string(thread.join("schedstat"));
            let times = times.expect("the server's threads stay");
            let used = times.split(' ').next().and_then(|used| used.parse().ok());
            used.unwrap_or(0)
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// The server and the processes that it started, as nginx starts its workers.
    fn processes(&self) -> Vec<u32> {
        let mut processes = vec![self.child.id()];
        let mut next = 0;
        while let Some(&id) = processes.get(next) {
            next += 1;
            for thread in threads(id) {
                let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
                let children = children.split_whitespace();
                processes.extend(children.filter_map(|child| child.parse::<u32>().ok()));
            }
        }
        processes
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }
}

/// The directories of a process's threads.
fn threads(process: u32) -> impl Iterator<Item = PathBuf> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("the server runs");
    threads.map(|thread| thread.expect("the directory can be listed").path())
}

fn status(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the server runs");
    let amount = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"))
        .and_then(|amount| amount.trim().parse::<u64>().ok());
    amount.expect("the value is in kB") * 1024
}
