use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::message::{Body, RawRequest};
use crate::services::inspect::{Inspect, Settings};
use crate::testing::Client;

/// A request with this head, chunk lines, body and trailers.
fn captured(head: &str, chunks: &[u8], body: &'static [u8], trailers: &[u8]) -> Captured {
    Captured {
        raw: RawRequest::stored(
            Bytes::copy_from_slice(head.as_bytes()),
            chunks.to_vec(),
            0,
            trailers.to_vec(),
        ),
        body: Bytes::from_static(body),
        connection: Arc::default(),
        ..Captured::of(&http::Request::new(Body::empty()))
    }
}

fn document(captured: &Captured) -> Value {
    serde_json::from_slice(&json(captured, Map::new())).expect("the document is JSON")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the content is text")
}

const CHUNKED: &str = "POST /a/../b%2fc?q=1&q=%20 HTTP/1.1\r\nHOST: it\r\nx-A:  1 \r\n\
                       Transfer-Encoding: chunked\r\nX-a: 2\r\n\r\n";

#[test]
fn document_keeps_order_case_and_repeats() {
    let captured = captured(CHUNKED, b"003;a=b\r\n2\r\n0\r\n", b"hello", b"Sum: 1\r\n");
    let document = document(&captured);
    assert_eq!(document["method"], "POST");
    assert_eq!(document["url"], "http://it/b%2Fc?q=1&q=%20");
    assert_eq!(document["target"]["sent"], "/a/../b%2fc?q=1&q=%20");
    assert_eq!(document["target"]["segments"], json!(["b/c"]));
    assert_eq!(document["version"], "HTTP/1.1");
    let lines = json!([
        {"name": "HOST", "value": "it"},
        {"name": "x-A", "value": "1"},
        {"name": "Transfer-Encoding", "value": "chunked"},
        {"name": "X-a", "value": "2"},
    ]);
    assert_eq!(document["header_lines"], lines);
    let query = json!([{"name": "q", "value": "1"}, {"name": "q", "value": " "}]);
    assert_eq!(document["query"], query);
    assert_eq!(document["chunks"], json!({"lines": ["003;a=b", "2", "0"]}));
    assert_eq!(
        document["trailer_lines"],
        json!([{"name": "Sum", "value": "1"}])
    );
    let body = &document["body"];
    assert_eq!(
        (&body["length"], &body["text"]),
        (&json!(5), &json!("hello"))
    );
    let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(body["sha256"], sum);
}

#[test]
fn bytes_are_those_that_were_sent() {
    let chunked = captured(CHUNKED, b"003;a=b\r\n2\r\n0\r\n", b"hello", b"Sum: 1\r\n");
    let expected = format!("{CHUNKED}003;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nSum: 1\r\n\r\n");
    assert_eq!(text(&sent::bytes(&chunked)), expected);
    let plain = captured("PUT / HTTP/1.1\r\nHost: it\r\n\r\n", b"", b"\xff", b"");
    assert_eq!(
        sent::bytes(&plain),
        b"PUT / HTTP/1.1\r\nHost: it\r\n\r\n\xff"
    );
    assert_eq!(sent::content_type(b"\xff"), "application/octet-stream");
}

#[test]
fn json_stays_as_it_was_written() {
    let body = br#" {"b": 1.50, "a": 12345678901234567890123, "a": "\u00e9"} "#;
    let captured = captured("POST / HTTP/1.1\r\n\r\n", b"", body, b"");
    let json = text(&json(&captured, Map::new()));
    let raw = r#""json": {"b": 1.50, "a": 12345678901234567890123, "a": "\u00e9"}"#;
    assert!(json.contains(raw), "{json}");
    assert!(json.find("\"method\"") < json.find("\"header_lines\""));
}

#[test]
fn forms_and_binary_bodies_are_shown_whole() {
    let head = "POST / HTTP/1.1\r\nContent-Type: Application/x-www-form-urlencoded;a=b\r\n\r\n";
    let form = document(&captured(head, b"", b"a=1&a=x+y", b""));
    let pairs = json!([{"name": "a", "value": "1"}, {"name": "a", "value": "x y"}]);
    assert_eq!(form["body"]["form"], pairs);
    let head = "POST / HTTP/1.1\r\nX-A: caf\u{e9}\r\n\r\n";
    let binary = document(&captured(head, b"", b"\xff\x00", b""));
    assert_eq!(binary["body"]["base64"], "/wA=");
    assert_eq!(binary["body"].get("text"), None);
    assert_eq!(binary["header_lines"][0]["value"], "café");
}

#[test]
fn header_bytes_that_are_not_text_are_kept() {
    let mut latin1 = captured("GET / HTTP/1.1\r\n\r\n", b"", b"", b"");
    let head = Bytes::from_static(b"GET / HTTP/1.1\r\nX-A: caf\xe9\r\n\r\n");
    latin1.raw = RawRequest::stored(head, Vec::new(), 0, Vec::new());
    let line = &document(&latin1)["header_lines"][0];
    assert_eq!(line["value"], "caf\u{fffd}");
    assert_eq!(line["value_base64"], "Y2Fm6Q==");
}

#[test]
fn client_chooses_the_format() {
    let client = Client::new(Inspect::new(Settings::default()));
    let plain = "text/plain; charset=utf-8";
    for (target, accept, expected) in [
        ("/anything", "*/*", "application/json"),
        (
            "/anything",
            "text/html,*/*;q=0.8",
            "text/html; charset=utf-8",
        ),
        ("/anything", "image/png", "application/json"),
        ("/anything?format=json", "text/html", "application/json"),
        ("/anything?format=html", "*/*", "text/html; charset=utf-8"),
        ("/anything?format=http", "text/html", plain),
        ("/anything", "message/http", plain),
    ] {
        let response = client
            .post(target)
            .header("accept", accept)
            .body("x")
            .send();
        assert_eq!(
            response.header("content-type"),
            Some(expected),
            "{target} {accept}"
        );
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        let policy = response
            .header("content-security-policy")
            .unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert_eq!(response.header("vary"), Some("accept"));
    }
}

#[test]
fn markup_in_a_request_is_text_on_the_page() {
    let evil = "<script>alert(1)</script>";
    let client = Client::new(Inspect::new(Settings::default()));
    let response = client
        .post("/%3Cscript%3E?%3Cscript%3E")
        .header("accept", "text/html")
        .header("x-a", evil)
        .body(format!("</pre>{evil}"))
        .send();
    let page = response.text();
    assert!(!page.contains("<script"), "{page}");
    assert!(!page.contains("</pre>&lt;"), "{page}");
    assert_eq!(
        page.matches("&lt;script&gt;alert(1)&lt;/script&gt;")
            .count(),
        2
    );
}

#[test]
fn members_of_httpbin_follow() {
    let client = Client::new(Inspect::new(Settings::default()));
    let response = client.put("/anything/x?a=1&a=2").body("hello").send();
    let document: Value = response.json();
    assert_eq!(document["args"], json!({"a": ["1", "2"]}));
    assert_eq!(document["headers"]["Host"], "localhost");
    assert_eq!(document["data"], "hello");
    assert_eq!(document["origin"], "127.0.0.1");
    assert_eq!(document["url"], "http://localhost/anything/x?a=1&a=2");
    assert_eq!(response.text().matches("\"method\"").count(), 1);
    assert!(response.text().find("\"times\"") < response.text().find("\"args\""));
}
