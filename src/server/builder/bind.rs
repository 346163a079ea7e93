//! Binds a configured server to its addresses.

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
use crate::server::counted;
use crate::server::queue_times::QueueTimeCounters;
use crate::server::stats::Stats;
use crate::server::waker::Waker;
use crate::server::worker_activity::WorkerActivity;
use crate::server::{Builder, Server};
use crate::sync::channel;

/// Descriptors kept for everything but connections: listeners, logs, files that handlers open while
/// they run, the program's own.
const SPARE_DESCRIPTORS: u64 = 64;

impl Builder {
    /// Starts to listen. Clients can connect from now on, and get responses once the server
    /// [runs](Server::run).
    ///
    /// # Errors
    ///
    /// If there is no address, or one is invalid or can't be bound. If an address is for the PROXY
    /// protocol and no proxy is trusted.
    pub fn bind(self) -> Result<Server, BindError> {
        let mut listeners = Vec::new();
        for (socket, protocol) in self.adopted {
            listeners.push(Listener::adopt(socket)?.with_protocol(protocol));
        }
        for (address, protocol) in &self.addresses {
            let address = address
                .as_ref()
                .map_err(|error| BindError::invalid_address(*error))?;
            let bound = Listener::bind(address, self.reuse_port)?;
            listeners.extend(
                bound
                    .into_iter()
                    .map(|listener| listener.with_protocol(protocol.clone())),
            );
        }
        if listeners.is_empty() {
            return Err(BindError::no_listeners());
        }
        #[cfg(feature = "proxy")]
        if self.config.trusted_proxies.is_empty()
            && let Some(listener) = listeners
                .iter()
                .find(|listener| listener.expects_proxy_header())
        {
            return Err(BindError::no_trusted_proxy(listener.address()));
        }
        let waker = Arc::new(Waker::new().map_err(BindError::without_address)?);
        let addresses = listeners.iter().map(Listener::address).cloned().collect();
        let max_connections = affordable(&self.config);
        // Connections in the kernel's queues when the drain begins are accepted above the limit.
        let backlog = (usize::from(BACKLOG) + 1) * listeners.len();
        let capacity = max_connections + backlog;
        let (ready_tx, ready_rx) = channel::bounded(capacity);
        Ok(Server {
            max_connections,
            capacity,
            stats: Arc::new(Stats::new(self.config.workers, &waker)),
            activity: Arc::new(WorkerActivity::new(self.config.workers)),
            #[cfg(feature = "http2")]
            http2_stats: Arc::default(),
            queue_times: Arc::new(QueueTimeCounters::new(self.config.workers)),
            ready_tx,
            ready_rx: Arc::new(ready_rx),
            budget: Arc::new(Budget::new(self.config.max_buffered_memory)),
            phase: Arc::new(PhaseCell::new()),
            waker,
            config: self.config,
            observers: self.observers,
            error_pages: self.error_pages,
            default_headers: self.default_headers,
            listeners,
            addresses,
            shutdown_callbacks: Arc::default(),
        })
    }
}

/// Returns the configured limit of connections, or a lower one if the process may open too few
/// descriptors.
fn affordable(config: &Config) -> usize {
    let configured = config.max_connections;
    let Some(descriptors) = getrlimit(Resource::Nofile).current else {
        return configured;
    };
    let available = descriptors.saturating_sub(SPARE_DESCRIPTORS);
    let affordable = available / config.descriptors_per_connection as u64;
    match usize::try_from(affordable.max(1)) {
        Ok(affordable) if affordable < configured => {
            log_affordable(affordable, descriptors, config.workers);
            affordable
        }
        _ => configured,
    }
}

/// Logs that the descriptor limit lowers the limit of connections. All servers of a process share
/// the descriptors, so a program with several servers logs it at most once a minute.
fn log_affordable(affordable: usize, descriptors: u64, workers: usize) {
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
