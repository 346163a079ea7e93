//! Range requests (RFC 9110 section 14).

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

use crate::message::headers::list;

/// Most ranges in one response. Players and document viewers request a few, zsync twenty.
const MAX_RANGES: usize = 64;

/// Ranges with at most this many bytes between them are sent as one. The boundary and headers of
/// another part would take about as many (section 15.3.7.2).
const GAP: u64 = 128;

/// The ranges of a file that a request selects.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RangeRequest {
    /// The whole file: the request has no `Range`, or it is not valid.
    Whole,
    /// One range.
    Part(Range<u64>),
    /// Several ranges in the order of the request, no two of which touch.
    Parts(Vec<Range<u64>>),
    /// No range within the file, or more than [`MAX_RANGES`] ranges (416).
    Unsatisfiable,
}

impl RangeRequest {
    /// Parses the `Range` header of a GET request for content of this length.
    pub(crate) fn parse(headers: &HeaderMap, length: u64) -> Self {
        let mut values = headers.get_all(RANGE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Self::Whole;
        };
        // Empty content has no ranges.
        if length == 0 {
            return Self::Whole;
        }
        let set = value.to_str().ok().and_then(|value| value.split_once('='));
        match set {
            // The grammar allows no space before `=` (section 14.2).
            Some((unit, set)) if unit.eq_ignore_ascii_case("bytes") => {
                Self::from_specs(set, length)
            }
            _ => Self::Whole,
        }
    }

    fn from_specs(specs: &str, length: u64) -> Self {
        let mut specs = list::text_items(specs)
            .filter(|spec| !spec.is_empty())
            .peekable();
        if specs.peek().is_none() {
            return Self::Whole;
        }
        // One invalid range invalidates the header.
        let Some(specs) = specs.map(RangeSpec::parse).collect::<Option<Vec<_>>>() else {
            return Self::Whole;
        };
        let ranges = specs.into_iter().filter_map(|spec| spec.resolve(length));
        let mut parts = join_touching(ranges.collect());
        match parts.len() {
            0 => Self::Unsatisfiable,
            1 => Self::Part(parts.swap_remove(0)),
            2..=MAX_RANGES => Self::Parts(parts),
            _ => Self::Unsatisfiable,
        }
    }
}

/// One item of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RangeSpec {
    /// From the first position to the last, inclusive.
    Bounded(u64, u64),
    /// From this position to the end.
    From(u64),
    /// This many bytes at the end.
    Suffix(u64),
}

impl RangeSpec {
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        match (first, last) {
            ("", last) => Some(Self::Suffix(parse_number(last)?)),
            (first, "") => Some(Self::From(parse_number(first)?)),
            (first, last) => {
                let (first, last) = (parse_number(first)?, parse_number(last)?);
                (first <= last).then_some(Self::Bounded(first, last))
            }
        }
    }

    /// The part of the range that is within the content, if any.
    fn resolve(self, length: u64) -> Option<Range<u64>> {
        let part = match self {
            Self::Bounded(first, last) => first..last.saturating_add(1).min(length),
            Self::From(first) => first..length,
            Self::Suffix(count) => length.saturating_sub(count)..length,
        };
        (part.start < part.end).then_some(part)
    }
}

/// Parses a number. One that is too large for any file becomes the largest.
fn parse_number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Joins ranges that touch; the result stands where the first of them stood. Sorting keeps this
/// fast for as many ranges as fit into a request head.
fn join_touching(parts: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted: Vec<_> = parts.into_iter().enumerate().collect();
    sorted.sort_unstable_by_key(|(_, part)| part.start);
    let mut joined: Vec<(usize, Range<u64>)> = Vec::new();
    for (place, part) in sorted {
        match joined.last_mut() {
            Some((first, last)) if touch(last, &part) => {
                *first = place.min(*first);
                last.end = part.end.max(last.end);
            }
            _ => joined.push((place, part)),
        }
    }
    joined.sort_unstable_by_key(|(place, _)| *place);
    joined.into_iter().map(|(_, part)| part).collect()
}

