//! The addresses to listen on for clients, and the check of the addresses of all flags against each
//! other.

use std::ffi::OsString;
use std::net::IpAddr;
use std::str::FromStr;

use httpool::{ListenAddr, ListenAddrError};

use super::cli::Args;
use super::environment;

/// The address to listen on if none is given: loopback only.
pub(crate) const LISTEN: &str = "localhost:4000";

/// The host and the port that a flag does not name.
const HOST: &str = "localhost";
const PORT: u16 = 4000;

/// A value of `--listen`: an address, or a host that takes the port of `--port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    Address(ListenAddr),
    Host(String),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(ListenAddrError::NoPort) if !text.is_empty() => Self::host(text),
            Err(_) if is_ipv6(without_brackets(text)) => Self::host(text),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Listen {
    /// A host without a port. An IPv6 address may lack its brackets, unless its end could be a port.
    fn host(text: &str) -> Result<Self, String> {
        if let Some((ip, port)) = text.rsplit_once(':')
            && is_ipv6(text)
            && is_ipv6(ip)
            && port.parse::<u16>().is_ok()
        {
            return Err(format!(
                "the port is ambiguous: write [{ip}]:{port} or [{text}]"
            ));
        }
        let with_port = match is_ipv6(text) {
            true => format!("[{text}]:{PORT}"),
            false => format!("{text}:{PORT}"),
        };
        match with_port.parse() {
            Ok(ListenAddr::Tcp { host, .. }) => Ok(Self::Host(host)),
            Ok(_) => Err(ListenAddrError::BadHost.to_string()),
            Err(error) => Err(ListenAddrError::to_string(&error)),
        }
    }

    fn with_port(&self, port: u16) -> ListenAddr {
        match self {
            Self::Address(address) => address.clone(),
            Self::Host(host) => tcp(host, port),
        }
    }
}

fn without_brackets(text: &str) -> &str {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(text)
}

fn is_ipv6(text: &str) -> bool {
    matches!(text.parse(), Ok(IpAddr::V6(_)))
}

fn tcp(host: &str, port: u16) -> ListenAddr {
    let host = host.to_owned();
    ListenAddr::Tcp { host, port }
}

impl Args {
    /// Whether a flag names an address to listen on.
    pub(crate) fn names_addresses(&self) -> bool {
        let lists = [
            &self.listen_proxy_protocol,
            &self.listen_tls,
            &self.listen_tls_proxy_protocol,
        ];
        self.port.is_some()
            || !self.listen.is_empty()
            || lists.iter().any(|addresses| !addresses.is_empty())
    }

