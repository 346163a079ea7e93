//! Names of headers, kept from request to request.

use http::header::{HeaderName, InvalidHeaderName};

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
    /// The name of these bytes, which must be in lower case.
    pub(super) fn get(&mut self, name: &[u8]) -> Result<HeaderName, InvalidHeaderName> {
        let place = place(name);
        if let Some(Some(kept)) = self.kept.get(place)
            && kept.as_str().as_bytes() == name
        {
            return Ok(kept.clone());
        }
        let read = HeaderName::from_bytes(name)?;
        if name.len() <= LONGEST {
            self.kept.resize(KEPT, None);
            self.kept[place] = Some(read.clone());
        }
        Ok(read)
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
    fn malformed_names_are_not_kept() {
        let mut names = Names::default();
        for _ in 0..2 {
            for name in [&b""[..], b"a b", b"\xe9", b":path"] {
                assert!(names.get(name).is_err(), "{}", name.escape_ascii());
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
