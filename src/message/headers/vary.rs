//! What an answer depends on besides its target (RFC 9110 section 12.5.5).

use http::header::{HeaderMap, HeaderValue, VARY};

use super::list::lists;

/// Has an answer say that it depends on this field of the request.
pub(crate) fn vary(answer: &mut HeaderMap, field: &'static str) {
    if !lists(answer, &VARY, field) && !lists(answer, &VARY, "*") {
        answer.append(VARY, HeaderValue::from_static(field));
    }
}

/// Has an answer say that it depends on what another depends on, too.
pub(crate) fn vary_as(answer: &mut HeaderMap, other: &HeaderMap) {
    for fields in other.get_all(VARY) {
        if answer.get_all(VARY).iter().all(|known| known != fields) {
            answer.append(VARY, fields.clone());
        }
    }
}
