//! Runs the library's server on its own thread.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, bounded};
use httpool::{Builder, DrainReport, Handle, Handler, ListenAddr, Phase, Server};

use super::{Client, SOON, TIMEOUT, TempPath, eventually};

/// A server that is bound but does not run yet: clients can connect and send before it accepts.
#[derive(Debug)]
pub(crate) struct BoundServer(Server);

/// A running server, stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct TestServer {
    address: ListenAddr,
    entrance: ClientSetup,
    handle: Handle,
    ended: Receiver<io::Result<DrainReport>>,
    thread: Option<JoinHandle<()>>,
}

/// What clients need to connect besides the address.
#[derive(Debug)]
pub(crate) enum ClientSetup {
    Open,
    /// The socket's file, removed with the server.
    #[expect(dead_code, reason = "dropping it removes the file")]
    File(TempPath),
    /// Clients connect with TLS.
    Tls(Arc<rustls::ClientConfig>),
}

impl BoundServer {
    /// Binds a loopback port, with two workers and HTTP/2 unless `configure` changes that.
    #[track_caller]
    pub(crate) fn new(configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::at("127.0.0.1:0", configure)
    }

    /// Binds `address`, with two workers and HTTP/2 unless `configure` changes that.
    #[track_caller]
    pub(crate) fn at(address: &str, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let address: ListenAddr = address.parse().expect("tests listen on valid addresses");
        let builder = configure(Server::builder().listen(address).workers(2).http2(true));
        Self(builder.bind().expect("the address is free"))
    }

    /// Wraps a server built by other means.
    pub(crate) fn from(server: Server) -> Self {
        Self(server)
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.0.local_addrs()[0])
    }

    pub(crate) fn addresses(&self) -> &[ListenAddr] {
        self.0.local_addrs()
    }

    pub(crate) fn handle(&self) -> Handle {
        self.0.handle()
    }

    pub(crate) fn run(self, handler: impl Handler) -> TestServer {
        let (end, ended) = bounded(1);
        let Self(server) = self;
        let (address, handle) = (server.local_addrs()[0].clone(), server.handle());
        let thread = thread::spawn(move || {
            // The receiver is gone if the test has failed.
            let _ = end.send(server.run(handler));
        });
        TestServer {
            address,
            entrance: ClientSetup::Open,
            handle,
            ended,
            thread: Some(thread),
        }
    }
}

impl TestServer {
    /// Binds and runs a [`BoundServer`].
    #[track_caller]
    pub(crate) fn spawn(configure: impl FnOnce(Builder) -> Builder, handler: impl Handler) -> Self {
        BoundServer::new(configure).run(handler)
    }

    /// Sets how clients connect.
    pub(crate) fn with_client_setup(mut self, entrance: ClientSetup) -> Self {
        self.entrance = entrance;
        self
    }

    pub(crate) fn client_setup(&self) -> &ClientSetup {
        &self.entrance
    }

    pub(crate) fn address(&self) -> &ListenAddr {
        &self.address
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        let client = Client::connect(&self.address);
        match &self.entrance {
            ClientSetup::Open | ClientSetup::File(_) => client,
            ClientSetup::Tls(config) => client.with_tls(config, super::tls::NAME),
        }
    }

    /// Connects a client whose first bytes are those of HTTP/2, which TLS negotiates.
    #[track_caller]
    pub(crate) fn connect_http2(&self) -> Client {
        let client = Client::connect(&self.address);
        match &self.entrance {
            ClientSetup::Open | ClientSetup::File(_) => client,
            ClientSetup::Tls(config) => {
                client.with_tls(&super::tls::for_http2(config), super::tls::NAME)
            }
        }
    }

    /// Another client sends a request and receives a response.
    #[track_caller]
    pub(crate) fn expect_serving(&self) {
        self.connect().get_and_close("/beside").expect_status(200);
    }

    /// Waits until this many connections are open.
    #[track_caller]
    pub(crate) fn expect_open(&self, connections: usize) {
        eventually(&format!("{connections} connections are open"), || {
            self.handle.snapshot().open == connections
        });
    }

    /// Shuts down, and waits until the drain has begun.
    #[track_caller]
    pub(crate) fn begin_drain(&self) {
        self.handle.shutdown();
        self.expect_phase(Phase::Draining);
    }

    #[track_caller]
    pub(crate) fn expect_phase(&self, phase: Phase) {
        eventually(&format!("the phase is {phase:?}"), || {
            self.handle.snapshot().phase >= phase
        });
    }

    /// Shuts down and waits until the server has ended.
    #[track_caller]
    pub(crate) fn shut_down(self) -> DrainReport {
        self.handle.shutdown();
        self.expect_end()
    }

    /// Waits until the server has ended.
    #[track_caller]
    pub(crate) fn expect_end(mut self) -> DrainReport {
        let result = self.ended.recv_timeout(TIMEOUT);
        let result = result.expect("the server ends in time");
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server's thread does not panic");
        }
        result.expect("the server does not fail")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let Some(server) = self.thread.take() else {
            return;
        };
        self.handle.shutdown_now();
        let has_ended = self.ended.recv_timeout(TIMEOUT).is_ok();
        if has_ended {
            let _ = server.join();
        }
        assert!(
            has_ended || thread::panicking(),
            "the server ends when it is forced to"
        );
    }
}

/// Waits until connections are refused. Use an [address of its own](super::unique_loopback) for
/// this.
#[track_caller]
pub(crate) fn expect_refused(address: SocketAddr) {
    eventually(&format!("{address} refuses connections"), || {
        // A connection attempt to a closing listener may be dropped, and would be retried too late.
        std::net::TcpStream::connect_timeout(&address, SOON)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    });
}
