//! Heads of responses.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, StatusCode};

use super::*;
use crate::http2::hpack::Encoder;
use crate::message::head::date::Date;
use crate::message::{Body, IntoResponse, Response, Upgrade};

/// The headers of a block as lines.
fn decoded(block: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let flow = Decoder::default().decode(block, &mut Vec::new(), MOST, |field| {
        let (name, value) = (field.name.escape_ascii(), field.value.escape_ascii());
        lines.push(format!(
            "{name}: {value}{}",
            if field.never_indexed { " (secret)" } else { "" }
        ));
        ControlFlow::<()>::Continue(())
    });
    assert!(flow.is_ok());
    lines
}

#[track_caller]
fn check(response: &Response, is_head: bool, expected: &str, content: Content) {
    let date = Date::new(UNIX_EPOCH + Duration::from_secs(784_111_777));
    let mut block = Vec::new();
    let encoded = encode_head(
        response,
        is_head,
        &date,
        &mut Encoder::default(),
        &mut block,
    );
    assert_eq!(encoded, content);
    let expected = expected.replace("DATE", "date: Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(decoded(&block).join("\n"), expected);
}

fn response(status: u16, headers: &str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).expect("it is a status");
    for (name, value) in fields(headers) {
        let name = http::HeaderName::from_bytes(name).expect("it is a name");
        let value = HeaderValue::from_bytes(value).expect("it is a value");
        response.headers_mut().append(name, value);
    }
    response
}

#[test]
fn response_has_length_and_date() {
    let hello = response(200, "", "hello");
    check(
        &hello,
        false,
        ":status: 200\ncontent-length: 5\nDATE",
        Content::Follows,
    );
    check(
        &hello,
        true,
        ":status: 200\ncontent-length: 5\nDATE",
        Content::Omitted,
    );
    let empty = response(404, "", "");
    check(
        &empty,
        false,
        ":status: 404\ncontent-length: 0\nDATE",
        Content::Follows,
    );
    let unknown = response(299, "", Body::from_reader(&b"x"[..]));
    check(&unknown, false, ":status: 299\nDATE", Content::Follows);
    check(&unknown, true, ":status: 299\nDATE", Content::Omitted);
    let dated = response(200, "date: today", "");
    let expected = ":status: 200\ndate: today\ncontent-length: 0";
    check(&dated, false, expected, Content::Follows);
}

#[test]
fn statuses_without_content_send_none() {
    for status in [204, 304] {
        let expected = format!(":status: {status}\nDATE");
        check(
            &response(status, "content-length: 5", "x"),
            false,
            &expected,
            Content::Omitted,
        );
    }
    let expected = ":status: 205\ncontent-length: 0\nDATE";
    check(&response(205, "", "x"), false, expected, Content::Omitted);
}

#[test]
fn head_may_state_the_length_of_get() {
    let stated = response(200, "content-length: 7", "");
    check(
        &stated,
        true,
        ":status: 200\ncontent-length: 7\nDATE",
        Content::Omitted,
    );
    check(
        &stated,
        false,
        ":status: 200\ncontent-length: 0\nDATE",
        Content::Follows,
    );
}

#[test]
fn headers_of_a_connection_are_dropped() {
    let list = "connection: close\nkeep-alive: 1\nproxy-connection: x\ntransfer-encoding: chunked\n\
                upgrade: x\nte: trailers\ncontent-length: 9\netag: \"e\"";
    for status in [200, 426] {
        let expected = format!(":status: {status}\netag: \\\"e\\\"\ncontent-length: 4\nDATE");
        check(
            &response(status, list, "four"),
            false,
            &expected,
            Content::Follows,
        );
    }
}

#[test]
fn values_have_no_spaces_around_them() {
    let list = response(200, "x:  y \t\nz:  ", "");
    let expected = ":status: 200\nx: y\nz: \ncontent-length: 0\nDATE";
    check(&list, false, expected, Content::Follows);
}

#[test]
fn secrets_stay_out_of_tables() {
    let mut response = response(200, "set-cookie: a=1\nset-cookie: b=2", "");
    let mut secret = HeaderValue::from_static("s");
    secret.set_sensitive(true);
    response.headers_mut().insert("x-secret", secret);
    let expected = ":status: 200\nset-cookie: a=1 (secret)\nset-cookie: b=2 (secret)\n\
                    x-secret: s (secret)\ncontent-length: 0\nDATE";
    check(&response, false, expected, Content::Follows);
}

#[test]
fn interim_status_becomes_500() {
    let expected = ":status: 500\ncontent-length: 1\nDATE";
    check(&response(103, "", "x"), false, expected, Content::Follows);
}

#[test]
fn upgrade_can_not_be_expressed() {
    let mut response = Upgrade::new("x/1", |_| ()).into_response();
    check(&response, false, "", Content::Switched);
    *response.status_mut() = StatusCode::OK;
    check(
        &response,
        false,
        ":status: 200\ncontent-length: 0\nDATE",
        Content::Follows,
    );
}

#[test]
fn trailers_are_those_that_http_1_1_would_send() {
    let mut block = Vec::new();
    let mut trailers = HeaderMap::new();
    let mut encoder = Encoder::default();
    assert!(!encode_trailers(&trailers, &mut encoder, &mut block));
    trailers.insert("content-length", HeaderValue::from(5));
    assert!(!encode_trailers(&trailers, &mut encoder, &mut block));
    assert_eq!(block, b"");
    trailers.insert("grpc-status", HeaderValue::from(0));
    assert!(encode_trailers(&trailers, &mut encoder, &mut block));
    assert_eq!(decoded(&block), ["grpc-status: 0"]);
}
