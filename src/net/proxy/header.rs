//! Decodes the header of the PROXY protocol, versions 1 and 2
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! A proxy that forwards bytes sends this header before the first byte of the client. The header
//! names the client's address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::message::client_info::Scheme;
use crate::message::{ClientInfo, ClientSource, PeerAddr};

const V1_PREFIX: &[u8] = b"PROXY ";

/// Longest header of version 1, including the line end (section 2.1).
const V1_MAX: usize = 107;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Size of the fixed part of version 2: the signature, version and command, family and transport,
/// and the length of the rest.
const V2_FIXED: usize = 16;

/// Longest accepted header of version 2. Addresses take at most 216 bytes. TLVs, for example the
/// name in a client certificate, take some hundred more.
const V2_MAX: usize = 4096;

/// Version 2 with the commands LOCAL and PROXY.
const V2_LOCAL: u8 = 0x20;
const V2_PROXY: u8 = 0x21;

/// Family and transport of a client that uses TCP.
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// Type of the TLV that describes the client's TLS (section 2.2.6), and its bit for a client that
/// uses TLS.
const PP2_TYPE_SSL: u8 = 0x20;
const PP2_CLIENT_SSL: u8 = 0x01;

/// A decoded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyHeader {
    /// The proxy opened the connection for itself, for example for a health check.
    Local,
    /// The proxy forwards a client. The address is `None` if the header names no TCP client.
    Proxied(Option<PeerAddr>, Option<Scheme>),
}

/// The connection does not begin with a valid header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl ProxyHeader {
    /// Decodes a header at the start of `input` and returns it with its length. Returns `None` if
    /// the header is incomplete.
    pub(crate) fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let may_begin_with = |start: &[u8]| input.starts_with(start) || start.starts_with(input);
        if may_begin_with(V2_SIGNATURE) {
            version_2(input)
        } else if may_begin_with(V1_PREFIX) {
            version_1(input)
        } else {
            Err(Malformed)
        }
    }

    /// Adds what the header says to the information about a connection.
    pub(crate) fn apply(self, client_info: &ClientInfo) -> ClientInfo {
        match self {
            Self::Local => client_info.clone(),
            Self::Proxied(client, scheme) => {
                let source = ClientSource::ProxyProtocol;
                client_info.with_route(client_info.route().on_behalf_of(client, scheme, source))
            }
        }
    }
}

fn version_1(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, Malformed> {
    let longest = &input[..input.len().min(V1_MAX)];
    let Some(end) = longest.windows(2).position(|pair| pair == b"\r\n") else {
        return match input.len() {
            ..V1_MAX => Ok(None),
            _ => Err(Malformed),
        };
    };
    let line = input[..end].strip_prefix(V1_PREFIX).ok_or(Malformed)?;
    let mut words = line.split(|byte| *byte == b' ');
    let client = match words.next() {
        Some(b"TCP4") => Some(v1_source::<Ipv4Addr>(words)?),
        Some(b"TCP6") => Some(v1_source::<Ipv6Addr>(words)?),
        // The rest of the line must be ignored.
        Some(b"UNKNOWN") => None,
        _ => return Err(Malformed),
    };
    Ok(Some((ProxyHeader::Proxied(client, None), end + 2)))
}

/// Reads both addresses and both ports, and returns those of the source.
fn v1_source<'a, A: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a [u8]>,
) -> Result<PeerAddr, Malformed> {
    let source: A = parse(words.next())?;
    let _destination: A = parse(words.next())?;
    let source_port = port(words.next())?;
    let _destination_port = port(words.next())?;
    match words.next() {
        None => Ok(PeerAddr::new(source.into(), source_port)),
        Some(_) => Err(Malformed),
    }
}

/// A decimal number without a sign or leading zeros.
fn port(word: Option<&[u8]>) -> Result<u16, Malformed> {
    match word {
        Some([b'+', ..] | [b'0', _, ..]) => Err(Malformed),
        word => parse(word),
    }
}

fn parse<T: FromStr>(word: Option<&[u8]>) -> Result<T, Malformed> {
    word.and_then(|word| str::from_utf8(word).ok())
        .and_then(|word| word.parse().ok())
        .ok_or(Malformed)
}

