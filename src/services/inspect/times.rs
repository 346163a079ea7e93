//! Times as people write them, in the grammar of the program's flags: `500ms`, `1.5s`, `1m30s`.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::macros::format_description;

/// Longer than any use, and so short that adding it to an instant can't overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest text of a time. `humantime` panics at the end of its range, which needs more.
const LONGEST_TEXT: usize = 24;

/// Parses a time with its unit.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    // Zero is the same in every unit.
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if is_decimal(text) {
        return Err(format!(
            "{text:?} has no unit: write {text}s for seconds, {text}ms for milliseconds"
        ));
    }
    let parsed = match text.len() {
        0..=LONGEST_TEXT => humantime::parse_duration(text).ok(),
        _ => None,
    };
    match parsed {
        Some(time) if time <= LONGEST => Ok(time),
        Some(_) => Err(format!("{text:?} is longer than a day")),
        None => Err(format!(
            "{text:?} is not a time: write 100ms, 1.5s or 1m30s, for example"
        )),
    }
}

/// Parses a time of at most `longest`, in which a number alone counts seconds, as in httpbin's paths.
pub(super) fn parse_seconds(text: &str, longest: Duration) -> Result<Duration, String> {
    let time = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds)
            .map_err(|_| format!("{text:?} is not a time: write 1.5 or 500ms, for example"))?,
        Err(_) => parse(text)?,
    };
    check(time, longest)?;
    Ok(time)
}

/// Rejects a time above `longest`.
pub(super) fn check(time: Duration, longest: Duration) -> Result<(), String> {
    match time <= longest {
        true => Ok(()),
        false => Err(format!(
            "{} is more than {}, the longest time that is allowed",
            write(time),
            write(longest)
        )),
    }
}

/// Writes a time so that [`parse`] reads it.
pub(super) fn write(time: Duration) -> String {
    humantime::format_duration(time)
        .to_string()
        .replace(' ', "")
}

/// A decimal number without a sign or an exponent.
fn is_decimal(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    !text.is_empty() && text.bytes().all(is_digit)
}

/// A moment as RFC 3339 has it, in UTC and with milliseconds.
pub(super) fn timestamp(moment: SystemTime) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    // Formatting fails for years of five digits only.
    let text = OffsetDateTime::from(moment).format(format);
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn times_need_a_unit() {
        for (text, micros) in [
            ("100ms", 100_000),
            ("1.5s", 1_500_000),
            ("2m", 120_000_000),
            ("1m30s", 90_000_000),
            ("250us", 250),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "s", "-1s", "1e3s", "1.2.3s", "infs", "1parsec", "\0"] {
            let error = parse(text).expect_err("it is not a time");
            assert!(error.contains("write 100ms, 1.5s or 1m30s"), "{error}");
        }
        let error = parse("5").expect_err("it has no unit");
        assert!(error.ends_with("write 5s for seconds, 5ms for milliseconds"));
        let error = parse("25h").expect_err("it is too long");
        assert_eq!(error, "\"25h\" is longer than a day");
        assert!(parse("18446744073709551615s1000ms").is_err());
    }

    #[test]
    fn number_alone_counts_seconds_in_paths() {
        for (text, millis) in [
            ("0", 0),
            ("1.5", 1500),
            ("1.5s", 1500),
            ("20ms", 20),
            ("1m", 60_000),
            ("6e1", 60_000),
        ] {
            let expected = Ok(Duration::from_millis(millis));
            assert_eq!(parse_seconds(text, MINUTE), expected, "{text}");
        }
        for text in [
            "", "s", "ms", "x", "-1", "NaN", "inf", "-0.1s", "1e400", "60.1", "2m", "1h", "\0",
        ] {
            assert!(parse_seconds(text, MINUTE).is_err(), "{text}");
        }
        let error = parse_seconds("61", MINUTE).expect_err("it is too long");
        assert_eq!(
            error,
            "1m1s is more than 1m, the longest time that is allowed"
        );
    }

    #[test]
    fn moments_have_milliseconds() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(timestamp(epoch), "1970-01-01T00:00:00.000Z");
        let later = epoch + Duration::from_micros(1_234_567);
        assert_eq!(timestamp(later), "1970-01-01T00:00:01.234Z");
    }

    proptest! {
        #[test]
        fn written_times_are_parsed(nanos in 0..=24 * 3600 * 1_000_000_000_u64) {
            let time = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&write(time)), Ok(time), "{}", write(time));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "[0-9]{0,20}[a-z]{0,2}[0-9]{0,9}[a-z]{0,2}|.{0,30}") {
            let _ = (parse(&text), parse_seconds(&text, MINUTE));
        }
    }
}
