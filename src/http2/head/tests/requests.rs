//! Heads of requests.

use super::*;

const GET: &str = ":method: GET\n:scheme: https\n:authority: it\n:path: /\n";

/// Checks the text of an accepted head.
#[track_caller]
fn check(list: &str, expected: &str) -> (RequestBuffer, Head) {
    let mut buffer = RequestBuffer::default();
    let head = decode(&block(list), &mut buffer).expect("the head is valid");
    let expected = format!("{expected}\n\n").replace('\n', "\r\n");
    assert_eq!(
        buffer.raw_request().head().escape_ascii().to_string(),
        expected.escape_default().to_string()
    );
    (buffer, head)
}

#[test]
fn head_becomes_a_request_and_its_text() {
    let (buffer, head) = check(
        &format!("{GET}accept: */*\nuser-agent: curl"),
        "GET / HTTP/2.0\nhost: it\naccept: */*\nuser-agent: curl",
    );
    let expected = Head {
        content_length: None,
        expectation: Expectation::None,
        priority: None,
    };
    assert_eq!(head, expected);
    assert_eq!(buffer.request.uri(), "/");
    assert_eq!(buffer.request.version(), Version::HTTP_2);
    assert_eq!(buffer.request.headers().len(), 3);
    assert_eq!(buffer.request.headers()["host"], "it");
    assert_eq!(buffer.request_line(), "GET / HTTP/2.0");
}
