//! Decides where a request's body ends (RFC 9112 section 6.3). No other code decides it.

use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{HeaderValue, Version};

use crate::message::head::content_length;
use crate::message::headers::list;
use crate::message::request_error::RequestError;

/// The framing of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// The body has this many bytes, at least one.
    Length(u64),
    /// The body is chunked.
    Chunked,
}

/// The framing headers of a head, collected while it is parsed.
#[derive(Debug, Default)]
pub(super) struct FramingFields {
    length: Option<Result<u64, RequestError>>,
    coding: Option<Result<(), RequestError>>,
}

impl FramingFields {
    /// Records one header. A repeated one is rejected even if the values are equal, because a proxy
    /// in front may have used the other.
    pub(super) fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        if name == CONTENT_LENGTH {
            let length = match self.length {
                None => content_length::parse(value.as_bytes()),
                Some(_) => Err(RequestError::ContentLength),
            };
            self.length = Some(length);
        } else if name == TRANSFER_ENCODING {
            let coding = match self.coding {
                None => transfer_coding(value.as_bytes()),
                Some(_) => Err(RequestError::AmbiguousFraming),
            };
            self.coding = Some(coding);
        }
    }

    pub(super) fn framing(self, version: Version) -> Result<Framing, RequestError> {
        match (self.length, self.coding) {
            (None, None) => Ok(Framing::Empty),
            (Some(length), None) => Ok(match length? {
                0 => Framing::Empty,
                length => Framing::Length(length),
            }),
            (None, Some(coding)) if version == Version::HTTP_11 => {
                coding.map(|()| Framing::Chunked)
            }
            (_, Some(_)) => Err(RequestError::AmbiguousFraming),
        }
    }
}

/// Accepts `chunked` alone. Unless it comes last, the end of the body is unknown; if it is repeated
/// or stands between empty list members, readers disagree (RFC 9112 section 6.3). With another
/// coding before it the end is clear, but the content is not.
fn transfer_coding(value: &[u8]) -> Result<(), RequestError> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if is_chunked(value) {
        return Ok(());
    }
    let mut codings = list::items(value);
    if !codings.next_back().is_some_and(is_chunked)
        || codings.any(|coding| coding.is_empty() || is_chunked(coding))
    {
        return Err(RequestError::AmbiguousFraming);
    }
    Err(RequestError::TransferCoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        version: Version,
        fields: &[(HeaderName, &str)],
        expected: Result<Framing, RequestError>,
    ) {
        let mut seen = FramingFields::default();
        for (name, value) in fields {
            let value = HeaderValue::from_str(value).expect("test values are valid");
            seen.note(name, &value);
        }
        assert_eq!(seen.framing(version), expected, "{fields:?}");
    }

    #[test]
    fn lengths() {
        let cl = |value| [(CONTENT_LENGTH, value)];
        let v = Version::HTTP_11;
        check(v, &[], Ok(Framing::Empty));
        check(v, &cl("0"), Ok(Framing::Empty));
        check(v, &cl("0005"), Ok(Framing::Length(5)));
        check(
            v,
            &cl("18446744073709551615"),
            Ok(Framing::Length(u64::MAX)),
        );
        for wrong in [
            "",
            "+5",
            "-1",
            "0x10",
            "5 5",
            "5, 5",
            "1_0",
            "18446744073709551616",
        ] {
            check(v, &cl(wrong), Err(RequestError::ContentLength));
        }
        let twice = [(CONTENT_LENGTH, "5"), (CONTENT_LENGTH, "5")];
        check(v, &twice, Err(RequestError::ContentLength));
    }

    #[test]
    fn codings() {
        let te = |value| [(TRANSFER_ENCODING, value)];
        let v = Version::HTTP_11;
        check(v, &te("chunked"), Ok(Framing::Chunked));
        check(v, &te("Chunked"), Ok(Framing::Chunked));
        for unknown in ["gzip, chunked", "gzip,Chunked", "x;y=z, gzip , chunked"] {
            check(v, &te(unknown), Err(RequestError::TransferCoding));
        }
        for ambiguous in [
            "",
            "gzip",
            "xchunked",
            "chunked, gzip",
            "chunked, chunked",
            "chunked,",
            ",chunked",
            "chunked;a",
        ] {
            check(v, &te(ambiguous), Err(RequestError::AmbiguousFraming));
        }
        check(
            Version::HTTP_10,
            &te("chunked"),
            Err(RequestError::AmbiguousFraming),
        );
        let twice = [
            (TRANSFER_ENCODING, "chunked"),
            (TRANSFER_ENCODING, "chunked"),
        ];
        check(v, &twice, Err(RequestError::AmbiguousFraming));
        let both = [(CONTENT_LENGTH, "5"), (TRANSFER_ENCODING, "chunked")];
        check(v, &both, Err(RequestError::AmbiguousFraming));
    }
}
