//! The addresses and sockets of a server, and the protocol on each.

use std::os::fd::OwnedFd;

use crate::net::ListenerProtocol;
#[cfg(feature = "_tls")]
use crate::net::Tls;
use crate::net::{ListenAddr, ListenAddrError};
use crate::server::Builder;

impl Builder {
    /// Listens on this address, which may be a string. Each call adds one. [`bind`](Self::bind)
    /// reports an invalid address.
    ///
    /// ```
    /// use std::net::{Ipv4Addr, SocketAddr};
    ///
    /// use httpool::Server;
    ///
    /// let server = Server::builder()
    ///     .listen("localhost:0")
    ///     .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    ///     .bind()?;
    ///
    /// let error = Server::builder().listen("localhost").bind().expect_err("the port is missing");
    /// assert!(error.to_string().starts_with("cannot listen: no port"));
    /// # Ok::<(), httpool::BindError>(())
    /// ```
    pub fn listen(self, address: impl TryInto<ListenAddr, Error: Into<ListenAddrError>>) -> Self {
        self.listen_for(address, ListenerProtocol::default())
    }

    /// Adopts a socket that listens already, for example one that systemd opened. The server never
    /// closes it to clients: the drain stops accepting from it, and the clients in its queue are
    /// left to the next process that accepts.
    ///
    /// ```
    /// use std::net::TcpListener;
    ///
    /// use httpool::Server;
    ///
    /// let server = Server::builder().adopt(TcpListener::bind("127.0.0.1:0")?).bind()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adopt(self, listener: impl Into<OwnedFd>) -> Self {
        self.adopt_for(listener, ListenerProtocol::default())
    }

    /// Listens on this address for proxies that begin each connection with a PROXY protocol header,
    /// version 1 or 2, which names the client. Each call adds an address.
    ///
    /// A connection that begins with anything else, or that has not sent its header within the
    /// [`head_timeout`](Self::head_timeout), is closed without a response. A peer that is not a
    /// [trusted proxy](Self::trusted_proxy) is disconnected at once.
    #[cfg(feature = "proxy")]
    pub fn listen_proxy_protocol(
        self,
        address: impl TryInto<ListenAddr, Error: Into<ListenAddrError>>,
    ) -> Self {
        self.listen_for(address, ListenerProtocol::default().behind_proxy())
    }

    /// [Adopts](Self::adopt) a socket for proxies that begin each connection with a PROXY protocol
    /// header, as [`listen_proxy_protocol`](Self::listen_proxy_protocol) does for an address.
    #[cfg(feature = "proxy")]
    pub fn adopt_proxy_protocol(self, listener: impl Into<OwnedFd>) -> Self {
        self.adopt_for(listener, ListenerProtocol::default().behind_proxy())
    }

    /// Listens on this address for TLS clients. Each call adds an address. A request without TLS
    /// gets a 400, and its connection is closed.
    ///
    /// A client that has not completed the TLS handshake within the
    /// [`handshake_timeout`](Self::handshake_timeout) is disconnected. Handlers find the negotiated
    /// parameters in [`ClientInfo::tls`](crate::ClientInfo::tls).
    ///
    /// ```no_run
    /// use httpool::{ClientInfo, Request, Server, Tls};
    ///
    /// let tls = Tls::builder().certificate_files("cert.pem", "key.pem").build()?;
    /// let server = Server::builder()
    ///     .listen("*:80")
    ///     .listen_tls("*:443", tls)
    ///     .bind()?;
    /// server.run(|request: Request| match ClientInfo::of(&request).and_then(ClientInfo::tls) {
    ///     Some(tls) => format!("hello over {}\n", tls.version()),
    ///     None => "hello without encryption\n".into(),
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "_tls")]
    pub fn listen_tls(
        self,
        address: impl TryInto<ListenAddr, Error: Into<ListenAddrError>>,
        tls: impl Into<Tls>,
    ) -> Self {
        self.listen_for(address, ListenerProtocol::default().with_tls(tls.into()))
    }

    /// [Adopts](Self::adopt) a socket for TLS clients, as [`listen_tls`](Self::listen_tls) does for
    /// an address.
    #[cfg(feature = "_tls")]
    pub fn adopt_tls(self, listener: impl Into<OwnedFd>, tls: impl Into<Tls>) -> Self {
        self.adopt_for(listener, ListenerProtocol::default().with_tls(tls.into()))
    }

    /// Listens on this address for proxies that begin each connection with a [PROXY protocol
    /// header](Self::listen_proxy_protocol) and then pass on the bytes of clients that speak
    /// [TLS](Self::listen_tls) with this server. Each call adds an address.
    ///
    /// ```no_run
    /// use httpool::{Request, Server, Tls, TrustedProxy};
    ///
    /// let tls = Tls::builder().certificate_files("cert.pem", "key.pem").build()?;
    /// let server = Server::builder()
    ///     .listen_tls_proxy_protocol("10.0.0.7:443", tls)
    ///     .trusted_proxy("10.0.0.0/24".parse::<TrustedProxy>()?)
    ///     .bind()?;
    /// server.run(|_: Request| "hello")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(all(feature = "proxy", feature = "_tls"))]
    pub fn listen_tls_proxy_protocol(
        self,
        address: impl TryInto<ListenAddr, Error: Into<ListenAddrError>>,
        tls: impl Into<Tls>,
    ) -> Self {
        self.listen_for(
            address,
            ListenerProtocol::default()
                .behind_proxy()
                .with_tls(tls.into()),
        )
    }

    /// [Adopts](Self::adopt) a socket for proxies that pass on TLS, as
    /// [`listen_tls_proxy_protocol`](Self::listen_tls_proxy_protocol) does for an address.
    #[cfg(all(feature = "proxy", feature = "_tls"))]
    pub fn adopt_tls_proxy_protocol(
        self,
        listener: impl Into<OwnedFd>,
        tls: impl Into<Tls>,
    ) -> Self {
        self.adopt_for(
            listener,
            ListenerProtocol::default()
                .behind_proxy()
                .with_tls(tls.into()),
        )
    }

    fn listen_for(
        mut self,
        address: impl TryInto<ListenAddr, Error: Into<ListenAddrError>>,
        protocol: ListenerProtocol,
    ) -> Self {
        let address = address.try_into().map_err(Into::into);
        self.addresses.push((address, protocol));
        self
    }

    fn adopt_for(mut self, listener: impl Into<OwnedFd>, protocol: ListenerProtocol) -> Self {
        self.adopted.push((listener.into(), protocol));
        self
    }
}
