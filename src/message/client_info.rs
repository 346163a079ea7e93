//! Information about the client of a request.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::Request;
#[cfg(feature = "_tls")]
use super::TlsInfo;

/// The peer and the client of a request, as far as they are known.
///
/// ```
/// use httpool::{ClientInfo, Request};
///
/// fn respond(request: Request) -> String {
///     match ClientInfo::of(&request).and_then(ClientInfo::client) {
///         Some(client) => format!("hello, {client}\n"),
///         None => "hello, unknown client\n".into(),
///     }
/// }
///
/// assert_eq!(respond(Request::default()), "hello, unknown client\n");
/// ```
///
/// A client that connects directly is the peer. For a client behind proxies, trusted proxies name
/// it. With the feature `proxy`, `Builder::trusted_proxy` says which proxies are trusted; without
/// it, none are.
///
/// The request's [`Body`](crate::Body) carries this value: if you take the body out of the request,
/// it goes with it ([`Body::client_info`](crate::Body::client_info)). It is small and cheap to
/// clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    peer: PeerAddr,
    /// `None` if only the peer is known. Bodies are moved often, so the rarely needed data is
    /// boxed.
    more: Option<Arc<More>>,
}

/// The data other than the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct More {
    route: ProxyRoute,
    /// Shared by all requests of a connection.
    #[cfg(feature = "_tls")]
    tls: Option<Arc<TlsInfo>>,
}

/// The path from a client to this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProxyRoute {
    pub(crate) proxy: Option<PeerAddr>,
    pub(crate) client: Option<PeerAddr>,
    pub(crate) scheme: Option<Scheme>,
}

/// The scheme that a client used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    #[cfg_attr(
        not(any(feature = "proxy", feature = "_tls")),
        expect(dead_code, reason = "only a proxy can say so")
    )]
    Https,
}

/// One end of a connection, as far as it is known. Its text is `192.0.2.1:4711`,
/// `[2001:db8::1]:4711`, an address alone if the port is unknown, or `unix` for a client on this
/// machine that uses a Unix socket and has no address.
///
/// An IPv4 address in IPv6 form (`::ffff:192.0.2.1`) counts as the IPv4 address.
///
/// ```
/// use httpool::{ClientInfo, Request};
///
/// fn is_from_here(request: &Request) -> bool {
///     let client = ClientInfo::of(request).and_then(ClientInfo::client);
///     client.is_some_and(|client| {
///         client.is_unix() || client.ip().is_some_and(|ip| ip.is_loopback())
///     })
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(Address);

/// Smaller than a [`SocketAddr`], because each request carries several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    Port(IpAddr, u16),
    Ip(IpAddr),
    Unix,
}

impl ClientInfo {
    /// The information about requests from this peer, before any proxy is considered.
    pub(crate) fn new(peer: PeerAddr) -> Self {
        Self { peer, more: None }
    }

    /// Adds the TLS information of the connection.
    #[cfg(feature = "_tls")]
    pub(crate) fn with_tls(&self, tls: TlsInfo) -> Self {
        let mut route = self.route();
        // A proxy that forwards bytes cannot tell the scheme.
        route.scheme = Some(Scheme::Https);
        Self {
            peer: self.peer,
            more: Some(Arc::new(More {
                route,
                tls: Some(Arc::new(tls)),
            })),
        }
    }

    /// Returns the information about this request. It is `None` if the request did not arrive on a
    /// connection, or if its handler has taken or replaced its body. A [layer](crate::Layer) may
    /// replace the body.
    #[must_use]
    pub fn of(request: &Request) -> Option<&Self> {
        request.body().client_info()
    }

    /// The peer: the other end of the connection.
    #[must_use]
    pub fn peer(&self) -> PeerAddr {
        self.peer
    }

    /// The trusted proxy that the client connected to. It is the peer if there is only one proxy.
    /// `None` if the client connected directly.
    #[must_use]
    pub fn proxy(&self) -> Option<PeerAddr> {
        self.route().proxy
    }

    /// The client that made the request. `None` if a trusted proxy passed it on without a valid
    /// address of the client. The proxy's own address would be wrong for access decisions.
    #[must_use]
    pub fn client(&self) -> Option<PeerAddr> {
        self.route().client
    }

    /// The scheme that the client used with the first proxy, or with this server: `http` or
    /// `https`. `None` if a trusted proxy passed on the request without it.
    #[must_use]
    pub fn scheme(&self) -> Option<&'static http::uri::Scheme> {
        static HTTP: http::uri::Scheme = http::uri::Scheme::HTTP;
        static HTTPS: http::uri::Scheme = http::uri::Scheme::HTTPS;
        Some(match self.route().scheme? {
            Scheme::Http => &HTTP,
            Scheme::Https => &HTTPS,
        })
    }

    /// The TLS parameters of the connection, if the [peer](Self::peer) uses TLS with this server.
    #[cfg(feature = "_tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.more.as_ref()?.tls.as_deref()
    }

    pub(crate) fn route(&self) -> ProxyRoute {
        match &self.more {
            Some(more) => more.route,
            None => ProxyRoute::of(self.peer),
        }
    }

    /// Replaces the path from the client.
    #[cfg(feature = "proxy")]
    pub(crate) fn with_route(&self, route: ProxyRoute) -> Self {
        Self {
            peer: self.peer,
            more: Some(Arc::new(More {
                route,
                #[cfg(feature = "_tls")]
                tls: self.more.as_ref().and_then(|more| more.tls.clone()),
            })),
        }
    }
}

