//! Parts of a file (RFC 9110 section 14).

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

use crate::message::headers::list;

/// Most parts that one response has. Players and document viewers ask for a few, zsync for twenty.
const MOST: usize = 64;

/// Parts that have fewer bytes between them than the line and fields of another part are sent as one
/// (section 15.3.7.2).
const GAP: u64 = 128;

/// What a request asks for of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no part is asked for, or in a way that is not understood.
    Whole,
    /// This.
    Part(Range<u64>),
    /// These, none of which touches another, in the order in which they were asked for.
    Parts(Vec<Range<u64>>),
    /// Nothing that there is, or more parts than one response has.
    Nothing,
}

impl Wanted {
    /// Reads the `Range` field of a GET of something of this length.
    pub(crate) fn read(fields: &HeaderMap, length: u64) -> Self {
        let mut values = fields.get_all(RANGE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Self::Whole;
        };
        // Of nothing there is no part.
        if length == 0 {
            return Self::Whole;
        }
        let set = value.to_str().ok().and_then(|value| value.split_once('='));
        match set {
            // Space before `=` is no part of the grammar (section 14.2).
            Some((unit, set)) if unit.eq_ignore_ascii_case("bytes") => Self::of(set, length),
            _ => Self::Whole,
        }
    }

    fn of(set: &str, length: u64) -> Self {
        let mut asked = list::text_items(set)
            .filter(|one| !one.is_empty())
            .peekable();
        if asked.peek().is_none() {
            return Self::Whole;
        }
        // One mistake, and none of it is understood.
        let Some(asked) = asked.map(Asked::parse).collect::<Option<Vec<_>>>() else {
            return Self::Whole;
        };
        let there = asked.into_iter().filter_map(|asked| asked.within(length));
        let mut parts = coalesce(there.collect());
        match parts.len() {
            0 => Self::Nothing,
            1 => Self::Part(parts.swap_remove(0)),
            2..=MOST => Self::Parts(parts),
            _ => Self::Nothing,
        }
    }
}

/// What stands between commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// From here to there, that byte included.
    FromTo(u64, u64),
    /// From here to the end.
    From(u64),
    /// So many at the end.
    Last(u64),
}

impl Asked {
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        match (first, last) {
            ("", last) => Some(Self::Last(position(last)?)),
            (first, "") => Some(Self::From(position(first)?)),
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                (first <= last).then_some(Self::FromTo(first, last))
            }
        }
    }

    /// What there is of it.
    fn within(self, length: u64) -> Option<Range<u64>> {
        let part = match self {
            Self::FromTo(first, last) => first..last.saturating_add(1).min(length),
            Self::From(first) => first..length,
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        (part.start < part.end).then_some(part)
    }
}

