//! Conditional requests (RFC 9110 section 13).

use std::time::SystemTime;

use http::HeaderMap;
use http::header::{
    HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};

use super::validators::{Date, Validators};

/// The result of a GET or HEAD request's preconditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Send the content.
    Send,
    /// The client has the current content (304).
    NotModified,
    /// A precondition failed (412).
    Failed,
}

/// How two entity tags are compared (section 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// Tags are equal if their opaque parts are and both are strong.
    Strong,
    /// Tags are equal if their opaque parts are.
    Weak,
}

/// Evaluates the preconditions in the order of section 13.2.2. An invalid date is ignored; an
/// invalid list of tags matches nothing. A representation without validators exists, so `*` matches
/// it, and dates say nothing about it.
pub(crate) fn evaluate(headers: &HeaderMap, validators: Option<&Validators>) -> Precondition {
    let modified = validators.and_then(|validators| validators.modified);
    if headers.contains_key(IF_MATCH) {
        if !matches(headers, &IF_MATCH, validators, Comparison::Strong) {
            return Precondition::Failed;
        }
    } else if is_after(modified, date(headers, &IF_UNMODIFIED_SINCE)) == Some(true) {
        return Precondition::Failed;
    }
    let is_current = if headers.contains_key(IF_NONE_MATCH) {
        matches(headers, &IF_NONE_MATCH, validators, Comparison::Weak)
    } else {
        is_after(modified, date(headers, &IF_MODIFIED_SINCE)) == Some(false)
    };
    if is_current {
        Precondition::NotModified
    } else {
        Precondition::Send
    }
}

/// Whether a range may be sent: the request has no `If-Range`, or the header matches the current
/// representation (section 13.1.5).
///
/// A date must be equal, and counts only where equal times mean equal bytes.
pub(crate) fn allow_ranges(headers: &HeaderMap, validators: &Validators) -> bool {
    let mut values = headers.get_all(IF_RANGE).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) => match parse_date(value) {
            Some(date) => validators.date == Date::Strong && Some(date) == validators.modified,
            None => validators.is_strong() && value.as_bytes() == validators.tag.as_bytes(),
        },
        (Some(_), Some(_)) => false,
    }
}

/// Whether `one` is after `other`. `None` if one of them is missing.
fn is_after(one: Option<SystemTime>, other: Option<SystemTime>) -> Option<bool> {
    Some(one? > other?)
}

/// Whether this header lists the entity tag, or is `*`.
fn matches(
    headers: &HeaderMap,
    name: &HeaderName,
    validators: Option<&Validators>,
    comparison: Comparison,
) -> bool {
    let ours = validators.and_then(|validators| Tag::parse(&validators.tag));
    headers.get_all(name).iter().any(|value| {
        let value = value.as_bytes().trim_ascii();
        value == b"*"
            || Tags(value).any(|tag| ours.is_some_and(|ours| ours.equals(tag, comparison)))
    })
}

/// An entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag<'a> {
    is_weak: bool,
    /// The tag with its quotes.
    opaque: &'a [u8],
}

impl<'a> Tag<'a> {
    /// Parses text that is one tag and nothing else.
    fn parse(text: &'a str) -> Option<Self> {
        let (tag, rest) = Self::parse_first(text.as_bytes())?;
        rest.is_empty().then_some(tag)
    }

    /// Parses the tag at the start, and returns the rest.
    fn parse_first(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (is_weak, quoted) = match value.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|byte| *byte == b'"')?;
        let (opaque, rest) = quoted.split_at(end + 2);
        Some((Self { is_weak, opaque }, rest))
    }

    fn equals(self, other: Self, comparison: Comparison) -> bool {
        let is_comparable = comparison == Comparison::Weak || !(self.is_weak || other.is_weak);
        is_comparable && self.opaque == other.opaque
    }
}

/// The tags of a list, up to the first syntax error.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let is_separator = |byte: &u8| b", \t".contains(byte);
        let start = self.0.iter().position(|byte| !is_separator(byte))?;
        let (tag, rest) = Tag::parse_first(&self.0[start..])?;
        // A comma and another tag, or the end, must follow.
        self.0 = match rest.trim_ascii_start() {
            rest @ ([] | [b',', ..]) => rest,
            _ => &[],
        };
        Some(tag)
    }
}

/// Parses a date header. `None` if it is repeated or invalid.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).iter();
    let date = parse_date(values.next()?);
    date.filter(|_| values.next().is_none())
}

