//! Small servers that run next to the main one: health and metrics, and redirects to https.
//!
//! They have their own threads. They respond while all workers of the main server are busy, and until
//! the main server has stopped.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use httpool::services::inspect::LivePage;
use httpool::services::{Admin, RequestMetrics};
use httpool::{Builder, Handle, Handler, ListenAddr, Server};

use super::cli::Args;
use super::https::Redirect;
use super::inspect::AdminPage;
use super::observers::Observers;

/// The handlers never block, so one worker is enough.
const WORKERS: usize = 1;

/// Only monitoring systems connect to the admin address.
const MAX_ADMIN_CONNECTIONS: usize = 64;

/// Each client that is redirected connects once.
const MAX_REDIRECT_CONNECTIONS: usize = 1024;

/// Memory budget of all connections to the redirect server.
const MAX_BUFFERED_MEMORY: usize = 16 * 1024 * 1024;

/// How long open redirect requests may delay the end of the program.
const REDIRECT_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A server that runs on its own thread.
#[derive(Debug)]
pub(crate) struct SideServer {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl SideServer {
    /// Starts the server for health checks and metrics of the main server, and its live page.
    pub(crate) fn admin(
        args: &Args,
        main_server: Handle,
        metrics: Arc<RequestMetrics>,
        page: Option<LivePage>,
    ) -> Result<Self, String> {
        let builder = Server::builder()
            .max_connections(MAX_ADMIN_CONNECTIONS)
            // A health check that is open at shutdown does not delay the end.
            .drain_timeout(Duration::ZERO);
        let admin = Admin::new(main_server).request_metrics(metrics);
        let handler = AdminPage::new(admin, page);
        Self::start("health and metrics", builder, &args.admin, handler)
    }

    /// Starts the server that redirects to https. The observers see its requests too.
    pub(crate) fn redirect(
        args: &Args,
        observers: &Observers,
        handler: Redirect,
    ) -> Result<Self, String> {
        let builder = (observers.observe(Server::builder()))
            .reuse_port(args.reuse_port)
            .request_ids(args.request_ids)
            .max_connections(MAX_REDIRECT_CONNECTIONS)
            .max_buffered_memory(MAX_BUFFERED_MEMORY)
            .drain_timeout(REDIRECT_DRAIN_TIMEOUT);
        Self::start("redirects to https", builder, &args.redirect_http, handler)
    }

    fn start(
        purpose: &'static str,
        builder: Builder,
        addresses: &[ListenAddr],
        handler: impl Handler,
    ) -> Result<Self, String> {
        // Their clients send single requests, which gain nothing from HTTP/2.
        let builder = builder.workers(WORKERS).http2(false);
        let server = addresses
            .iter()
            .cloned()
            .fold(builder, Builder::listen)
            .bind()
            .map_err(|error| error.to_string())?;
        let addresses = super::announce::address_list(&server);
        let handle = server.handle();
        let run = move || {
            if let Err(error) = server.run(handler) {
                log::error!("the server for {purpose} failed: {error}");
            }
        };
        let thread = thread::Builder::new()
            .name("side".into())
            .spawn(run)
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        log::info!("{purpose} on {addresses}");
        Ok(Self { handle, thread })
    }

    /// Shuts the server down and waits for its thread.
    pub(crate) fn finish(self) {
        self.handle.shutdown();
        if self.thread.join().is_err() {
            log::debug!("a side server panicked");
        }
    }
}
