//! Trusted proxies, and what they say about their clients.

mod forwarded;
mod header;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;
use ipnet::{IpNet, Ipv4Net};

pub(crate) use self::header::{Malformed, ProxyHeader};
use crate::message::client_info::ProxyRoute;
use crate::message::{ClientInfo, ClientSource, PeerAddr};

/// A proxy that is trusted to name its clients.
///
/// ```
/// use httpool::TrustedProxy;
///
/// let network: TrustedProxy = "10.0.0.0/8".parse()?;
/// assert_eq!("192.0.2.1".parse::<TrustedProxy>()?.to_string(), "192.0.2.1/32");
/// assert_eq!("unix".parse(), Ok(TrustedProxy::Unix));
/// assert!("localhost".parse::<TrustedProxy>().is_err());
/// # Ok::<(), httpool::TrustedProxyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustedProxy {
    /// Proxies with an address in this network. An IPv4-mapped IPv6 network (`::ffff:10.0.0.0/104`)
    /// is the IPv4 network.
    Net(IpNet),
    /// Proxies on this machine that connect to a Unix socket.
    Unix,
}

/// The forwarding headers that your proxies set. Only these are trusted. Other headers are ignored,
/// because a client can send them and a proxy that does not know them forwards them.
///
/// ```
/// use httpool::{ForwardedBy, Server, TrustedProxy};
///
/// let server = Server::builder()
///     .listen("127.0.0.1:0")
///     .trusted_proxy("10.0.0.0/8".parse::<TrustedProxy>()?)
///     .forwarded_by(ForwardedBy::Forwarded)
///     .bind()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedBy {
    /// `X-Forwarded-For`, to which each proxy appends the address from which it received the
    /// request, and `X-Forwarded-Proto`, which the last proxy sets.
    #[default]
    XForwarded,
    /// `X-Forwarded-For` alone.
    XForwardedFor,
    /// `Forwarded` (RFC 7239), to which each proxy appends an element.
    Forwarded,
}

/// The trusted proxies, and the headers that they set.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies {
    nets: Vec<IpNet>,
    unix: bool,
    forwarded_by: ForwardedBy,
}

impl TrustedProxies {
    pub(crate) fn add(&mut self, proxy: TrustedProxy) {
        match proxy {
            TrustedProxy::Net(net) => self.nets.push(canonical(net)),
            TrustedProxy::Unix => self.unix = true,
        }
    }

    pub(crate) fn set_forwarded_by(&mut self, forwarded_by: ForwardedBy) {
        self.forwarded_by = forwarded_by;
    }

    /// Whether no proxy is trusted.
    pub(crate) fn is_empty(&self) -> bool {
        self.nets.is_empty() && !self.unix
    }

    pub(crate) fn contains(&self, address: &PeerAddr) -> bool {
        match address.ip() {
            Some(ip) => self.nets.iter().any(|net| net.contains(&ip)),
            None => self.unix && address.is_unix(),
        }
    }

    /// Returns the client information of a request with these headers. `connection` is what is
    /// known without them.
    pub(crate) fn client_info(&self, connection: ClientInfo, headers: &HeaderMap) -> ClientInfo {
        if self.is_empty() {
            return connection;
        }
        let direct = connection.route();
        let route = self.read(direct, headers);
        if route == direct {
            return connection;
        }
        connection.with_route(route)
    }

    fn read(&self, direct: ProxyRoute, headers: &HeaderMap) -> ProxyRoute {
        match self.forwarded_by {
            ForwardedBy::Forwarded => {
                let source = |hop| ClientSource::Forwarded { hop };
                self.follow(direct, forwarded::forwarded(headers), source)
            }
            ForwardedBy::XForwardedFor => self.follow_x_forwarded_for(direct, headers),
            ForwardedBy::XForwarded => {
                let route = self.follow_x_forwarded_for(direct, headers);
                match forwarded::x_forwarded_proto(headers) {
                    Some(scheme) if self.trusts(&direct) => ProxyRoute { scheme, ..route },
                    _ => route,
                }
            }
        }
    }

    fn follow_x_forwarded_for(&self, direct: ProxyRoute, headers: &HeaderMap) -> ProxyRoute {
        let source = |hop| ClientSource::XForwardedFor { hop };
        self.follow(direct, forwarded::x_forwarded_for(headers), source)
    }

    /// Follows the hops, beginning with the nearest one, as long as a trusted proxy describes them.
    fn follow(
        &self,
        direct: ProxyRoute,
        hops: impl Iterator<Item = forwarded::Hop>,
        source: impl Fn(u16) -> ClientSource,
    ) -> ProxyRoute {
        let mut route = direct;
        for (number, hop) in (1..=u16::MAX).zip(hops) {
            if !self.trusts(&route) {
                break;
            }
            route = route.on_behalf_of(hop.client, hop.scheme, source(number));
        }
        route
    }

    /// Whether the client of this route is a trusted proxy.
    fn trusts(&self, route: &ProxyRoute) -> bool {
        (route.client).is_some_and(|client| self.contains(&client))
    }
}

impl From<IpNet> for TrustedProxy {
    fn from(net: IpNet) -> Self {
        Self::Net(net)
    }
}

impl From<IpAddr> for TrustedProxy {
    fn from(ip: IpAddr) -> Self {
        Self::Net(ip.into())
    }
}

impl FromStr for TrustedProxy {
    type Err = TrustedProxyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        let address = text.parse().map(IpAddr::into);
        let net = address.or_else(|_| text.parse::<IpNet>());
        net.map(Self::Net).map_err(|_| TrustedProxyError)
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// The error when a text is not a [`TrustedProxy`].
///
/// ```
/// use httpool::TrustedProxy;
///
/// let error = "proxy.example".parse::<TrustedProxy>().expect_err("names are not accepted");
/// println!("cannot trust proxy.example: {error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedProxyError;

impl fmt::Display for TrustedProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an IP address, a network such as 10.0.0.0/8, or unix")
    }
}

impl std::error::Error for TrustedProxyError {}

fn canonical(net: IpNet) -> IpNet {
    if let IpNet::V6(mapped) = net
        && let Some(ip) = mapped.addr().to_ipv4_mapped()
        && let Some(prefix) = mapped.prefix_len().checked_sub(96)
        && let Ok(net) = Ipv4Net::new(ip, prefix)
    {
        return net.into();
    }
    net
}

#[cfg(test)]
mod tests;
