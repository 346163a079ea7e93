//! Caching, conditional requests, and headers that the client chooses.

use std::io;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, StatusCode};
use serde_json::Value;

use super::cookies::check_site;
use super::document;
use super::input::{Pairs, bad};
use super::table::Table;
use crate::message::{Body, IntoResponse, Problem, Request, Response};
use crate::services::inspect::captured::Captured;
use crate::services::inspect::chosen_headers;
use crate::services::inspect::reflection::{NOSNIFF, NOTHING_RUNS};
use crate::web::extract::Path;
use crate::web::files::content::Content;
use crate::web::files::respond::{Form, Representation};
use crate::web::files::validators::Validators;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

pub(super) fn add(table: Table) -> Table {
    table
        .get(
            "/cache",
            "304 if the request has a condition, otherwise validators",
            cache,
        )
        .get("/cache/{seconds}", "may be cached for this time", cache_for)
        .get(
            "/etag/{etag}",
            "has this entity tag, and heeds conditions and ranges",
            etag,
        )
        .get(
            "/response-headers",
            "has the headers of the query",
            response_headers,
        )
        .method(
            Method::POST,
            "/response-headers",
            "the same for POST",
            response_headers,
        )
}

fn cache(captured: Captured) -> Response {
    let headers = captured.headers();
    if [IF_MODIFIED_SINCE, IF_NONE_MATCH]
        .iter()
        .any(|name| headers.contains_key(name))
    {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let mut response = document::respond(document::of_head(&captured));
    let now = httpdate::fmt_http_date(SystemTime::now());
    let headers = response.headers_mut();
    let tag = format!("\"{}\"", now.replace([' ', ',', ':'], ""));
    headers.extend(HeaderValue::try_from(now).map(|now| (LAST_MODIFIED, now)));
    headers.extend(HeaderValue::try_from(tag).map(|tag| (ETAG, tag)));
    response
}

fn cache_for(Path(seconds): Path<u32>, captured: Captured) -> Response {
    let mut response = document::respond(document::of_head(&captured));
    let control = HeaderValue::try_from(format!("public, max-age={seconds}"));
    response
        .headers_mut()
        .extend(control.map(|control| (CACHE_CONTROL, control)));
    response
}

fn etag(
    Path(tag): Path<String>,
    captured: Captured,
    request: Request,
) -> Result<Response, Problem> {
    // RFC 9110 section 8.8.3. The path may have the quotes, and the mark of a weak tag.
    let quoted = tag.strip_prefix("W/").unwrap_or(&tag);
    let opaque = quoted
        .strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .unwrap_or(quoted);
    if !opaque
        .bytes()
        .all(|byte| matches!(byte, b'!' | b'#'..=b'~'))
    {
        return Err(bad(format!("{tag:?} is not a valid entity tag")));
    }
    let weak = if tag.starts_with("W/") { "W/" } else { "" };
    let validators = Validators::of_tag(format!("{weak}\"{opaque}\""));
    let content = Bytes::from(document::encode(document::of_head(&captured)));
    let length = content.len() as u64;
    let form = Form {
        media_type: JSON,
        coding: None,
        cache_control: REVALIDATE,
        vary: None,
    };
    Ok(Representation::of_content(content, length, form, validators).respond(&request))
}

impl Content for Bytes {
    fn part(self, bytes: Range<u64>) -> Body {
        // The range lies within the content.
        self.slice(bytes.start as usize..bytes.end as usize).into()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = offset as usize;
        buffer.copy_from_slice(&self[start..start + buffer.len()]);
        Ok(buffer.len())
    }
}

fn response_headers(query: Pairs, request: HeaderMap) -> Result<Response, Problem> {
    let mut chosen = HeaderMap::new();
    let mut shown: Vec<(String, String)> = Vec::new();
    for (name, value) in &query.0 {
        let header = chosen_header(name, value)?;
        if header.0 == SET_COOKIE {
            check_site(&request)?;
        }
        chosen.append(header.0, header.1);
        // Names are shown as they were first written.
        let mut names = shown.iter().map(|(other, _)| other);
        let first = names.find(|other| other.eq_ignore_ascii_case(name));
        shown.push((first.unwrap_or(name).clone(), value.clone()));
    }
    if !chosen.contains_key(CONTENT_TYPE) {
        chosen.insert(CONTENT_TYPE, JSON);
        shown.push(("Content-Type".into(), "application/json".into()));
    }
    let mut response = Response::new(escaped(&document::pairs(&shown)).into());
    let headers = response.headers_mut();
    *headers = chosen;
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(CONTENT_SECURITY_POLICY, NOTHING_RUNS);
    Ok(response)
}

fn chosen_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Problem> {
    let invalid = || bad(format!("{name:?}: {value:?} is not a valid header"));
    let header = HeaderName::try_from(name).map_err(|_| invalid())?;
    let reason = match header {
        CONTENT_ENCODING => Err("the content does not have another coding"),
        _ => chosen_headers::check(&header),
    };
    reason.map_err(|reason| bad(format!("{header} can't be chosen: {reason}")))?;
    Ok((header, HeaderValue::try_from(value).map_err(|_| invalid())?))
}

/// JSON without the characters of markup, because the client may have chosen the type of HTML.
fn escaped(document: &Value) -> String {
    let text = format!("{document:#}\n");
    text.replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{client, expect_bad, get, member};
    use super::*;

    #[test]
    fn any_condition_finds_the_cache_current() {
        let response = get("/cache?a=1");
        assert_eq!(member(&response, "/args/a"), "1");
        let modified = response
            .header("last-modified")
            .expect("it has a date")
            .to_owned();
        let tag = response.header("etag").expect("it has a tag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        let client = client();
        for (name, value) in [("if-modified-since", modified), ("if-none-match", tag)] {
            let response = client.get("/cache").header(name, value).send();
            assert_eq!(
                (response.status().as_u16(), response.bytes()),
                (304, &b""[..])
            );
        }
        let response = get("/cache/60");
        assert_eq!(response.header("cache-control"), Some("public, max-age=60"));
    }

    #[test]
    fn entity_tag_heeds_conditions() {
        let client = client();
        for (tag, name, value, status) in [
            ("a", "if-none-match", "\"a\"", 304),
            ("a", "if-none-match", "W/\"a\", \"b\"", 304),
            ("a", "if-none-match", "\"b\"", 200),
            ("a", "if-none-match", "*", 304),
            ("a", "if-match", "\"a\"", 200),
            ("a", "if-match", "\"b\"", 412),
            ("W%2F%22a%22", "if-match", "W/\"a\"", 412),
            ("%22a%22", "range", "bytes=0-1", 206),
        ] {
            let response = client
                .get(&format!("/etag/{tag}"))
                .header(name, value)
                .send();
            assert_eq!(response.status(), status, "{tag} {name}: {value}");
            if status != 412 {
                let expected = if tag.starts_with('W') {
                    "W/\"a\""
                } else {
                    "\"a\""
                };
                assert_eq!(response.header("etag"), Some(expected));
            }
        }
        assert_eq!(member(&get("/etag/a?b=c"), "/args/b"), "c");
    }

    #[test]
    fn headers_can_be_chosen() {
        let response = get("/response-headers?x-A=1&X-a=2&Cache-Control=no-store&animal=dog");
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert!(response.headers().get_all("x-a").iter().eq(["1", "2"]));
        assert_eq!(
            response.json::<Value>(),
            json!({
                "x-A": ["1", "2"],
                "Cache-Control": "no-store",
                "Content-Type": "application/json",
                "animal": "dog",
            })
        );
        assert_eq!(
            client().post("/response-headers?a=b").send().header("a"),
            Some("b")
        );
    }

    #[test]
    fn chosen_headers_are_harmless() {
        let response = get("/response-headers?Content-Type=text/html&x=%3Cscript%3E%26");
        assert_eq!(response.header("content-type"), Some("text/html"));
        assert!(!response.text().contains('<'), "{response:?}");
        assert_eq!(member(&response, "/x"), "<script>&");
        let policy = response.header("content-security-policy");
        assert!(policy.is_some_and(|policy| policy.contains("sandbox")));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        let request = client();
        let request = request.get("/response-headers?set-cookie=a%3D1");
        assert_eq!(
            request
                .header("sec-fetch-site", "cross-site")
                .send()
                .status(),
            403
        );
        expect_bad(&[
            "/response-headers?content-length=1",
            "/response-headers?Transfer-Encoding=chunked",
            "/response-headers?Connection=close",
            "/response-headers?Content-Encoding=gzip",
            "/response-headers?Content-Security-Policy=x",
            "/response-headers?Strict-Transport-Security=max-age%3D1",
            "/response-headers?a=b%0D%0Ac:d",
            "/response-headers?a%0D%0Ab=c",
            "/response-headers?a=%00",
            "/response-headers?=b",
        ]);
    }

    #[test]
    fn hostile_values_are_rejected() {
        expect_bad(&[
            "/cache/-1",
            "/cache/x",
            "/cache/99999999999999999999",
            "/etag/a%20b",
            "/etag/a%22b",
            "/etag/%0D%0A",
            "/etag/%C3%A9",
        ]);
    }
}
