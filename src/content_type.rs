//! What a message says its content is.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The media type without its parameters (RFC 9110 section 8.3.1).
pub(crate) fn essence(fields: &HeaderMap) -> Option<&[u8]> {
    let content_type = fields.get(CONTENT_TYPE)?;
    let essence = content_type.as_bytes().split(|byte| *byte == b';').next();
    Some(essence.unwrap_or_default().trim_ascii())
}

/// `application/json` or any `+json` type (RFC 6839 section 3.1), whatever its parameters.
#[cfg(feature = "json")]
pub(crate) fn is_json(fields: &HeaderMap) -> bool {
    essence(fields).is_some_and(|essence| {
        let suffix = essence.len().checked_sub(b"+json".len());
        essence.eq_ignore_ascii_case(b"application/json")
            || suffix.is_some_and(|start| essence[start..].eq_ignore_ascii_case(b"+json"))
    })
}
