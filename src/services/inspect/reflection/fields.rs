//! Names, values, times and digits, as a document shows them.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most pairs of a query or a form that are shown. The text of the body has all of them.
const MOST_PAIRS: usize = 1000;

/// A name with a value. If one is not UTF-8, its text has U+FFFD in place of the invalid bytes, and all
/// bytes are in base64 beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    name_base64: Option<String>,
    pub(super) value: String,
    value_base64: Option<String>,
}

/// An object on one line, because people read these in lists.
impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = [
            ("name", Some(&self.name)),
            ("name_base64", self.name_base64.as_ref()),
            ("value", Some(&self.value)),
            ("value_base64", self.value_base64.as_ref()),
        ];
        let members = members.into_iter().filter_map(|(name, value)| {
            let value = serde_json::to_string(value?).ok()?;
            Some(format!("\"{name}\": {value}"))
        });
        let object = format!("{{{}}}", members.collect::<Vec<_>>().join(", "));
        let object = RawValue::from_string(object).map_err(S::Error::custom)?;
        object.serialize(serializer)
    }
}

impl Field {
    pub(super) fn new(name: &[u8], value: &[u8]) -> Self {
        let (name, name_base64) = lossless(name);
        let (value, value_base64) = lossless(value);
        Self {
            name,
            name_base64,
            value,
            value_base64,
        }
    }

    /// The pairs of a query or a form (`application/x-www-form-urlencoded`), decoded, in their order.
    pub(super) fn pairs(encoded: &[u8]) -> Vec<Self> {
        let pairs = first_pairs(encoded).split(|byte| *byte == b'&');
        pairs
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let mut parts = pair.splitn(2, |byte| *byte == b'=').map(decode);
                let name = parts.next().unwrap_or_default();
                Self::new(&name, &parts.next().unwrap_or_default())
            })
            .collect()
    }
}

/// The part of a form that is shown as pairs. A pair takes a hundred times the memory of its two bytes.
pub(in super::super) fn first_pairs(encoded: &[u8]) -> &[u8] {
    let mut ends = memchr::memchr_iter(b'&', encoded);
    match ends.nth(MOST_PAIRS - 1) {
        Some(end) => &encoded[..end],
        None => encoded,
    }
}

/// The text of these bytes, and the bytes in base64 if the text has lost some.
fn lossless(bytes: &[u8]) -> (String, Option<String>) {
    match str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (
            String::from_utf8_lossy(bytes).into_owned(),
            Some(STANDARD.encode(bytes)),
        ),
    }
}

fn decode(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = encoded
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).collect()
}

/// The time in the format of RFC 3339, in UTC and with milliseconds.
pub(in super::super) fn timestamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let millisecond = time.replace_millisecond(time.millisecond());
    // Formatting fails for years of five digits only.
    millisecond
        .unwrap_or(time)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// The bytes in hexadecimal digits.
pub(in super::super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .map(|digit| char::from(DIGITS[usize::from(digit)]));
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_order_repeats_and_bytes() {
        let pairs = Field::pairs(b"b=1&a=x+y%20z&b=&c&=d&&e=%ff&f=1=2");
        let found: Vec<_> = pairs
            .iter()
            .map(|pair| (pair.name.as_str(), pair.value.as_str()))
            .collect();
        let expected = [
            ("b", "1"),
            ("a", "x y z"),
            ("b", ""),
            ("c", ""),
            ("", "d"),
            ("e", "\u{fffd}"),
            ("f", "1=2"),
        ];
        assert_eq!(found, expected);
        assert_eq!(pairs[5].value_base64.as_deref(), Some("/w=="));
        assert_eq!(pairs[0].value_base64, None);
    }

    #[test]
    fn first_thousand_pairs_are_shown() {
        assert_eq!(Field::pairs(&b"a&".repeat(100_000)).len(), MOST_PAIRS);
        let exact = b"a&".repeat(MOST_PAIRS);
        assert_eq!(
            first_pairs(&exact[..exact.len() - 1]).len(),
            exact.len() - 1
        );
        assert_eq!(first_pairs(b"a=1"), b"a=1");
    }

    #[test]
    fn digits_and_times_are_written_as_usual() {
        assert_eq!(hexadecimal(b"\x00\xa9\xff"), "00a9ff");
        assert_eq!(timestamp(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
