//! Percent-encoding in paths and hosts (RFC 3986 section 2.1).

/// Whether two hexadecimal digits follow each percent sign and no octet is zero. Readers disagree
/// about malformed encodings, and a zero ends a string in programs written in C.
pub(crate) fn is_percent_encoded(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b'%');
    parts.next();
    parts.all(|part| {
        let digits = part.get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00"
    })
}
