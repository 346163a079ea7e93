//! Trailers of requests.

use RequestError::{ConnectionHeader, FieldLine, HeadTooLarge, PseudoHeader};

use super::*;

#[test]
fn trailers_obey_the_rules_of_headers() {
    let mut buffer = RequestBuffer::default();
    let mut check = |list: &str, expected: Result<&str, RequestError>| {
        let block = block(&fields(list));
        let lines = decode_trailers(&mut Decoder::default(), &block, MOST, &mut buffer);
        let lines = lines.expect("the block can be decoded");
        let expected = expected.map(|text| text.replace('\n', "\r\n").into_bytes());
        assert_eq!(lines, expected, "{list}");
    };
    check("", Ok(""));
    check("sum: 1\nsum: 2\nx: ", Ok("sum: 1\nsum: 2\nx: \n"));
    check("te: trailers", Ok("te: trailers\n"));
    for (list, error) in [
        (":path: /", PseudoHeader),
        ("a: b\n:status: 200", PseudoHeader),
        ("Sum: 1", FieldLine),
        ("s m: 1", FieldLine),
        ("sum: 1 ", FieldLine),
        ("sum: a\u{0}b", FieldLine),
        ("connection: x", ConnectionHeader),
        ("transfer-encoding: chunked", ConnectionHeader),
        ("te: gzip", ConnectionHeader),
    ] {
        check(list, Err(error));
    }
}

#[test]
fn trailers_are_limited() {
    let mut buffer = RequestBuffer::default();
    let mut check = |list: &str, most: usize, expected: Result<usize, RequestError>| {
        let block = block(&fields(list));
        let lines = decode_trailers(&mut Decoder::default(), &block, most, &mut buffer);
        let lines = lines.expect("the block can be decoded");
        assert_eq!(lines.map(|lines| lines.len()), expected);
    };
    check("a: b\nc: d", 12, Ok(12));
    check("a: b\nc: d", 11, Err(HeadTooLarge));
    check(&"a: b\n".repeat(100), MOST, Ok(600));
    check(&"a: b\n".repeat(101), MOST, Err(HeadTooLarge));
}