fn touch(one: &Range<u64>, other: &Range<u64>) -> bool {
    let is_near = |end: u64, start: u64| start <= end.saturating_add(GAP);
    is_near(one.end, other.start) && is_near(other.end, one.start)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str, length: u64) -> RangeRequest {
        let value = HeaderValue::from_str(value).expect("test values are valid");
        RangeRequest::parse(&[(RANGE, value)].into_iter().collect(), length)
    }

    #[track_caller]
    fn check(value: &str, expected: &RangeRequest) {
        assert_eq!(&read(value, 1000), expected, "{value}");
    }

    #[test]
    fn one_range_is_a_part() {
        for (value, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-", 0..1000),
            ("bytes=10-19", 10..20),
            ("bytes=990-2000", 990..1000),
            ("bytes=999-999", 999..1000),
            ("bytes=-1", 999..1000),
            ("bytes=-5000", 0..1000),
            ("bytes= 1-2 ", 1..3),
            ("BYTES=1-2", 1..3),
            ("bytes=,1-2,,", 1..3),
            ("bytes=1-2, 5000-", 1..3),
            ("bytes=0-99999999999999999999999", 0..1000),
        ] {
            check(value, &RangeRequest::Part(part));
        }
    }

    #[test]
    fn invalid_ranges_are_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes 1-2",
            "lines=1-2",
            "bytes=2-1",
            "bytes=a-b",
            "bytes=-",
            "bytes=1",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=1-2, x",
            "bytes=0x1-2",
            "bytes=1 - 2",
            "bytes =0-1",
            "bytes\t=0-1",
            " bytes=0-1",
            "bytes=--1",
            "bytes=1-2;3-4",
        ] {
            check(value, &RangeRequest::Whole);
        }
        let twice = HeaderValue::from_static("bytes=0-0");
        let headers = [(RANGE, twice.clone()), (RANGE, twice)]
            .into_iter()
            .collect();
        assert_eq!(RangeRequest::parse(&headers, 1000), RangeRequest::Whole);
        assert_eq!(read("bytes=0-", 0), RangeRequest::Whole);
    }

    #[test]
    fn ranges_outside_the_content_are_unsatisfiable() {
        for value in [
            "bytes=1000-",
            "bytes=1000-2000, 5000-",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            check(value, &RangeRequest::Unsatisfiable);
        }
    }

    #[test]
    fn touching_ranges_are_joined_and_order_is_kept() {
        check(
            "bytes=0-9, 900-909",
            &RangeRequest::Parts(vec![0..10, 900..910]),
        );
        check(
            "bytes=900-909, 0-9",
            &RangeRequest::Parts(vec![900..910, 0..10]),
        );
        check("bytes=0-9, 5-20, 20-30", &RangeRequest::Part(0..31));
        check("bytes=0-9, 138-200", &RangeRequest::Part(0..201));
        check(
            "bytes=0-9, 139-200",
            &RangeRequest::Parts(vec![0..10, 139..201]),
        );
        // The third range joins the first two.
        check(
            "bytes=0-9, 300-309, 100-200, 700-",
            &RangeRequest::Parts(vec![0..310, 700..1000]),
        );
        check(
            "bytes=700-, 0-9, 300-309, 100-200",
            &RangeRequest::Parts(vec![700..1000, 0..310]),
        );
    }

    #[test]
    fn thousands_of_ranges_are_joined_or_rejected() {
        let same = "0-,".repeat(5000);
        assert_eq!(
            read(&format!("bytes={same}"), 1_000_000),
            RangeRequest::Part(0..1_000_000)
        );
        let small: String = (0..5000)
            .map(|index| format!("{}-{},", index * 200, index * 200))
            .collect();
        assert_eq!(
            read(&format!("bytes={small}"), 1_000_000),
            RangeRequest::Unsatisfiable
        );
        // Touching ranges count as one, in any order.
        assert_eq!(
            read(&format!("bytes={small}0-"), 1_000_000),
            RangeRequest::Part(0..1_000_000)
        );
        let few = |count: usize| -> String {
            let ranges = (0..count).map(|index| format!("{0}-{0},", index * 200));
            ranges.collect()
        };
        let read = |count| read(&format!("bytes={}", few(count)), 1_000_000);
        assert!(
            matches!(read(MAX_RANGES), RangeRequest::Parts(parts) if parts.len() == MAX_RANGES)
        );
        assert_eq!(read(MAX_RANGES + 1), RangeRequest::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn parts_cover_the_requested_ranges_within_the_content(
            specs in prop::collection::vec((0_u64..3000, prop::option::of(0_u64..3000)), 1..20),
            length in 1_u64..2500,
        ) {
            let one = |(first, more): &(u64, Option<u64>)| match more {
                Some(more) => format!("{first}-{}", first + more),
                None => format!("{first}-"),
            };
            let set: Vec<_> = specs.iter().map(one).collect();
            let parts = match read(&format!("bytes={}", set.join(",")), length) {
                RangeRequest::Part(part) => vec![part],
                RangeRequest::Parts(parts) => parts,
                RangeRequest::Unsatisfiable => {
                    // If no two touch, no more than these fit.
                    prop_assert!(specs.iter().all(|(first, _)| *first >= length) || length > MAX_RANGES as u64 * GAP);
                    vec![]
                }
                RangeRequest::Whole => return Err(TestCaseError::fail("a valid header selects ranges")),
            };
            for (index, part) in parts.iter().enumerate() {
                prop_assert!(part.start < part.end && part.end <= length);
                prop_assert!(parts[..index].iter().all(|other| !touch(other, part)));
            }
            if !parts.is_empty() {
                for (first, more) in specs.iter().filter(|(first, _)| *first < length) {
                    let last = more.map_or(length, |more| (first + more + 1).min(length)) - 1;
                    let is_in = |part: &Range<u64>| part.contains(first) && part.contains(&last);
                    prop_assert!(parts.iter().any(is_in));
                }
            }
        }

        #[test]
        fn arbitrary_ranges_stay_within_the_content(value in "bytes=[-0-9, ]{0,60}", length in any::<u64>()) {
            match read(value.trim_end(), length) {
                RangeRequest::Part(part) => prop_assert!(part.start < part.end && part.end <= length),
                RangeRequest::Parts(parts) => prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= length)),
                RangeRequest::Whole | RangeRequest::Unsatisfiable => {}
            }
        }
    }
}
