//! httpbin's document of a request. Its members have the names and forms that clients' tests expect;
//! `/anything` shows a request more exactly.

mod form;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, COOKIE, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use self::form::{Form, Submitted};
use crate::message::Response;
use crate::services::inspect::captured::Captured;
use crate::services::inspect::pairs::text_pairs;
use crate::services::inspect::reflection::indented;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The members of a request without its body.
pub(super) fn of_head(captured: &Captured) -> Map<String, Value> {
    let mut members = of_origin(captured);
    members.insert(
        "args".into(),
        pairs(&text_pairs(captured.query().as_bytes())),
    );
    members.insert("url".into(), captured.url().into());
    members
}

/// The members about the sender of a request.
pub(super) fn of_origin(captured: &Captured) -> Map<String, Value> {
    [
        ("headers", headers(&captured.headers())),
        ("method", captured.method().into()),
        ("origin", captured.origin().into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

/// The members of a request with its body.
pub(super) fn of_all(captured: &Captured) -> Map<String, Value> {
    let mut members = of_head(captured);
    let Submitted { form, files } = Submitted::of(&captured.headers(), &captured.body);
    let data = match form {
        Form::None => text_or_data(&captured.body, "application/octet-stream"),
        Form::Pairs(_) => String::new(),
    };
    let json: Option<Value> = serde_json::from_str(&data).ok();
    members.insert("data".into(), data.into());
    members.insert("json".into(), json.unwrap_or_default());
    members.insert("form".into(), pairs(form.pairs()));
    members.insert("files".into(), pairs(&files));
    members
}

/// The header lines by name. Names are written as HTTP/1.1 usually does, and the values of repeated
/// ones are joined.
pub(super) fn headers(headers: &HeaderMap) -> Value {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(canonical(name))
            .and_modify(|all| {
                // Clients of HTTP/2 may send each cookie alone (RFC 9113 section 8.2.3).
                all.push_str(if *name == COOKIE { "; " } else { "," });
                all.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    json!(joined)
}

/// `Content-Type` for `content-type`.
fn canonical(name: &HeaderName) -> String {
    let mut is_first = true;
    let letter = |letter: char| {
        let upper = is_first;
        is_first = letter == '-';
        if upper {
            letter.to_ascii_uppercase()
        } else {
            letter
        }
    };
    name.as_str().chars().map(letter).collect()
}

/// Values by name: a text, or a list if the name is repeated.
pub(super) fn pairs(pairs: &[(String, String)]) -> Value {
    let mut members: Map<String, Value> = Map::new();
    for (name, value) in pairs {
        match members.get_mut(name) {
            None => drop(members.insert(name.clone(), value.clone().into())),
            Some(Value::Array(values)) => values.push(value.clone().into()),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    members.into()
}

/// Text as it is, and other bytes as a `data:` URL (RFC 2397).
fn text_or_data(content: &[u8], media_type: &str) -> String {
    match std::str::from_utf8(content) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("data:{media_type};base64,{}", STANDARD.encode(content)),
    }
}

/// The document, indented as httpbin's are, if it is small.
pub(super) fn encode(members: impl Into<Value>) -> Vec<u8> {
    let document: Value = members.into();
    indented(&document)
}

/// The response with this document.
pub(super) fn respond(members: impl Into<Value>) -> Response {
    let mut response = Response::new(encode(members).into());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_documents_are_not_indented() {
        let deep = |values: usize| {
            let list = format!(
                "{}{}1{}",
                "[".repeat(120),
                "1,".repeat(values),
                "]".repeat(120)
            );
            serde_json::from_str::<Value>(&list).expect("it is JSON")
        };
        assert!(encode(deep(3)).starts_with(b"[\n  ["));
        let size = |values| encode(deep(values)).len();
        assert!(size(100_000) < 300_000, "{}", size(100_000));
    }

    #[test]
    fn repeated_names_have_lists() {
        let all = text_pairs(b"a=1&b=2&a=3&a=&c=x+y%20z");
        assert_eq!(
            pairs(&all),
            json!({"a": ["1", "3", ""], "b": "2", "c": "x y z"})
        );
    }

    #[test]
    fn names_of_headers_are_written_as_usual() {
        for (name, expected) in [
            ("content-type", "Content-Type"),
            ("x-a--b-", "X-A--B-"),
            ("dnt", "Dnt"),
        ] {
            assert_eq!(canonical(&HeaderName::from_static(name)), expected);
        }
    }
}
