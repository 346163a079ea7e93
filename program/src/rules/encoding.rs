//! Percent-encoding of the paths and queries in a configuration file.
//!
//! A request's path reaches the rules in a normal form: unreserved characters are decoded, and other
//! encodings have capital digits. Paths of the file get the same form, so that both can be compared.

use std::fmt::Write as _;

/// Part of an address, with the characters that stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Path,
    Query,
}

/// The normal form of a text. Characters that an address can't have are encoded, so that it may be
/// written as people read it, for example `/café`.
pub(super) fn normal(text: &str, part: Part) -> Result<String, &'static str> {
    let mut bytes = text.bytes();
    let mut normal = String::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            push(&mut normal, byte, |byte| part.has(byte));
            continue;
        }
        let digits = [bytes.next(), bytes.next()].map(|digit| digit.map(char::from));
        let [Some(high), Some(low)] =
            digits.map(|digit| digit.and_then(|digit| digit.to_digit(16)))
        else {
            return Err("a percent sign is written %25");
        };
        match u8::try_from(high << 4 | low) {
            Ok(0) | Err(_) => return Err("has a NUL character"),
            Ok(byte) => push(&mut normal, byte, is_unreserved),
        }
    }
    Ok(normal)
}

/// A part of a path as a part of the value of a query. Its encodings stay.
pub(super) fn as_query_value(path: &str) -> String {
    let mut value = String::with_capacity(path.len());
    for byte in path.bytes() {
        push(&mut value, byte, |byte| {
            is_unreserved(byte) || b"/%:@".contains(&byte)
        });
    }
    value
}

fn push(text: &mut String, byte: u8, stays: impl Fn(u8) -> bool) {
    if byte.is_ascii() && stays(byte) {
        text.push(char::from(byte));
    } else {
        write!(text, "%{byte:02X}").expect("writing to a String can't fail");
    }
}

impl Part {
    /// RFC 3986 sections 3.3 and 3.4.
    fn has(self, byte: u8) -> bool {
        let is_path = is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte);
        match self {
            Self::Path => is_path,
            Self::Query => is_path || byte == b'?',
        }
    }
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_get_the_form_of_requests() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let once = normal(text, Part::Path).expect("the text is well-formed");
            assert_eq!(once, expected);
            assert_eq!(normal(&once, Part::Path).as_deref(), Ok(expected));
        }
        check("/plain/a.txt", "/plain/a.txt");
        check("/café au lait", "/caf%C3%A9%20au%20lait");
        check("/%61%2fb%c3%a9", "/a%2Fb%C3%A9");
        check("/a+b&c=d", "/a+b&c=d");
        check("/\\\"<\n", "/%5C%22%3C%0A");
    }

    #[test]
    fn malformed_encodings_are_errors() {
        for text in ["%", "/%4", "/100%", "/%zz", "/%é"] {
            assert_eq!(
                normal(text, Part::Path),
                Err("a percent sign is written %25")
            );
        }
        assert_eq!(normal("/%00", Part::Path), Err("has a NUL character"));
    }

    #[test]
    fn path_in_a_query_can_not_end_the_value() {
        assert_eq!(as_query_value("a&b=c#d+e;f?g"), "a%26b%3Dc%23d%2Be%3Bf%3Fg");
        assert_eq!(as_query_value("a/b%2Fc"), "a/b%2Fc");
    }
}
