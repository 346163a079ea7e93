//! The `Vary` header (RFC 9110 section 12.5.5).

use http::header::{HeaderMap, HeaderValue, VARY};

use super::list::lists;

/// Adds this request header to the response's `Vary`.
pub(crate) fn vary(answer: &mut HeaderMap, field: &'static str) {
    if !lists(answer, &VARY, field) && !lists(answer, &VARY, "*") {
        answer.append(VARY, HeaderValue::from_static(field));
    }
}

/// Adds the `Vary` of another response.
pub(crate) fn vary_as(answer: &mut HeaderMap, other: &HeaderMap) {
    for fields in other.get_all(VARY) {
        if answer.get_all(VARY).iter().all(|known| known != fields) {
            answer.append(VARY, fields.clone());
        }
    }
}
