//! The transports between clients and servers.

use std::sync::atomic::{AtomicUsize, Ordering};

use httpool::{Builder, Handler};

use super::{BoundServer, End, TempPath, TestServer};

/// The transport between clients and a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Unix,
    Tls,
}

impl Transport {
    /// Runs a [`TestServer`] on this transport.
    #[track_caller]
    pub(crate) fn spawn(
        self,
        configure: impl FnOnce(Builder) -> Builder,
        handler: impl Handler,
    ) -> TestServer {
        match self {
            Self::Tcp => TestServer::spawn(configure, handler),
            Self::Unix => {
                static USED: AtomicUsize = AtomicUsize::new(0);
                let number = USED.fetch_add(1, Ordering::Relaxed);
                let path = TempPath::new(&format!("transport-{number}.sock"));
                let address = format!("unix:{}", path.as_ref().display());
                let server = BoundServer::at(&address, configure).run(handler);
                server.with_client_setup(super::ClientSetup::File(path))
            }
            Self::Tls => {
                let super::tls::TlsServer { server, config } =
                    super::tls::TlsServer::spawn(configure, handler);
                server.with_client_setup(super::ClientSetup::Tls(config))
            }
        }
    }

    /// How a connection without a response ends if the server is aborted.
    pub(crate) fn end_on_abort(self) -> End {
        match self {
            Self::Tcp | Self::Unix => End::Closed,
            Self::Tls => End::Truncated,
        }
    }
}

/// Runs tests that take a [`Transport`] over each of them: `name` becomes the tests `name::tcp`,
/// `name::unix` and `name::tls`.
macro_rules! over_every_transport {
    ($($case:ident),+ $(,)?) => {$(
        mod $case {
            use crate::support::Transport;

            #[test]
            fn tcp() {
                super::$case(Transport::Tcp);
            }

            #[test]
            fn unix() {
                super::$case(Transport::Unix);
            }

            #[test]
            fn tls() {
                super::$case(Transport::Tls);
            }
        }
    )+};
}

pub(crate) use over_every_transport;
