//! The body of a request, as the document shows it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::fields::{Field, hexadecimal};
use crate::services::inspect::captured::Captured;

/// A body. It is shown whole: as text if it is UTF-8, and in base64 otherwise.
#[derive(Debug, Serialize)]
pub(super) struct Content {
    /// In bytes, after the chunked coding was removed.
    length: usize,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// The JSON value as it was written, if the text is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
    /// The pairs of a form, decoded, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<Vec<Field>>,
}

impl Content {
    pub(super) fn of(captured: &Captured) -> Self {
        let body = &captured.body;
        let text = str::from_utf8(body).ok();
        let is_form = media_type(captured)
            .is_some_and(|media_type| media_type == "application/x-www-form-urlencoded");
        Self {
            length: body.len(),
            sha256: hexadecimal(&Sha256::digest(body)),
            text: text.map(str::to_owned),
            base64: text.is_none().then(|| STANDARD.encode(body)),
            json: text.filter(|_| !is_form).and_then(json),
            form: is_form.then(|| Field::pairs(body)),
        }
    }
}

/// The media type of the body in lower case, without parameters.
fn media_type(captured: &Captured) -> Option<String> {
    let value = captured.header("content-type")?;
    let essence = value.split(|byte| *byte == b';').next()?.trim_ascii();
    Some(String::from_utf8_lossy(essence).to_ascii_lowercase())
}

/// JSON that is kept to the letter, so that numbers, repeated names and their order stay.
fn json(text: &str) -> Option<Box<RawValue>> {
    serde_json::from_str(text).ok()
}

/// A body for people: its text, or the length and the hash of other bytes.
pub(super) struct Summary<'b>(&'b [u8]);

impl<'b> Summary<'b> {
    pub(super) fn of(body: &'b [u8]) -> Self {
        Self(body)
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match str::from_utf8(self.0) {
            Ok(text) => f.write_str(text),
            Err(_) => {
                let (length, sum) = (self.0.len(), hexadecimal(&Sha256::digest(self.0)));
                write!(f, "{length} bytes that are not text\nSHA-256 {sum}")
            }
        }
    }
}
