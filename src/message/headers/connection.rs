//! The headers that belong to a connection or to the framing of a message.

use http::HeaderName;

/// RFC 9110 sections 7.6.1 and 8.6, RFC 9112 section 6.1.
const NAMES: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether the server alone may set this header of a response.
pub(crate) fn is_of_the_connection(name: &HeaderName) -> bool {
    NAMES.contains(&name.as_str())
}