    /// The addresses to listen on for clients: those of `--listen`, otherwise `--port` on loopback,
    /// otherwise `PORT`, otherwise loopback.
    pub(crate) fn addresses(
        &self,
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Vec<ListenAddr>, String> {
        let takes_port = |listen: &Listen| matches!(listen, Listen::Host(_));
        match (self.listen.first(), self.port) {
            (Some(Listen::Address(address)), Some(port)) if !self.listen.iter().any(takes_port) => {
                Err(format!(
                    "--port {port}: --listen {address} takes no other port, leave one of them out"
                ))
            }
            (Some(_), port) => {
                let port = port.unwrap_or(PORT);
                let addresses = self.listen.iter().map(|listen| listen.with_port(port));
                Ok(addresses.collect())
            }
            (None, Some(port)) => Ok(vec![tcp(HOST, port)]),
            (None, None) if self.names_addresses() => Ok(Vec::new()),
            (None, None) => {
                let address = environment::port(lookup)?;
                Ok(vec![address.unwrap_or_else(|| tcp(HOST, PORT))])
            }
        }
    }
}

/// An address, its flag, and whether other servers may share its port.
type Named<'a> = (&'a ListenAddr, &'static str, bool);

/// Checks the addresses of all flags, and the flags that need addresses of a kind.
pub(crate) fn check(args: &Args, listen: &[ListenAddr]) -> Result<(), String> {
    check_conflicts(args, listen)?;
    check_needs(args, listen)
}

/// Rejects `--qr` and `--open` if no address can have an effect. Without any address, sockets were
/// passed in.
fn check_needs(args: &Args, listen: &[ListenAddr]) -> Result<(), String> {
    let all: Vec<&ListenAddr> = listen.iter().chain(&args.listen_tls).collect();
    let is_unix = |address: &&ListenAddr| matches!(address, ListenAddr::Unix(_));
    let is_local = |address: &&ListenAddr| match address {
        ListenAddr::Tcp { host, .. } => {
            host == HOST || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
        _ => true,
    };
    let needs_network = args.qr && !all.is_empty() && all.iter().all(is_local);
    let needs_tcp = args.open && !all.is_empty() && all.iter().all(is_unix);
    if needs_network {
        Err("--qr: needs an address that other devices can open, for example -l '*'".into())
    } else if needs_tcp {
        Err("--open: needs an address that a browser can open, for example -l localhost".into())
    } else {
        Ok(())
    }
}

/// Finds two addresses that conflict. Without this check, the system would report that another
/// program listens there.
fn check_conflicts(args: &Args, listen: &[ListenAddr]) -> Result<(), String> {
    let all: Vec<Named<'_>> = [
        (listen, "listen", args.reuse_port),
        (
            &args.listen_proxy_protocol,
            "listen-proxy-protocol",
            args.reuse_port,
        ),
        (&args.listen_tls, "listen-tls", args.reuse_port),
        (
            &args.listen_tls_proxy_protocol,
            "listen-tls-proxy-protocol",
            args.reuse_port,
        ),
        (&args.redirect_http, "redirect-http", args.reuse_port),
        (&args.admin, "admin", false),
    ]
    .into_iter()
    .flat_map(|(addresses, flag, shares)| {
        addresses.iter().map(move |address| (address, flag, shares))
    })
    .collect();
    for (index, (address, flag, shares)) in all.iter().enumerate() {
        let conflict = all[..index].iter().find(|(other, _, other_shares)| {
            let is_shared = *shares && *other_shares && matches!(address, ListenAddr::Tcp { .. });
            !is_shared && address.conflicts_with(other)
        });
        if let Some((other, other_flag, _)) = conflict {
            return Err(match address == other && flag == other_flag {
                true => format!("--{flag} {address}: given twice"),
                false => {
                    format!("--{flag} {address}: --{other_flag} {other} listens there already")
                }
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_may_lack_the_port() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let listen: Listen = text.parse().expect("the text is a host or an address");
            assert_eq!(listen.with_port(81).to_string(), expected, "{text}");
        }
        check("*", "*:81");
        check("localhost", "localhost:81");
        check("example.org", "example.org:81");
        check("0.0.0.0", "0.0.0.0:81");
        check("::1", "[::1]:81");
        check("[::1]", "[::1]:81");
        check("::", "[::]:81");
        check("2001:db8:0:0:0:0:0:1", "[2001:db8:0:0:0:0:0:1]:81");
        check("fe80::1", "[fe80::1]:81");
        check("[::1]:80", "[::1]:80");
        check(":80", "*:80");
        check("unix:/a", "unix:/a");
    }

    #[test]
    fn texts_that_are_no_host_say_why() {
        #[track_caller]
        fn check(text: &str, reason: &str) {
            let error = text.parse::<Listen>().expect_err("the text is no host");
            assert!(error.contains(reason), "{text}: {error}");
        }
        check("", "no port");
        check("4000", "localhost:4000");
        check("a b", "the host is not a name");
        check("[x]", "the host is not a name");
        check("[::1", "the host is not a name");
        check("/run/x.sock", "the host is not a name");
        check("localhost:http", "the port is not a number");
        check("http://localhost", "this is a URL");
        check("::1:4000", "write [::1]:4000 or [::1:4000]");
    }

    #[test]
    fn default_address_has_default_host_and_port() {
        assert_eq!(tcp(HOST, PORT).to_string(), LISTEN);
    }
}
