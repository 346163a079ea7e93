//! Where a server listens, and what comes there before requests.

use std::os::fd::OwnedFd;

use crate::net::ListenerProtocol;
#[cfg(feature = "_tls")]
use crate::net::Tls;
use crate::net::{ListenAddr, ListenAddrError};
use crate::server::Builder;

impl Builder {
    /// Listens on this address, which may be a text; each call adds one. Of one that is wrong
    /// [`bind`](Self::bind) tells.
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
    /// let error = Server::builder().listen("localhost").bind().expect_err("there is no port");
    /// assert!(error.to_string().starts_with("cannot listen: no port"));
    /// # Ok::<(), httpool::BindError>(())
    /// ```
    pub fn listen(self, address: impl TryInto<ListenAddr, Error: Into<ListenAddrError>>) -> Self {
        self.listen_for(address, ListenerProtocol::default())
    }

    /// Takes over a socket that listens already, such as one that systemd has opened. It is never
    /// closed to clients: the drain stops accepting from it, and what waits in its queue is for
    /// whoever listens next.
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

    /// Listens on this address for proxies that begin each connection with a header of the PROXY
    /// protocol, version 1 or 2, which says whom it is for; each call adds one.
    ///
    /// A connection that begins with anything else is closed without an answer, and so is one that
    /// has not sent its header by the [`head_timeout`](Self::head_timeout). Whoever is not a
    /// [trusted proxy](Self::trusted_proxy) is not let in.
    #[cfg(feature = "proxy")]
    pub fn listen_proxy_protocol(
        self,
        address: impl TryInto<ListenAddr, Error: Into<ListenAddrError>>,
    ) -> Self {
        self.listen_for(address, ListenerProtocol::default().behind_proxy())
    }

    /// [Takes over](Self::adopt) a socket on which proxies begin each connection with a header of
    /// the PROXY protocol, as where it [listens](Self::listen_proxy_protocol) for them.
    #[cfg(feature = "proxy")]
    pub fn adopt_proxy_protocol(self, listener: impl Into<OwnedFd>) -> Self {
        self.adopt_for(listener, ListenerProtocol::default().behind_proxy())
    }

    /// Listens on this address for clients that speak TLS; each call adds one. A request that comes
    /// there in the clear is answered 400, and its connection ends.
    ///
    /// A client that does not come to an agreement by the
    /// [`handshake_timeout`](Self::handshake_timeout) is let go. Handlers find what was agreed on in
    /// [`ClientInfo::tls`](crate::ClientInfo::tls).
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
    ///     None => "hello, everybody can read this\n".into(),
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

    /// [Takes over](Self::adopt) a socket on which clients speak TLS, as where it
    /// [listens](Self::listen_tls) for them.
    #[cfg(feature = "_tls")]
    pub fn adopt_tls(self, listener: impl Into<OwnedFd>, tls: impl Into<Tls>) -> Self {
        self.adopt_for(listener, ListenerProtocol::default().with_tls(tls.into()))
    }

    /// Listens on this address for proxies that begin each connection with a header of the PROXY
    /// protocol, as where it [listens for them](Self::listen_proxy_protocol), and then pass on what clients
    /// send that speak [TLS](Self::listen_tls) with this server; each call adds one.
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

    /// [Takes over](Self::adopt) a socket on which proxies pass on TLS, as where it
    /// [listens](Self::listen_tls_proxy_protocol) for them.
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
        opening: ListenerProtocol,
    ) -> Self {
        let address = address.try_into().map_err(Into::into);
        self.addresses.push((address, opening));
        self
    }

    fn adopt_for(mut self, listener: impl Into<OwnedFd>, opening: ListenerProtocol) -> Self {
        self.adopted.push((listener.into(), opening));
        self
    }
}