fn parse_date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::Precondition::{Failed, NotModified, Send};
    use super::*;

    const BEFORE: &str = "Wed, 25 Nov 2026 10:00:00 GMT";
    const THEN: &str = "Wed, 25 Nov 2026 10:00:01 GMT";
    const AFTER: &str = "Wed, 25 Nov 2026 10:00:02 GMT";

    fn validators(tag: &str) -> Validators {
        Validators {
            tag: tag.to_owned(),
            modified: Some(httpdate::parse_http_date(THEN).expect("the date is valid")),
            date: Date::Weak,
        }
    }

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let value = |value: &str| HeaderValue::from_str(value).expect("test values are valid");
        lines
            .iter()
            .map(|(name, text)| (name.clone(), value(text)))
            .collect()
    }

    #[track_caller]
    fn check(tag: &str, lines: &[(HeaderName, &str)], expected: Precondition) {
        let outcome = evaluate(&headers(lines), Some(&validators(tag)));
        assert_eq!(outcome, expected, "{tag} {lines:?}");
    }

    #[test]
    fn single_conditions() {
        check("\"a\"", &[], Send);
        for (list, is_matched) in [
            ("\"a\"", true),
            ("*", true),
            ("\"b\", \"a\"", true),
            ("\"b\" , ,\t\"a\",", true),
            ("\"b,\\\", \"a\"", true),
            ("\"b\"", false),
            ("\"A\"", false),
            ("\"aa\"", false),
            ("a", false),
            ("\"a", false),
            ("", false),
            ("\"b\" \"a\"", false),
            ("x, \"a\"", false),
        ] {
            check(
                "\"a\"",
                &[(IF_MATCH, list)],
                if is_matched { Send } else { Failed },
            );
            let outcome = if is_matched { NotModified } else { Send };
            check("\"a\"", &[(IF_NONE_MATCH, list)], outcome);
        }
        for (date, unmodified, modified) in [
            (BEFORE, Failed, Send),
            (THEN, Send, NotModified),
            (AFTER, Send, NotModified),
            ("Wednesday, 25-Nov-26 10:00:00 GMT", Failed, Send),
            ("Wed Nov 25 10:00:02 2026", Send, NotModified),
            ("soon", Send, Send),
            ("0", Send, Send),
            ("", Send, Send),
        ] {
            check("\"a\"", &[(IF_UNMODIFIED_SINCE, date)], unmodified);
            check("\"a\"", &[(IF_MODIFIED_SINCE, date)], modified);
        }
        check(
            "\"a\"",
            &[(IF_MODIFIED_SINCE, AFTER), (IF_MODIFIED_SINCE, AFTER)],
            Send,
        );
    }

    #[test]
    fn weak_tags_match_if_none_match_only() {
        check("W/\"a\"", &[(IF_NONE_MATCH, "\"a\"")], NotModified);
        check("\"a\"", &[(IF_NONE_MATCH, "W/\"a\"")], NotModified);
        check("W/\"a\"", &[(IF_MATCH, "W/\"a\"")], Failed);
        check("W/\"a\"", &[(IF_MATCH, "\"a\"")], Failed);
        check("\"a\"", &[(IF_MATCH, "W/\"a\"")], Failed);
        check("W/\"a\"", &[(IF_MATCH, "*")], Send);
        check("\"a\"", &[(IF_NONE_MATCH, "w/\"a\"")], Send);
    }

    #[test]
    fn tags_precede_dates_and_failure_precedes_not_modified() {
        let (same, other) = ("\"a\"", "\"b\"");
        check(
            same,
            &[(IF_MATCH, same), (IF_UNMODIFIED_SINCE, BEFORE)],
            Send,
        );
        check(
            same,
            &[(IF_MATCH, other), (IF_UNMODIFIED_SINCE, AFTER)],
            Failed,
        );
        check(
            same,
            &[(IF_NONE_MATCH, other), (IF_MODIFIED_SINCE, AFTER)],
            Send,
        );
        check(
            same,
            &[(IF_NONE_MATCH, same), (IF_MODIFIED_SINCE, BEFORE)],
            NotModified,
        );
        check(
            same,
            &[(IF_MATCH, same), (IF_NONE_MATCH, same)],
            NotModified,
        );
        check(same, &[(IF_MATCH, other), (IF_NONE_MATCH, same)], Failed);
        check(
            same,
            &[(IF_UNMODIFIED_SINCE, BEFORE), (IF_NONE_MATCH, same)],
            Failed,
        );
        check(same, &[(IF_MATCH, other), (IF_MATCH, same)], Send);
    }

    #[test]
    fn if_range_must_match_strongly() {
        #[track_caller]
        fn check(tag: &str, value: &str, expected: bool) {
            let allowed = allow_ranges(&headers(&[(IF_RANGE, value)]), &validators(tag));
            assert_eq!(allowed, expected, "{tag} {value}");
        }
        check("\"a\"", "\"a\"", true);
        check("\"a\"", "\"b\"", false);
        check("\"a\"", "W/\"a\"", false);
        check("W/\"a\"", "W/\"a\"", false);
        check("W/\"a\"", "\"a\"", false);
        check("\"a\"", "*", false);
        check("\"a\"", "\"b\", \"a\"", false);
        for date in [BEFORE, THEN, AFTER] {
            check("\"a\"", date, false);
            check("W/\"a\"", date, false);
        }
        for (date, expected) in [(BEFORE, false), (THEN, true), (AFTER, false), ("0", false)] {
            let strong = Validators {
                date: Date::Strong,
                ..validators("\"a\"")
            };
            let allowed = allow_ranges(&headers(&[(IF_RANGE, date)]), &strong);
            assert_eq!(allowed, expected, "{date}");
        }
        assert!(allow_ranges(&HeaderMap::new(), &validators("W/\"a\"")));
        let twice = headers(&[(IF_RANGE, "\"a\""), (IF_RANGE, "\"a\"")]);
        assert!(!allow_ranges(&twice, &validators("\"a\"")));
    }

    #[test]
    fn without_validators_only_a_star_matches() {
        for (name, value, expected) in [
            (IF_MATCH, "*", Send),
            (IF_MATCH, "\"a\"", Failed),
            (IF_NONE_MATCH, "*", NotModified),
            (IF_NONE_MATCH, "\"a\"", Send),
            (IF_MODIFIED_SINCE, AFTER, Send),
            (IF_UNMODIFIED_SINCE, BEFORE, Send),
        ] {
            let outcome = evaluate(&headers(&[(name.clone(), value)]), None);
            assert_eq!(outcome, expected, "{name} {value}");
        }
    }

    #[test]
    fn the_epoch_is_a_valid_date() {
        let epoch = Validators {
            tag: "\"a\"".to_owned(),
            modified: Some(UNIX_EPOCH),
            date: Date::Weak,
        };
        let since = headers(&[(IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:00 GMT")]);
        assert_eq!(evaluate(&since, Some(&epoch)), NotModified);
    }
}
