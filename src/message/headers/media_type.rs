//! Media types in `Content-Type` and `Accept`.

use std::cmp::Reverse;

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

use super::quality;
use super::quality::Quality;

/// A media type or range without its parameters, compared without case (RFC 9110 section 8.3.1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct MediaType<'m>(&'m [u8]);

impl<'m> MediaType<'m> {
    /// The media type of a message's content, if it has one.
    #[cfg(any(feature = "json", feature = "router"))]
    pub(crate) fn of_content(headers: &'m HeaderMap) -> Option<Self> {
        essence(headers).map(Self)
    }

    pub(crate) fn is(self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other.as_bytes())
    }

    /// `application/json` or any `+json` type (RFC 6839 section 3.1). This is for content that is
    /// present: a client that accepts one `+json` type does not accept another.
    #[cfg(feature = "json")]
    pub(crate) fn is_json(self) -> bool {
        let suffix = self.0.len().checked_sub(b"+json".len());
        self.is("application/json")
            || suffix.is_some_and(|start| self.0[start..].eq_ignore_ascii_case(b"+json"))
    }
}

/// The media type of a message's content as written.
#[cfg(any(
    feature = "brotli",
    feature = "gzip",
    feature = "json",
    feature = "router",
    feature = "zstd"
))]
pub(crate) fn essence(headers: &HeaderMap) -> Option<&[u8]> {
    let content_type = headers.get(CONTENT_TYPE)?;
    let essence = content_type.as_bytes().split(|byte| *byte == b';').next();
    Some(essence.unwrap_or_default().trim_ascii())
}

/// The media ranges that a client accepts (RFC 9110 section 12.5.1) with their qualities.
pub(crate) fn accepted(request: &HeaderMap) -> impl Iterator<Item = (MediaType<'_>, Quality)> {
    let ranges = quality::in_header(request, &ACCEPT);
    ranges.map(|(range, weight)| (MediaType(range.as_bytes()), weight))
}

/// How specific the range is that matches a type (RFC 9110 section 12.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// `*/*`.
    Any,
    /// `text/*`.
    Type,
    Exact,
}

impl Match {
    fn of(range: MediaType<'_>, media_type: &str) -> Option<Self> {
        if range.is(media_type) {
            return Some(Self::Exact);
        }
        let kind = media_type.split('/').next().unwrap_or_default();
        match range.0.strip_suffix(b"/*")? {
            b"*" => Some(Self::Any),
            of if of.eq_ignore_ascii_case(kind.as_bytes()) => Some(Self::Type),
            _ => None,
        }
    }
}

/// The format that the client prefers, of those that can be sent, each with the media types by which
/// clients request it. With equal qualities the more specific range counts, then the one that the
/// client names first, then the one that is offered first. `None` if the client accepts none.
///
/// A range matches a type exactly: `application/vnd.api+json` is not `application/json`.
pub(crate) fn preferred<T: Copy>(request: &HeaderMap, offers: &[(T, &[&str])]) -> Option<T> {
    let mut best = None;
    for (offer, names) in offers {
        let weights = names.iter().filter_map(|name| weight_of(request, name));
        let Some(rank) = weights.max() else { continue };
        if rank.0 > 0 && best.is_none_or(|(most, _)| rank > most) {
            best = Some((rank, *offer));
        }
    }
    best.map(|(_, offer)| offer)
}

/// The quality of the most specific range that matches the type, and the rank among equal ones.
fn weight_of(request: &HeaderMap, name: &str) -> Option<(Quality, Match, Reverse<usize>)> {
    let matching = accepted(request)
        .enumerate()
        .filter_map(|(place, (range, weight))| {
            Match::of(range, name).map(|closely| (closely, Reverse(place), weight))
        });
    let (closely, place, weight) = matching.max()?;
    Some((weight, closely, place))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(accept: &'static str, expected: Option<&str>) {
        let value = HeaderValue::from_static(accept);
        let request: HeaderMap = [(ACCEPT, value)].into_iter().collect();
        let offers: [(_, &[_]); 3] = [
            ("html", &["text/html"]),
            ("json", &["application/json", "application/problem+json"]),
            ("text", &["text/plain"]),
        ];
        assert_eq!(preferred(&request, &offers), expected, "{accept}");
    }

    #[test]
    fn closest_range_decides_weight() {
        check("text/html", Some("html"));
        check("TEXT/*", Some("html"));
        check("*/*", Some("html"));
        check("application/*", Some("json"));
        check("application/problem+json", Some("json"));
        check("text/*, text/html;q=0.1", Some("text"));
        check("text/html;q=0, */*", Some("json"));
        check("*/*;q=0.5, text/plain;q=0.4", Some("html"));
        check("application/json, text/plain, */*", Some("json"));
        check("*/*, text/plain", Some("text"));
        check("text/plain, application/json", Some("text"));
        check("application/json;q=0.2, text/plain;q=0.3", Some("text"));
    }

    #[test]
    fn related_types_are_not_accepted() {
        for accept in [
            "",
            "json",
            "*",
            "text",
            "application/vnd.api+json",
            "application/*+json",
            "application/json-seq",
            "application/xhtml+xml",
            "text/html;q=0",
            "text/htm",
        ] {
            check(accept, None);
        }
        // The header that pip sends for an index.
        check(
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, \
             text/html; q=0.01",
            Some("html"),
        );
    }
}
