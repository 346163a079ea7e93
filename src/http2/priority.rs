//! The order in which a client wants its responses (RFC 9218).

/// How urgent a response is, and whether its parts are of use alone (RFC 9218 section 4).
///
/// ```
/// use httpool::http2::Priority;
///
/// let priority = Priority::parse(b"u=1, i").unwrap();
/// assert_eq!((priority.urgency, priority.is_incremental), (1, true));
/// assert_eq!(Priority::parse(b""), Some(Priority::default()));
/// assert_eq!(Priority::parse(b"u=1,"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Priority {
    /// From 0, the most urgent, to 7.
    pub urgency: u8,
    /// Whether the client can use the response while it arrives.
    pub is_incremental: bool,
}

/// The priority of a request that states none.
impl Default for Priority {
    fn default() -> Self {
        Self {
            urgency: 3,
            is_incremental: false,
        }
    }
}

impl Priority {
    /// Reads the value of a `priority` header or of PRIORITY_UPDATE. Unknown members, and values
    /// out of range, are ignored (RFC 9218 section 4). `None` if a list member is empty.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut priority = Self::default();
        if value.trim_ascii().is_empty() {
            return Some(priority);
        }
        for member in value.split(|byte| *byte == b',') {
            let item = member.split(|byte| *byte == b';').next()?;
            match item.trim_ascii() {
                b"" => return None,
                [b'u', b'=', digit @ b'0'..=b'7'] => priority.urgency = digit - b'0',
                b"i" | b"i=?1" => priority.is_incremental = true,
                b"i=?0" => priority.is_incremental = false,
                _ => {}
            }
        }
        Some(priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_and_unknown_ones_are_ignored() {
        for (value, urgency, is_incremental) in [
            ("", 3, false),
            ("  ", 3, false),
            ("u=0", 0, false),
            ("u=7,i", 7, true),
            ("i", 3, true),
            ("i=?1 , u=5", 5, true),
            ("i, i=?0", 3, false),
            ("u=1, u=2", 2, false),
            ("u=2;x=1, i;y", 2, true),
            ("u=8", 3, false),
            ("u=-1", 3, false),
            ("u=1.0", 3, false),
            ("i=1", 3, false),
            ("x=\"y\", u=4", 4, false),
        ] {
            let expected = Priority {
                urgency,
                is_incremental,
            };
            assert_eq!(Priority::parse(value.as_bytes()), Some(expected), "{value}");
        }
    }

    #[test]
    fn empty_members_make_a_priority_malformed() {
        for value in [",", "u=1,", ",u=1", "u=1,,i", ";u=1"] {
            assert_eq!(Priority::parse(value.as_bytes()), None, "{value}");
        }
    }
}
