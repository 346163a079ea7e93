//! Where a request comes from.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::Request;

/// Who sent a request: the other end of its connection, and the client as far as it is known.
///
/// ```
/// use httpool::{Origin, Request};
///
/// fn answer(request: Request) -> String {
///     match Origin::of(&request).and_then(Origin::client) {
///         Some(client) => format!("hello, {client}\n"),
///         None => "hello, whoever you are\n".into(),
///     }
/// }
///
/// assert_eq!(answer(Request::default()), "hello, whoever you are\n");
/// ```
///
/// It is kept with the request's [`Body`](crate::Body): take that out of the request, and this
/// goes with it ([`Body::origin`](crate::Body::origin)). It is a few addresses, to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    peer: Node,
}

/// One end of a connection, as far as it is known. As text it is `192.0.2.1:4711`,
/// `[2001:db8::1]:4711`, an address alone if its port is not known, or `unix` for somebody on this
/// machine who has come through a Unix socket and has no address.
///
/// An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.1`) counts as what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node(Place);

/// Less than a [`SocketAddr`], for each request carries some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Port(IpAddr, u16),
    Ip(IpAddr),
    Unix,
}

impl Origin {
    pub(crate) fn new(peer: Node) -> Self {
        Self { peer }
    }

    /// Where this request comes from; `None` if it did not come over a connection, or if its body
    /// has been taken or replaced.
    #[must_use]
    pub fn of(request: &Request) -> Option<&Self> {
        request.body().origin()
    }

    /// The other end of the connection.
    #[must_use]
    pub fn peer(&self) -> Node {
        self.peer
    }

    /// The client: who the connection is with.
    #[must_use]
    pub fn client(&self) -> Option<Node> {
        Some(self.peer)
    }
}

impl Node {
    pub(crate) const UNIX: Self = Self(Place::Unix);

    /// Its address, if it has one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0 {
            Place::Port(ip, _) | Place::Ip(ip) => Some(ip),
            Place::Unix => None,
        }
    }

    /// Its port, if it is known.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self.0 {
            Place::Port(_, port) => Some(port),
            Place::Ip(_) | Place::Unix => None,
        }
    }

    /// Whether it is on this machine and has come through a Unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        self.0 == Place::Unix
    }
}

impl From<SocketAddr> for Node {
    fn from(address: SocketAddr) -> Self {
        Self(Place::Port(address.ip().to_canonical(), address.port()))
    }
}

impl From<IpAddr> for Node {
    fn from(ip: IpAddr) -> Self {
        Self(Place::Ip(ip.to_canonical()))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Place::Port(ip, port) => SocketAddr::new(ip, port).fmt(f),
            Place::Ip(ip) => ip.fmt(f),
            Place::Unix => f.write_str("unix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_in_ipv6_is_an_ipv4_address() {
        let address: SocketAddr = "[::ffff:192.0.2.1]:80".parse().expect("an address");
        assert_eq!(Node::from(address).to_string(), "192.0.2.1:80");
        assert_eq!(Node::from(address.ip()).to_string(), "192.0.2.1");
        let address: SocketAddr = "[2001:db8::1]:80".parse().expect("an address");
        assert_eq!(Node::from(address).to_string(), "[2001:db8::1]:80");
        assert_eq!(Node::from(address.ip()).to_string(), "2001:db8::1");
    }
}
