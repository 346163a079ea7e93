//! The address of one end of a connection.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

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
