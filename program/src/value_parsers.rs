//! Parsers of flag values: sizes, times, numbers within a range, and others.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use httpool::http::HeaderValue;
use httpool::layers::Cors;

/// A number of bytes, for example `65536`, `64KiB` or `10MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

/// A time, for example `30s`, `100ms` or `1m30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// A year as `humantime` reads `1y`, which is a little longer than 365 days.
const YEAR: Duration = Duration::from_secs(31_557_600);

/// The longest time accepted. It is longer than any use, and so short that adding it to an instant
/// can't overflow.
const LONGEST: Duration = YEAR;

/// The longest max-age of `Strict-Transport-Security`.
const LONGEST_POLICY: Duration = Duration::from_secs(10 * YEAR.as_secs());

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size: ByteSize = text
            .parse()
            .map_err(|_| "not a size: write 65536, 64KiB or 10MiB, for example")?;
        // `bytesize` turns sizes that are too large into the largest number.
        match isize::try_from(size.as_u64()) {
            Ok(bytes) => Ok(Self(bytes.unsigned_abs())),
            Err(_) => Err("more than this machine can address".into()),
        }
    }
}

/// Uses the largest unit without a fraction, so that the text is exact.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(usize, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let Self(bytes) = *self;
        match UNITS
            .iter()
            .find(|(unit, _)| bytes > 0 && bytes % unit == 0)
        {
            Some((unit, name)) => write!(f, "{}{name}", bytes / unit),
            None => write!(f, "{bytes}B"),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::parse(text)? {
            Self(span) if span > LONGEST => Err("longer than one year".into()),
            span => Ok(span),
        }
    }
}

impl Span {
    /// Parses a time of any length.
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // Zero is the same in every unit; any other number needs one.
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        if !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
        {
            return Err(format!(
                "no unit: write {text}s for seconds, {text}ms for milliseconds"
            ));
        }
        let span = humantime::parse_duration(text)
            .map_err(|_| "not a time: write 500ms, 30s or 1m30s, for example")?;
        Ok(Self(span))
    }
}

/// Parses the max-age of `Strict-Transport-Security`, which is often years.
pub(crate) fn policy(text: &str) -> Result<Span, String> {
    match Span::parse(text)? {
        Span(span) if span > LONGEST_POLICY => Err("longer than ten years".into()),
        span => Ok(span),
    }
}

/// Has no spaces, so that it can be pasted into a command line.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = humantime::format_duration(self.0).to_string();
        f.write_str(&text.replace(' ', ""))
    }
}

/// Parses a size of at least `least`.
pub(crate) fn size_from(least: usize) -> impl Fn(&str) -> Result<Size, String> + Clone {
    move |text| match text.parse()? {
        size @ Size(bytes) if bytes >= least => Ok(size),
        _ => Err(format!("too small: at least {} is required", Size(least))),
    }
}

/// Parses a window of HTTP/2. The largest is a byte smaller than 2 GiB (RFC 9113 section 6.9.1).
pub(crate) fn window(text: &str) -> Result<Size, String> {
    match size_from(64 * 1024)(text)? {
        Size(bytes) if bytes >= 1 << 31 => Err("too large: it must be less than 2GiB".into()),
        size => Ok(size),
    }
}

/// Parses a timeout. Zero is rejected, because some programs read it as "never" and others as "at
/// once".
pub(crate) fn limit(text: &str) -> Result<Span, String> {
    match text.parse()? {
        Span(Duration::ZERO) => Err("must be greater than zero".into()),
        span => Ok(span),
    }
}

/// Parses a whole number within `range`.
pub(crate) fn count(
    range: RangeInclusive<usize>,
) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "not a whole number from {} to {}",
            range.start(),
            range.end()
        )),
    }
}

/// Parses a port. With port 0 the system chooses one.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| "not a number from 0 to 65535".to_owned())
}

/// Parses the seed of random numbers.
pub(crate) fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("not a seed: write a whole number from 0 to {}", u64::MAX))
}

/// Parses the prefix of a path.
pub(crate) fn path_prefix(text: &str) -> Result<String, String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("not a path prefix: it starts with a slash, for example /assets/".into()),
    }
}

/// Parses an origin, or `*` for all.
pub(crate) fn origin(text: &str) -> Result<String, String> {
    match text == "*" || Cors::is_origin(text) {
        true => Ok(text.to_owned()),
        false => Err(
            "not an origin: write it as browsers do, for example https://shop.example or \
                      http://localhost:3000, or * for all"
                .into(),
        ),
    }
}

/// Parses the name of an index file, or `none`.
pub(crate) fn index_name(text: &str) -> Result<String, String> {
    match text {
        "" | "." | ".." => Err("not the name of a file".into()),
        _ if text.contains('/') => {
            Err("not a single file name: it has a slash, and each folder has its own index".into())
        }
        _ => Ok(text.to_owned()),
    }
}

