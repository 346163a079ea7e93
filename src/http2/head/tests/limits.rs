//! The limits of a head.

use super::*;
use crate::http2::ErrorCode;

/// Decodes with this limit of the text.
fn decode_within(fields: &[Pair<'_>], most: usize) -> Result<Head, RequestError> {
    let mut buffer = RequestBuffer::default();
    let decoded = decode_head(&mut Decoder::default(), &block(fields), most, &mut buffer);
    assert!(buffer.raw_request().head().len() <= most);
    decoded.expect("the block can be decoded")
}

#[test]
fn text_of_a_head_is_limited() {
    let list = format!("{GET}x: y");
    let length = "GET / HTTP/2.0..host: it..x: y....".len();
    let line = "GET / HTTP/2.0....".len();
    for most in "https".len()..=length {
        let expected = match most {
            _ if most < line => Err(RequestError::TargetTooLong),
            _ if most < length => Err(RequestError::HeadTooLarge),
            _ => Ok(()),
        };
        let head = decode_within(&fields(&list), most);
        assert_eq!(head.map(drop), expected, "{most}");
    }
}

#[test]
fn target_is_limited() {
    let path = vec![b'/'; MOST + 1];
    let get = fields(GET);
    let list = [&get[..3], &[(&b":path"[..], &path[..])]].concat();
    assert_eq!(decode_within(&list, MOST), Err(RequestError::TargetTooLong));
    let list = [&get[..2], &[(&b":authority"[..], &path[..]), get[3]]].concat();
    assert_eq!(decode_within(&list, MOST), Err(RequestError::HeadTooLarge));
    // The longest target that a `Uri` can hold.
    for (length, expected) in [(65_534, Ok(())), (65_535, Err(RequestError::TargetTooLong))] {
        let path = vec![b'/'; length];
        let list = [&get[..3], &[(&b":path"[..], &path[..])]].concat();
        assert_eq!(decode_within(&list, 1 << 20).map(drop), expected);
    }
}

/// The parts of a cookie count one by one (CVE-2026-49975 and others), and so does the authority.
#[test]
fn headers_are_counted() {
    for line in ["x: y\n", "cookie: a\n", "x: \n"] {
        let list = format!("{GET}{}", line.repeat(99));
        assert!(decode_within(&fields(&list), MOST).is_ok());
        let list = format!("{list}{line}");
        let head = decode_within(&fields(&list), MOST);
        assert_eq!(head, Err(RequestError::HeadTooLarge));
    }
    // A `Host` that is not shown counts too.
    let list = format!("{GET}host: it\n{}", "x: y\n".repeat(99));
    let head = decode_within(&fields(&list), MOST);
    assert_eq!(head, Err(RequestError::HeadTooLarge));
}

#[test]
fn decoded_size_ends_the_connection_at_four_times_the_limit() {
    const LIMIT: usize = 1000;
    let mut decoder = Decoder::default();
    let mut buffer = RequestBuffer::default();
    // `cookie: ` of 38 bytes each, by its index.
    let most = 4 * (LIMIT + 32 * MAX_FIELDS) / 38;
    let head = decode_head(&mut decoder, &vec![0xa0; most], LIMIT, &mut buffer);
    assert_eq!(head, Ok(Err(RequestError::PseudoHeader)));
    assert_eq!(
        skip_head(&mut decoder, &vec![0xa0; most], LIMIT, &mut buffer),
        Ok(())
    );
    let long = vec![0xa0; most + 1];
    for error in [
        decode_head(&mut decoder, &long, LIMIT, &mut buffer).map(drop),
        skip_head(&mut decoder, &long, LIMIT, &mut buffer),
        decode_trailers(&mut decoder, &long, LIMIT, &mut buffer).map(drop),
    ] {
        let error = error.expect_err("it is too large");
        assert_eq!(error.code(), ErrorCode::EnhanceYourCalm);
    }
    // The buffer can be used on.
    let head = decode_head(&mut decoder, &block(&fields(GET)), LIMIT, &mut buffer);
    assert!(matches!(head, Ok(Ok(_))));
}
