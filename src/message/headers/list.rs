//! Headers whose value is a list of tokens.

use http::HeaderMap;
use http::header::HeaderName;

/// Whether a list header contains this token (RFC 9110 section 5.6.1).
#[must_use]
pub(crate) fn lists(fields: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    fields
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
