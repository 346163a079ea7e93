//! The checks of the opening handshake.

use std::error::Error;
use std::fmt;

use http::header::{
    ALLOW, CONNECTION, HOST, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use crate::message::headers::list::lists;
use crate::message::headers::origin::is_of_host;
use crate::message::{IntoResponse, Problem, Response};

/// The version of RFC 6455.
const VERSION: &str = "13";

/// Whose pages may open a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origins {
    /// Those of the same host, and of these origins.
    SameHostAnd(Vec<Box<str>>),
    Any,
}

/// Why a request can't open a WebSocket. It is a response, too.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::websocket::{HandshakeError, WebSocket};
/// use httpool::{IntoResponse, Request};
///
/// let request: Request = Request::default();
/// let error = WebSocket::accept(&request).expect_err("it has no headers");
/// assert_eq!(error, HandshakeError::NotWebSocket);
/// assert_eq!(error.into_response().status(), StatusCode::UPGRADE_REQUIRED);
/// ```
///
/// RFC: 6455 section 4.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The method is not GET: 405.
    Method,
    /// The request does not ask for a WebSocket: 426.
    NotWebSocket,
    /// The version is not 13: 426.
    Version,
    /// `Sec-WebSocket-Key` is not 16 bytes in Base64: 400.
    Key,
    /// The page comes from an origin that may not open a WebSocket: 403.
    Origin,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "a WebSocket is opened with GET",
            Self::NotWebSocket => "only WebSockets are served here",
            Self::Version => "WebSocket version 13 is required",
            Self::Key => "Sec-WebSocket-Key is not 16 bytes in Base64",
            Self::Origin => "pages of this origin may not open this WebSocket",
        })
    }
}

impl Error for HandshakeError {}

impl IntoResponse for HandshakeError {
    fn into_response(self) -> Response {
        let (status, header) = match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, Some((ALLOW, "GET"))),
            Self::NotWebSocket | Self::Version => {
                let version = Some((SEC_WEBSOCKET_VERSION, VERSION));
                (StatusCode::UPGRADE_REQUIRED, version)
            }
            Self::Key => (StatusCode::BAD_REQUEST, None),
            Self::Origin => (StatusCode::FORBIDDEN, None),
        };
        let detail = self.to_string();
        let mut response = Problem::new(status).detail(detail).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        if let Some((name, value)) = header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Checks a request, and returns its key, which it has in HTTP/1.1 only (RFC 8441 section 5).
pub(super) fn check<'r, B>(
    request: &'r http::Request<B>,
    origins: &Origins,
) -> Result<Option<&'r HeaderValue>, HandshakeError> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(HandshakeError::Method);
    }
    let is_http2 = match request.version() {
        Version::HTTP_11 if lists(headers, &CONNECTION, "upgrade") => false,
        // The server makes this header of an extended CONNECT. Clients of HTTP/2 can't send it.
        Version::HTTP_2 => true,
        _ => return Err(HandshakeError::NotWebSocket),
    };
    if !lists(headers, &UPGRADE, "websocket") {
        return Err(HandshakeError::NotWebSocket);
    }
    if single(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        return Err(HandshakeError::Version);
    }
    let key = match is_http2 {
        true => None,
        false => {
            let key = single(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes()));
            Some(key.ok_or(HandshakeError::Key)?)
        }
    };
    match may_open(headers, origins) {
        true => Ok(key),
        false => Err(HandshakeError::Origin),
    }
}

/// The header's value, if the request has it once.
fn single<'r>(headers: &'r HeaderMap, name: &http::HeaderName) -> Option<&'r HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether these are 16 bytes in Base64: 22 characters and the padding.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    // The last digit has two bits of the key.
    key.len() == 24
        && key[..22].iter().all(is_digit)
        && matches!(key[21], b'A' | b'Q' | b'g' | b'w')
        && key.ends_with(b"==")
}

/// Whether the page that has sent the request may do so (RFC 6455 section 10.2). Clients that are not
/// browsers send no `Origin`.
fn may_open(headers: &HeaderMap, origins: &Origins) -> bool {
    let Origins::SameHostAnd(others) = origins else {
        return true;
    };
    let mut sent = headers.get_all(ORIGIN).iter();
    let (Some(origin), None) = (sent.next(), sent.next()) else {
        return headers.get(ORIGIN).is_none();
    };
    let origin = origin.as_bytes();
    let mut listed = others.iter().map(|other| other.as_bytes());
    let host = headers.get(HOST);
    listed.any(|other| other.eq_ignore_ascii_case(origin))
        || host.is_some_and(|host| is_of_host(origin, host.as_bytes()))
}

