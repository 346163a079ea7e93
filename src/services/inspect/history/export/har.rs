//! Requests as an HTTP Archive 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode;
use serde_json::{Value, json};

use super::json::{form, media_type, pairs, readable, value};
use crate::services::inspect::history::entry::{Entry, Outcome, Shown, text};
use crate::services::inspect::masking::Secrets;
use crate::services::inspect::pairs::are_all_read;
use crate::services::inspect::times::timestamp;

/// The start of an archive, up to its first entry.
pub(crate) fn start() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{{\"log\":{{\"version\":\"1.2\",\"creator\":{{\"name\":\"httpool\",\"version\":\"{version}\"}},\
         \"entries\":[\n"
    )
}

pub(crate) const END: &str = "\n]}}\n";

/// One request as an entry. Values that this server does not know are -1 or empty, as the format
/// requires.
pub(crate) fn entry(shown: &Shown, secrets: Secrets) -> Value {
    let wait = shown.outcome.after().unwrap_or_default().as_secs_f64() * 1000.0;
    let mut entry = json!({
        "startedDateTime": timestamp(shown.entry.captured.received),
        "time": wait,
        "request": request(&shown.entry, secrets),
        "response": response(&shown.entry, &shown.outcome),
        "cache": {},
        "timings": { "send": 0, "wait": wait, "receive": 0 },
    });
    if shown.entry.is_truncated() {
        let (kept, length) = (shown.entry.captured.body.len(), shown.entry.body_length);
        entry["comment"] = format!("the first {kept} of {length} bytes of the body").into();
    }
    entry
}

fn request(entry: &Entry, secrets: Secrets) -> Value {
    let headers = entry.captured.header_lines().map(|(name, bytes)| {
        let (value, _) = value(name, bytes, secrets);
        json!({ "name": text(name), "value": value })
    });
    let mut request = json!({
        "method": entry.captured.method(),
        "url": url(entry),
        "httpVersion": entry.captured.version(),
        "cookies": cookies(entry, secrets),
        "headers": headers.collect::<Vec<_>>(),
        "queryString": named(pairs(entry.captured.query().as_bytes())),
        "headersSize": entry.captured.raw.head().len(),
        "bodySize": entry.body_length,
    });
    if entry.body_length > 0 {
        request["postData"] = post_data(entry);
    }
    request
}

/// The absolute address. A request without a host gets a name that no host has.
fn url(entry: &Entry) -> String {
    let target = entry.captured.target();
    if target.contains("://") {
        return target.to_owned();
    }
    let host = text(entry.captured.header("host").unwrap_or(b"unknown.invalid"));
    let path = if target.starts_with('/') { target } else { "/" };
    format!("{}://{host}{path}", entry.scheme())
}

fn cookies(entry: &Entry, secrets: Secrets) -> Vec<Value> {
    let lines = entry.captured.header_lines();
    let values = lines.filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"));
    let texts = values.map(|(name, bytes)| value(name, bytes, secrets).0);
    let cookies: Vec<_> = texts.collect();
    let pairs = cookies.iter().flat_map(|line| line.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

fn named(pairs: Vec<(String, String)>) -> Vec<Value> {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

/// The format has either the fields of a form or a text. It has no bytes, so other bodies are in base64,
/// which a member of our own says.
fn post_data(entry: &Entry) -> Value {
    let mut data = json!({ "mimeType": media_type(entry) });
    match (whole_form(entry), readable(entry)) {
        (Some(fields), _) => data["params"] = named(fields).into(),
        (None, Some(text)) => data["text"] = text.into(),
        (None, None) => {
            data["text"] = STANDARD.encode(&entry.captured.body).into();
            data["_encoding"] = "base64".into();
        }
    }
    data
}

/// The fields of a form, if they say all of it: there are not too many, and they are text.
fn whole_form(entry: &Entry) -> Option<Vec<(String, String)>> {
    let body = &entry.captured.body[..];
    let is_text = || percent_decode(body).decode_utf8().is_ok();
    form(entry).filter(|_| are_all_read(body) && is_text())
}

/// The headers of responses are not kept, and the format has no way to say so but a comment.
fn response(entry: &Entry, outcome: &Outcome) -> Value {
    let status = outcome.status();
    let length = outcome
        .length()
        .map_or(-1, |length| i64::try_from(length).unwrap_or(-1));
    let mut response = json!({
        "status": status.map_or(0, |status| status.as_u16()),
        "statusText": status.and_then(|status| status.canonical_reason()).unwrap_or_default(),
        "httpVersion": entry.captured.version(),
        "cookies": [],
        "headers": [],
        "content": { "size": length.max(0), "mimeType": "" },
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": length,
        "comment": comment(outcome),
    });
    if let Some(faults) = outcome.faults() {
        response["_faults"] = faults.into();
    }
    response
}

fn comment(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Open => "the request waits for its response".into(),
        Outcome::Response { .. } => "headers and content are not kept".into(),
        Outcome::Rejected { reason, .. } => format!("rejected by the server: {reason}"),
        Outcome::Unsent { .. } => "nothing was sent".into(),
        Outcome::Nothing { .. } => "there is no response: the client has left".into(),
    }
}
