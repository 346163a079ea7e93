//! Decides which clients may see the requests of others.

use http::header::{AUTHORIZATION, COOKIE, FORWARDED, HOST, HeaderMap, HeaderName, ORIGIN, VIA};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::message::{ClientInfo, PeerAddr, Request};
use crate::services::inspect::Access;
use crate::services::inspect::reflection::hexadecimal;

/// The cookie of a browser that has shown the token.
pub(super) const COOKIE_NAME: &str = "httpool-inspect";

/// The header in which browsers name the relation of a request to the page that has caused it
/// (<https://www.w3.org/TR/fetch-metadata/>).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Headers by which a proxy, a tunnel or a content delivery network shows itself. The client may be
/// anywhere then. Any of them suffices, because each of these can be set up to send only one.
const OF_PROXIES: [HeaderName; 14] = [
    FORWARDED,
    VIA,
    // RFC 8586.
    HeaderName::from_static("cdn-loop"),
    HeaderName::from_static("client-ip"),
    HeaderName::from_static("forwarded-for"),
    HeaderName::from_static("front-end-https"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-amzn-trace-id"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-proxyuser-ip"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-remote-ip"),
];

/// The beginnings of families of such headers: X-Forwarded-For and its relatives, Cloudflare,
/// `CloudFront`, Azure, Google, Fastly, Fly, Vercel, Envoy.
const FAMILIES_OF_PROXIES: [&str; 10] = [
    "x-forwarded",
    "cf-",
    "cloudfront-",
    "x-amz-cf-",
    "x-azure-",
    "x-goog-iap-",
    "fastly-",
    "fly-",
    "x-vercel-",
    "x-envoy-",
];

/// Decides about requests to the page.
#[derive(Clone)]
pub(super) enum Gate {
    Closed,
    /// Clients on this machine.
    Local,
    /// Clients that know the token.
    Token(Token),
    /// All clients that reach the address. A name as `Host` is refused, because it may be one that a hostile page
    /// has let resolve to this address.
    Trusted,
}

/// The digests of the token, and of the cookie that stands for it. Values of one length can be compared
/// in constant time.
#[derive(Clone)]
pub(super) struct Token {
    token: [u8; 32],
    cookie: [u8; 32],
    pub(super) cookie_value: String,
}

/// Why a request is refused, as a sentence for its client.
pub(super) type Refusal = &'static str;

const CLOSED: Refusal = "the live page is open on loopback addresses only: start the server with \
    --inspect-token and open /inspect#token=TOKEN, or use the address of --admin";
const NOT_LOCAL: Refusal = "the live page is open to clients on this machine only: start the server \
    with --inspect-token and open /inspect#token=TOKEN";
const OTHER_HOST: Refusal = "the live page is open by the address of the server only, for example \
    http://localhost:4000/inspect: start the server with --inspect-token to use other names";
pub(super) const WRONG_TOKEN: Refusal = "this is not the token";
const NO_TOKEN: Refusal = "the live page needs the token: open /inspect#token=TOKEN, or send \
    Authorization: Bearer TOKEN";
pub(super) const CROSS_SITE: Refusal = "a page of another site has sent this request";

impl Gate {
    pub(super) fn new(access: &Access) -> Self {
        match access {
            Access::Closed => Self::Closed,
            Access::Local => Self::Local,
            Access::Token(token) => Self::Token(Token::new(token)),
        }
    }

    /// Lets a request pass, or says why not.
    pub(super) fn check(&self, request: &Request) -> Result<(), Refusal> {
        let headers = request.headers();
        match self {
            Self::Closed => Err(CLOSED),
            Self::Token(token) if token.is_in(headers) => Ok(()),
            Self::Token(_) => Err(NO_TOKEN),
            Self::Local if !is_local(request) => Err(NOT_LOCAL),
            Self::Local if !host(headers).is_some_and(is_loopback) => Err(OTHER_HOST),
            Self::Trusted if !host(headers).is_some_and(is_address) => Err(OTHER_HOST),
            Self::Local | Self::Trusted => Ok(()),
        }
    }

    /// Whether a browser that is refused should ask its user for the token.
    pub(super) fn wants_token(&self) -> bool {
        matches!(self, Self::Token(_))
    }

    /// The token, if this text is it.
    pub(super) fn token(&self, given: &str) -> Option<&Token> {
        match self {
            Self::Token(token) if token.is(given) => Some(token),
            _ => None,
        }
    }
}

impl Token {
    fn new(token: &str) -> Self {
        let cookie = Sha256::new().chain_update("cookie of ").chain_update(token);
        let cookie_value = hexadecimal(&cookie.finalize());
        Self {
            token: digest(token.as_bytes()),
            cookie: digest(cookie_value.as_bytes()),
            cookie_value,
        }
    }

    fn is(&self, given: &str) -> bool {
        digest(given.as_bytes()).ct_eq(&self.token).into()
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            scheme
                .eq_ignore_ascii_case("bearer")
                .then_some(token.trim())
        });
        bearer.is_some_and(|token| self.is(token)) || self.is_cookie(headers)
    }

    fn is_cookie(&self, headers: &HeaderMap) -> bool {
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        pairs
            .filter_map(|pair| {
                let value = pair.trim_ascii().strip_prefix(COOKIE_NAME.as_bytes())?;
                value.strip_prefix(b"=")
            })
            .any(|value| digest(value).ct_eq(&self.cookie).into())
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether the client is on this machine, and came without a proxy.
fn is_local(request: &Request) -> bool {
    let is_here =
        |address: PeerAddr| address.is_unix() || address.ip().is_some_and(|ip| ip.is_loopback());
    let is_from_here = ClientInfo::of(request)
        .is_some_and(|info| is_here(info.peer()) && info.client().is_some_and(is_here));
    is_from_here && !request.headers().keys().any(is_of_proxy)
}

fn is_of_proxy(name: &HeaderName) -> bool {
    let mut families = FAMILIES_OF_PROXIES.iter();
    OF_PROXIES.contains(name) || families.any(|family| name.as_str().starts_with(family))
}

/// The host that the client has named, without its port.
fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(address, _)| address),
        None => host.split(':').next(),
    }
}

