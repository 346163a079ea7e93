//! The PROXY protocol, versions 1 and 2: a header before the first request, in which a proxy that
//! passes on bytes says whose they are
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::net::IpAddr;

use ppp::{PartialResult as _, v1, v2};

use crate::message::client_info::Scheme;
use crate::message::{ClientInfo, PeerAddr};

/// How a header of version 1 begins.
const V1: &[u8] = b"PROXY ";

/// Longest header of version 1, with its line end.
const MAX_V1: usize = 107;

/// Longest header of version 2. The addresses need 232 bytes, and what proxies say beside them, such
/// as the name in a client's certificate, some hundred more.
const MAX_V2: usize = 4096;

/// What a header of version 2 has before the addresses; its last two bytes tell the length of what
/// follows.
const FIXED: usize = 16;

/// What a proxy says of a client's TLS (section 2.2.6), and the bit that says there is some.
const SSL: u8 = 0x20;
const CLIENT_SSL: u8 = 0x01;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statement {
    /// The proxy has connected for itself, such as to find out whether the server is well.
    Local,
    /// It has connected for a client, with this address if it knows one that it can say here.
    Proxied(Option<PeerAddr>, Option<Scheme>),
}

/// A connection begins with something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Statement {
    /// Reads a header from the start of `input`, and tells how long it is. `None` if it is not
    /// complete.
    pub(crate) fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let begins_with = |start: &[u8]| input.starts_with(start) || start.starts_with(input);
        if begins_with(v2::PROTOCOL_PREFIX) {
            version_2(input)
        } else if begins_with(V1) {
            version_1(input)
        } else {
            Err(Malformed)
        }
    }

    /// Where the connection comes from, if that is what was known of it before.
    pub(crate) fn apply(self, origin: &ClientInfo) -> ClientInfo {
        match self {
            Self::Local => origin.clone(),
            Self::Proxied(client, scheme) => {
                origin.with(origin.route().on_behalf_of(client, scheme))
            }
        }
    }
}

/// The parser wants the whole line: what it says of a part is not always what it says of the whole.
fn version_1(input: &[u8]) -> Result<Option<(Statement, usize)>, Malformed> {
    let longest = &input[..input.len().min(MAX_V1)];
    let Some(end) = longest.windows(2).position(|end| end == b"\r\n") else {
        return match input.len() {
            ..MAX_V1 => Ok(None),
            _ => Err(Malformed),
        };
    };
    let line = &input[..end + 2];
    // What else it says is to be ignored, and the parser would not.
    if line.starts_with(b"PROXY UNKNOWN ") {
        return Ok(Some((Statement::Proxied(None, None), line.len())));
    }
    let header = v1::Header::try_from(line).map_err(|_| Malformed)?;
    if header.header.len() != line.len() {
        return Err(Malformed);
    }
    let client = match header.addresses {
        v1::Addresses::Tcp4(ip) => Some(node(ip.source_address, ip.source_port)),
        v1::Addresses::Tcp6(ip) => Some(node(ip.source_address, ip.source_port)),
        v1::Addresses::Unknown => None,
    };
    Ok(Some((Statement::Proxied(client, None), line.len())))
}

fn version_2(input: &[u8]) -> Result<Option<(Statement, usize)>, Malformed> {
    if let Some(&[high, low]) = input.get(FIXED - 2..FIXED)
        && FIXED + usize::from(u16::from_be_bytes([high, low])) > MAX_V2
    {
        return Err(Malformed);
    }
    let parsed = v2::Header::try_from(input);
    if parsed.is_incomplete() {
        return Ok(None);
    }
    let header = parsed.map_err(|_| Malformed)?;
    let statement = match header.command {
        v2::Command::Local => Statement::Local,
        v2::Command::Proxy => Statement::Proxied(source(&header), scheme(&header)?),
    };
    Ok(Some((statement, header.len())))
}

