//! The headers that may be sent as trailers (RFC 9110 section 6.5.1).

use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, DATE, EXPECT, EXPIRES, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION,
    MAX_FORWARDS, PRAGMA, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, RETRY_AFTER, SET_COOKIE,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY, WWW_AUTHENTICATE,
};

/// Headers for framing, routing, authentication, caching and the meaning of the content. A client
/// needs them before the content, or must not merge them into the headers.
const FORBIDDEN: [HeaderName; 25] = [
    AGE,
    AUTHORIZATION,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    DATE,
    EXPECT,
    EXPIRES,
    HOST,
    LOCATION,
    MAX_FORWARDS,
    PRAGMA,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    RANGE,
    RETRY_AFTER,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    WWW_AUTHENTICATE,
];

/// Returns the lines of `trailers` that may be sent.
pub(crate) fn allowed(trailers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    trailers.iter().filter(|(name, _)| is_allowed(name))
}

fn is_allowed(name: &HeaderName) -> bool {
    let is_hop_by_hop = matches!(name.as_str(), "keep-alive" | "proxy-connection");
    !is_hop_by_hop && !name.as_str().starts_with("if-") && name != VARY && !FORBIDDEN.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_headers_are_trailers() {
        for name in [
            "x-checksum",
            "digest",
            "etag",
            "grpc-status",
            "server-timing",
        ] {
            assert!(is_allowed(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "content-length",
            "transfer-encoding",
            "host",
            "set-cookie",
            "if-match",
            "keep-alive",
            "vary",
        ] {
            assert!(!is_allowed(&HeaderName::from_static(name)), "{name}");
        }
    }
}