fn is_loopback(host: &str) -> bool {
    let ip = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

fn is_address(host: &str) -> bool {
    is_loopback(host) || host.parse::<std::net::IpAddr>().is_ok()
}

/// Whether a page of another origin has caused this request. Browsers state it in one of two headers;
/// other clients send neither.
pub(in super::super) fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    authority.map(|(_, authority)| authority) != host
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn host_is_compared_without_its_port() {
        for (value, loopback, address) in [
            ("localhost", true, true),
            ("LOCALHOST:4000", true, true),
            ("127.0.0.1:4000", true, true),
            ("127.1.2.3", true, true),
            ("[::1]:4000", true, true),
            ("10.0.0.1:80", false, true),
            ("[2001:db8::1]", false, true),
            ("localhost.evil.example", false, false),
            ("127.0.0.1.evil.example", false, false),
            ("evil.example:4000", false, false),
            ("", false, false),
        ] {
            let headers = headers(&[("host", value)]);
            let host = host(&headers).expect("the header is there");
            assert_eq!(
                (is_loopback(host), is_address(host)),
                (loopback, address),
                "{value}"
            );
        }
    }

    #[test]
    fn proxies_are_known_by_any_of_their_headers() {
        for name in [
            "forwarded",
            "via",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-real-ip",
            "cf-ray",
            "cdn-loop",
            "x-amz-cf-id",
            "fastly-client-ip",
        ] {
            assert!(is_of_proxy(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["host", "x-request-id", "x-amz-date", "client", "referer"] {
            assert!(!is_of_proxy(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn requests_of_other_sites_are_recognized() {
        for (pairs, expected) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("host", "a:1"), ("origin", "http://a:1")], false),
            (&[("host", "a:1"), ("origin", "http://a:2")], true),
            (&[("host", "a"), ("origin", "null")], true),
        ] {
            assert_eq!(is_cross_site(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn token_is_accepted_as_bearer_or_cookie() {
        let gate = Gate::new(&Access::Token("correct horse battery".into()));
        let Gate::Token(token) = &gate else {
            panic!("the gate asks for a token")
        };
        assert!(token.is_in(&headers(&[(
            "authorization",
            "bearer correct horse battery"
        )])));
        let cookie = format!("a=b; {COOKIE_NAME}={}", token.cookie_value);
        let mut with_cookie = HeaderMap::new();
        with_cookie.insert(COOKIE, cookie.parse().expect("digits are valid"));
        assert!(token.is_in(&with_cookie));
        for pairs in [
            &[][..],
            &[("authorization", "Bearer correct horse")],
            &[("authorization", "Basic correct horse battery")],
            &[("cookie", "httpool-inspect=correct horse battery")],
            &[("cookie", "httpool-inspect=")],
        ] {
            assert!(!token.is_in(&headers(pairs)), "{pairs:?}");
        }
        assert!(gate.token("correct horse battery").is_some());
        assert!(gate.token("correct horse batter").is_none());
    }
}
