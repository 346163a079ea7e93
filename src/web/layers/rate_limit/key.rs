//! The keys by which requests are counted as those of one client.

use std::net::{IpAddr, Ipv4Addr};

use crate::message::{ClientInfo, Request};

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    V4(Ipv4Addr),
    /// The network of the client, in which it can choose its address.
    V6([u8; 8]),
    Unknown(Unknown),
    /// The hash of the program's own key.
    Own(u64),
    /// A group of clients that are not counted one by one.
    Group(u16),
}

/// Why the address of a client is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unknown {
    UnixSocket,
    NotNamed,
    NoClientInfo,
}

impl Key {
    /// The key of the request's client.
    pub(super) fn of(request: &Request) -> Self {
        let Some(client_info) = ClientInfo::of(request) else {
            return Self::Unknown(Unknown::NoClientInfo);
        };
        let Some(client) = client_info.client() else {
            return Self::Unknown(Unknown::NotNamed);
        };
        match client.ip() {
            Some(IpAddr::V4(ip)) => Self::V4(ip),
            Some(IpAddr::V6(ip)) => {
                let [network @ .., _, _, _, _, _, _, _, _] = ip.octets();
                Self::V6(network)
            }
            None => Self::Unknown(Unknown::UnixSocket),
        }
    }
}

impl Unknown {
    pub(super) fn warning(self) -> &'static str {
        match self {
            Self::UnixSocket => {
                "all clients of a Unix socket share one limit; if a proxy connects to it, add it with \
                 Builder::trusted_proxy and configure it to send its clients' addresses"
            }
            Self::NotNamed => {
                "a trusted proxy does not send its clients' addresses, so they share one limit; configure \
                 it to send the header that Builder::forwarded_by names"
            }
            Self::NoClientInfo => {
                "requests without a ClientInfo share one limit; a handler around this layer has \
                 replaced their bodies: make that handler a layer"
            }
        }
    }
}
