//! Names of headers, kept from request to request.

use http::header::{self, HeaderName};

use crate::http2::hpack::StaticName;

/// The index of the first name in the static table that is no pseudo-header.
const FIRST_KNOWN: u8 = 15;

/// The names of the static table that are no pseudo-headers, in its order.
static KNOWN: [HeaderName; 47] = [
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::ACCEPT_RANGES,
    header::ACCEPT,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::AGE,
    header::ALLOW,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::ETAG,
    header::EXPECT,
    header::EXPIRES,
    header::FROM,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::REFERER,
    header::REFRESH,
    header::RETRY_AFTER,
    header::SERVER,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::TRANSFER_ENCODING,
    header::USER_AGENT,
    header::VARY,
    header::VIA,
    header::WWW_AUTHENTICATE,
];

/// A name of the static table, without a look at its text. A pseudo-header is none.
#[inline]
pub(super) fn known(name: StaticName) -> Option<&'static HeaderName> {
    let position = name.index().checked_sub(FIRST_KNOWN)?;
    KNOWN.get(usize::from(position))
}

/// The number of names that are kept. Browsers send about 20.
const KEPT: usize = 64;

/// Longest name that is kept.
const LONGEST: usize = 64;

/// Recent names. A name that `http` does not know costs an allocation, and browsers send the same
/// eight in every request.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Each name has one place, which another one may take. Allocated for the first name.
    kept: Vec<Option<HeaderName>>,
}

impl Names {
    /// The name of these bytes, if they are one in lower case.
    pub(super) fn get(&mut self, name: &[u8]) -> Option<HeaderName> {
        let place = place(name);
        if let Some(Some(kept)) = self.kept.get(place)
            && kept.as_str().as_bytes() == name
        {
            return Some(kept.clone());
        }
        // `HeaderName` would accept upper case.
        if name.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let read = HeaderName::from_bytes(name).ok()?;
        if name.len() <= LONGEST {
            self.kept.resize(KEPT, None);
            self.kept[place] = Some(read.clone());
        }
        Some(read)
    }
}

/// The place of a name, by its length and its last bytes, in which names differ most.
fn place(name: &[u8]) -> usize {
    let mut end = [0; 8];
    let count = name.len().min(end.len());
    end[..count].copy_from_slice(&name[name.len() - count..]);
    let mixed = (u64::from_le_bytes(end) ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - KEPT.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_whether_kept_or_not() {
        let mut names = Names::default();
        let long = "x".repeat(LONGEST + 1);
        for _ in 0..3 {
            for number in 0..2 * KEPT {
                let name = format!("x-{number}");
                let got = names.get(name.as_bytes()).expect("it is a name");
                assert_eq!(got.as_str(), name);
            }
            for name in ["accept", "a", "x-request-id", "y-request-id", &long] {
                let got = names.get(name.as_bytes()).expect("it is a name");
                assert_eq!(got.as_str(), name);
            }
        }
        assert_eq!(names.kept.len(), KEPT);
        let longest = names.kept.iter().flatten().map(|name| name.as_str().len());
        assert!(longest.max() <= Some(LONGEST));
    }

    #[test]
    fn known_names_are_those_of_the_static_table() {
        for (position, name) in KNOWN.iter().enumerate() {
            let in_table = StaticName::find(name.as_str().as_bytes()).expect("the table has it");
            assert_eq!(usize::from(in_table.index() - FIRST_KNOWN), position);
            assert_eq!(known(in_table), Some(name));
        }
        assert_eq!(known(StaticName::AUTHORITY), None);
        assert_eq!(known(StaticName::STATUS), None);
    }

    #[test]
    fn malformed_names_are_not_kept() {
        let mut names = Names::default();
        for _ in 0..2 {
            for name in [&b""[..], b"a b", b"\xe9", b":path", b"Accept", b"x-Id"] {
                assert_eq!(names.get(name), None, "{}", name.escape_ascii());
            }
        }
        assert!(names.kept.is_empty());
    }

    /// The names that browsers send have places of their own.
    #[test]
    fn common_names_do_not_share_a_place() {
        let mut names = Names::default();
        let common = [
            "accept",
            "accept-encoding",
            "accept-language",
            "cache-control",
            "content-type",
            "cookie",
            "dnt",
            "host",
            "if-none-match",
            "origin",
            "priority",
            "referer",
            "sec-ch-ua",
            "sec-ch-ua-mobile",
            "sec-ch-ua-platform",
            "sec-fetch-dest",
            "sec-fetch-mode",
            "sec-fetch-site",
            "sec-fetch-user",
            "te",
            "upgrade-insecure-requests",
            "user-agent",
        ];
        for name in common {
            names.get(name.as_bytes()).expect("it is a name");
        }
        let kept = names.kept.iter().flatten().count();
        assert!(kept >= common.len() - 4, "{kept} of {}", common.len());
    }
}
