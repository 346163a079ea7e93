//! Whom to believe about clients that have not come themselves.

mod forwarded;
mod header;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;
use ipnet::{IpNet, Ipv4Net};

pub(crate) use self::header::{Malformed, ProxyHeader};
use crate::message::client_info::ProxyRoute;
use crate::message::{ClientInfo, PeerAddr};

/// Proxies that are believed when they say who their client is.
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
    /// Those with an address in this network. One for IPv4 that is written as one for IPv6
    /// (`::ffff:10.0.0.0/104`) counts as what it is.
    Net(IpNet),
    /// Those on this machine that connect to a Unix socket.
    Unix,
}

/// Which fields proxies set, and so which are believed. Others are left alone, for a client can
/// send them, and a proxy that does not know them passes them on.
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
    /// `X-Forwarded-For`, to which each proxy appends whom it has the request from, and
    /// `X-Forwarded-Proto`, which the last one sets.
    #[default]
    XForwarded,
    /// `X-Forwarded-For` alone.
    XForwardedFor,
    /// `Forwarded` (RFC 7239), to which each proxy appends an element.
    Forwarded,
}

/// Who is believed, and about what.
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

    /// Whether nobody is believed.
    pub(crate) fn is_empty(&self) -> bool {
        self.nets.is_empty() && !self.unix
    }

    pub(crate) fn contains(&self, address: &PeerAddr) -> bool {
        match address.ip() {
            Some(ip) => self.nets.iter().any(|net| net.contains(&ip)),
            None => self.unix && address.is_unix(),
        }
    }

    /// Where a request with these fields comes from, if all that is known without them is
    /// `origin`.
    pub(crate) fn client_info(&self, connection: &ClientInfo, headers: &HeaderMap) -> ClientInfo {
        if self.is_empty() {
            return connection.clone();
        }
        let direct = connection.route();
        let route = self.read(direct, headers);
        if route == direct {
            return connection.clone();
        }
        connection.with_route(route)
    }

    fn read(&self, direct: ProxyRoute, headers: &HeaderMap) -> ProxyRoute {
        match self.forwarded_by {
            ForwardedBy::Forwarded => self.walk(direct, forwarded::forwarded(headers)),
            ForwardedBy::XForwardedFor => self.walk(direct, forwarded::x_forwarded_for(headers)),
            ForwardedBy::XForwarded => {
                let route = self.walk(direct, forwarded::x_forwarded_for(headers));
                match forwarded::x_forwarded_proto(headers) {
                    Some(scheme) if self.trusts(&direct) => ProxyRoute { scheme, ..route },
                    _ => route,
                }
            }
        }
    }

    /// Each statement is believed if it is from someone who is, beginning with the nearest.
    fn walk(&self, direct: ProxyRoute, hops: impl Iterator<Item = forwarded::Hop>) -> ProxyRoute {
        let mut route = direct;
        for hop in hops {
            if !self.trusts(&route) {
                break;
            }
            route = route.on_behalf_of(hop.client, hop.scheme);
        }
        route
    }

    /// Whether whoever seems to be the client is a proxy that is believed.
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

/// A text is no [`TrustedProxy`].
///
/// ```
/// use httpool::TrustedProxy;
///
/// let error = "proxy.example".parse::<TrustedProxy>().expect_err("a name is no address");
/// println!("proxy.example is nobody to trust: {error}");
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