impl ProxyRoute {
    /// The path of a client that connected directly without TLS.
    fn of(client: PeerAddr) -> Self {
        Self {
            proxy: None,
            client: Some(client),
            scheme: Some(Scheme::Http),
        }
    }

    /// Adds the hop that a trusted proxy, so far the assumed client, describes.
    #[cfg(feature = "proxy")]
    pub(crate) fn on_behalf_of(self, client: Option<PeerAddr>, scheme: Option<Scheme>) -> Self {
        Self {
            proxy: self.client,
            client,
            scheme,
        }
    }
}

/// Serializes as one object with the members `peer`, `proxy`, `client` and `scheme`, each a string,
/// and `tls` if the peer uses TLS. Unknown values have no member.
#[cfg(feature = "json")]
impl serde::Serialize for ClientInfo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;

        let mut block = serializer.serialize_map(None)?;
        block.serialize_entry("peer", &self.peer)?;
        if let Some(proxy) = self.proxy() {
            block.serialize_entry("proxy", &proxy)?;
        }
        if let Some(client) = self.client() {
            block.serialize_entry("client", &client)?;
        }
        if let Some(scheme) = self.scheme() {
            block.serialize_entry("scheme", scheme.as_str())?;
        }
        #[cfg(feature = "_tls")]
        if let Some(tls) = self.tls() {
            block.serialize_entry("tls", tls)?;
        }
        block.end()
    }
}

impl PeerAddr {
    pub(crate) const UNIX: Self = Self(Address::Unix);

    pub(crate) fn new(ip: IpAddr, port: u16) -> Self {
        Self(Address::Port(ip.to_canonical(), port))
    }

    /// The IP address, if there is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0 {
            Address::Port(ip, _) | Address::Ip(ip) => Some(ip),
            Address::Unix => None,
        }
    }

    /// The port, if it is known.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self.0 {
            Address::Port(_, port) => Some(port),
            Address::Ip(_) | Address::Unix => None,
        }
    }

    /// Whether the peer is on this machine and uses a Unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        self.0 == Address::Unix
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

impl From<IpAddr> for PeerAddr {
    fn from(ip: IpAddr) -> Self {
        Self(Address::Ip(ip.to_canonical()))
    }
}

/// Serializes as text.
#[cfg(feature = "json")]
impl serde::Serialize for PeerAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Address::Port(IpAddr::V4(ip), port) => write_v4(ip, Some(port), f),
            Address::Port(ip, port) => SocketAddr::new(ip, port).fmt(f),
            Address::Ip(IpAddr::V4(ip)) => write_v4(ip, None, f),
            Address::Ip(ip) => ip.fmt(f),
            Address::Unix => f.write_str("unix"),
        }
    }
}

/// The text of the standard library, written in one piece. A log line has two addresses, and
/// formatting number by number takes ten times as long.
fn write_v4(ip: Ipv4Addr, port: Option<u16>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0; "255.255.255.255:65535".len()];
    let mut end = 0;
    let mut push = |part: &[u8]| {
        text[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    };
    for (place, octet) in ip.octets().into_iter().enumerate() {
        if place > 0 {
            push(b".");
        }
        push(itoa::Buffer::new().format(octet).as_bytes());
    }
    if let Some(port) = port {
        push(b":");
        push(itoa::Buffer::new().format(port).as_bytes());
    }
    let text = std::str::from_utf8(&text[..end]);
    f.write_str(text.expect("digits, dots and a colon are text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_text_matches_std() {
        for ip in [[0, 0, 0, 0], [1, 20, 255, 9], [255; 4]].map(Ipv4Addr::from) {
            assert_eq!(PeerAddr::from(IpAddr::from(ip)).to_string(), ip.to_string());
            for port in [0, 80, u16::MAX] {
                let address = SocketAddr::from((ip, port));
                assert_eq!(PeerAddr::from(address).to_string(), address.to_string());
            }
        }
    }

    #[test]
    fn ipv4_mapped_address_is_ipv4() {
        let address: SocketAddr = "[::ffff:192.0.2.1]:80"
            .parse()
            .expect("the text is an address");
        assert_eq!(PeerAddr::from(address).to_string(), "192.0.2.1:80");
        assert_eq!(PeerAddr::from(address.ip()).to_string(), "192.0.2.1");
        let address: SocketAddr = "[2001:db8::1]:80".parse().expect("the text is an address");
        assert_eq!(PeerAddr::from(address).to_string(), "[2001:db8::1]:80");
        assert_eq!(PeerAddr::from(address.ip()).to_string(), "2001:db8::1");
    }
}
