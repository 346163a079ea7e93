//! Reads the `Cookie` header.

use http::HeaderMap;
use http::header::COOKIE;
use percent_encoding::percent_decode_str;

/// The names and values of the cookies of a request, in their order.
#[derive(Clone, Default)]
pub(super) struct Received(Vec<(Box<str>, Box<str>)>);

impl Received {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        Self(pairs.filter_map(pair).collect())
    }

    /// The first value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All values of this name.
    pub(super) fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter()
            .filter_map(move |(other, value)| (other == name).then_some(value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// The decoded name and value. The name is not percent-decoded: another host could otherwise set a
/// cookie whose encoded name means one with the prefix `__Host-`.
fn pair(text: &[u8]) -> Option<(Box<str>, Box<str>)> {
    let (name, value) = std::str::from_utf8(text).ok()?.split_once('=')?;
    let (name, value) = (name.trim_ascii(), value.trim_ascii());
    let decoded = percent_decode_str(value).decode_utf8();
    let decoded = decoded.map_or_else(|_| value.into(), |decoded| Box::from(&*decoded));
    (!name.is_empty()).then(|| (name.into(), decoded))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(lines: &[&[u8]], expected: &[(&str, &str)]) {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line).expect("the value is valid");
            headers.append(COOKIE, value);
        }
        let received = Received::of(&headers);
        let pairs: Vec<_> = received.iter().collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn well_formed_cookies_are_read() {
        check(&[], &[]);
        check(&[b"a=1"], &[("a", "1")]);
        check(&[b"a=1; b=2;c=3"], &[("a", "1"), ("b", "2"), ("c", "3")]);
        check(
            &[b"a=1; b=2", b"c=3"],
            &[("a", "1"), ("b", "2"), ("c", "3")],
        );
        check(&[b"a=1; a=2"], &[("a", "1"), ("a", "2")]);
        check(&[b"a=b=c="], &[("a", "b=c=")]);
        check(&[b"a="], &[("a", "")]);
    }

    #[test]
    fn other_parts_are_ignored() {
        check(&[b"", b";", b"; ;; =; =x; y", b" a = 1 "], &[("a", "1")]);
        check(&[b"a=\xff; b=\xc3\xa9; \xff=1"], &[("b", "é")]);
        check(&[b"a=1\t; \tb=2"], &[("a", "1"), ("b", "2")]);
    }

    #[test]
    fn values_are_decoded_and_names_are_not() {
        check(&[b"a=x%20y%3b%C3%A9"], &[("a", "x y;é")]);
        check(
            &[b"a=100%; b=%zz; c=%ff"],
            &[("a", "100%"), ("b", "%zz"), ("c", "%ff")],
        );
        check(&[b"%5F_Host-id=1"], &[("%5F_Host-id", "1")]);
        check(&[b"a=\"x\""], &[("a", "\"x\"")]);
    }

    #[test]
    fn any_bytes_are_read() {
        // All bytes that a header can have, in about 4 KiB.
        let bytes: Vec<u8> = (32..=255).filter(|byte| *byte != 127).collect();
        let value = HeaderValue::from_bytes(&bytes.repeat(18)).expect("the value is valid");
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, value);
        // Each part has bytes that are not UTF-8, but for the first one, which has no `=`.
        assert_eq!(Received::of(&headers).iter().count(), 0);
    }
}