/// The first of the server's subprotocols that the client offers.
pub(super) fn choose<'p>(headers: &HeaderMap, known: &[&'p str]) -> Option<&'p str> {
    let is_offered = |name: &str| {
        let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let mut offers = offers.filter_map(|offer| offer.to_str().ok());
        offers.any(|offer| offer.split(',').any(|one| one.trim() == name))
    };
    known.iter().copied().find(|name| is_offered(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> http::Request<()> {
        let mut request = http::Request::get("/").body(()).expect("it is valid");
        let usual = [
            ("host", "a.example"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in usual.iter().chain(headers) {
            let name = http::HeaderName::try_from(*name).expect("it is a name");
            match *value {
                "" => drop(request.headers_mut().remove(name)),
                value => {
                    let value = HeaderValue::from_str(value).expect("it is a value");
                    request.headers_mut().insert(name, value);
                }
            }
        }
        request
    }

    fn error(headers: &[(&str, &str)]) -> Option<HandshakeError> {
        check(&request(headers), &Origins::SameHostAnd(Vec::new())).err()
    }

    #[test]
    fn request_must_be_a_handshake() {
        assert_eq!(error(&[]), None);
        for (name, value, expected) in [
            ("connection", "", HandshakeError::NotWebSocket),
            ("connection", "close", HandshakeError::NotWebSocket),
            ("upgrade", "", HandshakeError::NotWebSocket),
            ("upgrade", "h2c", HandshakeError::NotWebSocket),
            ("sec-websocket-version", "", HandshakeError::Version),
            ("sec-websocket-version", "8", HandshakeError::Version),
            ("sec-websocket-version", "13, 8", HandshakeError::Version),
            ("sec-websocket-key", "", HandshakeError::Key),
            ("sec-websocket-key", "short", HandshakeError::Key),
            (
                "sec-websocket-key",
                "dGhlIHNhbXBsZSBub25jZR==",
                HandshakeError::Key,
            ),
            (
                "sec-websocket-key",
                "dGhlIHNhbXBsZSBub25jZSE=",
                HandshakeError::Key,
            ),
            (
                "sec-websocket-key",
                "dGhlIHNhbXBsZSBub25j Q==",
                HandshakeError::Key,
            ),
        ] {
            assert_eq!(error(&[(name, value)]), Some(expected), "{name}: {value}");
        }
        for method in [Method::POST, Method::HEAD] {
            let mut request = request(&[]);
            *request.method_mut() = method;
            let checked = check(&request, &Origins::Any);
            assert_eq!(checked.err(), Some(HandshakeError::Method));
        }
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        let checked = check(&old, &Origins::Any);
        assert_eq!(checked.err(), Some(HandshakeError::NotWebSocket));
    }

    #[test]
    fn http2_needs_no_key_and_no_connection() {
        let check = |headers: &[(&str, &str)]| {
            let own = [("connection", ""), ("sec-websocket-key", "")];
            let mut request = request(&[&own[..], headers].concat());
            *request.version_mut() = Version::HTTP_2;
            check(&request, &Origins::SameHostAnd(Vec::new())).map(drop)
        };
        assert_eq!(check(&[]), Ok(()));
        for (name, value, expected) in [
            ("upgrade", "", HandshakeError::NotWebSocket),
            ("sec-websocket-version", "", HandshakeError::Version),
            ("origin", "https://evil.example", HandshakeError::Origin),
        ] {
            assert_eq!(check(&[(name, value)]), Err(expected), "{name}: {value}");
        }
    }

    #[test]
    fn origin_is_that_of_the_host_or_listed() {
        let listed = Origins::SameHostAnd(vec!["https://b.example".into()]);
        for (origin, host, may) in [
            ("", "a.example", true),
            ("http://a.example", "a.example", true),
            ("https://A.example", "a.example", true),
            ("https://a.example", "a.example:443", true),
            ("http://a.example:8080", "a.example:8080", true),
            ("https://b.example", "a.example", true),
            ("http://b.example", "a.example", false),
            ("http://a.example:8080", "a.example", false),
            ("https://a.example.evil", "a.example", false),
            ("https://evil-a.example", "a.example", false),
            ("null", "a.example", false),
            ("a.example", "a.example", false),
        ] {
            let request = request(&[("origin", origin), ("host", host)]);
            assert_eq!(check(&request, &listed).is_ok(), may, "{origin} {host}");
            assert!(check(&request, &Origins::Any).is_ok());
        }
        let mut twice = request(&[("origin", "http://a.example")]);
        let evil = HeaderValue::from_static("http://evil.example");
        twice.headers_mut().append(ORIGIN, evil);
        assert_eq!(check(&twice, &listed), Err(HandshakeError::Origin));
    }

    #[test]
    fn first_known_subprotocol_is_chosen() {
        let chosen = |offers: &str| {
            let request = request(&[("sec-websocket-protocol", offers)]);
            choose(request.headers(), &["chat.v2", "chat.v1"])
        };
        assert_eq!(chosen("chat.v1, chat.v2"), Some("chat.v2"));
        assert_eq!(chosen("chat.v1"), Some("chat.v1"));
        assert_eq!(chosen("chat"), None);
        assert_eq!(chosen(""), None);
    }
}
