//! Media types: what a message says its content is, and what a client would like it to be.

use http::HeaderMap;
use http::header::ACCEPT;
#[cfg(any(
    feature = "brotli",
    feature = "gzip",
    feature = "json",
    feature = "router",
    feature = "zstd"
))]
use http::header::CONTENT_TYPE;

use crate::weights::{self, Weight};

/// A media type, or a range of them, without its parameters. Case makes no difference (RFC 9110
/// section 8.3.1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct MediaType<'m>(&'m [u8]);

impl<'m> MediaType<'m> {
    /// That of a message's content, if it says one.
    #[cfg(any(feature = "json", feature = "router"))]
    pub(crate) fn of_content(fields: &'m HeaderMap) -> Option<Self> {
        essence(fields).map(Self)
    }

    pub(crate) fn is(self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other.as_bytes())
    }

    /// `application/json` or any `+json` type (RFC 6839 section 3.1).
    pub(crate) fn is_json(self) -> bool {
        let suffix = self.0.len().checked_sub(b"+json".len());
        self.is("application/json")
            || suffix.is_some_and(|start| self.0[start..].eq_ignore_ascii_case(b"+json"))
    }
}

/// The media type of a message's content, as it is written.
#[cfg(any(
    feature = "brotli",
    feature = "gzip",
    feature = "json",
    feature = "router",
    feature = "zstd"
))]
pub(crate) fn essence(fields: &HeaderMap) -> Option<&[u8]> {
    let content_type = fields.get(CONTENT_TYPE)?;
    let essence = content_type.as_bytes().split(|byte| *byte == b';').next();
    Some(essence.unwrap_or_default().trim_ascii())
}

/// What a client accepts (RFC 9110 section 12.5.1), and what each weighs.
pub(crate) fn accepted(request: &HeaderMap) -> impl Iterator<Item = (MediaType<'_>, Weight)> {
    let ranges = weights::in_field(request, &ACCEPT);
    ranges.map(|(range, weight)| (MediaType(range.as_bytes()), weight))
}