/// Parses an extension and its media type, for example `ts=text/plain`.
pub(crate) fn media_type(text: &str) -> Result<(String, HeaderValue), String> {
    let error = || "not EXT=TYPE, for example ts=text/plain".to_owned();
    let (extension, media_type) = text.split_once('=').ok_or_else(error)?;
    let extension = extension.strip_prefix('.').unwrap_or(extension);
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let is_type = essence
        .split_once('/')
        .is_some_and(|(kind, name)| is_token(kind) && is_token(name));
    if extension.is_empty() || extension.contains(['.', '/']) || !is_type {
        return Err(error());
    }
    let value = HeaderValue::from_str(media_type).map_err(|_| error())?;
    Ok((extension.to_owned(), value))
}

/// A secret that can't be guessed. It is in addresses and headers, so it is printable ASCII.
pub(crate) fn secret(text: &str) -> Result<String, String> {
    const SHORTEST: usize = 16;
    if text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "not {SHORTEST} or more letters, digits and signs: openssl rand -hex 16 makes one"
        ));
    }
    Ok(text.to_owned())
}

/// Whether this is a token (RFC 9110 section 5.6.2).
fn is_token(text: &str) -> bool {
    let is_in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_in_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_none() {
        #[track_caller]
        fn check(text: &str, bytes: usize) {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        check("0", 0);
        check("65536", 65_536);
        check("64KiB", 65_536);
        check("64 kib", 65_536);
        check("10MB", 10_000_000);
        check("1.5MiB", 1_572_864);
    }

    #[test]
    fn wrong_sizes_are_errors_with_an_example() {
        #[track_caller]
        fn check(text: &str, part: &str) {
            let error = text.parse::<Size>().expect_err("the text is not a size");
            assert!(error.contains(part), "{text}: {error}");
        }
        for text in ["", "MiB", "10Q", "-1", "1e9", "inf", "1.2.3KiB"] {
            check(text, "not a size");
        }
        check("99999999EiB", "address");
        assert!(size_from(256)("255").is_err_and(|error| error.contains("256B")));
        assert_eq!(size_from(256)("256"), Ok(Size(256)));
        assert!(window("1KiB").is_err_and(|error| error.contains("64KiB")));
        assert!(window("2GiB").is_err_and(|error| error.contains("2GiB")));
        assert_eq!(window("1MiB"), Ok(Size(1 << 20)));
    }

    #[test]
    fn times_need_a_unit_unless_zero() {
        #[track_caller]
        fn check(text: &str, millis: u64) {
            assert_eq!(
                text.parse(),
                Ok(Span(Duration::from_millis(millis))),
                "{text}"
            );
        }
        check("0", 0);
        check("0s", 0);
        check("100ms", 100);
        check("30s", 30_000);
        check("1m30s", 90_000);
        check("1m 30s", 90_000);
        check(" 2min ", 120_000);
        let error = "30".parse::<Span>().expect_err("a number without a unit");
        assert!(error.contains("30s"), "{error}");
        for text in [
            "",
            "soon",
            "-1s",
            "10 parsecs",
            "400days",
            "99999999999999999999s",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert_eq!("1y".parse(), Ok(Span(YEAR)));
        assert_eq!(policy("10y"), Ok(Span(LONGEST_POLICY)));
        assert!(policy("11y").is_err_and(|error| error.contains("ten years")));
        assert!(limit("0ms").is_err());
        assert!(limit("1ms").is_ok());
    }

    #[test]
    fn displayed_values_parse_to_the_same() {
        for bytes in [
            0,
            1,
            1023,
            1024,
            16 * 1024,
            10 << 20,
            3 << 30,
            (1 << 20) + 1,
        ] {
            assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }
        for millis in [0, 1, 100, 10_000, 75_000, 3_600_000] {
            let span = Span(Duration::from_millis(millis));
            assert_eq!(span.to_string().parse(), Ok(span));
        }
    }

    #[test]
    fn seeds_are_whole_numbers() {
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        for text in ["", "x", "-1", "1.5", "18446744073709551616"] {
            assert!(seed(text).is_err_and(|error| error.contains("from 0 to 1844")));
        }
    }

    #[test]
    fn index_files_are_single_names() {
        assert_eq!(index_name("index.htm").as_deref(), Ok("index.htm"));
        for text in ["", ".", "..", "a/index.html", "/index.html", "index.html/"] {
            assert!(index_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_stay_in_their_range() {
        let workers = count(1..=4096);
        assert_eq!(workers("4096"), Ok(4096));
        for text in ["0", "4097", "-1", "two", "", "1.0"] {
            assert!(
                workers(text).is_err_and(|error| error.contains("1 to 4096")),
                "{text}"
            );
        }
    }
}
