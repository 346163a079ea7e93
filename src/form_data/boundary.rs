//! The boundary between parts.

use super::error::{Malformed, ScanError};
use super::parameters;

/// Most characters of a boundary (RFC 2046 section 5.1.1).
const MOST: usize = 70;

/// The text that separates parts, without the dashes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary(Vec<u8>);

impl Boundary {
    /// Reads the boundary from the value of a `Content-Type`.
    ///
    /// # Errors
    ///
    /// [`ScanError::ContentType`] if it is another type, [`ScanError::Malformed`] if the boundary is
    /// missing, repeated or malformed.
    pub fn from_content_type(value: &[u8]) -> Result<Self, ScanError> {
        let (media_type, parameters) = parameters::split(value);
        if !media_type.eq_ignore_ascii_case(b"multipart/form-data") {
            return Err(ScanError::ContentType);
        }
        let malformed = |reason| Malformed::new(0, reason);
        let boundary = parameters::find(parameters, "boundary")
            .map_err(|()| malformed("the parameters of Content-Type are malformed or repeated"))?
            .ok_or(malformed("Content-Type has no boundary"))?;
        Self::new(&boundary.unescape()).ok_or_else(|| {
            malformed(
                "the boundary must have 1 to 70 letters, digits, spaces or '()+_,-./:=?, and no \
                 space at its end",
            )
            .into()
        })
    }

    /// A boundary of these characters. `None` unless RFC 2046 section 5.1.1 allows them.
    pub fn new(boundary: &[u8]) -> Option<Self> {
        let is_valid = (1..=MOST).contains(&boundary.len())
            && !boundary.ends_with(b" ")
            && boundary
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte));
        is_valid.then(|| Self(boundary.to_vec()))
    }

    /// The bytes before which the content of a part ends.
    pub(super) fn delimiter(&self) -> Vec<u8> {
        [b"\r\n--", &self.0[..]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, expected: &str) {
        let read = match Boundary::from_content_type(content_type.as_bytes()) {
            Ok(boundary) => String::from_utf8_lossy(&boundary.0).into_owned(),
            Err(ScanError::ContentType) => "415".into(),
            Err(ScanError::Malformed(_)) => "400".into(),
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(read, expected, "{content_type}");
    }

    #[test]
    fn boundary_comes_from_the_content_type() {
        check("multipart/form-data; boundary=b", "b");
        check("Multipart/Form-Data;BOUNDARY=\"a b\"; x=y", "a b");
        check(
            "multipart/form-data; charset=utf-8; boundary=----x1",
            "----x1",
        );
        check("multipart/form-data; boundary==/:?=", "=/:?=");
        let most = "x".repeat(MOST);
        check(&format!("multipart/form-data; boundary={most}"), &most);
    }

    #[test]
    fn other_types_and_boundaries_are_rejected() {
        check("", "415");
        check("multipart/mixed; boundary=b", "415");
        check("application/x-www-form-urlencoded", "415");
        for parameters in [
            "",
            "; boundary",
            "; boundary=",
            "; boundary=\"\"",
            "; boundary=\"a \"",
            "; boundary=a; boundary=a",
            "; boundary=a, multipart/form-data; boundary=b",
            "; boundary=\"a\\\"b\"",
            "; boundary=a*b",
            "; boundary=\u{e9}",
        ] {
            check(&format!("multipart/form-data{parameters}"), "400");
        }
        let long = "x".repeat(MOST + 1);
        check(&format!("multipart/form-data; boundary={long}"), "400");
    }
}
