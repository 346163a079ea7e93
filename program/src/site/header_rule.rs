//! A header of `--header`.

use std::str::FromStr;

use httpool::http::{HeaderName, HeaderValue};
use httpool::layers::SetHeaders;

/// A header for responses, for example `X-Robots-Tag: noindex` or `/assets/ Cache-Control: no-cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderRule {
    /// The beginning of the paths that it is for; empty for all.
    prefix: String,
    name: HeaderName,
    /// `None` removes the header.
    value: Option<HeaderValue>,
}

impl HeaderRule {
    /// Adds this rule to the layer.
    pub(super) fn add(&self, layer: SetHeaders) -> SetHeaders {
        match &self.value {
            Some(value) => layer.set_under(&self.prefix, self.name.clone(), value.clone()),
            None => layer.remove_under(&self.prefix, self.name.clone()),
        }
    }
}

impl FromStr for HeaderRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (prefix, line) = match text.starts_with('/') {
            true => text.split_once(' ').ok_or_else(not_a_rule)?,
            false => ("", text),
        };
        let (name, value) = line.trim_start().split_once(':').ok_or_else(not_a_rule)?;
        let parsed: HeaderName = name
            .parse()
            .map_err(|_| format!("{name:?} is not the name of a header"))?;
        if !SetHeaders::can_set(&parsed) {
            return Err(format!("the server sets {name} itself"));
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            name: parsed,
            value: parse_value(value.trim_matches([' ', '\t']))?,
        })
    }
}

/// An empty value removes the header.
fn parse_value(text: &str) -> Result<Option<HeaderValue>, String> {
    if text.contains(['\r', '\n']) {
        return Err("the value has a line break".into());
    }
    let is_printable = |byte| matches!(byte, b'\t' | b' '..=b'~');
    match HeaderValue::from_str(text) {
        Ok(value) if text.bytes().all(is_printable) => Ok((!text.is_empty()).then_some(value)),
        _ => Err("the value has characters other than printable ASCII".into()),
    }
}

fn not_a_rule() -> String {
    "not a header: write 'Name: value', or '/prefix/ Name: value' for a part of the paths".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, prefix: &str, name: &str, value: Option<&str>) {
        let rule = text.parse::<HeaderRule>().expect("it is a rule");
        let found = rule
            .value
            .as_ref()
            .map(|value| value.to_str().expect("ASCII"));
        let expected = (prefix, name, value);
        assert_eq!(
            (&*rule.prefix, rule.name.as_str(), found),
            expected,
            "{text}"
        );
    }

    #[test]
    fn rule_is_a_header_with_or_without_a_prefix() {
        check("X-A: b", "", "x-a", Some("b"));
        check("X-A:b: c", "", "x-a", Some("b: c"));
        check("X-A: \t b c ", "", "x-a", Some("b c"));
        check("/a/ X-A: b", "/a/", "x-a", Some("b"));
        check("/a%20b/  X-A: b", "/a%20b/", "x-a", Some("b"));
        check("Server:", "", "server", None);
        check("/a Server: ", "/a", "server", None);
    }

    #[test]
    fn wrong_rule_has_a_reason() {
        for (text, reason) in [
            ("", "not a header"),
            ("X-A", "not a header"),
            ("/a/", "not a header"),
            // The path is `/a/X-A:`, and `b` is no header.
            ("/a/X-A: b", "not a header"),
            (": b", "\"\" is not the name"),
            ("X A: b", "\"X A\" is not the name"),
            ("X-A\r\nX-B: c", "is not the name"),
            ("X-A: b\r\nX-B: c", "line break"),
            ("X-A: b\n", "line break"),
            ("X-A: \r", "line break"),
            ("X-A: b\0", "printable ASCII"),
            ("X-A: é", "printable ASCII"),
            ("Content-Length: 3", "the server sets Content-Length itself"),
            (
                "/a Transfer-Encoding:",
                "the server sets Transfer-Encoding itself",
            ),
            ("connection: close", "the server sets connection itself"),
        ] {
            let error = text.parse::<HeaderRule>().expect_err("it is no rule");
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
