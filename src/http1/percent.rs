//! Percent-encoding (RFC 3986 section 2.1), in paths and in hosts.

/// Whether two hexadecimal digits follow each percent sign, and none of the octets is zero. What
/// some readers decode and others leave names two things, and a zero ends a name for programs that
/// are written in C.
pub(super) fn is_percent_encoded(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b'%');
    parts.next();
    parts.all(|part| {
        let digits = part.get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00"
    })
}
