//! The normal form in which paths are compared.

use std::borrow::Cow;

/// Decodes the percent-encoding of the octets that `is_undone` selects, once, and writes all other
/// encodings in one form (RFC 3986 section 6.2.2). A percent sign that encodes nothing is encoded,
/// so that decoding can't create a new encoding behind it. Decoding never creates a dot segment.
pub(crate) fn normal_path(path: &str, is_undone: impl Fn(u8) -> bool) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut normal = String::with_capacity(path.len());
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            normal.push('/');
        }
        let start = normal.len();
        undo(segment, &is_undone, &mut normal);
        if segment.contains('%') && matches!(&normal[start..], "." | "..") {
            normal.truncate(start);
            undo(segment, |_| false, &mut normal);
        }
    }
    if normal == path {
        return Cow::Borrowed(path);
    }
    Cow::Owned(normal)
}

fn undo(segment: &str, is_undone: impl Fn(u8) -> bool, normal: &mut String) {
    let mut parts = segment.split('%');
    normal.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let rest = match octet(part) {
            Some((octet, rest)) if is_undone(octet) => {
                normal.push(char::from(octet));
                rest
            }
            Some((_, rest)) => {
                normal.push('%');
                normal.push_str(&part[..2].to_ascii_uppercase());
                rest
            }
            None => {
                normal.push_str("%25");
                part
            }
        };
        normal.push_str(rest);
    }
}

/// The octet that two hexadecimal digits encode, and the rest of the text.
fn octet(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    let is_octet = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let octet = u8::from_str_radix(digits, 16).ok();
    octet.filter(|_| is_octet).map(|octet| (octet, rest))
}

/// A segment that names a folder relative to its position (RFC 3986 section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DotSegment {
    Current,
    Parent,
}

impl DotSegment {
    /// An encoded dot counts as a dot, because dots are unreserved. [`normal_path`] leaves it
    /// encoded here.
    fn of(segment: &str) -> Option<Self> {
        match segment {
            "." | "%2E" => Some(Self::Current),
            ".." | ".%2E" | "%2E." | "%2E%2E" => Some(Self::Parent),
            _ => None,
        }
    }
}

/// Whether this is a dot segment, which no request path has after [`normal_path`] and [`resolve`].
#[cfg(feature = "router")]
pub(crate) fn is_dot_segment(segment: &str) -> bool {
    DotSegment::of(segment).is_some()
}

/// Removes the dot segments (RFC 3986 section 5.2.4). `None` if there are none. `..` at the root is
/// dropped.
pub(crate) fn resolve(path: &str) -> Option<String> {
    path.split('/').find_map(DotSegment::of)?;
    let mut resolved = String::with_capacity(path.len());
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match DotSegment::of(segment) {
            None => {
                resolved.push('/');
                resolved.push_str(segment);
                continue;
            }
            Some(DotSegment::Current) => {}
            Some(DotSegment::Parent) => resolved.truncate(resolved.rfind('/').unwrap_or(0)),
        }
        // A dot segment at the end names a folder.
        if segments.peek().is_none() {
            resolved.push('/');
        }
    }
    Some(resolved)
}
