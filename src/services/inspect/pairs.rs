//! The pairs of a query or a form (`application/x-www-form-urlencoded`).

use std::borrow::Cow;

use memchr::memchr;
use percent_encoding::percent_decode;

/// The most pairs that are read. The text of a query or a body has all of them.
pub(super) const MOST_PAIRS: usize = 1000;

/// The first names and values, decoded, in their order and with repeats.
pub(super) fn pairs(encoded: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    let pairs = encoded.split(|byte| *byte == b'&');
    let pairs = pairs.filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = match memchr(b'=', pair) {
            Some(end) => (&pair[..end], &pair[end + 1..]),
            None => (pair, &b""[..]),
        };
        (decode(name), decode(value))
    });
    pairs.take(MOST_PAIRS)
}

/// Whether there are so few pairs that all are read.
pub(super) fn are_all_read(encoded: &[u8]) -> bool {
    let pairs = encoded.split(|byte| *byte == b'&');
    let mut pairs = pairs.filter(|pair| !pair.is_empty());
    pairs.nth(MOST_PAIRS).is_none()
}

/// The first names and values as text. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn text_pairs(encoded: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: Cow<'_, [u8]>| String::from_utf8_lossy(&bytes).into_owned();
    let pairs = pairs(encoded).map(|(name, value)| (text(name), text(value)));
    pairs.collect()
}

fn decode(encoded: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'+', encoded).is_none() {
        return percent_decode(encoded).into();
    }
    let mut spaced = encoded.to_vec();
    for byte in &mut spaced {
        if *byte == b'+' {
            *byte = b' ';
        }
    }
    percent_decode(&spaced).collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_order_repeats_and_bytes() {
        let found: Vec<_> = pairs(b"b=1&a=x+y%20z&b=&c&=d&&e=%ff&f=1=2&g=%2B+%zz").collect();
        let expected = [
            (&b"b"[..], &b"1"[..]),
            (b"a", b"x y z"),
            (b"b", b""),
            (b"c", b""),
            (b"", b"d"),
            (b"e", b"\xff"),
            (b"f", b"1=2"),
            (b"g", b"+ %zz"),
        ];
        let found = found.iter().map(|(name, value)| (&**name, &**value));
        assert!(found.eq(expected));
        assert_eq!(text_pairs(b"%e9=%C3%A9"), [("\u{fffd}".into(), "é".into())]);
    }

    #[test]
    fn first_thousand_pairs_are_read() {
        assert_eq!(pairs(&b"a&".repeat(100_000)).count(), MOST_PAIRS);
        assert_eq!(pairs(b"").count(), 0);
    }
}
