//! A request as JSON, for the page and for exports.

use std::iter;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::services::inspect::captured::microseconds;
use crate::services::inspect::history::entry::{Entry, Outcome, Shown, text};
use crate::services::inspect::masking::{Secrets, is_secret, mask};
use crate::services::inspect::pairs::pairs as decoded_pairs;
use crate::services::inspect::times::timestamp;

/// The start of an export.
pub(crate) const START: &str = "[\n";
pub(crate) const END: &str = "\n]\n";

/// All that is known of a request.
pub(crate) fn request(shown: &Shown, secrets: Secrets) -> Value {
    let entry = &shown.entry;
    json!({
        "id": entry.id,
        "received": timestamp(entry.captured.received),
        "method": entry.captured.method(),
        "target": entry.captured.target(),
        "version": entry.captured.version(),
        "client": entry.captured.connection.client,
        "head": head(entry, secrets),
        "headers": fields(entry.captured.header_lines(), secrets),
        "query": pairs(entry.captured.query().as_bytes()),
        "form": form(entry),
        "chunks": chunks(entry),
        "trailers": trailers(entry, secrets),
        "body": body(entry),
        "connection": *entry.captured.connection,
        "times": entry.captured.times,
        "response": response(&shown.outcome),
    })
}

/// The head as sent, except for the values of secret headers.
pub(crate) fn head(entry: &Entry, secrets: Secrets) -> String {
    let head = entry.captured.raw.head();
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    // A target may look like a secret header: `/token?from=http://localhost`.
    let request_line = text(lines.next().unwrap_or_default());
    let headers = lines.map(|line| header_line(line, secrets));
    iter::once(request_line).chain(headers).collect()
}

fn header_line(line: &[u8], secrets: Secrets) -> String {
    let colon = line.iter().position(|byte| *byte == b':');
    match colon.map(|colon| line.split_at(colon)) {
        Some((name, rest)) if secrets == Secrets::Masked && is_secret(name) => {
            format!("{}: {}\r\n", text(name), mask(name, rest[1..].trim_ascii()))
        }
        _ => text(line),
    }
}

/// The value to show, and whether it is masked.
pub(crate) fn value(name: &[u8], value: &[u8], secrets: Secrets) -> (String, bool) {
    match secrets {
        Secrets::Masked if is_secret(name) => (mask(name, value), true),
        Secrets::Masked | Secrets::Shown => (text(value), false),
    }
}

fn fields<'a>(lines: impl Iterator<Item = (&'a [u8], &'a [u8])>, secrets: Secrets) -> Vec<Value> {
    let field = |(name, bytes)| {
        let (value, masked) = value(name, bytes, secrets);
        json!({ "name": text(name), "value": value, "masked": masked })
    };
    lines.map(field).collect()
}

/// The pairs of a query or a form, in their order.
pub(crate) fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    let pairs = decoded_pairs(encoded);
    pairs
        .map(|(name, value)| (text(&name), text(&value)))
        .collect()
}

/// The media type of the body without parameters, in lower case.
pub(crate) fn media_type(entry: &Entry) -> String {
    let value = text(entry.captured.header("content-type").unwrap_or_default());
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// The fields of a form, if the body is one.
pub(crate) fn form(entry: &Entry) -> Option<Vec<(String, String)>> {
    let is_form = media_type(entry) == "application/x-www-form-urlencoded";
    (is_form && !entry.is_truncated()).then(|| pairs(&entry.captured.body))
}

fn chunks(entry: &Entry) -> Vec<String> {
    let chunks = entry.captured.raw.chunks();
    chunks.map(|chunk| text(chunk.line)).collect()
}

fn trailers(entry: &Entry, secrets: Secrets) -> Vec<Value> {
    fields(entry.captured.raw.trailer_lines(), secrets)
}

/// The body as text if it is that, otherwise in base64.
fn body(entry: &Entry) -> Value {
    let body = &entry.captured.body[..];
    let (kind, content) = match readable(entry) {
        Some(text) => ("text", text.to_owned()),
        None => ("base64", STANDARD.encode(body)),
    };
    json!({
        "length": entry.body_length,
        "kept": body.len(),
        "type": media_type(entry),
        "encoding": kind,
        "content": content,
    })
}

/// The body as text, if it is that. A part that ends within a character counts as text without it.
pub(crate) fn readable(entry: &Entry) -> Option<&str> {
    let body = &entry.captured.body[..];
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) if entry.is_truncated() && error.error_len().is_none() => {
            std::str::from_utf8(&body[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_binary =
        |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    (!text.contains(is_binary)).then_some(text)
}

/// `null` until there is an outcome.
fn response(outcome: &Outcome) -> Value {
    let mut response = match outcome {
        Outcome::Open => return Value::Null,
        _ => json!({ "outcome": outcome.as_str(), "us": outcome.after().map(microseconds) }),
    };
    if let Some(status) = outcome.status() {
        response["status"] = status.as_u16().into();
        response["reason"] = status.canonical_reason().into();
        response["length"] = outcome.length().into();
    }
    if let Some(faults) = outcome.faults() {
        response["faults"] = faults.into();
    }
    if let Some(reason) = outcome.rejected() {
        response["rejected"] = reason.into();
    }
    response
}
