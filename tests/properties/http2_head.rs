//! Properties of heads in HTTP/2 that hold for any header block.

use std::ops::ControlFlow;

use httpool::http::Version;
use httpool::http2::hpack::{Decoder, FIELD_OVERHEAD};
use httpool::http2::{Expectation, Head, RequestBuffer, decode_head, decode_trailers};
use httpool::{RawRequest, Request};

use crate::reference_http2::{self, Field};

/// Small, so that it is reached.
const MOST: usize = 400;

/// Header lists of more bytes end the connection.
const MOST_DECODED: usize = 4 * (MOST + 100 * FIELD_OVERHEAD);

/// The blocks of two requests, and of trailers, are read as the second implementation reads them.
pub fn check(block: &[u8]) {
    let mut buffer = RequestBuffer::default();
    let mut decoder = Decoder::default();
    let Some(fields) = fields(block) else {
        let result = decode_head(&mut decoder, block, MOST, &mut buffer);
        assert!(result.is_err(), "{block:x?}");
        return;
    };
    let shown = show(&fields);
    // A buffer is reused, whatever was in it.
    for _ in 0..2 {
        let mut decoder = Decoder::default();
        let decoded = decode_head(&mut decoder, block, MOST, &mut buffer);
        let decoded = decoded.unwrap_or_else(|error| panic!("{error}: {shown}"));
        match (decoded, reference_http2::head(&fields, MOST)) {
            (Ok(head), Ok(expected)) => {
                assert_eq!(request(head, &buffer), expected, "{shown}");
                check_copies(&mut buffer, &expected);
            }
            (Err(error), Err(faults)) => {
                let status = error.status();
                assert!(
                    faults.contains(&status),
                    "{error:?} and not {faults:?}: {shown}"
                );
                // For the access log and the error page.
                let (_, _) = (buffer.original(), buffer.raw_request());
                assert!(!buffer.explain(error).is_empty());
                assert!(buffer.request_line().len() <= 2 * MOST);
            }
            (decoded, expected) => panic!("{decoded:?} and not {expected:?}: {shown}"),
        }
    }
    let decoded = decode_trailers(&mut Decoder::default(), block, MOST, &mut buffer);
    let decoded = decoded.unwrap_or_else(|error| panic!("{error}: {shown}"));
    match (decoded, reference_http2::trailers(&fields, MOST)) {
        (Ok(lines), Ok(expected)) => assert_eq!(lines, expected, "{shown}"),
        (Err(error), Err(faults)) => assert!(faults.contains(&error.status()), "{shown}"),
        (decoded, expected) => panic!("trailers: {decoded:?} and not {expected:?}: {shown}"),
    }
}

/// The headers of a block; `None` if the connection ends.
fn fields(block: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let decoded = Decoder::default().decode(block, &mut Vec::new(), MOST_DECODED, |field| {
        fields.push((field.name.to_vec(), field.value.to_vec()));
        ControlFlow::<()>::Continue(())
    });
    decoded.is_ok().then_some(fields)
}

fn request(head: Head, buffer: &RequestBuffer) -> reference_http2::Request {
    let request = &buffer.request;
    assert_eq!(request.version(), Version::HTTP_2);
    assert_eq!(request.method() == "HEAD", buffer.is_head);
    let text = buffer.raw_request().head().to_vec();
    reference_http2::Request {
        content_length: head.content_length,
        expects_continue: head.expectation == Expectation::Continue,
        text,
        ..parts(request)
    }
}

/// What a request alone shows.
fn parts(request: &Request) -> reference_http2::Request {
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    reference_http2::Request {
        method: request.method().to_string(),
        uri: request.uri().clone(),
        headers,
        content_length: None,
        expects_continue: false,
        text: Vec::new(),
    }
}

/// The request is the same after it has waited, and can be made again from its text.
fn check_copies(buffer: &mut RequestBuffer, expected: &reference_http2::Request) {
    let expected = reference_http2::Request {
        content_length: None,
        expects_continue: false,
        text: Vec::new(),
        ..expected.clone()
    };
    let (text, line, is_head) = (
        buffer.raw_request().head().to_vec(),
        buffer.request_line().into_owned(),
        buffer.is_head,
    );
    assert_eq!(parts(&buffer.original()), expected);
    buffer.withhold_body(None);
    let kept = buffer.keep();
    assert_eq!(parts(kept.request()), expected);
    assert!(kept.held() >= text.len());
    buffer.restore(kept);
    assert_eq!(parts(&buffer.request), expected);
    assert_eq!(buffer.is_head, is_head);
    assert_eq!(buffer.request_line(), line);
    buffer.receive_body("content".into(), Some(b"a: b\r\n".to_vec()));
    let raw = RawRequest::of(&buffer.request).expect("it was received");
    assert_eq!(raw.head(), text);
    assert_eq!(
        raw.trailer_lines().collect::<Vec<_>>(),
        [(&b"a"[..], &b"b"[..])]
    );
    assert_eq!(parts(&buffer.original()), expected);
}

fn show(fields: &[Field]) -> String {
    let line = |(name, value): &Field| format!("{}={}", name.escape_ascii(), value.escape_ascii());
    fields.iter().map(line).collect::<Vec<_>>().join("|")
}
