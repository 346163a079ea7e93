//! The header map of a head. If its names are those of the last head, only what differs is changed.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Rejection;
use super::fields::{self, Seen, is_padded};
use super::lines::{HeaderLines, Line};
use super::names::{self, Names};
use super::pseudo::Protocol;
use super::text::HostSource;
use crate::http2::hpack::StaticName;
use crate::message::head::repeats_a_single;
use crate::message::request_error::RequestError;

const CRUMB_END: &[u8] = b"; ";

/// Why the headers of a head are rejected.
pub(super) struct Malformed {
    /// How much of the text of the lines is known, at most.
    pub(super) known: usize,
    pub(super) rejection: Rejection,
}

/// Puts the lines into a map, which has the headers of the last request as its handler left them.
/// Lines from the first malformed one on are left out.
#[inline]
pub(super) fn read(
    headers: &mut HeaderMap,
    lines: &HeaderLines,
    (host, protocol): (HostSource, Option<Protocol>),
    values: &mut BytesMut,
    names: &mut Names,
) -> (Seen, Result<(), Malformed>) {
    let mut seen = Seen::new(host, protocol);
    if update(headers, lines, values, &mut seen).is_some() {
        return (seen, Ok(()));
    }
    seen = Seen::new(host, protocol);
    let filled = fill(headers, lines, values, names, &mut seen);
    (seen, filled)
}

/// Replaces the values that differ. Returns nothing if the names differ or a value is malformed, or
/// if there is no memory for the values; then the map has to be filled.
#[inline]
fn update(
    headers: &mut HeaderMap,
    lines: &HeaderLines,
    values: &mut BytesMut,
    seen: &mut Seen,
) -> Option<()> {
    if headers.keys_len() != headers.len() {
        return None;
    }
    let text = lines.text();
    let mut entries = headers.iter_mut();
    for line in lines.iter() {
        let value = &text[line.value()];
        seen.note(line.known, &text[line.name()], value);
        let is_cookie = line.known == Some(StaticName::COOKIE);
        if is_padded(value) {
            return None;
        }
        if is_cookie && seen.cookies > 1 {
            // It is in the value of the first one.
            continue;
        }
        let (name, last) = entries.next()?;
        if !is_name(name, line, text) || last.is_sensitive() {
            return None;
        }
        match is_cookie {
            false if *last == *value => {}
            false => *last = keep(value, values)?,
            true => update_cookie(last, lines, values)?,
        }
    }
    entries.next().is_none().then_some(())
}

fn is_name(name: &HeaderName, line: Line, text: &[u8]) -> bool {
    match line.known.and_then(names::known) {
        Some(known) => name == known,
        None => name.as_str().as_bytes() == &text[line.name()],
    }
}

fn keep(value: &[u8], values: &mut BytesMut) -> Option<HeaderValue> {
    if values.capacity() < value.len() {
        return None;
    }
    values.extend_from_slice(value);
    HeaderValue::from_maybe_shared(values.split().freeze()).ok()
}

/// Replaces a cookie by the joined parts of one, if it differs.
fn update_cookie(last: &mut HeaderValue, lines: &HeaderLines, values: &mut BytesMut) -> Option<()> {
    let text = lines.text();
    let is_cookie = |line: &Line| line.known == Some(StaticName::COOKIE);
    let crumbs = lines
        .iter()
        .filter(is_cookie)
        .map(|line| &text[line.value()]);
    let mut left = Some(last.as_bytes());
    for (index, crumb) in crumbs.clone().enumerate() {
        left = match index {
            0 => left,
            _ => left.and_then(|left| left.strip_prefix(CRUMB_END)),
        };
        left = left.and_then(|left| left.strip_prefix(crumb));
    }
    if left == Some(b"") {
        return Some(());
    }
    let length: usize = crumbs
        .clone()
        .map(|crumb| crumb.len() + CRUMB_END.len())
        .sum();
    if values.capacity() < length {
        return None;
    }
    *last = joined(crumbs, values)?;
    Some(())
}

/// Fills the map with the lines.
fn fill(
    headers: &mut HeaderMap,
    lines: &HeaderLines,
    values: &mut BytesMut,
    names: &mut Names,
    seen: &mut Seen,
) -> Result<(), Malformed> {
    headers.clear();
    // Twice, so that it has room for a joined cookie and values that replace others.
    values.reserve(2 * lines.text().len());
    values.extend_from_slice(lines.text());
    let text = values.split().freeze();
    let (mut repeats, mut malformed) = (false, None);
    for line in lines.iter() {
        let (name, value) = match fields::read(&text, line, names) {
            Ok(read) => read,
            Err(rejection) => {
                malformed = Some(Malformed {
                    known: line.start,
                    rejection,
                });
                break;
            }
        };
        seen.note(line.known, &text[line.name()], value.as_bytes());
        // Browsers repeat cookies, and nothing else.
        repeats |= headers.append(name, value) && line.known != Some(StaticName::COOKIE);
    }
    if seen.cookies > 1 {
        join_cookies(headers, values);
    }
    match malformed {
        Some(malformed) => Err(malformed),
        None if repeats && repeats_a_single(headers) => Err(Malformed {
            known: usize::MAX,
            rejection: RequestError::Repeated.into(),
        }),
        None => Ok(()),
    }
}

/// Joins the parts of a cookie, which a client may send apart (RFC 9113 section 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap, values: &mut BytesMut) {
    let parts = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    // Every part is valid, so the whole is.
    if let Some(joined) = joined(parts, values) {
        headers.insert(COOKIE, joined);
    }
}

fn joined<'c>(parts: impl Iterator<Item = &'c [u8]>, values: &mut BytesMut) -> Option<HeaderValue> {
    for (index, part) in parts.enumerate() {
        if index > 0 {
            values.put_slice(CRUMB_END);
        }
        values.put_slice(part);
    }
    let joined: Bytes = values.split().freeze();
    HeaderValue::from_maybe_shared(joined).ok()
}
