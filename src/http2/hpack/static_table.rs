//! The static table (RFC 7541 appendix A).

use super::Field;

/// The entries, from index 1.
static ENTRIES: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// The number of entries, which is also the last index.
pub(super) const LEN: usize = ENTRIES.len();

/// The first entry of each name, by the place of the name; 0 where there is none.
static FIRST: [u8; 256] = first();

const fn first() -> [u8; 256] {
    let mut first = [0; 256];
    let mut entry = LEN;
    while entry > 0 {
        let place = place(ENTRIES[entry - 1].0);
        let other = first[place] as usize;
        assert!(
            other == 0 || is_same(ENTRIES[entry - 1].0, ENTRIES[other - 1].0),
            "each name has a place of its own"
        );
        first[place] = entry as u8;
        entry -= 1;
    }
    first
}

/// `==` of slices, which constants can't use.
const fn is_same(name: &[u8], other: &[u8]) -> bool {
    let mut index = 0;
    while index < name.len() && index < other.len() && name[index] == other[index] {
        index += 1;
    }
    index == name.len() && index == other.len()
}

/// The place of a name, by its length, first and last byte. No two of the table share one, so a
/// lookup compares one name; comparing all of one length took six times as many instructions.
const fn place(name: &[u8]) -> usize {
    match name {
        [first, .., last] => (name.len() + *first as usize * 10 + *last as usize * 4) % 256,
        _ => 0,
    }
}

/// A name of the table, as the index of the first entry that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http2) struct StaticName(u8);

impl StaticName {
    pub(in crate::http2) const AUTHORITY: Self = Self(1);
    pub(in crate::http2) const METHOD: Self = Self(2);
    pub(in crate::http2) const PATH: Self = Self(4);
    pub(in crate::http2) const SCHEME: Self = Self(6);
    pub(in crate::http2) const STATUS: Self = Self(8);
    pub(in crate::http2) const CONTENT_LENGTH: Self = Self(28);
    pub(in crate::http2) const COOKIE: Self = Self(32);
    pub(in crate::http2) const DATE: Self = Self(33);
    pub(in crate::http2) const EXPECT: Self = Self(35);
    pub(in crate::http2) const HOST: Self = Self(38);
    pub(in crate::http2) const SET_COOKIE: Self = Self(55);
    pub(in crate::http2) const TRANSFER_ENCODING: Self = Self(57);

    /// The name, if the table has it.
    #[inline]
    pub(in crate::http2) fn find(name: &[u8]) -> Option<Self> {
        let index = FIRST[place(name)];
        let (known, _) = ENTRIES.get(usize::from(index).checked_sub(1)?)?;
        (*known == name).then_some(Self(index))
    }

    /// The index of its first entry.
    #[inline]
    pub(in crate::http2) fn index(self) -> u8 {
        self.0
    }

    /// The name as text.
    #[inline]
    pub(super) fn text(self) -> &'static [u8] {
        ENTRIES[usize::from(self.0) - 1].0
    }
}

/// The name of each entry, from index 1.
static NAMES: [StaticName; LEN] = names();

const fn names() -> [StaticName; LEN] {
    let mut names = [StaticName(0); LEN];
    let mut entry = 0;
    while entry < LEN {
        names[entry] = StaticName(FIRST[place(ENTRIES[entry].0)]);
        entry += 1;
    }
    names
}

/// The header of an index.
#[inline]
pub(super) fn field(index: usize) -> Option<Field<'static>> {
    let entry = index.checked_sub(1)?;
    let (name, value) = ENTRIES.get(entry)?;
    Some(Field {
        name,
        value,
        known: Some(NAMES[entry]),
        never_indexed: false,
    })
}

/// The name and value of an index.
#[cfg(test)]
pub(super) fn get(index: usize) -> Option<(&'static [u8], &'static [u8])> {
    ENTRIES.get(index.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_rfc() {
        for (index, name, value) in [
            (1, ":authority", ""),
            (2, ":method", "GET"),
            (8, ":status", "200"),
            (14, ":status", "500"),
            (16, "accept-encoding", "gzip, deflate"),
            (28, "content-length", ""),
            (38, "host", ""),
            (55, "set-cookie", ""),
            (61, "www-authenticate", ""),
        ] {
            assert_eq!(get(index), Some((name.as_bytes(), value.as_bytes())));
        }
        assert_eq!(get(0), None);
        assert_eq!(get(62), None);
    }

    #[test]
    fn every_entry_is_found() {
        for index in 1..=LEN {
            let (name, _) = get(index).expect("the index is in the table");
            let first = (1..=LEN).find(|index| get(*index).is_some_and(|entry| entry.0 == name));
            let found = StaticName::find(name).expect("the name is in the table");
            assert_eq!(Some(usize::from(found.index())), first);
            assert_eq!(found.text(), name);
            assert_eq!(field(index).and_then(|field| field.known), Some(found));
        }
        for name in [
            "",
            "x",
            "hosts",
            "Host",
            "hoot",
            "access-control-allow-headers!",
            ":statux",
        ] {
            assert_eq!(StaticName::find(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn constants_are_the_names_that_they_are_called() {
        for (name, text) in [
            (StaticName::AUTHORITY, ":authority"),
            (StaticName::METHOD, ":method"),
            (StaticName::PATH, ":path"),
            (StaticName::SCHEME, ":scheme"),
            (StaticName::STATUS, ":status"),
            (StaticName::CONTENT_LENGTH, "content-length"),
            (StaticName::COOKIE, "cookie"),
            (StaticName::DATE, "date"),
            (StaticName::EXPECT, "expect"),
            (StaticName::HOST, "host"),
            (StaticName::SET_COOKIE, "set-cookie"),
            (StaticName::TRANSFER_ENCODING, "transfer-encoding"),
        ] {
            assert_eq!(StaticName::find(text.as_bytes()), Some(name), "{text}");
        }
    }
}
