//! Writes `Set-Cookie`, with safe attributes.

use std::fmt;

use cookie::{Cookie, SameSite};
use http::header::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Cookies;

/// Characters that the value of a cookie can't have (RFC 6265 section 4.1.1), and `%`, so that each
/// value can be decoded.
const NOT_IN_A_VALUE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b',')
    .add(b';')
    .add(b'\\');

/// Why a cookie can't be sent. The text names the cookie, but never its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidCookie {
    name: String,
    fault: Fault,
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Name,
    Path,
    Domain,
    NotSecure,
    HostPrefix,
    Size(usize),
}

/// The value of `Set-Cookie`.
pub(super) fn header_value(
    mut cookie: Cookie<'static>,
    is_https: bool,
) -> Result<HeaderValue, InvalidCookie> {
    add_defaults(&mut cookie, is_https);
    let encoded = utf8_percent_encode(cookie.value(), NOT_IN_A_VALUE).to_string();
    cookie.set_value(encoded);
    if let Some(fault) = fault(&cookie) {
        let name = cookie.name().to_owned();
        return Err(InvalidCookie { name, fault });
    }
    let text = cookie.to_string();
    Ok(HeaderValue::try_from(text).expect("all parts of the cookie are valid"))
}

/// Checks the name and the attributes of a cookie that gets its value later.
#[cfg(feature = "sessions")]
pub(in crate::web) fn check_template(cookie: Cookie<'static>) -> Result<(), String> {
    let value = header_value(cookie, true);
    value
        .map(drop)
        .map_err(|error| format!("the cookie {error}"))
}

fn add_defaults(cookie: &mut Cookie<'static>, is_https: bool) {
    if cookie.path().is_none() {
        cookie.set_path("/");
    }
    if cookie.http_only().is_none() {
        cookie.set_http_only(true);
    }
    if cookie.same_site().is_none() {
        cookie.set_same_site(SameSite::Lax);
    }
    if cookie.secure().is_none() {
        cookie.set_secure(is_https || needs_secure(cookie));
    }
}

/// Whether browsers ignore this cookie without `Secure`.
fn needs_secure(cookie: &Cookie<'_>) -> bool {
    has_prefix(cookie, "__Secure-")
        || has_prefix(cookie, "__Host-")
        || cookie.same_site() == Some(SameSite::None)
}

/// Browsers compare prefixes without case (RFC 6265bis section 5.7).
fn has_prefix(cookie: &Cookie<'_>, prefix: &str) -> bool {
    let start = cookie.name().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn fault(cookie: &Cookie<'_>) -> Option<Fault> {
    let is_text = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b' '..=b'~' if byte != b';'))
    };
    let size = cookie.name().len() + cookie.value().len();
    if !is_token(cookie.name()) {
        return Some(Fault::Name);
    }
    if !cookie.path().is_some_and(is_text) {
        return Some(Fault::Path);
    }
    if !cookie.domain().is_none_or(is_text) {
        return Some(Fault::Domain);
    }
    if needs_secure(cookie) && cookie.secure() != Some(true) {
        return Some(Fault::NotSecure);
    }
    if has_prefix(cookie, "__Host-") && (cookie.domain().is_some() || cookie.path() != Some("/")) {
        return Some(Fault::HostPrefix);
    }
    (size > Cookies::MAX_SIZE).then_some(Fault::Size(size))
}

fn is_token(name: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token_byte)
}

impl fmt::Display for InvalidCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ", self.name)?;
        match self.fault {
            Fault::Name => f.write_str("is not the name of a cookie"),
            Fault::Path => f.write_str("has an invalid path"),
            Fault::Domain => f.write_str("has an invalid domain"),
            Fault::NotSecure => f.write_str("needs the attribute Secure"),
            Fault::HostPrefix => f.write_str("must have the path / and no domain"),
            Fault::Size(size) => write!(
                f,
                "has {size} bytes, but browsers store at most {}",
                Cookies::MAX_SIZE
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cookie: impl Into<Cookie<'static>>, is_https: bool, expected: Result<&str, &str>) {
        let value = header_value(cookie.into(), is_https);
        let value = value.map_err(|error| error.to_string());
        let value = value
            .as_ref()
            .map(|value| value.to_str().expect("it is text"));
        assert_eq!(value.map_err(String::as_str), expected);
    }

    #[test]
    fn attributes_are_safe_by_default() {
        check(("a", "1"), false, Ok("a=1; HttpOnly; SameSite=Lax; Path=/"));
        check(
            ("a", "1"),
            true,
            Ok("a=1; HttpOnly; SameSite=Lax; Secure; Path=/"),
        );
        let own = Cookie::build(("a", "1"))
            .http_only(false)
            .secure(false)
            .same_site(SameSite::Strict)
            .path("/x")
            .domain("a.example");
        check(
            own,
            true,
            Ok("a=1; SameSite=Strict; Path=/x; Domain=a.example"),
        );
    }

    #[test]
    fn cookies_that_need_secure_get_it() {
        for name in ["__Host-a", "__Secure-a", "__host-a"] {
            let expected = format!("{name}=1; HttpOnly; SameSite=Lax; Secure; Path=/");
            check((name, "1"), false, Ok(&expected));
        }
        let none = Cookie::build(("a", "1")).same_site(SameSite::None);
        check(
            none,
            false,
            Ok("a=1; HttpOnly; SameSite=None; Secure; Path=/"),
        );
    }

    #[test]
    fn prefixes_and_attributes_must_agree() {
        let build = |name: &'static str| Cookie::build((name, "1"));
        for cookie in [
            build("__Host-a").secure(false),
            build("__Secure-a").secure(false),
            build("a").same_site(SameSite::None).secure(false),
        ] {
            let cookie = cookie.build();
            let expected = format!("{:?} needs the attribute Secure", cookie.name());
            check(cookie, true, Err(&expected));
        }
        let expected = r#""__Host-a" must have the path / and no domain"#;
        check(build("__Host-a").path("/x"), true, Err(expected));
        check(build("__Host-a").domain("a.example"), true, Err(expected));
    }

    #[test]
    fn no_value_can_add_an_attribute_or_a_header() {
        check(
            ("a", "1; Domain=b\r\nc: d,\"\\\u{7f}é%"),
            false,
            Ok(
                "a=1%3B%20Domain=b%0D%0Ac:%20d%2C%22%5C%7F%C3%A9%25; HttpOnly; SameSite=Lax; Path=/",
            ),
        );
        for name in ["", "a b", "a;b", "a=b", "a\r\n", "é", "a,b", "\"a\""] {
            let expected = format!("{name:?} is not the name of a cookie");
            check((name, "1"), false, Err(&expected));
        }
        for text in ["/;x", "/\r\nx", "/é", "/\0"] {
            let path = Cookie::build(("a", "1")).path(text);
            check(path, false, Err(r#""a" has an invalid path"#));
            let domain = Cookie::build(("a", "1")).domain(text);
            check(domain, false, Err(r#""a" has an invalid domain"#));
        }
    }

    #[test]
    fn size_counts_name_and_value_as_sent() {
        let value = "v".repeat(4095);
        assert!(header_value(("a", value.clone()).into(), false).is_ok());
        let expected = r#""ab" has 4097 bytes, but browsers store at most 4096"#;
        check(("ab", value), false, Err(expected));
        let expected = r#""a" has 6001 bytes, but browsers store at most 4096"#;
        check(("a", " ".repeat(2000)), false, Err(expected));
    }
}
