//! The `Vary` header (RFC 9110 section 12.5.5).

use http::header::{HeaderMap, HeaderValue, VARY};

use super::list::lists;

/// Adds this request header to the response's `Vary`.
pub(crate) fn vary(response: &mut HeaderMap, header: &'static str) {
    if !lists(response, &VARY, header) && !lists(response, &VARY, "*") {
        response.append(VARY, HeaderValue::from_static(header));
    }
}

/// Adds the `Vary` of another response.
pub(crate) fn merge_vary(response: &mut HeaderMap, other: &HeaderMap) {
    for value in other.get_all(VARY) {
        if response.get_all(VARY).iter().all(|known| known != value) {
            response.append(VARY, value.clone());
        }
    }
}
