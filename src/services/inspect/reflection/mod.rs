//! The description of a request: a JSON document, a page, or the bytes as they came.
//!
//! Nothing of a request can run in a browser: pages escape it, and every form has a policy that
//! forbids scripts and a type that browsers must not guess anew.

mod content;
mod document;
mod fields;
mod page;
mod sent;
mod target;

use http::HeaderMap;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::captured::Captured;
use crate::message::Response;
use crate::message::headers::media_type;
use crate::message::headers::vary::vary;
use crate::message::problem::html_page::POLICY;

use self::document::Document;
use self::target::Target;

pub(super) use self::fields::hexadecimal;

/// The largest document that is indented, in bytes before it is.
const LARGEST_INDENTED: usize = 64 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(super) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The policy of content that is not a page.
pub(super) const NOTHING_RUNS: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

/// The forms of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Page,
    /// The bytes of the request.
    Sent,
}

impl Format {
    /// The format that `?format=` names, or else the one that the client prefers.
    fn of(captured: &Captured, headers: &HeaderMap) -> Self {
        let target = Target::of(captured.target());
        match target.query_value("format").as_deref() {
            Some("json") => Self::Json,
            Some("html") => Self::Page,
            Some("http") => Self::Sent,
            _ => media_type::preferred(headers, &OFFERS).unwrap_or(Self::Json),
        }
    }
}

/// The formats by the media types of `Accept`. A client that accepts everything gets the first.
const OFFERS: [(Format, &[&str]); 3] = [
    (Format::Json, &["application/json"]),
    (Format::Page, &["text/html"]),
    (Format::Sent, &["message/http"]),
];

/// The response that describes this request. `httpbin` has the members of httpbin's document of it.
pub(super) fn response(captured: &Captured, httpbin: Map<String, Value>) -> Response {
    let (content, content_type, policy) = match Format::of(captured, &captured.headers()) {
        Format::Json => (json(captured, httpbin), JSON, NOTHING_RUNS),
        Format::Page => (page::page(captured).into_bytes(), HTML, POLICY),
        Format::Sent => {
            let sent = sent::bytes(captured);
            let content_type = sent::content_type(&sent);
            (sent, content_type, NOTHING_RUNS)
        }
    };
    let mut response = Response::new(content.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    harden(headers, policy);
    vary(headers, "accept");
    response
}

/// Everything that is known of a request, as JSON for people.
fn json(captured: &Captured, httpbin: Map<String, Value>) -> Vec<u8> {
    indented(&Document::of(captured, httpbin))
}

/// A document as JSON, indented if it is small. Each value of a deep list would be indented by its
/// depth, and a large body would become a hundred times as large.
pub(super) fn indented(document: &impl Serialize) -> Vec<u8> {
    // A document of text, numbers and lists can be serialized.
    let mut json = serde_json::to_vec(document).unwrap_or_default();
    if json.len() <= LARGEST_INDENTED {
        json = serde_json::to_vec_pretty(document).unwrap_or_default();
    }
    json.push(b'\n');
    json
}

/// Lets a browser run nothing of the content.
fn harden(headers: &mut HeaderMap, policy: HeaderValue) {
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    // It is a description of this one request.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests;