fn version_2(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, Malformed> {
    let Some((fixed, rest)) = input.split_first_chunk::<V2_FIXED>() else {
        return Ok(None);
    };
    let [.., version_and_command, family_and_transport, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let address_length = match version_and_command {
        // The family and the rest of the header must be ignored.
        V2_LOCAL => 0,
        V2_PROXY => v2_address_length(family_and_transport)?,
        _ => return Err(Malformed),
    };
    if length < address_length || length > V2_MAX - V2_FIXED {
        return Err(Malformed);
    }
    let Some(rest) = rest.get(..length) else {
        return Ok(None);
    };
    let header = if version_and_command == V2_LOCAL {
        ProxyHeader::Local
    } else if address_length == 0 {
        // Without a family, the rest has no defined form.
        ProxyHeader::Proxied(None, None)
    } else {
        let (addresses, tlvs) = rest.split_at(address_length);
        let client = match family_and_transport {
            TCP_OVER_IPV4 => v2_source::<4>(addresses),
            TCP_OVER_IPV6 => v2_source::<16>(addresses),
            _ => None,
        };
        ProxyHeader::Proxied(client, v2_scheme(tlvs)?)
    };
    Ok(Some((header, V2_FIXED + length)))
}

/// The size of both addresses; 0 if the header has none (UNSPEC).
fn v2_address_length(family_and_transport: u8) -> Result<usize, Malformed> {
    match (family_and_transport >> 4, family_and_transport & 0x0f) {
        (0, 0..=2) => Ok(0),
        (1, 0..=2) => Ok(2 * (4 + 2)),
        (2, 0..=2) => Ok(2 * (16 + 2)),
        (3, 0..=2) => Ok(2 * 108),
        _ => Err(Malformed),
    }
}

/// The source of two addresses of `N` bytes, which are followed by two ports.
fn v2_source<const N: usize>(addresses: &[u8]) -> Option<PeerAddr>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = addresses.split_first_chunk::<N>()?;
    let (_destination, ports) = rest.split_first_chunk::<N>()?;
    let (source_port, _) = ports.split_first_chunk::<2>()?;
    Some(PeerAddr::new(
        IpAddr::from(*source),
        u16::from_be_bytes(*source_port),
    ))
}

/// The scheme according to the last TLV about TLS; `None` without one.
fn v2_scheme(mut tlvs: &[u8]) -> Result<Option<Scheme>, Malformed> {
    let mut scheme = None;
    while let Some((kind, rest)) = tlvs.split_first() {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(Malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (value, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        if *kind == PP2_TYPE_SSL {
            let flags = value.first().copied().unwrap_or_default();
            scheme = Some(match flags & PP2_CLIENT_SSL {
                0 => Scheme::Http,
                _ => Scheme::Https,
            });
        }
        tlvs = rest;
    }
    Ok(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of version 2 with these two bytes after the signature.
    fn binary(kind: [u8; 2], rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("the test's rest is short");
        [V2_SIGNATURE, &kind, &length.to_be_bytes(), rest].concat()
    }

    fn proxied(client: &str, scheme: Option<Scheme>) -> ProxyHeader {
        let address: std::net::SocketAddr = client.parse().expect("the text is an address");
        ProxyHeader::Proxied(Some(address.into()), scheme)
    }

    /// Checks that every prefix is incomplete, and that bytes after the header do not matter.
    #[track_caller]
    fn check(header: &[u8], statement: ProxyHeader) {
        for end in 0..header.len() {
            let part = &header[..end];
            assert_eq!(
                ProxyHeader::decode(part),
                Ok(None),
                "{}",
                part.escape_ascii()
            );
        }
        for next in [&b""[..], b"GET / HTTP/1.1\r\n", b"\r\n", b"\0"] {
            let all = [header, next].concat();
            let whole = Ok(Some((statement, header.len())));
            assert_eq!(ProxyHeader::decode(&all), whole, "{}", all.escape_ascii());
        }
    }

    /// Checks that no prefix is accepted, and that the whole is rejected.
    #[track_caller]
    fn check_malformed(bytes: &[u8]) {
        let mut is_rejected = false;
        for end in 0..=bytes.len() {
            let parsed = ProxyHeader::decode(&bytes[..end]);
            let allowed = [Err(Malformed), Ok(None)];
            let allowed = &allowed[..if is_rejected { 1 } else { 2 }];
            assert!(allowed.contains(&parsed), "{}", bytes[..end].escape_ascii());
            is_rejected = parsed.is_err();
        }
        assert!(is_rejected, "{}", bytes.escape_ascii());
    }

    #[test]
    fn version_1_decodes_from_any_split() {
        let unknown = ProxyHeader::Proxied(None, None);
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
    fn malformed_version_1_is_rejected() {
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
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 +80\r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 +4711 80\r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 -1 80\r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80 80\r\n");
        check_malformed(b"PROXY TCP4 192.0.2.1  198.51.100.1 4711 80\r\n");
        check_malformed(b"PROXY TCP4 192.0.2.01 198.51.100.1 4711 80\r\n");
        check_malformed(b"PROXY UNKNOWNS\r\n");
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
    fn version_2_decodes_from_any_split() {
        let unknown = ProxyHeader::Proxied(None, None);
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
        // LOCAL: the family and the rest of the header are ignored.
        check(&binary([0x20, 0x00], b""), ProxyHeader::Local);
        check(&binary([0x20, 0x11], &IPV4), ProxyHeader::Local);
        check(&binary([0x20, 0x00], b"whatever"), ProxyHeader::Local);
        check(&binary([0x20, 0x11], b""), ProxyHeader::Local);
        check(&binary([0x20, 0xff], b"whatever"), ProxyHeader::Local);
        // UNSPEC, UDP and Unix name no TCP client.
        check(&binary([0x21, 0x00], b""), unknown);
        check(&binary([0x21, 0x00], b"whatever"), unknown);
        check(&binary([0x21, 0x01], &IPV4), unknown);
        check(&binary([0x21, 0x10], &IPV4), unknown);
        check(&binary([0x21, 0x12], &IPV4), unknown);
        check(&binary([0x21, 0x22], &[0; 36]), unknown);
        check(&binary([0x21, 0x31], &[b'/'; 216]), unknown);
    }

    #[test]
    fn version_2_tlvs_tell_the_scheme() {
        let ssl = |bits: u8| [0x20, 0, 5, bits, 0, 0, 0, 0];
        let alpn = [1, 0, 2, b'h', b'2'];
        for (more, scheme) in [
            (&[&alpn[..]][..], None),
            (&[&ssl(0)], Some(Scheme::Http)),
            (&[&alpn, &ssl(1)], Some(Scheme::Https)),
            (&[&ssl(7), &alpn], Some(Scheme::Https)),
            (&[&[0x20, 0, 0]], Some(Scheme::Http)),
            (&[&ssl(0), &ssl(1)], Some(Scheme::Https)),
        ] {
            let rest = [&IPV4[..], &more.concat()].concat();
            check(
                &binary([0x21, 0x11], &rest),
                proxied("192.0.2.1:4711", scheme),
            );
        }
        let in_unix = [&[b'/'; 216][..], &ssl(1)].concat();
        let https = ProxyHeader::Proxied(None, Some(Scheme::Https));
        check(&binary([0x21, 0x31], &in_unix), https);
        let longest = [&IPV4[..], &[4, 0x0f, 0xe1], &[0; 4065]].concat();
        let header = binary([0x21, 0x11], &longest);
        assert_eq!(header.len(), V2_MAX);
        check(&header, proxied("192.0.2.1:4711", None));
    }

    #[test]
    fn malformed_version_2_is_rejected() {
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
        check_malformed(&tail(&[4, 0]));
        check_malformed(&tail(&[4, 0, 1]));
        check_malformed(&tail(&[4, 0xff, 0xff]));
        check_malformed(&binary([0x21, 0x21], &[0; 35]));
        check_malformed(&binary([0x20, 0x00], &[0; V2_MAX - V2_FIXED + 1]));
    }
}
