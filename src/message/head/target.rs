//! The request target (RFC 9112 section 3.2): validation and normal form.

use std::borrow::Cow;
use std::mem;

use bytes::BytesMut;
use http::uri::PathAndQuery;
use http::{Method, Uri};

use super::percent::is_percent_encoded;
use crate::message::path::{normal_path, resolve};
use crate::message::request_error::RequestError;

/// Longest request target that [`Uri`] can hold.
const MAX: usize = u16::MAX as usize - 1;

/// Whether a target's path needs to be normalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    Plain,
    /// It may not be in the normal form: it has a percent sign, or a segment that begins with a
    /// dot.
    Unusual,
}

/// Checks that the target has the form that fits the method and nothing that readers interpret
/// differently. A backslash in the path is rejected, because some readers take it for a slash. In a
/// query it is allowed, as are brackets and braces anywhere, because browsers send them. A percent
/// sign in a query need not be an encoding: people write `?discount=5%`, and the query is for the
/// handler.
#[inline]
pub(crate) fn check(method: &Method, target: &str) -> Result<Path, RequestError> {
    let has_form = target.starts_with('/')
        || is_absolute(target)
        || (method == Method::OPTIONS && target == "*");
    if !has_form {
        return Err(RequestError::RequestTarget);
    }
    // One pass is enough for most targets. A dot matters only at the start of a segment.
    let mut previous = 0;
    let is_unusual = |byte: u8| {
        let starts_with_dot = byte == b'.' && previous == b'/';
        previous = byte;
        starts_with_dot || matches!(byte, b'?' | b'%' | b'\\' | b'#' | 0x80..)
    };
    let path = match target.bytes().position(is_unusual) {
        None => Path::Plain,
        // The slash before a dot belongs to what is checked.
        Some(start) => check_rest(&target[start.saturating_sub(1)..])?,
    };
    if target.len() > MAX {
        return Err(RequestError::TargetTooLong);
    }
    Ok(path)
}

/// Checks the target from its first unusual byte on.
fn check_rest(rest: &str) -> Result<Path, RequestError> {
    let path = rest.split('?').next().unwrap_or_default();
    let is_malformed = !rest.is_ascii() || rest.contains('#') || path.contains('\\');
    if is_malformed || !is_percent_encoded(path.as_bytes()) {
        return Err(RequestError::RequestTarget);
    }
    match path.contains('%') || path.contains("/.") {
        true => Ok(Path::Unusual),
        false => Ok(Path::Plain),
    }
}

fn is_absolute(target: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// Normalizes the path of this target: unreserved characters are decoded, other encodings have one
/// form, and dot segments are resolved. So router, layers, handlers and files read `/%61dmin` and
/// `/public/../admin` as `/admin`, and no path passes one of them in a form that another reads
/// differently. Reserved characters stay as they were sent, because their encoded form may have
/// another meaning (RFC 3986 section 2.2).
#[cold]
pub(crate) fn normalize(target: &mut Uri, arena: &mut BytesMut) -> Result<(), RequestError> {
    let normal = normal_path(target.path(), is_unreserved);
    let normal = match (resolve(&normal), normal) {
        (Some(resolved), _) => resolved,
        (None, Cow::Owned(normal)) => normal,
        (None, Cow::Borrowed(_)) => return Ok(()),
    };
    arena.extend_from_slice(normal.as_bytes());
    if let Some(query) = target.query() {
        arena.extend_from_slice(b"?");
        arena.extend_from_slice(query.as_bytes());
    }
    let whole = arena.split().freeze();
    if whole.len() > MAX {
        return Err(RequestError::TargetTooLong);
    }
    let mut parts = mem::take(target).into_parts();
    let path = PathAndQuery::from_maybe_shared(whole).map_err(|_| RequestError::RequestTarget)?;
    parts.path_and_query = Some(path);
    *target = Uri::from_parts(parts).map_err(|_| RequestError::RequestTarget)?;
    Ok(())
}

/// RFC 3986 section 2.3.
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~".contains(&octet)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[track_caller]
    fn check(target: &str, expected: &str) {
        let normal = |target: &str| {
            let mut uri =
                Uri::from_maybe_shared(Bytes::from(target.to_owned())).expect("it is one");
            normalize(&mut uri, &mut BytesMut::new()).expect("it is short");
            uri.to_string()
        };
        assert_eq!(normal(target), expected);
        assert_eq!(normal(expected), expected, "once and twice is the same");
    }

    #[test]
    fn unreserved_characters_are_not_encoded() {
        check("/%61dmi%6E/%7Euser%2dx%5f", "/admin/~user-x_");
        check("/a%2Etxt", "/a.txt");
        check("/.%2e.", "/...");
        check("/%61?%61=%62", "/a?%61=%62");
        check("/%61?", "/a?");
        check("http://x:80/%61/%62?c", "http://x:80/a/b?c");
        check("HTTPS://x:1/%61", "https://x:1/a");
    }

    #[test]
    fn other_bytes_have_one_encoding() {
        check("/caf%c3%a9", "/caf%C3%A9");
        check("/a%2fb%3a%2B%00", "/a%2Fb%3A%2B%00");
        check("/a%20b", "/a%20b");
    }

    #[test]
    fn nothing_is_decoded_twice() {
        check("/%2561", "/%2561");
        check("/%25%36%31", "/%2561");
        // These must not form an encoding.
        check("/%%36%31", "/%2561");
        check("/%6%31", "/%2561");
        check("/100%", "/100%25");
        check("/%zz%+1", "/%25zz%25+1");
    }

    #[test]
    fn dot_segments_are_resolved() {
        // The examples of RFC 3986 sections 5.2.4 and 5.4.
        check("/a/b/c/./../../g", "/a/g");
        check("/b/c/.", "/b/c/");
        check("/b/c/..", "/b/");
        check("/b/c/../..", "/");
        check("/b/c/../../g", "/g");
        check("/b/c/../../../g", "/g");
        check("/../g", "/g");
        check("/./g/.", "/g/");
        check("/..", "/");
        check("/.", "/");
        check("/b/g;x=1/../y", "/b/y");
        check("/g?y/../x", "/g?y/../x");
        check("/repo/./Packages?a=../b", "/repo/Packages?a=../b");
        check("http://x:80/a/../b?c", "http://x:80/b?c");
        // Encoded dots are dots.
        check("/a/%2e%2e/x", "/x");
        check("/a/.%2E/x", "/x");
        check("/a/%2e./x", "/x");
        check("/%2E", "/");
        check("/a/../b%2e", "/b.");
        // An empty segment is one.
        check("/a//../b", "/a/b");
        check("/.//b", "//b");
        check("/a/..//b", "//b");
    }

    #[test]
    fn other_segments_are_not_dot_segments() {
        for target in [
            "/...",
            "/.a/..b/c..",
            "/.well-known/x",
            "/a/..%2Fb",
            "/..%2F..",
            "/..;x=1/y",
            "/%252E%252E/x",
            "/a/..%5C",
        ] {
            check(target, target);
        }
    }
}
