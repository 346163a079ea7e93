//! Heads that arrive one after another in the same buffer.

use http::HeaderValue;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A head of lines that other heads have, too. Some are malformed.
fn head() -> impl Strategy<Value = String> {
    let line = select(vec![
        "accept: */*",
        "accept: text/html",
        "cookie: a=1",
        "cookie: b=2",
        "cookie: a=1; b=2",
        "cookie:  b=2",
        "x-id: 1",
        "x-id: 234567890",
        "x-id:",
        "content-length: 1",
        "content-length: 2",
        "host: it",
        "host: other",
        "te: trailers",
        "te: gzip",
        "priority: u=1",
        "sec-fetch-mode: cors",
        "X-Id: 1",
        "x-id: 1\t",
        "x-id: \x01",
        "connection: close",
    ]);
    let begin = select(vec![
        GET,
        ":method: HEAD\n:scheme: http\n:path: /\n:authority: other\n",
        ":method: POST\n:scheme: http\n:path: /a/../b\n:authority: it\n",
        ":method: GET\n:scheme: http\n:path: /\n",
        ":method: GET\n:scheme: http\n:authority: it\n",
    ]);
    (begin, vec(line, 0..6)).prop_map(|(begin, lines)| begin.to_owned() + &lines.join("\n"))
}

/// What a handler does with the headers before the next head arrives.
fn handlers() -> [fn(&mut RequestBuffer); 13] {
    [
        |_| {},
        |buffer| buffer.clear(),
        |buffer| buffer.rest(),
        |buffer| drop(std::mem::take(&mut buffer.request)),
        |buffer| {
            buffer.request.headers_mut().remove("accept");
        },
        |buffer| {
            let value = HeaderValue::from_static(" padded ");
            buffer.request.headers_mut().insert("x-id", value);
        },
        |buffer| {
            for value in buffer.request.headers_mut().values_mut() {
                value.set_sensitive(true);
            }
        },
        |buffer| {
            buffer.request.headers_mut().remove("host");
        },
        |buffer| {
            let value = HeaderValue::from_static("c=3");
            buffer.request.headers_mut().append("cookie", value);
        },
        |buffer| drop(buffer.keep()),
        |buffer| {
            let kept = buffer.keep();
            buffer.restore_copy(&kept);
        },
        |buffer| {
            let block = block(&fields("x-id: 9\naccept: text/plain"));
            let read = decode_trailers(&mut Decoder::default(), &block, MOST, buffer);
            read.expect("the block can be decoded")
                .expect("they are valid");
        },
        |buffer| {
            let block = block(&fields(":method: PUT\nx-id: 9"));
            skip_head(&mut Decoder::default(), &block, MOST, buffer).expect("it can be decoded");
        },
    ]
}

fn decode_again(list: &str, buffer: &mut RequestBuffer) -> Result<Head, RequestError> {
    let block = block(&fields(list));
    let head = decode_head(&mut Decoder::default(), &block, MOST, buffer);
    head.expect("the block can be decoded")
}

#[track_caller]
fn check_same(list: &str, buffer: &mut RequestBuffer) {
    let (fresh, expected) = decode(&fields(list));
    assert_eq!(decode_again(list, buffer), expected, "{list}");
    assert_eq!(text(buffer), text(&fresh), "{list}");
    assert_eq!(buffer.is_head, fresh.is_head);
    let (request, other) = (&buffer.request, &fresh.request);
    assert_eq!(request.method(), other.method());
    assert_eq!(request.uri(), other.uri(), "{list}");
    assert_eq!(request.headers(), other.headers(), "{list}");
    let is_sensitive = |value: &HeaderValue| value.is_sensitive();
    assert!(!request.headers().values().any(is_sensitive));
    if let Err(error) = expected {
        assert_eq!(buffer.explain(error), fresh.explain(error));
    }
}

/// The memory of the value of a header.
fn place(buffer: &RequestBuffer, name: &str) -> *const u8 {
    buffer.request.headers()[name].as_bytes().as_ptr()
}

#[test]
fn headers_of_the_last_head_stay() {
    let mut buffer = RequestBuffer::default();
    let first = format!("{GET}accept: */*\nx-id: 1\ncookie: a=1\ncookie: b=2");
    let second = first.replace("x-id: 1", "x-id: 234");
    check_same(&first, &mut buffer);
    let places = ["accept", "x-id", "cookie"].map(|name| place(&buffer, name));
    buffer.rest();
    check_same(&second, &mut buffer);
    assert_eq!(place(&buffer, "accept"), places[0]);
    assert_ne!(place(&buffer, "x-id"), places[1]);
    assert_eq!(place(&buffer, "cookie"), places[2]);
}

#[test]
fn values_that_change_take_no_more_memory() {
    let mut buffer = RequestBuffer::default();
    for number in 0..1000 {
        let list = format!("{GET}accept: */*\nx-id: {number}");
        check_same(&list, &mut buffer);
        buffer.rest();
    }
    assert!(buffer.values.capacity() < 256);
}

proptest! {
    #[test]
    fn last_head_does_not_change_the_next(heads in vec((head(), 0..13_usize), 1..8)) {
        let mut buffer = RequestBuffer::default();
        for (list, handler) in &heads {
            check_same(list, &mut buffer);
            handlers()[*handler](&mut buffer);
        }
    }
}
