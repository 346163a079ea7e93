//! Servers beside the server: one tells how that one is, one sends clients on to it. Their threads are
//! their own, so that they answer when all workers are busy, and until the last of them has ended.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use httpool::services::{Admin, RequestMetrics};
use httpool::{Builder, Handle, Handler, ListenAddr, Server};

use super::cli::Args;
use super::https::Redirect;
use super::observers::Observers;

/// Each is answered at once.
const WORKERS: usize = 1;

/// Those who watch are few.
const MOST_WATCHERS: usize = 64;

/// Of those who are sent on, each comes once.
const MOST_SENT_ON: usize = 1024;

/// The most that is kept for all of them together.
const MAX_BUFFERED_MEMORY: usize = 16 * 1024 * 1024;

/// How long those who are sent on may keep the program from ending.
const FAREWELL: Duration = Duration::from_secs(1);

/// A server on a thread of its own.
#[derive(Debug)]
pub(crate) struct SideServer {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl SideServer {
    /// Answers those who watch the server with this handle.
    pub(crate) fn admin(
        args: &Args,
        of: Handle,
        meter: Arc<RequestMetrics>,
    ) -> Result<Self, String> {
        let builder = Server::builder()
            .max_connections(MOST_WATCHERS)
            // What somebody asks at the end is no reason to wait.
            .drain_timeout(Duration::ZERO);
        let handler = Admin::new(of).meter(meter);
        Self::start("health and metrics", builder, &args.admin, handler)
    }

    /// Sends clients on to https, and tells these of it.
    pub(crate) fn redirect(
        args: &Args,
        observers: &Observers,
        handler: Redirect,
    ) -> Result<Self, String> {
        let builder = (observers.observe(Server::builder()))
            .reuse_port(args.reuse_port)
            .request_ids(args.request_ids)
            .max_connections(MOST_SENT_ON)
            .max_buffered_memory(MAX_BUFFERED_MEMORY)
            .drain_timeout(FAREWELL);
        Self::start("redirects to https", builder, &args.redirect_http, handler)
    }

    fn start(
        what: &'static str,
        builder: Builder,
        addresses: &[ListenAddr],
        handler: impl Handler,
    ) -> Result<Self, String> {
        let builder = builder.workers(WORKERS);
        let server = addresses
            .iter()
            .cloned()
            .fold(builder, Builder::listen)
            .bind()
            .map_err(|error| error.to_string())?;
        let listed = super::listed(&server);
        let handle = server.handle();
        let run = move || {
            if let Err(error) = server.run(handler) {
                log::error!("the server of {what} failed: {error}");
            }
        };
        let thread = thread::Builder::new()
            .name("beside".into())
            .spawn(run)
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        log::info!("{what} on {listed}");
        Ok(Self { handle, thread })
    }

    /// Ends it.
    pub(crate) fn finish(self) {
        self.handle.shutdown();
        if self.thread.join().is_err() {
            log::debug!("a server beside the server panicked");
        }
    }
}