/// Someone who has come to the proxy otherwise than over TCP is not named.
fn source(header: &v2::Header<'_>) -> Option<PeerAddr> {
    if header.protocol != v2::Protocol::Stream {
        return None;
    }
    match header.addresses {
        v2::Addresses::IPv4(ip) => Some(node(ip.source_address, ip.source_port)),
        v2::Addresses::IPv6(ip) => Some(node(ip.source_address, ip.source_port)),
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
    }
}

fn scheme(header: &v2::Header<'_>) -> Result<Option<Scheme>, Malformed> {
    let mut scheme = None;
    for part in header.tlvs() {
        let part = part.map_err(|_| Malformed)?;
        if part.kind == SSL {
            let is_tls = part
                .value
                .first()
                .is_some_and(|bits| bits & CLIENT_SSL != 0);
            scheme = Some(if is_tls { Scheme::Https } else { Scheme::Http });
        }
    }
    Ok(scheme)
}

fn node(ip: impl Into<IpAddr>, port: u16) -> PeerAddr {
    PeerAddr::new(ip.into(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    /// A header of version 2 with these two bytes behind the signature.
    fn binary(kind: [u8; 2], rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("the test's rest is short");
        [SIGNATURE, &kind, &length.to_be_bytes(), rest].concat()
    }

    fn proxied(client: &str, scheme: Option<Scheme>) -> Statement {
        let address: std::net::SocketAddr = client.parse().expect("the text is an address");
        Statement::Proxied(Some(address.into()), scheme)
    }

    /// Wherever the bytes are cut: a part is a part, and what follows does not matter.
    #[track_caller]
    fn check(header: &[u8], statement: Statement) {
        for end in 0..header.len() {
            let part = &header[..end];
            assert_eq!(Statement::parse(part), Ok(None), "{}", part.escape_ascii());
        }
        for next in [&b""[..], b"GET / HTTP/1.1\r\n", b"\r\n", b"\0"] {
            let all = [header, next].concat();
            let whole = Ok(Some((statement, header.len())));
            assert_eq!(Statement::parse(&all), whole, "{}", all.escape_ascii());
        }
    }

    /// However much of it is here, it is never taken, and it is refused when all of it is.
    #[track_caller]
    fn check_malformed(bytes: &[u8]) {
        let mut is_refused = false;
        for end in 0..=bytes.len() {
            let parsed = Statement::parse(&bytes[..end]);
            let allowed = [Err(Malformed), Ok(None)];
            let allowed = &allowed[..if is_refused { 1 } else { 2 }];
            assert!(allowed.contains(&parsed), "{}", bytes[..end].escape_ascii());
            is_refused = parsed.is_err();
        }
        assert!(is_refused, "{}", bytes.escape_ascii());
    }

    #[test]
    fn version_1_is_read_however_it_is_cut() {
        let unknown = Statement::Proxied(None, None);
        check(
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n",
            proxied("192.0.2.1:4711", None),
        );
        check(
            b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            proxied("255.255.255.255:65535", None),
        );
        check(
            b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n",
            proxied("[2001:db8::1]:4711", None),
        );
        check(
            b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 4711 80\r\n",
            proxied("192.0.2.1:4711", None),
        );
        check(b"PROXY UNKNOWN\r\n", unknown);
        check(
            b"PROXY UNKNOWN \r or \xff, or any other words at all\r\n",
            unknown,
        );
        check(
            b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
              ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            unknown,
        );
    }

    #[test]
    fn what_is_nearly_version_1_is_refused() {
        check_malformed(b"GET / HTTP/1.1\r\n");
        check_malformed(b"proxy UNKNOWN\r\n");
        check_malformed(b"PROXY\r\n");
        check_malformed(b"PROXY \r\n");
        check_malformed(b"PROXY  UNKNOWN\r\n");
        check_malformed(b"PROXY TCP5 192.0.2.1 198.51.100.1 4711 80\r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 \r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 65536\r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 080\r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80 \r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\n\r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r \r\n");
        check_malformed(b"PROXY TCP4 192.0.2.256 198.51.100.1 4711 80\r\n");
        check_malformed(b"PROXY TCP4 2001:db8::1 2001:db8::2 4711 80\r\n");
        check_malformed(b"PROXY TCP6 192.0.2.1 198.51.100.1 4711 80\r\n");
        check_malformed(b"PROXY TCP4 \xff92.0.2.1 198.51.100.1 4711 80\r\n");
        check_malformed(&[b"PROXY UNKNOWN ", &[b'x'; 92][..], b"\r\n"].concat());
        check_malformed(&[b"PROXY UNKNOWN ", &[b'x'; 1000][..]].concat());
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0, 80];

    #[test]
    fn version_2_is_read_however_it_is_cut() {
        let unknown = Statement::Proxied(None, None);
        check(
            &binary([0x21, 0x11], &IPV4),
            proxied("192.0.2.1:4711", None),
        );
        let ipv6 = [
            &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..],
            &[0; 16],
            &[0x12, 0x67, 0, 80],
        ];
        check(
            &binary([0x21, 0x21], &ipv6.concat()),
            proxied("[2001:db8::1]:4711", None),
        );
        // For itself, whatever else is said.
        check(&binary([0x20, 0x00], b""), Statement::Local);
        check(&binary([0x20, 0x11], &IPV4), Statement::Local);
        check(&binary([0x20, 0x00], b"whatever"), Statement::Local);
        // Nobody with an address of TCP.
        check(&binary([0x21, 0x00], b""), unknown);
        check(&binary([0x21, 0x00], b"whatever"), unknown);
        check(&binary([0x21, 0x12], &IPV4), unknown);
        check(&binary([0x21, 0x31], &[b'/'; 216]), unknown);
    }

    #[test]
    fn version_2_may_say_more_than_addresses() {
        let ssl = |bits: u8| [0x20, 0, 5, bits, 0, 0, 0, 0];
        let alpn = [1, 0, 2, b'h', b'2'];
        for (more, scheme) in [
            (&[&alpn[..]][..], None),
            (&[&ssl(0)], Some(Scheme::Http)),
            (&[&alpn, &ssl(1)], Some(Scheme::Https)),
            (&[&ssl(7), &alpn], Some(Scheme::Https)),
            (&[&[0x20, 0, 0]], Some(Scheme::Http)),
        ] {
            let rest = [&IPV4[..], &more.concat()].concat();
            check(
                &binary([0x21, 0x11], &rest),
                proxied("192.0.2.1:4711", scheme),
            );
        }
        let longest = [&IPV4[..], &[4, 0x0f, 0xe1], &[0; 4065]].concat();
        let header = binary([0x21, 0x11], &longest);
        assert_eq!(header.len(), MAX_V2);
        check(&header, proxied("192.0.2.1:4711", None));
    }

    #[test]
    fn what_is_nearly_version_2_is_refused() {
        check_malformed(b"\r\nGET / HTTP/1.1\r\n");
        check_malformed(b"\r\n\r\n\0\r\nQUIT\r\n");
        check_malformed(&binary([0x11, 0x11], &IPV4));
        check_malformed(&binary([0x22, 0x11], &IPV4));
        check_malformed(&binary([0x21, 0x41], &IPV4));
        check_malformed(&binary([0x21, 0x13], &IPV4));
        check_malformed(&binary([0x21, 0x11], &IPV4[..11]));
        check_malformed(&binary([0x21, 0x21], &IPV4));
        check_malformed(&binary([0x21, 0x31], &[b'/'; 215]));
        let tail = |tail: &[u8]| binary([0x21, 0x11], &[&IPV4, tail].concat());
        check_malformed(&tail(&[4]));
        check_malformed(&tail(&[4, 0, 1]));
        check_malformed(&binary([0x20, 0x00], &[0; MAX_V2 - FIXED + 1]));
    }
}
