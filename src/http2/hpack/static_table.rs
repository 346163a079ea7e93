//! The static table (RFC 7541 appendix A).

/// The entries, from index 1.
const ENTRIES: [(&[u8], &[u8]); 61] = [
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

/// The length of the longest name.
const LONGEST: usize = "access-control-allow-origin".len();

/// The indices in the order of the lengths of their names, and where each length begins. Few names
/// have the same length, so a search compares few of them.
static BY_LENGTH: ([u8; LEN], [u8; LONGEST + 2]) = by_length();

const fn by_length() -> ([u8; LEN], [u8; LONGEST + 2]) {
    let (mut order, mut starts) = ([0; LEN], [0; LONGEST + 2]);
    let (mut position, mut length) = (0, 0);
    while length <= LONGEST {
        starts[length] = position as u8;
        let mut entry = 0;
        while entry < LEN {
            if ENTRIES[entry].0.len() == length {
                order[position] = entry as u8 + 1;
                position += 1;
            }
            entry += 1;
        }
        length += 1;
    }
    assert!(position == LEN, "no name is longer");
    starts[length] = position as u8;
    (order, starts)
}

/// What the table has of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Whole(usize),
    Name(usize),
    None,
}

/// The name and value of an index.
pub(super) fn get(index: usize) -> Option<(&'static [u8], &'static [u8])> {
    ENTRIES.get(index.checked_sub(1)?).copied()
}

/// The entry with this name and value, else the first one with this name.
pub(super) fn find(name: &[u8], value: &[u8]) -> Match {
    let (order, starts) = &BY_LENGTH;
    let Some([start, end]) = starts.get(name.len()..).and_then(<[u8]>::first_chunk) else {
        return Match::None;
    };
    let mut found = Match::None;
    for index in &order[usize::from(*start)..usize::from(*end)] {
        let index = usize::from(*index);
        let entry = ENTRIES[index - 1];
        if entry == (name, value) {
            return Match::Whole(index);
        }
        if found == Match::None && entry.0 == name {
            found = Match::Name(index);
        }
    }
    found
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
            let (name, value) = get(index).expect("the index is in the table");
            assert_eq!(find(name, value), Match::Whole(index));
            let first = (1..=LEN).find(|index| get(*index).is_some_and(|entry| entry.0 == name));
            assert_eq!(find(name, b"other"), Match::Name(first.expect("it exists")));
        }
        for name in [
            "",
            "x",
            "hosts",
            "Host",
            "access-control-allow-headers!",
            ":statux",
        ] {
            assert_eq!(find(name.as_bytes(), b""), Match::None, "{name}");
        }
    }
}
