//! From what a server is told to one that listens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{Level, log};
use rustix::process::{Resource, getrlimit};

use crate::connection::Budget;
use crate::connection::config::Config;
use crate::connection::phase::PhaseCell;
use crate::logging::LogLimit;
use crate::net::BindError;
use crate::net::listener::{BACKLOG, Listener};
use crate::server::Builder;
use crate::server::Server;
use crate::server::counted;
use crate::server::queue_times::QueueTimeCounters;
use crate::server::stats::Stats;
use crate::server::waker::Waker;
use crate::server::worker_activity::WorkerActivity;
use crate::sync::channel;

/// Descriptors that are left for everything but connections: listeners, logs, what handlers have open
/// while they run, the program's own.
const SPARE_DESCRIPTORS: u64 = 64;

impl Builder {
    /// Starts to listen. From here on clients can connect; they are answered when the server
    /// [runs](Server::run).
    ///
    /// # Errors
    ///
    /// If an address is none or can't be listened on, or there is none; or if it is for proxies and
    /// none is trusted.
    pub fn bind(self) -> Result<Server, BindError> {
        let mut listeners = Vec::new();
        for (socket, opening) in self.adopted {
            listeners.push(Listener::adopt(socket)?.with_protocol(opening));
        }
        for (address, opening) in &self.addresses {
            let address = address
                .as_ref()
                .map_err(|why| BindError::invalid_address(*why))?;
            let bound = Listener::bind(address, self.reuse_port)?;
            listeners.extend(
                bound
                    .into_iter()
                    .map(|one| one.with_protocol(opening.clone())),
            );
        }
        if listeners.is_empty() {
            return Err(BindError::no_listeners());
        }
        #[cfg(feature = "proxy")]
        if self.config.trusted_proxies.is_empty()
            && let Some(listener) = listeners.iter().find(|one| one.expects_proxy_header())
        {
            return Err(BindError::no_trusted_proxy(listener.address()));
        }
        let waker = Arc::new(Waker::new().map_err(BindError::without_address)?);
        let addresses = listeners.iter().map(Listener::address).cloned().collect();
        let max_connections = affordable(&self.config);
        // Whoever is in the kernel's queues when the drain begins is admitted over the limit.
        let backlog = (usize::from(BACKLOG) + 1) * listeners.len();
        let capacity = max_connections + backlog;
        let (ready, jobs) = channel::bounded(capacity);
        Ok(Server {
            max_connections,
            capacity,
            stats: Arc::new(Stats::new(self.config.workers, &waker)),
            turns: Arc::new(WorkerActivity::new(self.config.workers)),
            queue_times: Arc::new(QueueTimeCounters::new(self.config.workers)),
            ready,
            jobs: Arc::new(jobs),
            budget: Arc::new(Budget::new(self.config.max_buffered_memory)),
            phase: Arc::new(PhaseCell::new()),
            waker,
            config: self.config,
            observers: self.observers,
            error_pages: self.error_pages,
            default_headers: self.default_headers,
            listeners,
            addresses,
        })
    }
}

/// As many connections as were asked for, or as the process may open.
fn affordable(config: &Config) -> usize {
    let wanted = config.max_connections;
    let Some(descriptors) = getrlimit(Resource::Nofile).current else {
        return wanted;
    };
    let spared = descriptors.saturating_sub(SPARE_DESCRIPTORS);
    let affordable = spared / config.descriptors_per_connection as u64;
    match usize::try_from(affordable.max(1)) {
        Ok(affordable) if affordable < wanted => {
            say_affordable(affordable, descriptors, config.workers);
            affordable
        }
        _ => wanted,
    }
}

/// Says that the process may have fewer descriptors than connections. All servers of a process have
/// the same descriptors, so a program with several says it once.
fn say_affordable(affordable: usize, descriptors: u64, workers: usize) {
    static LIMIT: LogLimit = LogLimit::new(1, Duration::from_secs(60));
    if LIMIT.allow(Instant::now()).is_none() {
        return;
    }
    let level = match affordable < workers {
        true => Level::Warn,
        false => Level::Info,
    };
    let connections = counted(affordable, "connection");
    log!(
        level,
        "descriptor limit (ulimit -n) of {descriptors} allows {connections} at most"
    );
}
