//! Validates hosts: the `Host` header and the authority of an absolute-form target.

use std::net::Ipv6Addr;

use http::HeaderValue;
use http::uri::{Authority, Scheme};

use super::percent::is_percent_encoded;

/// Whether this is `uri-host [ ":" port ]` or empty (RFC 9110 section 7.2). Anything else may be
/// read as another host. A comma is rejected although a name may have one, because two joined
/// headers look like that.
pub(crate) fn is_host(value: &[u8]) -> bool {
    let port = match value.strip_prefix(b"[") {
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b']');
            let Some((literal, rest)) = end.map(|end| rest.split_at(end)) else {
                return false;
            };
            if !is_ip_literal(literal) {
                return false;
            }
            &rest[1..]
        }
        None => {
            let end = value
                .iter()
                .position(|byte| !NAME_BYTES[usize::from(*byte)]);
            let end = match end.map(|end| value[end]) {
                Some(b'%') => match encoded_name_length(value) {
                    Some(end) => end,
                    None => return false,
                },
                _ => end.unwrap_or(value.len()),
            };
            if end == 0 && !value.is_empty() {
                return false;
            }
            &value[end..]
        }
    };
    port.is_empty() || port.strip_prefix(b":").is_some_and(is_port)
}

/// The length of a registered name with percent-encoded octets, if it is well-formed.
#[cold]
fn encoded_name_length(value: &[u8]) -> Option<usize> {
    let is_name = |byte: u8| NAME_BYTES[usize::from(byte)] || byte == b'%';
    let end = value.iter().position(|byte| !is_name(*byte));
    let name = &value[..end.unwrap_or(value.len())];
    is_percent_encoded(name).then_some(name.len())
}

/// The bytes of a registered name that are not percent-encoded: `unreserved` and `sub-delims`
/// without the comma.
static NAME_BYTES: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < bytes.len() {
        bytes[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(
                byte as u8,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b'+' | b';' | b'='
            );
        byte += 1;
    }
    bytes
};

/// Whether this is the inside of an `IP-literal` (RFC 3986 section 3.2.2). Zone identifiers are
/// rejected: they have a meaning on one machine only, and clients must not send them (RFC 6874
/// section 4).
fn is_ip_literal(literal: &[u8]) -> bool {
    match literal {
        [b'v' | b'V', future @ ..] => is_ip_future(future),
        _ => std::str::from_utf8(literal).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()),
    }
}

/// `1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`, here without the comma.
fn is_ip_future(future: &[u8]) -> bool {
    let dot = future.iter().position(|byte| *byte == b'.');
    let Some((version, address)) = dot.map(|dot| (&future[..dot], &future[dot + 1..])) else {
        return false;
    };
    let is_address_byte = |byte: &u8| NAME_BYTES[usize::from(*byte)] || *byte == b':';
    !version.is_empty()
        && version.iter().all(u8::is_ascii_hexdigit)
        && !address.is_empty()
        && address.iter().all(is_address_byte)
}

/// Whether this is a 16-bit number or empty.
fn is_port(port: &[u8]) -> bool {
    let value = port.iter().try_fold(0u16, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        sum.checked_mul(10)?.checked_add(u16::from(digit))
    });
    value.is_some()
}

/// Whether an absolute-form target and `Host` name the same host. The target takes precedence (RFC
/// 9112 section 3.2.2), but handlers read the header, and well-meant clients send the same in both.
pub(crate) fn agree(
    authority: &Authority,
    scheme: Option<&Scheme>,
    host: Option<&HeaderValue>,
) -> bool {
    let authority = authority.as_str().as_bytes();
    if authority.is_empty() || !is_host(authority) {
        return false;
    }
    let is_https = scheme.is_some_and(|scheme| *scheme == Scheme::HTTPS);
    host.is_none_or(|host| is_same(authority, host.as_bytes(), is_https))
}

/// Whether two valid hosts are the same, up to the case and the scheme's own port.
pub(crate) fn is_same(host: &[u8], other: &[u8], is_https: bool) -> bool {
    let port = if is_https { &b"443"[..] } else { b"80" };
    without_port(host, port).eq_ignore_ascii_case(without_port(other, port))
}

/// The host without the port, if it is this port or empty.
fn without_port<'a>(authority: &'a [u8], port: &[u8]) -> &'a [u8] {
    let host = authority.strip_suffix(port).unwrap_or(authority);
    host.strip_suffix(b":").unwrap_or(authority)
}
