//! Reads the forwarding headers of proxies: `Forwarded` (RFC 7239), `X-Forwarded-For` and
//! `X-Forwarded-Proto`.
//!
//! All headers are read from the right, beginning at the end of the last line, where the nearest
//! proxy has appended. The left part can come from a client and must not affect how the rest is
//! read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{FORWARDED, HeaderMap, HeaderName};

use crate::message::PeerAddr;
use crate::message::client_info::Scheme;
use crate::message::headers::list;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// One hop of a request, as a proxy describes it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// The address from which the proxy received the request. It is `None` if the proxy does not
    /// know it, hides it, or writes it in an unknown form.
    pub(crate) client: Option<PeerAddr>,
    pub(crate) scheme: Option<Scheme>,
}

/// Returns the hops in all `X-Forwarded-For` lines. An empty element is a hop without an address.
pub(crate) fn x_forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    let lines = headers.get_all(&X_FORWARDED_FOR).iter().rev();
    let elements = lines.flat_map(|line| list::items(line.as_bytes()).rev());
    elements.map(|element| Hop {
        client: parse_address(element),
        scheme: None,
    })
}

/// Returns the last scheme in `X-Forwarded-Proto`, or `None` without this header.
pub(crate) fn x_forwarded_proto(headers: &HeaderMap) -> Option<Option<Scheme>> {
    let line = headers.get_all(&X_FORWARDED_PROTO).iter().next_back()?;
    let last = list::items(line.as_bytes()).next_back();
    Some(last.and_then(parse_scheme))
}

/// Returns the hops in all `Forwarded` lines. Empty elements are skipped (RFC 9110 section
/// 5.6.1.2).
pub(crate) fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    let lines = headers.get_all(&FORWARDED).iter().rev();
    let elements = lines.flat_map(|line| Elements(Some(line.as_bytes())));
    elements
        .filter(|element| !element.is_empty())
        .map(|element| parse_element(element).unwrap_or_default())
}

/// The elements of a `Forwarded` line, in reverse order.
struct Elements<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.0?;
        let mut is_quoted = false;
        for (at, byte) in line.iter().enumerate().rev() {
            match byte {
                b'"' if !is_escaped(&line[..at]) => is_quoted = !is_quoted,
                b',' if !is_quoted => {
                    self.0 = Some(&line[..at]);
                    return Some(line[at + 1..].trim_ascii());
                }
                _ => {}
            }
        }
        self.0 = None;
        Some(line.trim_ascii())
    }
}

/// Whether the byte after `before` is escaped in a quoted string (RFC 9110 section 5.6.4).
fn is_escaped(before: &[u8]) -> bool {
    let others = before.iter().rposition(|byte| *byte != b'\\');
    let backslashes = before.len() - others.map_or(0, |at| at + 1);
    !backslashes.is_multiple_of(2)
}

/// Parses an element of `Forwarded` (RFC 7239 section 4). Returns `None` if it is malformed.
fn parse_element(element: &[u8]) -> Option<Hop> {
    let mut hop = Hop::default();
    let (mut has_for, mut has_proto) = (false, false);
    let mut rest = element;
    loop {
        rest = rest.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b";") {
            let (name, value);
            (name, value, rest) = parse_parameter(rest)?;
            // A parameter must not occur twice.
            if name.eq_ignore_ascii_case(b"for") {
                hop.client = parse_node(value);
                if std::mem::replace(&mut has_for, true) {
                    return None;
                }
            } else if name.eq_ignore_ascii_case(b"proto") {
                hop.scheme = parse_scheme(value);
                if std::mem::replace(&mut has_proto, true) {
                    return None;
                }
            }
        }
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            None => return Some(hop),
            Some((b';', next)) => rest = next,
            Some(_) => return None,
        }
    }
}

/// Splits off a parameter and returns its name, its value and the rest. Escapes in the value stay:
/// no value of interest contains any.
fn parse_parameter(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, text) = split_token(text)?;
    let text = text.strip_prefix(b"=")?;
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let (value, rest) = split_token(text)?;
        return Some((name, value, rest));
    };
    let end = (0..quoted.len()).find(|at| quoted[*at] == b'"' && !is_escaped(&quoted[..*at]))?;
    Some((name, &quoted[..end], &quoted[end + 1..]))
}

/// Splits off a token (RFC 9110 section 5.6.2).
fn split_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_of_token(byte));
    let (token, rest) = text.split_at(end.unwrap_or(text.len()));
    (!token.is_empty()).then_some((token, rest))
}

/// Parses a node identifier (RFC 7239 section 6). An IPv6 address needs brackets, because its end
/// could be a port.
fn parse_node(text: &[u8]) -> Option<PeerAddr> {
    let colons = text.iter().filter(|byte| **byte == b':').count();
    (colons < 2 || text.starts_with(b"[")).then(|| parse_address(text))?
}

/// Parses an IP address with or without a port.
fn parse_address(text: &[u8]) -> Option<PeerAddr> {
    let text = str::from_utf8(text).ok()?;
    let (ip, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (ip, port) = bracketed.split_once(']')?;
            let ip: Ipv6Addr = ip.parse().ok()?;
            if port.is_empty() {
                return Some(IpAddr::from(ip).into());
            }
            (IpAddr::from(ip), port.strip_prefix(':')?)
        }
        None => {
            if let Ok(ip) = text.parse::<IpAddr>() {
                return Some(ip.into());
            }
            let (ip, port) = text.split_once(':')?;
            (ip.parse::<Ipv4Addr>().ok()?.into(), port)
        }
    };
    // A proxy may use an obfuscated port (RFC 7239 section 6.3).
    if port.starts_with('_') {
        return Some(ip.into());
    }
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_number)?;
    Some(PeerAddr::new(ip, port))
}

fn parse_scheme(name: &[u8]) -> Option<Scheme> {
    [(&b"http"[..], Scheme::Http), (b"https", Scheme::Https)]
        .into_iter()
        .find_map(|(known, scheme)| name.eq_ignore_ascii_case(known).then_some(scheme))
}
