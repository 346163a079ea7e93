//! Headers whose value is a comma-separated list (RFC 9110 section 5.6.1).

use http::HeaderMap;
use http::header::HeaderName;

/// The items of one header line, without surrounding whitespace. Most headers ignore empty items,
/// but some refuse them, so this yields them. No item may contain a quoted string.
pub(crate) fn items(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Splits text like [`items`].
pub(crate) fn text_items(value: &str) -> impl DoubleEndedIterator<Item = &str> {
    value.split(',').map(str::trim_ascii)
}

/// Whether a list header contains this token, in any case, in one of its lines.
#[must_use]
pub(crate) fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| items(value.as_bytes()))
        .any(|item| item.eq_ignore_ascii_case(token.as_bytes()))
}