/// A number of digits; one that is too large for any file is as good as the largest.
fn position(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Makes one part of those that touch, where the first of them was asked for. Sorting bounds the work
/// for as many ranges as a request's head has room for.
fn coalesce(parts: Vec<Range<u64>>) -> Vec<Range<u64>> {
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

    fn read(value: &str, length: u64) -> Wanted {
        let value = HeaderValue::from_str(value).expect("test values are valid");
        Wanted::read(&[(RANGE, value)].into_iter().collect(), length)
    }

    #[track_caller]
    fn check(value: &str, expected: &Wanted) {
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
            check(value, &Wanted::Part(part));
        }
    }

    #[test]
    fn what_is_not_understood_is_no_range() {
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
            check(value, &Wanted::Whole);
        }
        let twice = HeaderValue::from_static("bytes=0-0");
        let fields = [(RANGE, twice.clone()), (RANGE, twice)]
            .into_iter()
            .collect();
        assert_eq!(Wanted::read(&fields, 1000), Wanted::Whole);
        assert_eq!(read("bytes=0-", 0), Wanted::Whole);
    }

    #[test]
    fn what_there_is_not_is_not_sent() {
        for value in [
            "bytes=1000-",
            "bytes=1000-2000, 5000-",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            check(value, &Wanted::Nothing);
        }
    }

    #[test]
    fn ranges_that_touch_are_one_and_others_keep_their_order() {
        check("bytes=0-9, 900-909", &Wanted::Parts(vec![0..10, 900..910]));
        check("bytes=900-909, 0-9", &Wanted::Parts(vec![900..910, 0..10]));
        check("bytes=0-9, 5-20, 20-30", &Wanted::Part(0..31));
        check("bytes=0-9, 138-200", &Wanted::Part(0..201));
        check("bytes=0-9, 139-200", &Wanted::Parts(vec![0..10, 139..201]));
        // The third joins the first two.
        check(
            "bytes=0-9, 300-309, 100-200, 700-",
            &Wanted::Parts(vec![0..310, 700..1000]),
        );
        check(
            "bytes=700-, 0-9, 300-309, 100-200",
            &Wanted::Parts(vec![700..1000, 0..310]),
        );
    }

    #[test]
    fn thousands_of_ranges_are_one_or_refused() {
        let same = "0-,".repeat(5000);
        assert_eq!(
            read(&format!("bytes={same}"), 1_000_000),
            Wanted::Part(0..1_000_000)
        );
        let small: String = (0..5000)
            .map(|index| format!("{}-{},", index * 200, index * 200))
            .collect();
        assert_eq!(read(&format!("bytes={small}"), 1_000_000), Wanted::Nothing);
        // Those that touch count as one, in whatever order they come.
        assert_eq!(
            read(&format!("bytes={small}0-"), 1_000_000),
            Wanted::Part(0..1_000_000)
        );
        let few = |count: usize| -> String {
            let ranges = (0..count).map(|index| format!("{0}-{0},", index * 200));
            ranges.collect()
        };
        let read = |count| read(&format!("bytes={}", few(count)), 1_000_000);
        assert!(matches!(read(MOST), Wanted::Parts(parts) if parts.len() == MOST));
        assert_eq!(read(MOST + 1), Wanted::Nothing);
    }

    proptest! {
        #[test]
        fn parts_are_what_was_asked_for_and_never_more_than_there_is(
            asked in prop::collection::vec((0_u64..3000, prop::option::of(0_u64..3000)), 1..20),
            length in 1_u64..2500,
        ) {
            let one = |(first, more): &(u64, Option<u64>)| match more {
                Some(more) => format!("{first}-{}", first + more),
                None => format!("{first}-"),
            };
            let set: Vec<_> = asked.iter().map(one).collect();
            let parts = match read(&format!("bytes={}", set.join(",")), length) {
                Wanted::Part(part) => vec![part],
                Wanted::Parts(parts) => parts,
                Wanted::Nothing => {
                    // With a gap between any two, no more than these fit.
                    prop_assert!(asked.iter().all(|(first, _)| *first >= length) || length > MOST as u64 * GAP);
                    vec![]
                }
                Wanted::Whole => return Err(TestCaseError::fail("it is understood")),
            };
            for (index, part) in parts.iter().enumerate() {
                prop_assert!(part.start < part.end && part.end <= length);
                prop_assert!(parts[..index].iter().all(|other| !touch(other, part)));
            }
            if !parts.is_empty() {
                for (first, more) in asked.iter().filter(|(first, _)| *first < length) {
                    let last = more.map_or(length, |more| (first + more + 1).min(length)) - 1;
                    let is_in = |part: &Range<u64>| part.contains(first) && part.contains(&last);
                    prop_assert!(parts.iter().any(is_in));
                }
            }
        }

        #[test]
        fn nonsense_is_read_without_harm(value in "bytes=[-0-9, ]{0,60}", length in any::<u64>()) {
            match read(value.trim_end(), length) {
                Wanted::Part(part) => prop_assert!(part.start < part.end && part.end <= length),
                Wanted::Parts(parts) => prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= length)),
                Wanted::Whole | Wanted::Nothing => {}
            }
        }
    }
}
