//! Requests that depend on what the client has already (RFC 9110 section 13).

use std::time::SystemTime;

use http::HeaderMap;
use http::header::{
    HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};

use super::validators::{Date, Validators};

/// What the conditions of a GET or HEAD come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// The content is to be sent.
    Send,
    /// The client has it.
    NotModified,
    /// It is not what the client wants to know more of.
    Failed,
}

/// How two entity tags are compared (section 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// Equal ones that are both strong.
    Strong,
    /// Equal but for `W/`.
    Weak,
}

/// Looks at the conditions in the order of section 13.2.2. What can't be read is no condition if it
/// is a date, and is matched by nothing if it is a list of tags. What has no validators is there, which
/// `*` asks, and no date says anything of it.
pub(crate) fn evaluate(fields: &HeaderMap, validators: Option<&Validators>) -> Precondition {
    let modified = validators.map(|validators| validators.modified);
    if fields.contains_key(IF_MATCH) {
        if !matches(fields, &IF_MATCH, validators, Comparison::Strong) {
            return Precondition::Failed;
        }
    } else if is_after(modified, date(fields, &IF_UNMODIFIED_SINCE)) == Some(true) {
        return Precondition::Failed;
    }
    let is_known = if fields.contains_key(IF_NONE_MATCH) {
        matches(fields, &IF_NONE_MATCH, validators, Comparison::Weak)
    } else {
        is_after(modified, date(fields, &IF_MODIFIED_SINCE)) == Some(false)
    };
    if is_known {
        Precondition::NotModified
    } else {
        Precondition::Send
    }
}

/// Whether a part of the content is of use to the client: it has other parts of the same, or says
/// nothing of such (section 13.1.5).
///
/// A date is compared exactly, and counts only where equal times mean equal bytes.
pub(crate) fn allow_ranges(fields: &HeaderMap, validators: &Validators) -> bool {
    let mut values = fields.get_all(IF_RANGE).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) => match parse_date(value) {
            Some(date) => validators.date == Date::Strong && date == validators.modified,
            None => validators.is_strong() && value.as_bytes() == validators.tag.as_bytes(),
        },
        (Some(_), Some(_)) => false,
    }
}

/// Whether the one is after the other, if there are both.
fn is_after(one: Option<SystemTime>, other: Option<SystemTime>) -> Option<bool> {
    Some(one? > other?)
}

/// Whether a field names the entity tag, or any.
fn matches(
    fields: &HeaderMap,
    name: &HeaderName,
    validators: Option<&Validators>,
    comparison: Comparison,
) -> bool {
    let ours = validators.and_then(|validators| Tag::whole(&validators.tag));
    fields.get_all(name).iter().any(|value| {
        let value = value.as_bytes().trim_ascii();
        value == b"*"
            || Tags(value).any(|tag| ours.is_some_and(|ours| ours.equals(tag, comparison)))
    })
}

/// An entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag<'a> {
    is_weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

impl<'a> Tag<'a> {
    /// The one that this is.
    fn whole(text: &'a str) -> Option<Self> {
        let (tag, rest) = Self::first(text.as_bytes())?;
        rest.is_empty().then_some(tag)
    }

    /// The one that this begins with, and the rest.
    fn first(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
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
        let may_be = comparison == Comparison::Weak || !(self.is_weak || other.is_weak);
        may_be && self.opaque == other.opaque
    }
}

/// The tags of a list, as far as it is one.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let is_between = |byte: &u8| b", \t".contains(byte);
        let start = self.0.iter().position(|byte| !is_between(byte))?;
        let (tag, rest) = Tag::first(&self.0[start..])?;
        // What follows is another one after a comma, or the end.
        self.0 = match rest.trim_ascii_start() {
            rest @ ([] | [b',', ..]) => rest,
            _ => &[],
        };
        Some(tag)
    }
}

/// The date that a field says, if it says one and nothing else.
fn date(fields: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = fields.get_all(name).iter();
    let date = parse_date(values.next()?);
    date.filter(|_| values.next().is_none())
}

fn parse_date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::Precondition::{Failed, NotModified, Send};
    use super::*;

    const BEFORE: &str = "Wed, 25 Nov 2026 10:00:00 GMT";
    const THEN: &str = "Wed, 25 Nov 2026 10:00:01 GMT";
    const AFTER: &str = "Wed, 25 Nov 2026 10:00:02 GMT";

    fn validators(tag: &str) -> Validators {
        Validators {
            tag: tag.to_owned(),
            modified: httpdate::parse_http_date(THEN).expect("it is a date"),
            date: Date::Weak,
        }
    }

    fn fields(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let value = |value: &str| HeaderValue::from_str(value).expect("test values are valid");
        lines
            .iter()
            .map(|(name, text)| (name.clone(), value(text)))
            .collect()
    }

    #[track_caller]
    fn check(tag: &str, lines: &[(HeaderName, &str)], expected: Precondition) {
        let outcome = evaluate(&fields(lines), Some(&validators(tag)));
        assert_eq!(outcome, expected, "{tag} {lines:?}");
    }

    #[test]
    fn each_condition_by_itself() {
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
    fn weak_tags_are_enough_to_keep_what_there_is_and_no_more() {
        check("W/\"a\"", &[(IF_NONE_MATCH, "\"a\"")], NotModified);
        check("\"a\"", &[(IF_NONE_MATCH, "W/\"a\"")], NotModified);
        check("W/\"a\"", &[(IF_MATCH, "W/\"a\"")], Failed);
        check("W/\"a\"", &[(IF_MATCH, "\"a\"")], Failed);
        check("\"a\"", &[(IF_MATCH, "W/\"a\"")], Failed);
        check("W/\"a\"", &[(IF_MATCH, "*")], Send);
        check("\"a\"", &[(IF_NONE_MATCH, "w/\"a\"")], Send);
    }

    #[test]
    fn tags_go_before_dates_and_failure_before_what_is_known() {
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
    fn ranges_are_of_what_the_client_has_parts_of() {
        #[track_caller]
        fn check(tag: &str, value: &str, expected: bool) {
            let allowed = allow_ranges(&fields(&[(IF_RANGE, value)]), &validators(tag));
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
            let allowed = allow_ranges(&fields(&[(IF_RANGE, date)]), &strong);
            assert_eq!(allowed, expected, "{date}");
        }
        assert!(allow_ranges(&HeaderMap::new(), &validators("W/\"a\"")));
        let twice = fields(&[(IF_RANGE, "\"a\""), (IF_RANGE, "\"a\"")]);
        assert!(!allow_ranges(&twice, &validators("\"a\"")));
    }

    #[test]
    fn what_has_no_validators_is_there_and_no_more_is_known_of_it() {
        for (name, value, expected) in [
            (IF_MATCH, "*", Send),
            (IF_MATCH, "\"a\"", Failed),
            (IF_NONE_MATCH, "*", NotModified),
            (IF_NONE_MATCH, "\"a\"", Send),
            (IF_MODIFIED_SINCE, AFTER, Send),
            (IF_UNMODIFIED_SINCE, BEFORE, Send),
        ] {
            let outcome = evaluate(&fields(&[(name.clone(), value)]), None);
            assert_eq!(outcome, expected, "{name} {value}");
        }
    }

    #[test]
    fn a_date_before_all_time_is_one() {
        let epoch = Validators {
            tag: "\"a\"".to_owned(),
            modified: UNIX_EPOCH + Duration::ZERO,
            date: Date::Weak,
        };
        let since = fields(&[(IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:00 GMT")]);
        assert_eq!(evaluate(&since, Some(&epoch)), NotModified);
    }
}
