//! The URLs at which people can open the server.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use httpool::{ListenAddr, Server};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::cli::Args;

/// The most URLs that are named. A machine with containers may have hundreds of addresses.
const MAX_NAMED: usize = 6;

/// The URLs at which people can open the server, those of this machine first.
#[derive(Debug)]
pub(crate) struct PageUrls(Vec<PageUrl>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct PageUrl {
    text: String,
    reach: Reach,
}

/// The devices that can open a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    ThisMachine,
    Network,
}

impl PageUrls {
    /// The URLs of all addresses except those for proxies, which speak another protocol first.
    pub(crate) fn new(server: &Server, args: &Args) -> Self {
        let for_proxies: Vec<&ListenAddr> = (args.listen_proxy_protocol.iter())
            .chain(&args.listen_tls_proxy_protocol)
            .collect();
        let interfaces = interfaces();
        let urls = server.local_addrs().iter().filter_map(|address| {
            let ListenAddr::Tcp { host, port } = address else {
                return None;
            };
            let is_for_proxies = for_proxies
                .iter()
                .any(|proxies| proxies.conflicts_with(address));
            let ip = host.parse().ok().filter(|_| !is_for_proxies)?;
            let scheme = match server.tls_addrs().any(|tls| tls == address) {
                true => "https",
                false => "http",
            };
            Some(urls_of(scheme, ip, *port, &interfaces))
        });
        Self::sorted(urls.flatten())
    }

    fn sorted(urls: impl IntoIterator<Item = PageUrl>) -> Self {
        let mut sorted: Vec<PageUrl> = Vec::new();
        for url in urls {
            if !sorted.contains(&url) {
                sorted.push(url);
            }
        }
        sorted.sort_by_key(|url| url.reach);
        Self(sorted)
    }

    /// The URL for a browser on this machine.
    pub(crate) fn first(&self) -> Option<&str> {
        self.0.first().map(|url| url.text.as_str())
    }

    /// The URL for a browser on another device of the network.
    pub(crate) fn for_other_devices(&self) -> Option<&str> {
        let is_reachable = |url: &&PageUrl| url.reach == Reach::Network;
        self.0
            .iter()
            .find(is_reachable)
            .map(|url| url.text.as_str())
    }
}

/// A list with `or`, empty if there is no URL.
impl fmt::Display for PageUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = &self.0[..self.0.len().min(MAX_NAMED)];
        for (index, url) in named.iter().enumerate() {
            let separator = if index == 0 { "" } else { " or " };
            write!(f, "{separator}{}", url.text)?;
        }
        match self.0.len() - named.len() {
            0 => Ok(()),
            more => write!(f, " ({more} more)"),
        }
    }
}

/// The URLs of a listener at this address. Every interface is the loopback interface and those of
/// the network.
fn urls_of(scheme: &str, ip: IpAddr, port: u16, interfaces: &[IpAddr]) -> Vec<PageUrl> {
    let url = |host: String, reach| PageUrl {
        text: url(scheme, &host, port),
        reach,
    };
    if !ip.is_unspecified() {
        return vec![match ip {
            IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST) => {
                url("localhost".into(), Reach::ThisMachine)
            }
            ip if ip.is_loopback() => url(host(ip), Reach::ThisMachine),
            ip => url(host(ip), Reach::Network),
        }];
    }
    let of_network = interfaces
        .iter()
        .filter(|interface| interface.is_ipv4() == ip.is_ipv4())
        .map(|interface| url(host(*interface), Reach::Network));
    [url("localhost".into(), Reach::ThisMachine)]
        .into_iter()
        .chain(of_network)
        .collect()
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

fn url(scheme: &str, host: &str, port: u16) -> String {
    match (scheme, port) {
        ("http", 80) | ("https", 443) => format!("{scheme}://{host}/"),
        _ => format!("{scheme}://{host}:{port}/"),
    }
}

/// The addresses of the interfaces that are up, without loopback and link-local addresses. A browser
/// can't open a link-local address of IPv6, because the URL can't name the interface.
fn interfaces() -> Vec<IpAddr> {
    let interfaces = match getifaddrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            // Services may be forbidden to ask, for example by RestrictAddressFamilies=.
            log::debug!("cannot list the network interfaces: {error}");
            return Vec::new();
        }
    };
    interfaces
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
            let v6 = (address.as_sockaddr_in6()).map(|address| IpAddr::from(address.ip()));
            v4.or(v6)
        })
        .filter(|ip| !ip.is_loopback() && !is_link_local(*ip))
        .collect()
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("the test has an address")
    }

    #[track_caller]
    fn check(listeners: &[(&str, &str, u16)], expected: &str, other: Option<&str>) {
        let interfaces = [ip("192.0.2.7"), ip("2001:db8::7")];
        let urls = listeners
            .iter()
            .flat_map(|(scheme, host, port)| urls_of(scheme, ip(host), *port, &interfaces));
        let urls = PageUrls::sorted(urls);
        assert_eq!(urls.to_string(), expected);
        assert_eq!(urls.for_other_devices(), other);
    }

    #[test]
    fn loopback_addresses_are_one_url() {
        let both = [("http", "127.0.0.1", 4000), ("http", "::1", 4000)];
        check(&both, "http://localhost:4000/", None);
        check(&[("http", "127.0.0.2", 80)], "http://127.0.0.2/", None);
        check(&[], "", None);
    }

    #[test]
    fn every_interface_is_its_addresses() {
        let both = [("http", "0.0.0.0", 80), ("http", "::", 80)];
        let text = "http://localhost/ or http://192.0.2.7/ or http://[2001:db8::7]/";
        check(&both, text, Some("http://192.0.2.7/"));
        let six = [("https", "::", 443)];
        let text = "https://localhost/ or https://[2001:db8::7]/";
        check(&six, text, Some("https://[2001:db8::7]/"));
        let named = [("https", "192.0.2.9", 4443), ("http", "127.0.0.1", 80)];
        let text = "http://localhost/ or https://192.0.2.9:4443/";
        check(&named, text, Some("https://192.0.2.9:4443/"));
    }

    #[test]
    fn many_addresses_are_counted() {
        let many: Vec<IpAddr> = (1..=100).map(|last| [192, 0, 2, last].into()).collect();
        let urls = PageUrls::sorted(urls_of("http", ip("0.0.0.0"), 80, &many));
        let text = urls.to_string();
        assert!(text.ends_with("http://192.0.2.5/ (95 more)"), "{text}");
    }
}
