//! The server beside the server, which tells how that one is. Its threads are its own, so that it
//! answers when all workers are busy, and until the last of them has ended.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use httpool::apps::{Admin, Meter};
use httpool::{Builder, Handle, ListenAddr, Server};

/// Those who watch are few, and each is answered at once.
const WORKERS: usize = 1;
const MAX_CONNECTIONS: usize = 64;

/// A server on a thread of its own.
#[derive(Debug)]
pub(crate) struct Beside {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl Beside {
    /// Answers for the server with this handle on these addresses.
    pub(crate) fn start(
        addresses: &[ListenAddr],
        of: Handle,
        meter: Arc<Meter>,
    ) -> Result<Self, String> {
        let builder = Server::builder()
            .workers(WORKERS)
            .max_connections(MAX_CONNECTIONS);
        let server = addresses
            .iter()
            .cloned()
            .fold(builder, Builder::listen)
            .bind()
            .map_err(|error| error.to_string())?;
        let listed = super::listed(server.local_addrs());
        let handle = server.handle();
        let run = move || {
            if let Err(error) = server.run(Admin::new(of).meter(meter)) {
                log::error!("the admin server failed: {error}");
            }
        };
        let thread = thread::Builder::new()
            .name("admin".into())
            .spawn(run)
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        log::info!("health and metrics on {listed}");
        Ok(Self { handle, thread })
    }

    /// Ends it. What somebody asks at this moment is no reason to wait.
    pub(crate) fn finish(self) {
        self.handle.shutdown_now();
        if self.thread.join().is_err() {
            log::debug!("the admin server panicked");
        }
    }
}
