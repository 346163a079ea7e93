//! Parameters of `Content-Type` and `Content-Disposition`.

use std::borrow::Cow;

/// The value of a parameter as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'v> {
    /// Without quotes.
    Plain(&'v [u8]),
    /// Between quotes, with its escapes.
    Quoted(&'v [u8]),
}

/// The text before the parameters, and the bytes of the parameters.
pub(super) fn split(value: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    (value[..end].trim_ascii(), &value[end..])
}

/// The value of the parameter with this name in lower case. `Err` if the parameters are malformed or
/// it is repeated.
pub(super) fn find<'v>(parameters: &'v [u8], name: &str) -> Result<Option<Value<'v>>, ()> {
    let mut found = None;
    let mut rest = parameters;
    while let Some((other, value, after)) = next(rest)? {
        if other.eq_ignore_ascii_case(name.as_bytes()) && found.replace(value).is_some() {
            return Err(());
        }
        rest = after;
    }
    Ok(found)
}

/// The first parameter, and what follows it. Empty parameters are skipped.
#[allow(clippy::type_complexity, reason = "each has a name where it is used")]
fn next(mut rest: &[u8]) -> Result<Option<(&[u8], Value<'_>, &[u8])>, ()> {
    loop {
        rest = rest.trim_ascii_start();
        match rest {
            [] => return Ok(None),
            [b';', after @ ..] => rest = after,
            _ => break,
        }
    }
    let equals = memchr::memchr2(b'=', b';', rest).ok_or(())?;
    let (name, value) = (&rest[..equals], rest[equals..].strip_prefix(b"="));
    let (value, after) = value_of(value.ok_or(())?)?;
    let after = after.trim_ascii_start();
    match after {
        [] | [b';', ..] if !name.is_empty() => Ok(Some((name.trim_ascii_end(), value, after))),
        _ => Err(()),
    }
}

fn value_of(text: &[u8]) -> Result<(Value<'_>, &[u8]), ()> {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        let end = quoted_end(quoted).ok_or(())?;
        return Ok((Value::Quoted(&quoted[..end]), &quoted[end + 1..]));
    }
    let is_end = |byte: &u8| matches!(byte, b';' | b' ' | b'\t');
    let end = text.iter().position(is_end).unwrap_or(text.len());
    let (value, after) = text.split_at(end);
    match value.is_empty() || value.contains(&b'"') {
        true => Err(()),
        false => Ok((Value::Plain(value), after)),
    }
}

/// The position of the closing quote. Browsers do not escape a backslash, so one before the last quote
/// of a header is a part of the text: as an escape it would leave the text without an end.
fn quoted_end(quoted: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &quoted[at..])?;
        match (quoted[at], quoted.get(at + 1)) {
            (b'"', _) => return Some(at),
            (_, Some(b'"')) if quoted[at + 2..].trim_ascii().is_empty() => return Some(at + 1),
            (_, Some(b'"' | b'\\')) => at += 2,
            _ => at += 1,
        }
    }
}

impl<'v> Value<'v> {
    /// The bytes, without escapes by backslashes.
    pub(super) fn unescape(self) -> Cow<'v, [u8]> {
        let quoted = match self {
            Self::Quoted(quoted) if quoted.contains(&b'\\') => quoted,
            Self::Plain(bytes) | Self::Quoted(bytes) => return bytes.into(),
        };
        let mut bytes = Vec::with_capacity(quoted.len());
        let mut rest = quoted;
        while let Some((first, after)) = rest.split_first() {
            rest = match (first, after) {
                (b'\\', [next @ (b'"' | b'\\'), after @ ..]) => {
                    bytes.push(*next);
                    after
                }
                _ => {
                    bytes.push(*first);
                    after
                }
            };
        }
        bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parameters: &str, expected: Result<Option<&str>, ()>) {
        let found = find(parameters.as_bytes(), "name");
        let found = found.map(|value| value.map(|value| value.unescape().into_owned()));
        let expected = expected.map(|value| value.map(|value| value.as_bytes().to_vec()));
        assert_eq!(found, expected, "{parameters}");
    }

    #[test]
    fn values_are_plain_or_quoted() {
        check("", Ok(None));
        check("; other=a", Ok(None));
        check(";name=a", Ok(Some("a")));
        check("; other=b ; NAME=a ;", Ok(Some("a")));
        check(";;name=\"a\"", Ok(Some("a")));
        check("; name=\"\"", Ok(Some("")));
        check("; name=\"a; other=b\"; x=y", Ok(Some("a; other=b")));
        check("; xname=a; name=b", Ok(Some("b")));
    }

    #[test]
    fn backslashes_escape_quotes_and_themselves() {
        check(r#"; name="a\"b\\c\d""#, Ok(Some(r#"a"b\c\d"#)));
        check(r#"; name="C:\me\a.txt""#, Ok(Some(r"C:\me\a.txt")));
        check(r#"; name="a\""#, Ok(Some(r"a\")));
        check(r#"; name="a\" "#, Ok(Some(r"a\")));
        check(r#"; name="a\"; x="y""#, Err(()));
        check(r#"; name="a\\""#, Ok(Some(r"a\")));
        check(r#"; name="\""#, Ok(Some(r"\")));
    }

    #[test]
    fn malformed_parameters_are_errors() {
        for parameters in [
            "; name",
            "; name; x=y",
            "; =a",
            "; name=",
            "; name=a b",
            "; name=a\"b",
            "; name=\"a",
            "; name=\"a\"b",
            "; name=a; name=a",
            "; name=a; Name=\"b\"",
            "; name=a; x",
        ] {
            check(parameters, Err(()));
        }
    }
}
