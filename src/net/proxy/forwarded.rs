//! What proxies write into requests: `Forwarded` (RFC 7239), and the fields that were there
//! before it.
//!
//! All is read from the right, the end of the last line, to which the nearest proxy has appended:
//! what stands on the left may be a client's, and must not decide how the rest is read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{FORWARDED, HeaderMap, HeaderName};

use crate::message::PeerAddr;
use crate::message::client_info::Scheme;
use crate::message::headers::list;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a proxy says of the connection that it has a request from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// The other end; `None` if the proxy does not know it, does not tell, or not in a form that
    /// is understood.
    pub(crate) client: Option<PeerAddr>,
    pub(crate) scheme: Option<Scheme>,
}

/// What all lines of `X-Forwarded-For` say. An empty element stands for someone who was not named.
pub(crate) fn x_forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    let lines = headers.get_all(&X_FORWARDED_FOR).iter().rev();
    let elements = lines.flat_map(|line| list::items(line.as_bytes()).rev());
    elements.map(|element| Hop {
        client: parse_address(element),
        scheme: None,
    })
}

/// The last scheme that `X-Forwarded-Proto` names; `None` if it is not there.
pub(crate) fn x_forwarded_proto(headers: &HeaderMap) -> Option<Option<Scheme>> {
    let line = headers.get_all(&X_FORWARDED_PROTO).iter().next_back()?;
    let last = list::items(line.as_bytes()).next_back();
    Some(last.and_then(parse_scheme))
}

/// What all lines of `Forwarded` say. Empty elements are passed over (RFC 9110 section 5.6.1.2).
pub(crate) fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    let lines = headers.get_all(&FORWARDED).iter().rev();
    let elements = lines.flat_map(|line| Elements(Some(line.as_bytes())));
    elements
        .filter(|element| !element.is_empty())
        .map(|element| parse_element(element).unwrap_or_default())
}

/// The elements of a line of `Forwarded`, the last one first.
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

/// Whether what follows this in a quoted string has lost its meaning (RFC 9110 section 5.6.4).
fn is_escaped(before: &[u8]) -> bool {
    let others = before.iter().rposition(|byte| *byte != b'\\');
    let backslashes = before.len() - others.map_or(0, |at| at + 1);
    !backslashes.is_multiple_of(2)
}

/// An element of `Forwarded` (RFC 7239 section 4); `None` if it is none.
fn parse_element(element: &[u8]) -> Option<Hop> {
    let mut hop = Hop::default();
    let (mut has_for, mut has_proto) = (false, false);
    let mut rest = element;
    loop {
        rest = rest.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b";") {
            let (name, value);
            (name, value, rest) = parse_parameter(rest)?;
            // No parameter may be there twice.
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

/// A parameter's name and value, and what follows it. Escapes in a value stay as they are: nothing
/// that is of use here has any.
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

/// What a text begins with until something that no token has (RFC 9110 section 5.6.2).
fn split_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_of_token(byte));
    let (token, rest) = text.split_at(end.unwrap_or(text.len()));
    (!token.is_empty()).then_some((token, rest))
}

/// A node identifier (RFC 7239 section 6). An IPv6 address without brackets is none: it could have
/// a port at its end.
fn parse_node(text: &[u8]) -> Option<PeerAddr> {
    let colons = text.iter().filter(|byte| **byte == b':').count();
    (colons < 2 || text.starts_with(b"[")).then(|| parse_address(text))?
}

/// An address with or without a port.
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
    // RFC 7239 section 6.3: a proxy may have its own name for a port.
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
