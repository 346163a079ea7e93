//! Names, values and digits, as a document shows them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::services::inspect::pairs::pairs;

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
        pairs(encoded)
            .map(|(name, value)| Self::new(&name, &value))
            .collect()
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
    fn bytes_that_are_not_text_are_kept() {
        let pairs = Field::pairs(b"a=x+y&e=%ff");
        assert_eq!((&*pairs[0].name, &*pairs[0].value), ("a", "x y"));
        assert_eq!(pairs[0].value_base64, None);
        assert_eq!(pairs[1].value, "\u{fffd}");
        assert_eq!(pairs[1].value_base64.as_deref(), Some("/w=="));
    }

    #[test]
    fn digits_are_written_as_usual() {
        assert_eq!(hexadecimal(b"\x00\xa9\xff"), "00a9ff");
    }
}
